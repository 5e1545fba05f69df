"""A planted value of each kind is where it was put on purpose, and nowhere else on this machine."""

import base64
import os
import secrets
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from subprocess import PIPE
from typing import NamedTuple

import pytest
from e2e_agent import give_agent
from e2e_keyring import give_keyring, keyring_file, put
from e2e_terminal import begin_at_terminal
from e2e_traces import OURS, command_line, processes, read
from e2e_upstream import ALLOWED
from e2e_user import BINARIES, User, wait_until

KINDS = ("ASKED", "KEYRING", "FILE", "COMMAND", "MADE", "INJECTED", "LOGIN")
NEVER_INSIDE = {"INJECTED", "LOGIN"}
CONTROL = "CONTROL"
"""What is planted where the others must not be, to see that a search would find them."""
CORES = Path("/proc/sys/kernel/core_pattern")
AGENT = """
import os
from claude_bottle.declare import NoSection, agent
from claude_bottle.hookspecs import hookimpl
from claude_bottle.seam.part import Credential, Part
class Keeper:
    @hookimpl
    def resolve_plan(self, spec, draft):
        it = Credential(name="LOGIN", host="api.e2e.test", header="x-api-key")
        return Part(section=NoSection(), argv=("true",), credentials=(it,))
    @hookimpl
    def provision_prompt(self, bottle, plan):
        if "KEEPER_FAILS" in os.environ:
            raise RuntimeError("on purpose")
        return None
PLUGIN = agent(Keeper(), section=NoSection)
"""


class Planted(NamedTuple):
    """Somebody's bottle, the value of each kind, and the files in which each one lies on purpose."""

    user: User
    values: dict[str, str]
    files: dict[str, set[str]]

    def found(self, where: str) -> dict[str, set[str]]:
        """Return by kind the command lines of the processes whose `environ`, or `cmdline`, holds it."""
        held = {path: read(path / where) for path in processes()}
        return {
            kind: {command_line(path) for path, data in held.items() if value.encode() in data}
            for kind, value in self.values.items()
        }

    def on_disk(self) -> dict[str, set[str]]:
        """Return by kind the files of the user's, and of ours elsewhere, that hold it in some form."""
        paths = [it for top in (self.user.folder, *OURS) for it in top.rglob("*") if it.is_file()]
        held = {str(path): read(path) for path in paths}
        return {
            kind: {path for path, data in held.items() if any(form in data for form in forms(value))}
            for kind, value in self.values.items()
        }


def forms(value: str) -> tuple[bytes, ...]:
    """Return a value as it is, and as a keyring in a file has it."""
    return value.encode(), base64.b64encode(value.encode()), value.encode().hex().encode()


def plant(user: User, folder: Path) -> Planted:
    """Put a value of each kind where it comes from; `ASKED` is for whoever is asked."""
    values = {kind: f"canary{kind.lower()}{secrets.token_hex(12)}" for kind in KINDS}
    give_agent(user, folder, "keeper", AGENT)
    give_keyring(user)
    put(user, "s", "n", values["KEYRING"])
    for kind in ("FILE", "COMMAND", "INJECTED"):
        (user.home / kind).write_text(values[kind])
    config = user.config / "config.yaml"
    config.write_text(f"{config.read_text()}secrets:\n  COMMAND: {{command: [cat, {user.home / 'COMMAND'}]}}\n")
    assert user.bottle("login", "keeper", stdin=values["LOGIN"]).code == 0
    env = {
        "ASKED": {"secret": "asked"},
        "KEYRING": {"secret": "k", "keyring": "s/n"},
        "FILE": {"secret": "f"},
        "COMMAND": {"secret": "c"},
        "MADE": "${FIRST}${SECOND}",
        "INJECTED": {"secret": "i", "inject": {"host": ALLOWED, "header": "Authorization"}},
    }
    egress = {"allowlist": [ALLOWED], "private_addresses": ["127.0.0.0/8"]}
    user.manifest({"egress": egress, "env": env}, {"agent": "keeper"})
    files = {kind: {str(user.home / kind)} for kind in ("FILE", "COMMAND", "INJECTED")}
    files |= {kind: {str(keyring_file(user))} for kind in ("KEYRING", "LOGIN")}
    files |= {kind: set[str]() for kind in ("ASKED", "MADE")}
    half = len(values["MADE"]) // 2
    user.environment |= {"FIRST": values["MADE"][:half], "SECOND": values["MADE"][half:]}
    return Planted(user, values, files)


OPTIONS = ("start", "reviewer", "--file", "bottle.yaml", "--debug")


def given(planted: Planted) -> tuple[str, ...]:
    """Return the options that give the files."""
    home = planted.user.home
    return tuple(word for kind in ("FILE", "INJECTED") for word in ("--secret-file", f"{kind}={home / kind}"))


@pytest.fixture
def planted(user: User, tmp_path: Path) -> Planted:
    """The values, before any launch."""
    return plant(user, tmp_path)


@pytest.fixture
def running(planted: Planted) -> Iterator[Planted]:
    """A bottle at a terminal, whose user has answered."""
    words = (*OPTIONS, *given(planted), "--", "sleep", "71")
    process, terminal = begin_at_terminal(planted.user, *words)
    _answer(terminal, planted.values["ASKED"])
    assert wait_until(lambda: planted.found("environ")["ASKED"], 20)
    yield planted
    process.terminate()
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        _drain(terminal)
    process.wait(5)
    os.close(terminal)


