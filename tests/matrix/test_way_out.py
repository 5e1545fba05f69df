"""The proxy is killed under a running agent: the user is told at once, and there is no way out any more."""

import os
import signal
from pathlib import Path

from e2e_upstream import ALLOWED, Internet
from e2e_user import User, wait_until
from matrix_pair import Pair

from bottle_docker.plugin import open_engine

SIDECAR = {"mitmproxy": b"bottle_mitmproxy.sidecar", "pipelock": b"pipelock.yaml"}
"""What stands in the arguments of a proxy's process."""

TOLD = "this bottle has no way out any more"
SCRIPT = f"""
curl -s https://{ALLOWED}/before; echo up; read line
curl -s -m 5 https://{ALLOWED}/proxied; echo $?
curl -s -m 5 --noproxy '*' https://{ALLOWED}/direct; echo $?
"""


def kill_proxy(pair: Pair, name: str, launcher: int) -> None:
    """Kill the proxy of a bottle, given the bottle's name and its launcher: a child of that, or a container."""
    if pair.contained:
        open_engine().kill(name.replace("claude-bottle-", f"claude-bottle-{pair.proxy}-"), "SIGKILL")
        return
    files = Path(f"/proc/{launcher}/task").glob("*/children")
    pids = {int(word) for file in files for word in file.read_text().split()}
    [proxy] = [pid for pid in pids if SIDECAR[pair.proxy] in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(proxy, signal.SIGKILL)


def test_a_proxy_that_is_killed_leaves_no_way_out(pair: Pair, user: User, internet: Internet) -> None:
    """N14: the agent goes on without a way out, and whoever started it reads so while it still runs."""
    messages = user.folder / "stderr"
    with messages.open("wb") as stderr:
        process = user.begin(
            *("start", "reviewer", "--file", "bottle.yaml", "--yes", "--", "sh", "-c", SCRIPT), stderr=stderr
        )
    assert process.stdout is not None
    assert process.stdout.readline() == f"hello from {ALLOWED}\n".encode()
    assert process.stdout.readline() == b"up\n"
    assert TOLD not in messages.read_text()
    kill_proxy(pair, "claude-bottle-reviewer", process.pid)
    assert wait_until(lambda: TOLD in messages.read_text(), 2), messages.read_text()
    assert process.poll() is None
    out, _ = process.communicate(b"\n", timeout=30)
    assert [code != "0" for code in out.decode().split()] == [True, True], out
    assert {seen.target for seen in internet.seen} & {"/proxied", "/direct"} == set()
    assert user.listed() == []


def test_a_detached_bottle_ends_with_its_proxy(pair: Pair, user: User) -> None:
    """N14: nobody watches a detached bottle, so it is taken down, and nothing of it stays."""
    bottle = user.detached()
    [row] = user.listed()
    kill_proxy(pair, row["name"], row["pid"])
    assert wait_until(lambda: user.listed() == [])
    assert bottle.exec("true").code == 125
    logs = user.state / "claude-bottle" / "supervisors"
    assert any(TOLD in log.read_text() for log in logs.glob("*"))


def test_the_proxy_of_another_bottle_goes_on(pair: Pair, user: User) -> None:
    """N14, S11: two bottles of one agent have a way out each, and the end of one is not the end of the other."""
    one, two = user.detached(), user.detached()
    request = ("curl", "-s", f"https://{ALLOWED}/")
    assert [it.exec(*request).out for it in (one, two)] == [f"hello from {ALLOWED}\n"] * 2
    pids = {row["name"]: row["pid"] for row in user.listed()}
    kill_proxy(pair, one.name, pids[one.name])
    assert wait_until(lambda: [row["name"] for row in user.listed()] == [two.name])
    assert two.exec(*request).out == f"hello from {ALLOWED}\n"
