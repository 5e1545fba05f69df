"""Strangers: a third party's broken, conflicting or unselected plugin changes nothing for who did not select it."""

import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from core_harness import MANIFEST, User, trust, write_distribution
from core_strangers import BROKEN

CORE = "claude-bottle-core"
GOOD = "claude-bottle-core>=0.1,<0.2"
GROUPS = {
    kind: {f"claude_bottle.{kind}": {"stranger": "stranger_module:PLUGIN"}}
    for kind in ("backend", "proxy", "agent", "provisioner")
}

Install = Callable[..., None]

WITH_SECTION = MANIFEST.replace("    stageprops:", "    stageprops:\n    stage:")


@pytest.fixture
def install(user: User, tmp_path: Path) -> Install:
    """Return what installs a stranger's distribution, first on the user's path."""

    def one(
        name: str = "stranger-plugins",
        points: Mapping[str, Mapping[str, str]] | str = GROUPS["backend"],
        source: str = "raise AssertionError('imported')",
        requires: tuple[str, ...] = (GOOD,),
        metadata: str | bytes | None = None,
    ) -> None:
        folder = tmp_path / f"path-{len(user.path)}"
        modules = {"stranger_module.py": source}
        write_distribution(folder, name, points=points, modules=modules, requires=requires, metadata=metadata)
        user.path.insert(0, folder)

    return one


def everyday(user: User) -> dict[str, Any]:
    """Return what somebody gets who never selected a stranger."""
    listing = user.run("plugins", "list", "--format", "json")
    assert (listing.returncode, listing.stderr) == (0, "")
    rows = [row for row in json.loads(listing.stdout)["plugins"] if row["distribution"] == "stage-plugins"]
    commands = {
        "version": user.run("--version"),
        "help": user.run("--help"),
        "dry run": user.run("start", "reviewer", "--dry-run", "--format", "json"),
        "launch": user.run("start", "reviewer", "--yes", "--file", "bottle.yaml"),
    }
    return {"rows": rows} | {name: (it.returncode, it.stdout, it.stderr) for name, it in commands.items()}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the same without any stranger."""
    with tempfile.TemporaryDirectory(prefix="bottle-") as run:
        someone = User(tmp_path_factory.mktemp("before") / "home", Path(run))
        someone.manifest(WITH_SECTION)
        found = everyday(someone)
    assert [found[name][0] for name in ("version", "help", "dry run", "launch")] == [0, 0, 0, 0]
    assert len(found["rows"]) == 4
    return found


AS_IT_IS: Mapping[str, Any] = {}
CASES: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "a plugin that works": [AS_IT_IS],
    "an incompatible one": [{"requires": (f"{CORE}>=99",)}],
    "nonsense as a range": [{"requires": (f"{CORE} >>> 1",)}],
    "two with one name": [AS_IT_IS, {"name": "other-strangers"}],
    "no name": [{"metadata": ""}],
    "metadata in no encoding": [{"metadata": b"Name: \xff\xfe\n"}],
    "entry points that are none": [{"points": "[claude_bottle.backend]\nnonsense\n"}],
    "other defaults": [{"points": {"claude_bottle.defaults": {"x": "stranger_module:PLUGIN"}}}],
    "an unknown kind": [{"points": {"claude_bottle.engine": {"stage": "stranger_module:PLUGIN"}}}],
    "the names of all keys": [
        {"points": {"claude_bottle.backend": dict.fromkeys(("skills", "ssh", "workspace"), "stranger_module:PLUGIN")}}
    ],
    "a provisioner with a backend's name": [{"points": {"claude_bottle.provisioner": {"stage": "stranger_module:P"}}}],
} | {f"a {kind}": [{"points": points}] for kind, points in GROUPS.items()}


@pytest.mark.parametrize("case", CASES)
def test_a_stranger_s_plugin_changes_nothing(user: User, install: Install, before: dict[str, Any], case: str) -> None:
    """Help, version, list, dry run and launch are byte for byte those without it, and it is never imported."""
    user.manifest(WITH_SECTION)
    for more in CASES[case]:
        install(**more)
    assert everyday(user) == before


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_one_changes_nothing_until_it_is_selected(
    user: User, install: Install, before: dict[str, Any], case: str
) -> None:
    """Whatever its import would do, nobody meets it who did not ask for it."""
    user.manifest(WITH_SECTION)
    install(source=BROKEN[case][0])
    assert everyday(user) == before


@pytest.mark.parametrize("case", sorted(set(BROKEN) - {"exits at once", "hangs", "crashes"}))
def test_a_broken_one_that_is_selected_is_named_with_its_cure(user: User, install: Install, case: str) -> None:
    """Who selects it gets its distribution, version, what happened and what to do; no traceback."""
    install(source=BROKEN[case][0])
    trust(user.config, user.path[0])
    shown = user.run("start", "reviewer", "--dry-run", "--backend", "stranger")
    assert shown.returncode == 1
    assert "error: backend stranger (stranger-plugins 1.0): " in shown.stderr
    assert BROKEN[case][1] in shown.stderr
    assert " hint: pip install --upgrade stranger-plugins, or select another backend\n" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_a_list_imports_nothing_and_says_what_is_wrong(user: User, install: Install) -> None:
    """`plugins list` reads metadata alone: each row with its status, each trouble with reason and cure."""
    install(requires=(f"{CORE}>=99",))
    install("rival-plugins", {"claude_bottle.backend": {"stage": "stranger_module:P"}})
    shown = user.run("plugins", "list", "--kind", "backend")
    assert shown.returncode == 0
    statuses = {
        tuple(line.split()[1:3]): line.split()[-1] for line in shown.stdout.splitlines() if "-plugins 1" in line
    }
    assert statuses == {
        ("stage", "rival-plugins"): "conflict",
        ("stage", "stage-plugins"): "conflict",
        ("stranger", "stranger-plugins"): "incompatible",
    }
    assert re.search(r"\nbackend stranger \(stranger-plugins\): needs claude-bottle-core >=99, here is\s", shown.stdout)
    assert "\nbackend stage (rival-plugins): backend stage also comes from stage-plugins\n" in shown.stdout
    assert "  fix: pip install --upgrade stranger-plugins claude-bottle-core\n" in shown.stdout


def test_no_plugin_is_imported_by_a_list(user: User) -> None:
    """After `plugins list` no module of any installed plugin is loaded, whoever wrote it."""
    looked = user.python(
        "import sys, contextlib\n"
        "sys.argv = ['bottle', 'plugins', 'list']\n"
        "from claude_bottle.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main()\n"
        "from claude_bottle.plugins.inventory import read_inventory\n"
        "modules = {row.target.partition(':')[0].partition('.')[0] for row in read_inventory().records}\n"
        "assert 'stage_backend' in modules\n"
        "sys.exit(str(modules & set(sys.modules)) if modules & set(sys.modules) else 0)\n"
    )
    assert (looked.returncode, looked.stderr) == (0, "")


def test_a_manifest_cannot_switch_a_stranger_on(user: User, install: Install) -> None:
    """F9: named in a manifest, an untrusted plugin is an error with the user's way to trust it, and not imported."""
    install()
    user.manifest(MANIFEST.replace("backend: stage\n", "backend: stranger\n"))
    shown = user.run("start", "reviewer", "--dry-run")
    assert shown.returncode == 1
    wrong = "backend stranger of stranger-plugins cannot be used: nobody here has trusted it yet"
    assert f"bottles.dev.backend: {wrong}\n hint: bottle plugins trust stranger\n" in shown.stderr
    assert "imported" not in shown.stderr