def _answer(terminal: int, value: str) -> None:
    shown = ""
    for question, answer in (("[y/N]:", "y"), ("asked:", value)):
        while question not in shown:
            shown += os.read(terminal, 4096).decode()
        os.write(terminal, f"{answer}\n".encode())


def _drain(terminal: int) -> None:
    try:
        os.read(terminal, 4096)
    except OSError:
        time.sleep(0.05)


@pytest.fixture
def control(planted: Planted) -> Iterator[str]:
    """A value that is planted on purpose: in an argument, and in a file of each folder that is searched."""
    value = planted.values[CONTROL] = f"canarycontrol{secrets.token_hex(12)}"
    held = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", value], stdin=PIPE)
    tops = [*planted.user.folder.iterdir(), *(it for it in OURS if os.access(it, os.W_OK))]
    files = [top / f"control-{os.getpid()}" for top in tops if top.is_dir()]
    for path in files:
        path.write_text(value)
    planted.files[CONTROL] = {str(path) for path in files}
    yield value
    held.kill()
    held.communicate()
    for path in files:
        path.unlink()


def test_the_searches_find_what_is_there(planted: Planted, control: str) -> None:
    """The control: a value in an argument, and in every folder that the other tests search, is found in each."""
    assert wait_until(lambda: planted.found("cmdline")[CONTROL])
    assert all(control in words for words in planted.found("cmdline")[CONTROL])
    assert planted.on_disk() == planted.files
    assert len(planted.files[CONTROL]) > len(("home", "work", "tmp", "config", "run"))


def test_each_is_where_it_was_put_and_nowhere_else(running: Planted) -> None:
    """S1, S2, S3, S7: environment of the agent alone, no argument, no file but its own; what is injected nowhere."""
    assert running.found("environ") == {kind: set() if kind in NEVER_INSIDE else {"sleep 71"} for kind in KINDS}
    assert running.found("cmdline") == {kind: set() for kind in KINDS}
    assert running.on_disk() == running.files


def test_none_is_in_what_we_say_or_keep(planted: Planted) -> None:
    """S6, S7: an agent that sends all it has leaves nothing in messages, tracebacks, events and logs."""
    user, values = planted.user, planted.values
    (user.home / "ASKED").write_text(values["ASKED"])
    send = " ".join(f'curl -s "https://{ALLOWED}/$KIND/${kind}?k=${kind}";' for kind in KINDS)
    send += f' curl -s "https://{ALLOWED}/{CONTROL}";'
    names = " ".join(f"https://${kind}.e2e.test/" for kind in KINDS)
    options = (*given(planted), "--secret-file", f"ASKED={user.home / 'ASKED'}", "--debug", "--timings")
    done = user.start(
        "sh", "-c", f"{send} for url in {names}; do curl -s $url; done; printf '%s' $FILE", options=options
    )
    assert done.out.endswith(values["FILE"])
    logs = [user.bottle("logs", "reviewer", *form).out for form in ((), ("--format", "json"))]
    texts = done.err + "".join(logs)
    assert all(CONTROL in text for text in (*logs, str(user.events())))
    assert len(user.events()) == 2 * len(KINDS) + 1
    assert [kind for kind, value in values.items() if value.lower() in texts.lower()] == []
    (user.home / "ASKED").unlink()
    assert planted.on_disk() == planted.files


def test_none_is_in_a_traceback(planted: Planted) -> None:
    """S7: a launch that fails once it has them all, with `--debug`."""
    user, values = planted.user, planted.values
    (user.home / "ASKED").write_text(values["ASKED"])
    options = (*given(planted), "--secret-file", f"ASKED={user.home / 'ASKED'}", "--debug")
    done = user.start("true", options=options, env={"KEEPER_FAILS": "1"})
    assert "Traceback" in done.err
    assert "on purpose" in done.err
    assert done.code == 125
    assert [kind for kind, value in values.items() if value in done.err + done.out] == []


def test_none_is_in_a_core_file(planted: Planted) -> None:
    """S3: a launcher that crashes leaves no memory on disk; the search finds the core file of a process that may."""
    if "|" in CORES.read_text() or "/" in CORES.read_text():
        pytest.skip("this machine's core files are not in the working folder (kernel.core_pattern)")
    user, values = planted.user, planted.values
    (user.home / "ASKED").write_text(values["ASKED"])
    control = crash(user, ["sleep", "72"], {"CONTROL": "planted-on-purpose"})
    if not any(b"planted-on-purpose" in read(path) for path in control):
        pytest.skip("this machine makes no core files (ulimit -c)")
    for path in control:
        path.unlink()
    options = (*given(planted), "--secret-file", f"ASKED={user.home / 'ASKED'}", "--yes")
    words = [str(BINARIES / "bottle"), *OPTIONS, *options, "--", "sleep", "73"]
    assert crash(user, words, {}, lambda: bool(planted.found("environ")["FILE"])) == []
    user.bottle("cleanup", "--yes")


def crash(user: User, words: list[str], env: Mapping[str, str], ready: Callable[[], bool] | None = None) -> list[Path]:
    """Have a command crash once it is at work, and return the core files that are in the working folder."""
    process = subprocess.Popen(
        ["sh", "-c", f"ulimit -c unlimited; exec {shlex.join(words)}"],
        cwd=user.work,
        env={**user.environment, **env},
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )
    assert wait_until(ready or (lambda: command_line(Path(f"/proc/{process.pid}")) == shlex.join(words)), 20)
    process.send_signal(signal.SIGABRT)
    process.communicate(timeout=20)
    return sorted(user.work.glob("core*"))
