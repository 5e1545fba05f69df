"""Folders of this machine that are seen inside, for backends whose traits have `bind`."""

import os
import select
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from claude_bottle.errors import UnavailableError
from claude_bottle.plugins.load import Loaded
from claude_bottle.seam.bottle import Bottle, BoundBottle
from claude_bottle.seam.part import Mount
from claude_bottle.testing.ground import Ground

__all__ = ["BindContract"]

PLACE = "/workspace"

ATTACKS = {
    "write": "echo evil >mid/in/file",
    "append": "echo evil >>mid/in/file",
    "make": "echo evil >mid/in/new",
    "remove": "rm -f mid/in/file",
    "mode": "chmod 777 mid/in/file",
    "rename": "mv mid/in elsewhere",
    "rename above": "mv mid elsewhere",
    "replace by a link": "rm -rf mid/in; ln -sfn /tmp mid/in",
    "write a single file": "echo evil >mid/one",
    "replace a single file": "echo evil >x && mv x mid/one",
    "remove a single file": "rm -f mid/one",
    "a second name": "ln mid/one second && echo evil >second",
}
"""What an agent may try with `mid/in`, a folder, and `mid/one`, a file, which it can read; `mid` it can write."""


class BindContract:
    """What the plan's mounts promise."""

    @pytest.fixture
    def folder(self, loaded: Loaded, tmp_path: Path) -> Path:
        """A folder of this user, with the same tree in it for each attack, and once more."""
        traits = loaded.plugin.backend_traits
        if traits is None or not traits.bind:
            pytest.skip("its traits do not have `bind`")
        if os.getuid() == 0:
            pytest.skip("root binds nothing: run the tests as a plain user too")
        for name in ("shut", *map(str, range(len(ATTACKS)))):
            (tmp_path / name / "mid" / "in").mkdir(parents=True)
            for file in ("mid/in/file", "mid/one"):
                (tmp_path / name / file).write_text("as it was\n")
        return tmp_path

    def test_a_bound_folder_is_the_same_on_both_sides(self, ground: Ground, folder: Path) -> None:
        """Bytes are there at once, either way; what is made inside, by root too, belongs to whoever launched it."""
        with ground.start(f"bind-{os.getpid()}", mounts_of(folder)) as held:
            done(held.bottle, "echo inside >new; mkdir sub; ln -s new sub/link")
            assert (folder / "new").read_text() == "inside\n"
            made = [(folder / name).lstat() for name in ("new", "sub", "sub/link")]
            assert {(it.st_uid, it.st_gid) for it in made} == {(os.getuid(), os.getgid())}
            assert done(held.bottle, "stat -c %u new shut/mid/one") == done(held.bottle, "id -u; id -u")
            (folder / "new").write_text("outside\n")
            assert done(held.bottle, "cat new; rm new") == "outside"
            assert not (folder / "new").exists()
            done(held.bottle, "mkdir open; chmod 777 . open")
            with suppress(UnavailableError):
                held.bottle.exec(f"touch {PLACE}/open/of-root", root=True)
            assert {path.lstat().st_uid for path in folder.rglob("*")} == {os.getuid()}

    def test_what_is_read_only_stays_as_it_is(self, ground: Ground, folder: Path) -> None:
        """Nothing that is tried inside changes it; each attempt does where the folder alone is bound."""
        mounts = mounts_of(folder, "shut", "shut/mid", "shut/mid/in", "shut/mid/one")
        before = list(picture(folder / "shut"))
        with ground.start(f"bind-{os.getpid()}", mounts) as held:
            for number, (what, attack) in enumerate(ATTACKS.items()):
                held.bottle.exec(f"cd {PLACE}/shut/ && {attack}")
                assert list(picture(folder / "shut")) == before, f"{what}: it can be changed"
                held.bottle.exec(f"cd {PLACE}/{number} && {attack}")
                assert list(picture(folder / str(number))) != before, f"{what}: it would change nothing"
            done(held.bottle, "cd shut/mid; echo >new; rm new; mv ../../0/mid/one renamed")

    def test_its_process_ends_last(self, ground: Ground, folder: Path) -> None:
        """Whoever waits for it knows that nothing in the bottle can write any more."""
        with ground.start(f"bind-{os.getpid()}", mounts_of(folder)) as held:
            assert isinstance(held.bottle, BoundBottle)
            script = "(trap '' TERM HUP; while :; do echo >>beat; done) >/dev/null 2>&1 &"
            done(held.bottle, f"{script} until [ -s beat ]; do sleep 0.02; done")
            process = os.pidfd_open(held.bottle.pid)
            assert select.select([process], [], [], 0)[0] == []
            held.bottle.stop()
            assert select.select([process], [], [], 10)[0] == [process]
            os.close(process)
            size = (folder / "beat").stat().st_size
        assert (folder / "beat").stat().st_size == size > 0

    def test_nothing_else_of_this_machine_is_seen(self, ground: Ground, folder: Path) -> None:
        """F6: neither what lies beside the folder, nor what a link in it leads to."""
        (folder / "beside").write_text("secret\n")
        (folder / "shut" / "link").symlink_to(folder / "beside")
        with ground.start(f"bind-{os.getpid()}", mounts_of(folder / "shut")) as held:
            assert held.bottle.exec(f"cat link ../beside {folder}/beside").stdout == b""


def mounts_of(folder: Path, *within: str) -> Sequence[Mount]:
    """Return the mounts of a folder and of paths below it: those that have others below them can be written."""
    return [
        Mount(
            source=str(folder / name),
            target=f"{PLACE}/{name}".rstrip("/"),
            write=not name or any(other.startswith(f"{name}/") for other in within),
        )
        for name in ("", *within)
    ]


def done(bottle: Bottle, script: str) -> str:
    """Run a script in the folder, and return what it printed."""
    result = bottle.exec(f"set -e; cd {PLACE}; {script}")
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode().strip()


def picture(folder: Path) -> Iterator[tuple[str, int, str]]:
    """Yield path, mode and text of what was there at first, and of what has joined it where it was protected."""
    for path in sorted(folder.rglob("mid")) + sorted(folder.rglob("mid/**/*")):
        mode = path.lstat().st_mode
        yield path.relative_to(folder).as_posix(), mode, path.read_text() if path.is_file() else ""
