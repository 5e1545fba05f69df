"""What core needs of a machine: room, a clock, and that `bottle` is this program; each wrong with its cure."""

import time
from pathlib import Path

import pytest

from claude_bottle.launch import machine as looked_at
from claude_bottle.launch.machine import Machine, look_at_machine, this_machine
from claude_bottle.seam.probe import Finding

DAY = 86400


@pytest.fixture
def sane(tmp_path: Path) -> Machine:
    """Return a machine that has nothing wrong."""
    ours = tmp_path / "bin"
    ours.mkdir()
    (ours / "bottle").write_text("#!/usr/bin/python\nfrom claude_bottle.cli.main import main\n")
    now = time.time()
    return Machine(now, now - DAY, tmp_path / "state", tmp_path / "cache", str(ours / "bottle"), str(ours))


def wrong(machine: Machine) -> dict[str, Finding]:
    """Return what is wrong, by what was looked at; every one has a cure."""
    found = {it.what: it for it in look_at_machine(machine) if not it.ok}
    assert all(it.cure for it in found.values())
    return found


def test_a_sane_machine_has_nothing_wrong(sane: Machine) -> None:
    """Room, clock and program are looked at, and folders that are not there yet are no fault."""
    assert [it.what for it in look_at_machine(sane)] == ["room", "clock", "`bottle` on PATH"]
    assert wrong(sane) == {}


def test_a_full_disk_is_told(sane: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is named, and the variable that moves it."""
    monkeypatch.setattr(looked_at, "ROOM", float("inf"))
    found = wrong(sane)["room"]
    assert found.detail.endswith(f" GiB in {sane.state}")
    assert found.cure == "free some, or set XDG_STATE_HOME to a folder that has more"


@pytest.mark.user
def test_a_folder_that_cannot_be_written_is_told(sane: Machine, tmp_path: Path) -> None:
    """Root may write everywhere; for everyone else it is said which folder is in the way."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    found = wrong(sane._replace(cache=closed / "cache"))["room"]
    assert (found.detail, found.cure) == (
        f"{closed / 'cache'} cannot be written",
        f"make {closed} yours, or set XDG_CACHE_HOME",
    )


@pytest.mark.parametrize(
    ("now", "what"),
    [(0.0, "1970-01-01 00:00 UTC is before this was installed, "), (20 * 365 * DAY, " is years after")],
)
def test_a_wrong_clock_is_told(sane: Machine, now: float, what: str) -> None:
    """A clock before this program was installed, or ten years later, is not right: no certificate would hold."""
    later = sane._replace(now=now or now, installed=DAY * 3.0)
    found = wrong(later)["clock"]
    assert what in found.detail
    assert wrong(later._replace(now=DAY * 2.5)) == {}


def test_another_program_of_the_name_is_told(sane: Machine, tmp_path: Path) -> None:
    """One that is not ours, and another installation of ours, are told apart; a link to ours is ours."""
    other = tmp_path / "bottle"
    other.write_bytes(b"#!/usr/bin/python\nimport bottle\n\xff")
    found = wrong(sane._replace(bottle=str(other)))["`bottle` on PATH"]
    assert found.detail == f"{other} is another program"
    assert found.cure == f"put {sane.ours} first on PATH, or call it claude-bottle"
    other.write_text("from claude_bottle.cli.main import main\n")
    assert wrong(sane._replace(bottle=str(other)))["`bottle` on PATH"].detail.endswith(
        "another installation of this program"
    )
    other.unlink()
    other.symlink_to(sane.bottle or "")
    assert wrong(sane._replace(bottle=str(other))) == {}
    assert wrong(sane._replace(bottle=None)) == {}


def test_this_machine_is_looked_at() -> None:
    """The facts are this process's own: now, and a time at which the files were here already."""
    here = this_machine()
    assert abs(here.now - time.time()) < 60
    assert here.installed < here.now
    assert here.state != here.cache
