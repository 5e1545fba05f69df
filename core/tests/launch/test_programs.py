"""Which release of an agent's program a launch takes, and where it cannot be had."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from claude_bottle.declare import NoSection
from claude_bottle.errors import LaunchError, ProblemsError
from claude_bottle.launch import programs
from claude_bottle.launch.programs import Update, find_update, keep_update, settle_programs, updated
from claude_bottle.seam.part import Package, Part, Program


def tool(version: str, *, fixed: bool = False) -> Program:
    """Return a release."""
    package = Package(name="@somebody/tool", version=version, integrity="sha512-x", commands=(("tool", "tool"),))
    return Program(name="tool", version=version, source="@somebody/tool", packages=(package,), fixed=fixed)


def test_a_program_of_this_machine_is_in_no_image() -> None:
    """It is a problem before the start, with what to change."""
    backend: Any = SimpleNamespace(name="box", plugin=SimpleNamespace(backend_traits=SimpleNamespace(runs="image")))
    part = Part(section=NoSection(), programs=(Program(name="tool", host="/usr/bin/tool"),))
    with pytest.raises(ProblemsError) as caught:
        settle_programs(part, backend, Path("/nowhere"))
    [problem] = caught.value.problems
    assert problem.message == "backend box makes its bottles of images, which have no program of this machine"
    assert problem.hint


def test_an_update_counts_until_the_plugin_has_another_release(tmp_path: Path) -> None:
    """A later plugin was tested with its own; what a manifest names is nobody else's to change."""
    keep_update(Update(instead_of="1.0", using="1.0", program=tool("1.5")), tmp_path)
    assert updated(tool("1.0"), tmp_path).version == "1.5"
    assert updated(tool("2.0"), tmp_path).version == "2.0"
    assert updated(tool("1.0", fixed=True), tmp_path).version == "1.0"


@pytest.mark.parametrize(
    ("integrity", "said"), [("sha1-abc", "says no sha512 of @somebody/tool@1.5"), ("", "has no dist.integrity of ")]
)
def test_a_release_that_nothing_holds_to_is_no_update(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, integrity: str, said: str
) -> None:
    """What is fetched at the next launch must be what is shown now."""
    monkeypatch.setattr(programs, "npm", lambda *words, **_: "1.5\n" if "version" in words else f"{integrity}\n")  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] - whatever else it is told
    with pytest.raises(LaunchError, match=said):
        find_update(tool("1.0"), tmp_path)
