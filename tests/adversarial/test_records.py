"""A hostile program and the record of what it did: nothing is missing, nothing is forged, nobody's disk is filled."""

from e2e_upstream import ALLOWED
from e2e_user import User

SEND = """
import socket, sys
for line in sys.stdin.buffer.read().split(b"\\n"):
    connection = socket.create_connection(("127.0.0.1", 3128), 10)
    connection.sendall(b"GET http://%s HTTP/1.1\\r\\nHost: %s\\r\\n\\r\\n" % (line, line.split(b"/")[0]))
    connection.recv(65536)
"""


def test_a_terminal_is_sent_nothing_that_it_obeys(user: User) -> None:
    """Hosts, paths and reasons are the agent's words: neither the log nor the summary passes escapes or line ends."""
    done = user.start("python3", "-c", SEND, stdin=b"other.e2e.test/\x1b[2J\nother.e2e.test/\x9b2J\n\x1b]0;x\x07/")
    texts = (done.err, user.bottle("logs", env={"FORCE_COLOR": "1"}).out, user.bottle("logs", "--format", "json").out)
    assert "other.e2e.test" in texts[1]
    assert not {it for text in texts for it in text if not it.isprintable() and it != "\n"}


def test_a_flood_of_refusals_fills_neither_disk_nor_screen(user: User) -> None:
    """Whoever is inside decides how many names are tried and how long they are, not how much of it is kept."""
    lines = [f"h{number}.other.e2e.test/{'A' * 200_000}" for number in range(40)]
    done = user.start("python3", "-c", SEND, stdin="\n".join(lines))
    (record,) = (user.state / "claude-bottle" / "events").glob("*.jsonl")
    assert len(user.events()) == len(lines)
    assert record.stat().st_size < 2048 * len(lines)
    assert done.err.count("egress.allowlist: [") == 20
    assert "and 20 more" in done.err


def test_a_secret_in_a_long_path_is_not_cut_into_the_record(user: User) -> None:
    """S6: what is shortened was redacted before, so no part of a value is left at the end."""
    secret = "correct-horse-battery"
    (user.work / "secret").write_text(secret)
    user.manifest({"egress": {"allowlist": [ALLOWED]}, "env": {"PASSPHRASE": {"secret": "a passphrase"}}})
    paths = ["A" * length + secret * 2 for length in range(1000, 1030, 5)]
    done = user.start(
        "python3",
        "-c",
        SEND,
        options=("--secret-file", f"PASSPHRASE={user.work / 'secret'}"),
        stdin="\n".join(f"other.e2e.test/{path}" for path in paths),
    )
    assert done.code == 0, done.err
    assert len(user.events()) == len(paths)
    assert not [event for event in user.events() if "correct" in event["path"]]
