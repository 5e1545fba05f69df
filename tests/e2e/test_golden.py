"""The manifest and the JSON of the product's description, as files: what is printed there is what a user gets."""

import json
import os
import pty
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any, NamedTuple, cast

import pytest
from e2e_user import BINARIES, User

GOLDEN = Path(__file__).with_name("golden")
SETTLED = {"workspace": "copy"}
"""Where the two files disagree, and nowhere else: the printed JSON is of a manifest without the line `workspace:`.

With it a start copies this folder's repository, `--cwd` or not: a plan that said null would hide that.
"""
VALUES = {"HOST_API_URL": "https://internal.example", "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-" + "x1Y2" * 6}


@pytest.fixture
def reader() -> Iterator[User]:
    """Somebody with the manifest as it stands, and with what it names: two skills, a key, a known host, variables."""
    someone = User(chosen={})
    shutil.copy(GOLDEN / "bottle.yaml", someone.work)
    for name in ("pdf", "review"):
        folder = someone.home / ".claude" / "skills" / name
        folder.mkdir(parents=True)
        (folder / "SKILL.md").write_text(f"---\nname: {name}\ndescription: {name}\n---\n")
    folder = someone.home / ".ssh"
    folder.mkdir(mode=0o700)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "id_ed25519"],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    kind, key, *_ = (folder / "id_ed25519.pub").read_text().split()
    (folder / "known_hosts").write_text(f"github.com {kind} {key}\n")
    someone.environment |= VALUES
    yield someone
    someone.close()


class Shown(NamedTuple):
    """What a dry run left: stdout, and what its terminal shows."""

    code: int
    out: str
    terminal: str


def dry_run(user: User) -> Shown:
    """Ask for the JSON at a terminal, where a secret could be asked for."""
    ours, theirs = pty.openpty()
    words = (BINARIES / "bottle", "start", "reviewer", "--dry-run", "--format=json")
    done = subprocess.run(
        words, env=user.environment, cwd=user.work, stdin=theirs, stdout=PIPE, stderr=theirs, check=False, timeout=60
    )
    shown = os.read(ours, 1 << 16).decode()  # there is a line on what was not checked
    os.close(theirs)
    os.close(ours)
    return Shown(done.returncode, done.stdout.decode(), shown)


def picked(shown: Any, wanted: Any) -> Any:
    """Return what is shown of the keys that are printed: keys may be added later."""
    if not isinstance(wanted, dict):
        return shown
    keys = cast("dict[str, Any]", wanted)
    return {key: picked(shown.get(key, "is not there"), value) for key, value in keys.items()}


def test_the_printed_manifest_gives_the_printed_json(reader: User) -> None:
    """S1, S9, S10, S16, S24: without a problem, in the printed order, whatever engine this machine has."""
    printed = json.loads((GOLDEN / "preflight.json").read_text())
    done = dry_run(reader)
    assert done.code == 0, done.terminal
    shown = json.loads(done.out)
    assert picked(shown, printed) == {**printed, **SETTLED}
    file = reader.work / "bottle.yaml"
    without = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("workspace:")]
    file.write_text("\n".join(without))
    assert picked(json.loads(dry_run(reader).out), printed) == printed
    assert [key for key in shown if key in printed] == list(printed)
    assert [value for value in VALUES.values() if value in done.out + done.terminal] == []


def test_its_engine_is_not_asked(reader: User) -> None:
    """S16: the same JSON where nothing answers, and where there is nothing at all; a runtime that is not there, too."""
    here = dry_run(reader)
    reader.environment["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    nowhere = dry_run(reader)
    assert (nowhere.code, nowhere.out) == (0, here.out)
