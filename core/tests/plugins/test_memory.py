"""What loads found, as it is kept: for one installation, the newest word, and no more than is needed."""

import json
import stat
from pathlib import Path

import pytest
from core_harness import write_distribution

from claude_bottle.plugins import memory as kept
from claude_bottle.plugins.memory import Memory
from claude_bottle.plugins.record import Outcome, Record

MEASURED = Outcome(hooks=("probe",), seconds=0.5, modules=3)


def record(folder: Path, name: str = "box") -> Record:
    """Return a plugin of the distribution in a folder."""
    return Record(
        name=name,
        kind="backend",
        distribution="some-box",
        version="1.0",
        target="m:P",
        origin="wheel",
        location=str(folder),
    )


@pytest.fixture
def box(tmp_path: Path) -> Record:
    """Return an installed plugin."""
    return record(write_distribution(tmp_path / "path", "some-box"))


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    """Return a memory that has nothing yet."""
    return Memory(tmp_path / "state")


def test_nothing_is_known_at_first(memory: Memory, box: Record, tmp_path: Path) -> None:
    """A look into a memory makes no file."""
    assert memory.recall((box,)) == {}
    assert not (tmp_path / "state").exists()


def test_what_was_noted_is_recalled(memory: Memory, box: Record, tmp_path: Path) -> None:
    """All of it, with the time, in a file that nobody else can read; other plugins are not known by it."""
    memory.note({box: MEASURED})
    assert memory.recall((box, record(Path(box.location), "other"))).keys() == {box}
    found = memory.recall((box,))[box]
    assert (found.hooks, found.seconds, found.modules, found.error) == (("probe",), 0.5, 3, "")
    assert found.time > 0
    assert stat.S_IMODE((tmp_path / "state" / "plugins.json").stat().st_mode) == 0o600


def test_a_launch_takes_no_measurement_away(memory: Memory, box: Record, tmp_path: Path) -> None:
    """A launch that goes well has nothing to add, and writes no file of its own."""
    memory.note({box: Outcome(hooks=("probe",))})
    assert not (tmp_path / "state").exists()
    memory.note({box: MEASURED})
    before = (tmp_path / "state" / "plugins.json").stat().st_mtime_ns
    memory.note({box: Outcome(hooks=("probe",))})
    assert memory.recall((box,))[box].seconds == 0.5
    assert (tmp_path / "state" / "plugins.json").stat().st_mtime_ns == before


def test_news_take_the_place_of_what_was_known(memory: Memory, box: Record) -> None:
    """Another measurement, other hooks, an error, and then none: always the last."""
    for news in (MEASURED, Outcome(hooks=("probe",), seconds=0.7), Outcome(error="it broke"), Outcome(hooks=("x",))):
        memory.note({box: news})
        found = memory.recall((box,))[box]
        assert (found.hooks, found.seconds, found.error) == (news.hooks, news.seconds, news.error)


def test_the_same_distribution_elsewhere_is_another(memory: Memory, box: Record, tmp_path: Path) -> None:
    """What fails in one environment, for want of a library, say, may work in another."""
    memory.note({box: Outcome(error="it broke")})
    assert memory.recall((record(write_distribution(tmp_path / "elsewhere", "some-box")),)) == {}


def test_the_file_does_not_grow_for_ever(
    memory: Memory, box: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest go first."""
    monkeypatch.setattr(kept, "KEPT", 3)
    for name in "abcde":
        memory.note({record(Path(box.location), name): Outcome(hooks=(name,), seconds=1.0)})
    whole = json.loads((tmp_path / "state" / "plugins.json").read_text())
    assert [outcome["hooks"] for outcome in whole["outcomes"].values()] == [["c"], ["d"], ["e"]]
