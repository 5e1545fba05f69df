"""Start-up with strangers: broken plugins and five hundred distributions cost no command a module more."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HEAVY = {"asyncio", "cryptography", "docker", "mitmproxy", "requests", "rich", "stranger"}
NEWER = 20 if sys.version_info >= (3, 12) else 0
COMMAND = """\
import sys
from claude_bottle.cli.main import main
try:
    main()
except SystemExit as stop:
    assert not stop.code
"""
DUMP = "\nprint('\\n'.join(sys.modules), file=open({file!r}, 'w'))"

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
        report = tmp_path / "modules"
        environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONPATH": str(path)}
        answer = subprocess.run(
            [sys.executable, "-c", code + DUMP.format(file=str(report)), *words],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
        )
        assert answer.returncode == 0, answer.stderr
        return set(report.read_text().splitlines())

    return call


@pytest.mark.parametrize(
    ("budget", "arguments"),
    [
        pytest.param(25, ["--version"], id="version"),
        pytest.param(95, ["--help"], id="help"),
        pytest.param(200, ["plugins", "list"], id="plugins-list"),
        pytest.param(250, ["start", "shell", "--dry-run", "--file", "bottle.yaml"], id="dry-run"),
    ],
)
def test_strangers_cost_no_command_its_budget(run: Run, budget: int, arguments: list[str]) -> None:
    """With 500 distributions of which nine are broken, each command works, and none of them is imported."""
    extra = run(*arguments) - run(code="import sys")
    assert {name for name in extra if name.partition(".")[0] in HEAVY} == set()
    assert len(extra) <= budget + NEWER, ", ".join(sorted(extra))


def test_an_odd_range_costs_the_library_that_judges_it(run: Run, tmp_path: Path) -> None:
    """A range that is no plain comparison, nonsense too, is left to `packaging`, which is all that it costs."""
    install(
        tmp_path / "path",
        "stranger-odd",
        "[claude_bottle.backend]\nodd = stranger:PLUGIN\n",
        "claude-bottle-core >>> nonsense",
    )
    extra = run("plugins", "list") - run(code="import sys")
    assert "packaging.specifiers" in extra
    assert len(extra) <= 200 + 25 + NEWER, ", ".join(sorted(extra))


def test_what_is_remembered_costs_no_import(run: Run, tmp_path: Path) -> None:
    """A list that knows what earlier loads met stays within its budget: the loads themselves were elsewhere."""
    run("plugins", "check", "bwrap/nothing", "shell", code=COMMAND.replace("assert not stop.code", "pass"))
    assert (tmp_path / ".local" / "state" / "claude-bottle" / "plugins.json").exists()
    extra = run("plugins", "list") - run(code="import sys")
    assert len(extra) <= 200 + NEWER, ", ".join(sorted(extra))
