"""Diagnostics: what is wrong with a plugin is shown by `plugins list` and `plugins check`, with what mends it."""

import json
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from core_harness import User, write_distribution
from core_strangers import BROKEN, FINE, vouch

CORE = "claude-bottle-core"
RANGE = (f"{CORE}>=0.1,<0.2",)
POINTS = {"claude_bottle.backend": {"stranger": "stranger_module:PLUGIN"}}

DOCUMENT = Path(__file__).parents[3] / "docs" / "plugins" / "diagnostics.md"

Install = Callable[..., Path]


@pytest.fixture
def install(user: User, tmp_path: Path) -> Install:
    """Return what installs a stranger's distribution, first on the user's path, whom the user trusts."""
    vouch(user, "stranger-plugins")

    def one(
        source: str = "raise AssertionError('imported')",
        name: str = "stranger-plugins",
        points: Mapping[str, Mapping[str, str]] | str = POINTS,
        requires: Sequence[str] = RANGE,
        **more: Any,
    ) -> Path:
        folder = tmp_path / f"path-{len(user.path)}"
        modules = {"stranger_module.py": source}
        write_distribution(folder, name, points=points, modules=modules, requires=requires, **more)
        user.path.insert(0, folder)
        return folder

    return one


def listing(user: User, *words: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the listing in JSON, which never fails and says nothing beside."""
    done = user.run("plugins", "list", "--format", "json", *words, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def row(user: User, *words: str, name: str = "stranger", env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the one row of a name."""
    [found] = [it for it in listing(user, *words, env=env)["plugins"] if it["name"] == name]
    return found


def info_folder(folder: Path) -> Path:
    """Return the folder of a distribution's metadata."""
    return next(folder.glob("*.dist-info"))


@pytest.mark.parametrize("case", BROKEN)
def test_what_a_check_meets_is_told_and_remembered(user: User, install: Install, case: str) -> None:
    """A check survives whatever an import does, names it with its cure, and the list has it from then on."""
    source, what = BROKEN[case]
    install(source)
    before = row(user)
    assert (before["status"], before["hooks"], before["loaded"]) == ("available", None, None)
    done = user.run("plugins", "check", "stranger", "--deadline", "2")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("no  backend stranger (stranger-plugins 1.0): ")
    assert what in done.stdout.splitlines()[0]
    assert "    fix: pip install --upgrade stranger-plugins, or select another backend\n" in done.stdout
    after = row(user)
    assert (after["status"], after["hooks"]) == ("failed", None)
    assert what in after["reason"]
    assert after["fix"].endswith("; then: bottle plugins check stranger")
    assert user.run("start", "reviewer", "--dry-run").returncode == 0


@pytest.mark.parametrize("case", ["crashes", "exits", "prints"])
def test_a_list_that_loads_survives(user: User, install: Install, case: str) -> None:
    """`--load` has the same of all at once, and the others' rows are whole."""
    source, what = BROKEN[case]
    install(source)
    rows = {it["name"]: it for it in listing(user, "--load")["plugins"]}
    assert rows["stranger"]["status"] == "failed"
    assert what in rows["stranger"]["reason"]
    assert "resolve_plan" in rows["stage"]["hooks"]
    assert rows["stage"]["import_seconds"] > 0
    assert rows["stage"]["modules"] > 0


@pytest.mark.slow
def test_one_that_takes_five_seconds_to_import_is_told(user: User, install: Install) -> None:
    """Its import is measured, and costs nobody anything who only lists."""
    install(f"import time; time.sleep(5)\n{FINE}")
    done = user.run("plugins", "check", "stranger")
    assert done.returncode == 0
    assert ": slow to import\n    fix: bottle plugins info backend/stranger\n" in done.stdout
    found = row(user)
    assert (found["status"], found["hooks"]) == ("available", ["probe"])
    assert found["import_seconds"] >= 5


def test_a_launch_that_meets_a_broken_plugin_leaves_word(user: User, install: Install) -> None:
    """What `start` met is in the list afterwards; a dry run leaves nothing anywhere."""
    install(BROKEN["import error"][0])
    words = ("start", "reviewer", "--backend", "stranger")
    assert user.run(*words, "--dry-run").returncode == 1
    assert not user.state.exists()
    assert user.run(*words, "--yes", "--file", "bottle.yaml").returncode == 125
    assert row(user)["status"] == "failed"
    file = user.state / "plugins.json"
    assert (stat.S_IMODE(file.stat().st_mode), json.loads(file.read_text())["version"]) == (0o600, 1)


@pytest.mark.parametrize("change", ["version", "record", "module"])
def test_another_installation_forgets_a_failure(user: User, install: Install, change: str) -> None:
    """A failure holds for the files that were loaded: another version or RECORD starts afresh, and so does a load."""
    folder = install("import no_such_module")
    (info_folder(folder) / "RECORD").write_text("stranger_module.py,sha256=abc,20\n")
    user.run("plugins", "check", "stranger")
    assert row(user)["status"] == "failed"
    if change == "version":
        info_folder(folder).rename(folder / "stranger_plugins-1.1.dist-info")
        metadata = info_folder(folder) / "METADATA"
        metadata.write_text(metadata.read_text().replace("Version: 1.0", "Version: 1.1"))
        (info_folder(folder) / "RECORD").write_text("stranger_module.py,sha256=xyz,20\n")
    elif change == "record":
        (info_folder(folder) / "RECORD").write_text("stranger_module.py,sha256=def,20\n")
    else:
        (folder / "stranger_module.py").write_text(FINE)
        assert row(user)["status"] == "failed"
        assert user.run("plugins", "check", "stranger").returncode == 0
    assert row(user)["status"] == "available"


@pytest.mark.parametrize("junk", [b"", b"{", b'{"version": 7}', b"\xff"])
def test_a_memory_that_is_not_understood_is_none(user: User, install: Install, junk: bytes) -> None:
    """Damage in the state folder costs no more than what was known, and is mended by the next load."""
    install("import no_such_module")
    user.state.mkdir(parents=True)
    (user.state / "plugins.json").write_bytes(junk)
    assert row(user)["status"] == "available"
    user.run("plugins", "check", "stranger")
    assert row(user)["status"] == "failed"


def test_a_state_folder_that_cannot_be_is_no_failure(user: User, install: Install) -> None:
    """Where nothing can be kept, everything else works."""
    install(FINE)
    user.state.parent.mkdir(parents=True)
    user.state.write_text("a file in the place of a folder")
    assert user.run("plugins", "check", "stranger").returncode == 0
    assert row(user)["status"] == "available"


@pytest.mark.parametrize(
    ("target", "what"),
    [
        ("no_such_module:PLUGIN", "its import failed with ModuleNotFoundError"),
        ("stranger_module:NOTHING", "its import failed with AttributeError"),
        ("stranger_module", "is a module, not a declared plugin"),
        ("not a target", "its import failed with"),
    ],
)
def test_an_entry_point_that_points_nowhere(user: User, install: Install, target: str, what: str) -> None:
    """No module, no attribute, something else, nonsense: each is listed, and a check says what it is."""
    install(FINE, points={"claude_bottle.backend": {"stranger": target}})
    assert row(user)["status"] == "available"
    done = user.run("plugins", "check", "stranger")
    assert done.returncode == 1
    assert what in done.stdout


@pytest.mark.parametrize("requires", [f"{CORE}>=99", f"{CORE}<0.1"])
def test_too_new_and_too_old_are_never_loaded(user: User, install: Install, requires: str) -> None:
    """The range is read without import, and a check says it without import too."""
    install(f"open({str(user.home / 'imported')!r}, 'w')", requires=[requires])
    found = row(user, "--load")
    assert (found["status"], found["selected"], found["why"]) == (
        "incompatible",
        False,
        f"incompatible: {found['reason']}",
    )
    assert found["requires"] == requires.removeprefix(CORE)
    done = user.run("plugins", "check", "stranger")
    assert done.returncode == 1
    assert f"incompatible, not loaded: needs {CORE} {found['requires']}, here is " in done.stdout
    assert user.run("plugins", "info", "stranger").returncode == 0
    assert not (user.home / "imported").exists()


def test_one_distribution_twice_is_told(user: User, install: Install) -> None:
    """A stale editable install beside a wheel: the first on the path counts, and the other is named with the cure."""
    stale = install()
    (info_folder(stale) / "direct_url.json").write_text('{"url": "file:///x", "dir_info": {"editable": true}}')
    wheel = install(version="1.1")
    found = row(user)
    assert (found["version"], found["origin"], found["location"]) == ("1.1", "wheel", str(wheel))
    assert found["duplicates"] == [str(info_folder(stale))]
    shown = user.run("plugins", "list").stdout
    assert "  fix: pip uninstall stranger-plugins, until nothing is left, and install it once\n" in shown
    user.path.reverse()
    assert row(user)["origin"] == "editable"


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"metadata": ""}, "its metadata have no name"),
        ({"metadata": b"Name: \xff\xfe\n"}, "its metadata cannot be read: UnicodeDecodeError"),
        ({"points": "[claude_bottle.backend]\nnonsense\n"}, "its metadata cannot be read: "),
    ],
)
def test_a_distribution_that_cannot_be_read_is_told(
    user: User, install: Install, more: Mapping[str, Any], what: str
) -> None:
    """One without a name or with broken files has no row, but a line with its folder, and hides nobody."""
    folder = info_folder(install(**more))
    whole = listing(user)
    [unreadable] = whole["unreadable"]
    assert unreadable["location"] == str(folder)
    assert unreadable["reason"].startswith(what)
    assert {it["name"] for it in whole["plugins"]} >= {"stage", "stageway", "stagehand", "stageprops"}
    assert (
        "  fix: pip install --force-reinstall stranger-plugins, or remove that folder\n"
        in user.run("plugins", "list").stdout
    )


def test_a_broken_default_set_is_told(user: User, install: Install) -> None:
    """Where the order of preference cannot be read, there is none, and everything that is named works."""
    install(
        "raise SystemExit(0)",
        name="claude-bottle",
        points={"claude_bottle.defaults": {"x": "stranger_module:DEFAULTS"}},
    )
    [unreadable] = listing(user)["unreadable"]
    assert unreadable["reason"] == "the default set cannot be read: SystemExit: 0"
    assert user.run("start", "reviewer", "--dry-run").returncode == 0


@pytest.mark.parametrize("case", sorted(set(BROKEN) - {"prints", "raises an empty line"}))
def test_the_documentation_has_what_is_said(case: str) -> None:
    """The table of what is wrong has the words that a check says."""
    assert f" {BROKEN[case][1]}" in DOCUMENT.read_text()
