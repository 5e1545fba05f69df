"""The keyring of a desktop: a real Secret Service on a bus of its own, from a login to its end."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from e2e_agent import give_agent
from e2e_upstream import ALLOWED, Internet
from e2e_user import BINARIES, User, wait_until

AGENT = """
from claude_bottle.declare import NoSection, agent
from claude_bottle.hookspecs import hookimpl
from claude_bottle.seam.levels import HostWish
from claude_bottle.seam.part import Credential, Part

class Coder:
    @hookimpl
    def resolve_plan(self, spec, draft):
        it = Credential(name="CODER_KEY", host="api.e2e.test", header="x-api-key")
        return Part(section=NoSection(), argv=("true",), hosts=(HostWish(host="api.e2e.test"),), credentials=(it,))

    @hookimpl
    def provision_prompt(self, bottle, plan):
        return None

PLUGIN = agent(Coder(), section=NoSection)
"""
SESSION = """
printf 'the password of a login' | gnome-keyring-daemon --unlock --components=secrets >/dev/null
echo "$DBUS_SESSION_BUS_ADDRESS"
read _
"""
"""Opens the keyring as a login does, says where the bus is, and ends with its stdin."""
VALUE = "a-key-of-somebody-0123456789"


@pytest.fixture
def desktop(user: User, tmp_path: Path) -> Iterator[User]:
    """Somebody who is logged in to a desktop with a keyring, and has an agent with a key."""
    for program, package in (("dbus-run-session", "dbus"), ("gnome-keyring-daemon", "gnome-keyring")):
        if shutil.which(program) is None:
            pytest.skip(f"this machine has no {program}: apt-get install {package}")
    give_agent(user, tmp_path, "coder", AGENT)
    user.environment["XDG_DATA_HOME"] = str(user.folder / "data")
    argv = ["dbus-run-session", "--", "sh", "-c", SESSION]
    session = subprocess.Popen(argv, env=user.environment, stdin=PIPE, stdout=PIPE, stderr=subprocess.DEVNULL)
    assert session.stdout is not None
    user.environment["DBUS_SESSION_BUS_ADDRESS"] = session.stdout.readline().decode().strip()
    user.manifest({"egress": {"private_addresses": ["127.0.0.0/8"]}}, {"agent": "coder"})
    yield user
    session.communicate(b"\n", timeout=20)
    assert wait_until(lambda: not (user.run / "keyring").exists())  # its daemon outlives the bus for a moment


def python(user: User, code: str) -> str:
    """Run Python on the bus."""
    done = subprocess.run(
        [BINARIES / "python", "-c", code],
        env=user.environment,
        capture_output=True,
        check=True,
        text=True,
        timeout=20,
    )
    return done.stdout


SECRET = "import keyring; print(keyring.get_password('claude-bottle', 'CODER_KEY'))"
LOCK = """
import secretstorage
secretstorage.get_default_collection(secretstorage.dbus_init()).lock()
"""


def preflight(user: User) -> dict[str, Any]:
    """Return what a dry run shows."""
    return json.loads(user.bottle("start", "reviewer", "--dry-run", "--format=json").out)


def test_a_login_lies_in_it_and_a_start_takes_it_from_there(desktop: User, internet: Internet) -> None:
    """S12: login, start and logout: the service has it, no file does, the upstream gets it, and then it is gone."""
    done = desktop.bottle("login", "coder", stdin=VALUE)
    assert (done.code, "in the keyring" in done.err) == (0, True), done.err
    assert python(desktop, SECRET) == f"{VALUE}\n"
    assert preflight(desktop)["secrets"] == {"CODER_KEY": "keyring"}
    internet.seen.clear()
    started = desktop.start("sh", "-c", f'curl -sS -o /dev/null -H "x-api-key: $CODER_KEY" https://{ALLOWED}/')
    assert started.code == 0, started.err
    assert f"x-api-key: {VALUE}" in internet.seen[0].headers
    assert [it for it in desktop.folder.rglob("*") if it.is_file() and VALUE.encode() in it.read_bytes()] == []
    assert "removed CODER_KEY from the keyring" in desktop.bottle("logout", "coder").err
    assert python(desktop, SECRET) == "None\n"
    assert preflight(desktop)["secrets"] == {}


def test_one_that_is_locked_ends_the_start_with_the_cure(desktop: User) -> None:
    """Where nobody can be asked for its password; what is stored stays, and nothing is started."""
    desktop.bottle("login", "coder", stdin=VALUE)
    python(desktop, LOCK)
    done = desktop.start("true")
    assert done.code == 125
    assert "the keyring did not give claude-bottle/CODER_KEY (KeyringLocked)" in done.err
    assert "unlock it, or bottle login coder anew" in done.err
    assert preflight(desktop)["secrets"] == {"CODER_KEY": "keyring"}


def test_an_entry_that_it_lacks_is_a_problem_before_the_question(desktop: User) -> None:
    """It says so while it is locked: with the command that puts it in."""
    env = {"SERVICE": {"secret": "of a service", "keyring": "my service/me"}}
    desktop.manifest({"env": env}, {"agent": "coder"})
    python(desktop, LOCK)
    done = desktop.start("true")
    assert done.code == 125
    assert "bottles.dev.env.SERVICE.keyring: the keyring has no entry my service/me" in done.err
    assert "keyring set 'my service' me" in done.err
