"""Start-up with strangers: broken plugins and five hundred distributions cost no command a module more."""

from collections.abc import Callable
from pathlib import Path

import pytest
from startup_modules import BARE, BUDGETS, COMMAND, HEAVY, NEWER, loaded

MANIFEST = """\
version: 1
bottles:
  dev:
    backend: bwrap
    proxy: mitmproxy
agents:
  shell: {bottle: dev, agent: shell}
"""
WORST = """\
[claude_bottle.backend]
stranger-a = no_such_module:PLUGIN
stranger-b = stranger:PLUGIN
bwrap = stranger:PLUGIN
[claude_bottle.proxy]
stranger-a = not a target
"""

Run = Callable[..., set[str]]


def install(folder: Path, name: str, points: str = "", requires: str = "") -> None:
    """Lay out an installed distribution."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    wanted = f"Requires-Dist: {requires}\n" if requires else ""
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{wanted}")
    if points:
        (info / "entry_points.txt").write_text(points)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return what runs a command beside 500 distributions, some of them broken, and tells its modules."""
    path = tmp_path / "path"
    for number in range(490):
        install(path, f"some-library-{number}", f"[console_scripts]\nprogram-{number} = some:main\n")
    for number in range(6):
        install(path, f"stranger-{number}", WORST, "claude-bottle-core>=0.1")
    install(path, "stranger-new", WORST, "claude-bottle-core>=99")
    install(path, "stranger-torn", "[claude_bottle.backend]\nnonsense\n")
    (path / "stranger_nameless-1.0.dist-info").mkdir()
    (path / "stranger_nameless-1.0.dist-info" / "entry_points.txt").write_text(WORST)
    (path / "stranger.py").write_text("import os\nos.abort()\n")
    (tmp_path / "bottle.yaml").write_text(MANIFEST)

    def call(*words: str, code: str = COMMAND) -> set[str]:
        return loaded(code, list(words), tmp_path, path)

    return call


@BUDGETS
def test_strangers_cost_no_command_its_budget(run: Run, budget: int, arguments: list[str]) -> None:
    """With 500 distributions of which nine are broken, each command works, and none of them is imported."""
    extra = run(*arguments) - run(code=BARE)
    assert {name for name in extra if name.partition(".")[0] in HEAVY | {"stranger"}} == set()
    assert len(extra) <= budget + NEWER, ", ".join(sorted(extra))


def test_an_odd_range_costs_the_library_that_judges_it(run: Run, tmp_path: Path) -> None:
    """A range that is no plain comparison, nonsense too, is left to `packaging`, which is all that it costs."""
    install(
        tmp_path / "path",
        "stranger-odd",
        "[claude_bottle.backend]\nodd = stranger:PLUGIN\n",
        "claude-bottle-core >>> nonsense",
    )
    extra = run("plugins", "list") - run(code=BARE)
    assert "packaging.specifiers" in extra
    assert len(extra) <= 200 + 25 + NEWER, ", ".join(sorted(extra))


def test_what_is_remembered_costs_no_import(run: Run, tmp_path: Path) -> None:
    """A list that knows what earlier loads met stays within its budget: the loads themselves were elsewhere."""
    run("plugins", "check", "bwrap/nothing", "shell", code=COMMAND.replace("sys.exit(code)", "pass"))
    assert (tmp_path / ".local" / "state" / "claude-bottle" / "plugins.json").exists()
    extra = run("plugins", "list") - run(code=BARE)
    assert len(extra) <= 200 + NEWER, ", ".join(sorted(extra))
