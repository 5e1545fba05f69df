"""Strangers' distributions, built and installed for real: whatever is wrong with one, everything else works."""

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytestmark = [pytest.mark.wheels, pytest.mark.timeout(300)]

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "bottle-{name}"
version = "{version}"
dependencies = ["{requires}"]

[project.entry-points."claude_bottle.backend"]
{plugin} = "bottle_{name}:PLUGIN"

[tool.hatch.build.targets.wheel]
only-include = ["bottle_{name}.py"]
"""
FINE = """\
from claude_bottle.declare import NoSection, Plugin
from claude_bottle.hookspecs import hookimpl
from claude_bottle.seam.probe import ProbeResult
from claude_bottle.seam.traits import BackendTraits
class Box:
    @hookimpl
    def probe(self{parameters}): return ProbeResult(state="ready")
PLUGIN = Plugin("backend", Box(), NoSection, backend_traits=BackendTraits(runs="process"))
"""
MANIFEST = """\
version: 1
bottles:
  dev: {backend: bwrap, proxy: mitmproxy}
agents:
  shell: {bottle: dev, agent: shell}
"""


class Stranger(NamedTuple):
    """A distribution, how it is listed, and how once it was checked; `said` is the check's word."""

    source: str
    listed: str = "available"
    checked: str = "failed"
    said: str = ""
    requires: str = "claude-bottle-core>=0.1"
    plugin: str = ""


STRANGERS = {
    "fine": Stranger(FINE.format(parameters=""), checked="available", said="1 hooks"),
    "import_error": Stranger("import no_such_module", said="ModuleNotFoundError"),
    "exits": Stranger("raise SystemExit(3)", said="SystemExit: 3"),
    "syntax": Stranger("def (", said="SyntaxError"),
    "crashes": Stranger("import os\nos.abort()", said="SIGABRT"),
    "hangs": Stranger("import time\ntime.sleep(300)", said="did not end within"),
    "parameter": Stranger(FINE.format(parameters=", plan"), said="probe has no parameter plan"),
    "keyword": Stranger(FINE.format(parameters=", *, plan"), said="must be a plain one"),
    "nowhere": Stranger("OTHER = 1", said="AttributeError"),
    "object": Stranger("PLUGIN = 1", said="not a declared plugin"),
    "too_new": Stranger("raise SystemExit(0)", "incompatible", "incompatible", "needs ", "claude-bottle-core>=99"),
    "rival_a": Stranger("raise SystemExit(0)", "conflict", "conflict", "also comes from", plugin="rival"),
    "rival_b": Stranger("raise SystemExit(0)", "conflict", "conflict", "also comes from", plugin="rival"),
    "taker": Stranger("raise SystemExit(0)", "conflict", "conflict", "belongs to bottle-bwrap", plugin="bwrap"),
}

Place = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory, build: Callable[[Path, str, Path], None]) -> Path:
    """A folder with a wheel of each, and of `fine` a later one, too."""
    folder = tmp_path_factory.mktemp("strangers")
    for name, stranger in STRANGERS.items():
        for version in ("1.0", "1.1") if name == "fine" else ("1.0",):
            project = tmp_path_factory.mktemp(name)
            facts = {"name": name, "version": version, "requires": stranger.requires}
            (project / "pyproject.toml").write_text(PYPROJECT.format(plugin=stranger.plugin or name, **facts))
            (project / f"bottle_{name}.py").write_text(stranger.source)
            build(project, "wheel", folder)
    return folder


@pytest.fixture(scope="module")
def place(
    make_environment: Callable[..., Path],
    pip: Callable[..., None],
    wheels: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Place:
    """Run `bottle` in a fresh environment that has the default set and every stranger, all of them trusted."""
    environment = make_environment("claude-bottle", "bottle-claude")
    target = ["--python", environment / "bin" / "python"]
    names = [f"bottle-{name}==1.0" for name in STRANGERS]
    pip(*target, "install", "--no-compile", "--no-index", "--no-deps", "--find-links", wheels, *names)
    home = tmp_path_factory.mktemp("home")
    (home / "bottle.yaml").write_text(MANIFEST)
    trusted = ",".join(f"bottle-{name}" for name in STRANGERS)

    def run(*words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        base = {"HOME": str(home), "PATH": f"{environment}/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
        return subprocess.run(
            [environment / "bin" / "bottle", *words],
            cwd=home,
            env={**base, "CLAUDE_BOTTLE_TRUST": trusted, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
        )

    return run


def rows(place: Place, *words: str, env: Mapping[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """The strangers' rows by distribution, without its `bottle-`."""
    done = place("plugins", "list", "--format", "json", *words, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    found = {
        row["distribution"].removeprefix("bottle-").replace("-", "_"): row for row in json.loads(done.stdout)["plugins"]
    }
    return {name: row for name, row in found.items() if name in STRANGERS}


def test_everyday_commands_work_beside_them_all(place: Place) -> None:
    """Version, help, list and a dry run that needs none of them are as they are without them."""
    assert place("--version").stdout.startswith("bottle ")
    assert "plugins" in place("--help").stdout
    assert {name: row["status"] for name, row in rows(place).items()} == {
        name: stranger.listed for name, stranger in STRANGERS.items()
    }
    dry = place("start", "shell", "--dry-run")
    assert (dry.returncode, dry.stderr.count("error")) == (0, 0), dry.stderr


def test_each_is_told_what_is_wrong_with_it(place: Place) -> None:
    """A check names each with what is wrong and what to do, and from then on the list has it."""
    done = place("plugins", "check", *(f"bottle-{name}" for name in STRANGERS), "--deadline", "3")
    assert (done.returncode, done.stderr) == (1, "")
    lines = {line.partition("(bottle-")[2].partition(" ")[0]: line for line in done.stdout.splitlines()}
    for name, stranger in STRANGERS.items():
        line = lines[name.replace("_", "-")]
        assert stranger.said in line
        assert line.startswith("ok " if name == "fine" else "no ")
    after = rows(place)
    assert {name: row["status"] for name, row in after.items()} == {
        name: stranger.checked for name, stranger in STRANGERS.items()
    }
    assert all(row["fix"] for name, row in after.items() if name != "fine")


def test_another_version_forgets_and_a_second_copy_is_told(
    place: Place, pip: Callable[..., None], wheels: Path, tmp_path: Path
) -> None:
    """A later version first on the path: nothing is known of it, and the one that it hides is named."""
    place("plugins", "check", "fine")
    known = rows(place)["fine"]
    assert (known["version"], known["hooks"], known["origin"], known["duplicates"]) == ("1.0", ["probe"], "wheel", [])
    [wheel] = wheels.glob("bottle_fine-1.1-*.whl")
    pip("install", "--no-compile", "--no-index", "--no-deps", "--target", tmp_path, wheel)
    both = rows(place, env={"PYTHONPATH": str(tmp_path)})["fine"]
    assert (both["version"], both["hooks"], both["origin"]) == ("1.1", None, "url")
    assert [Path(it).name for it in both["duplicates"]] == ["bottle_fine-1.0.dist-info"]