def test_a_key_that_only_an_untrusted_provisioner_claims_is_an_error(user: User, install: Install) -> None:
    """Fail closed: a section is never ignored because a plugin of its name lies about that may not be loaded."""
    install(points=GROUPS["provisioner"])
    user.manifest(MANIFEST.replace("    stageprops:", "    stranger: {}"))
    shown = user.run("start", "reviewer", "--dry-run")
    assert shown.returncode == 1
    assert (
        "bottle.yaml:10: bottles.dev.stranger: provisioner stranger of stranger-plugins cannot be used" in shown.stderr
    )


def test_a_stranger_s_backend_does_not_swallow_a_key(user: User, install: Install) -> None:
    """Fail closed: `skills` needs a provisioner; a backend of that name is none."""
    install("bottle-skills", points="")  # goes before our own, whose plugin is then not there
    install(points={"claude_bottle.backend": {"skills": "stranger_module:PLUGIN"}})
    user.manifest(MANIFEST.replace("    prompt:", "    skills: [pdf]\n    prompt:"))
    shown = user.run("start", "reviewer", "--dry-run")
    assert shown.returncode == 1
    assert "no installed plugin claims this key" in shown.stderr


def test_a_section_of_another_backend_is_left_alone_and_named(user: User, install: Install) -> None:
    """A section of an installed plugin that is not selected does nothing, and the preflight says so."""
    install()
    user.manifest(MANIFEST.replace("    stageprops:", "    stranger: {memory: 4g}"))
    shown = user.run("start", "reviewer", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "not selected  : stranger (their sections do nothing now)\n" in shown.stdout


def test_a_preferred_pair_is_picked_and_explained(user: User, install: Install) -> None:
    """The default set's data pick a backend where nobody names one, with its proxy, and the preflight says why."""
    defaults = (
        "from claude_bottle.plugins.defaults import Defaults, Pair\n"
        "PLUGIN = Defaults(preference=(Pair('missing', 'x'), Pair('stage', 'stageway')))\n"
    )
    install("claude-bottle", {"claude_bottle.defaults": {"default": "stranger_module:PLUGIN"}}, defaults)
    user.manifest(MANIFEST.replace("    backend: stage\n    proxy: stageway\n", ""))
    shown = user.run("start", "reviewer", "--dry-run").stdout
    assert "backend       : stage (preference; missing is not installed)\n" in shown
    assert "proxy         : stageway (goes with stage)\n" in shown
    absent = user.run("start", "reviewer", "--dry-run", env={"STAGE_PROBE": "absent"})
    assert absent.returncode == 1
    assert "error: no backend was chosen, and none can be picked here" in absent.stderr
    assert "stage is not present" in absent.stderr
    broken = user.run("start", "reviewer", "--yes", "--file", "bottle.yaml", env={"STAGE_PROBE": "broken"})
    assert broken.returncode == 125
    assert "error: backend stage: stage floor: has a hole\n" in broken.stderr
    told = user.run("doctor", env={"STAGE_PROBE": "broken"})
    assert told.returncode == 1
    assert "\nbottle start would take stage and stageway, but stage is not ready here\n" in told.stdout
    assert "\nbottle start uses stage and stageway here, unless told otherwise\n" in user.run("doctor").stdout


def test_the_user_s_configuration_chooses_before_the_preference(user: User) -> None:
    """S31: `backend` and `proxy` of config.yaml hold where flag, variable and manifest are silent."""
    (user.config / "config.yaml").write_text("backend: stage\nproxy: stageway\n")
    user.manifest(MANIFEST.replace("    backend: stage\n    proxy: stageway\n", ""))
    shown = user.run("start", "reviewer", "--dry-run").stdout
    assert "backend       : stage (user config)\n" in shown
    assert "proxy         : stageway (user config)\n" in shown
