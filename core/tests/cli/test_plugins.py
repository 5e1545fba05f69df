"""`bottle plugins`: the table, the listing in JSON, the check and the portrait of one plugin."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from core_harness import User, write_distribution
from core_strangers import FINE, HEAD, vouch

DEFAULTS = """
from claude_bottle.plugins.defaults import Defaults, Pair, Reserved
PLUGIN = Defaults(preference=(Pair("stranger", "strangeway"), Pair("stage", "stageway")),
                  reserved=(Reserved("backend", "stranger", "stranger-plugins"),))
"""
SECTION = HEAD + dedent("""
    from typing import Literal
    from msgspec import Struct, field
    from stranger_helper import SIZES
    class Inner(Struct, frozen=True):
        depth: int = 3
    class Section(Struct, frozen=True):
        image: str
        size: Literal["small", "large"] = "small"
        memory: str | None = None
        inner: Inner = Inner()
        hosts: tuple[str, ...] = ()
        labels: dict[str, int] = field(default_factory=dict)
        quick: bool = True
    class Box:
        @hookimpl
        def probe(self): ...
        @hookimpl
        def list_bottles(self): ...
    PLUGIN = Plugin("backend", Box(), Section, backend_traits=BackendTraits(runs="image", unix=True))
""")
HELPER = {"stranger_helper.py": "import time\ntime.sleep(0.05)\nSIZES = 1"}

Install = Callable[..., Path]


@pytest.fixture
def install(user: User, tmp_path: Path) -> Install:
    """Return what installs a trusted stranger's distribution, first on the user's path."""
    vouch(user, "stranger-plugins", "other-plugins")

    def one(
        source: str = FINE,
        name: str = "stranger-plugins",
        points: Mapping[str, Mapping[str, str]] | None = None,
        modules: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Path:
        folder = tmp_path / f"path-{len(user.path)}"
        module = f"{name.replace('-', '_')}_module"
        points = points or {"claude_bottle.backend": {"stranger": f"{module}:PLUGIN"}}
        write_distribution(folder, name, points=points, modules={f"{module}.py": source, **(modules or {})}, **more)
        user.path.insert(0, folder)
        return folder

    return one


@pytest.fixture
def defaults(install: Install) -> Path:
    """Install an order of preference: the stranger, which is not there yet, then the stage."""
    return install(DEFAULTS, "claude-bottle", {"claude_bottle.defaults": {"x": "claude_bottle_module:PLUGIN"}})


def listing(user: User, *words: str, env: Mapping[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """Return the rows of a listing by name."""
    done = user.run("plugins", "list", "--format", "json", *words, env=env)
    assert done.returncode == 0
    whole = json.loads(done.stdout)
    assert whole["version"] == 2
    return {row["name"]: row for row in whole["plugins"]}


def test_each_command_has_help(user: User) -> None:
    """`bottle plugins --help` has each command with a sentence, and each has help of its own."""
    shown = user.run("plugins", "--help").stdout
    for name in ("list", "check", "info", "trust"):
        assert f"\n  {name} " in shown
        assert user.run("plugins", name, "--help").stdout.startswith(f"Usage: bottle plugins {name} ")
    assert "did you mean 'check'?" in user.run("plugins", "chek").stderr


def test_a_table_fits_a_terminal(user: User, install: Install) -> None:
    """No line is wider than 80 columns, whatever names and reasons are, but the command that mends something."""
    name = "the-longest-name-that-anybody-has-ever-given-to-a-plugin"
    install(
        name=f"{name}-distribution",
        points={"claude_bottle.backend": {name: "x:Y"}},
        requires=["claude-bottle-core>=99"],
    )
    shown = user.run("plugins", "list", "--load").stdout.splitlines()
    assert [line for line in shown if len(line) > 80 and not line.startswith("  fix: ")] == []
    assert any("…" in line for line in shown)
    assert shown[0].split() == ["KIND", "NAME", "DISTRIBUTION", "SELECTED", "BY", "STATUS"]


def test_a_stranger_s_words_cannot_steer_the_terminal(user: User, install: Install) -> None:
    """What metadata say comes to the terminal as escapes."""
    install(metadata="Metadata-Version: 2.1\nName: stranger-plugins\nVersion: 1.0\x1b]0;owned\x07\n")
    for words in (("list",), ("info", "stranger"), ("check", "stranger")):
        shown = user.run("plugins", *words).stdout
        assert shown.replace("\n", "").isprintable(), words


def test_a_row_has_what_is_known(user: User, install: Install) -> None:
    """Every field of a row is there from the start, and those that only a load can know are null."""
    folder = install(requires=["claude-bottle-core>=0.1"])
    expected: dict[str, Any] = {
        "name": "stranger",
        "kind": "backend",
        "distribution": "stranger-plugins",
        "version": "1.0",
        "target": "stranger_plugins_module:PLUGIN",
        "origin": "wheel",
        "location": str(folder),
        "requires": ">=0.1",
        "duplicates": [],
        "status": "available",
        "reason": "",
        "fix": "",
        "selected": False,
        "by": "name",
        "hooks": None,
        "import_seconds": None,
        "modules": None,
        "loaded": None,
    }
    row = listing(user)["stranger"]
    assert {key: row[key] for key in expected} == expected
    assert row["why"].startswith("not in the order of preference")


def test_an_address_is_told_from_a_wheel(user: User, install: Install) -> None:
    """PEP 610: what was installed from an address or a path is told from what came by its name."""
    folder = install()
    direct = next(folder.glob("*.dist-info")) / "direct_url.json"
    direct.write_text('{"url": "https://x.example/stranger.whl", "archive_info": {}}')
    assert listing(user)["stranger"]["origin"] == "url"


def test_who_implements_a_hook(user: User, install: Install) -> None:
    """`--hook` shows those of which it is known, and names the others; `--load` knows all."""
    install()
    known = user.run("plugins", "list", "--hook", "probe", "--kind", "backend")
    assert (known.returncode, known.stdout) == (0, "")
    assert "stage" in known.stderr
    assert ": --load looks\n" in known.stderr
    assert set(listing(user, "--hook", "probe", "--load")) >= {"stage", "stageway", "stranger"}
    assert "stagehand" not in listing(user, "--hook", "probe", "--load")
    assert "stageprops" in listing(user, "--hook", "collect")
    assert user.run("plugins", "list", "--hook", "prove").returncode == 2


def test_the_environment_and_the_configuration_make_active(user: User, install: Install) -> None:
    """What `bottle start` takes here is active, by the strongest word: no import is needed to know it."""
    vouch(user, more="backend: stage\nproxy: stageway\n")
    rows = listing(user)
    assert {name: (it["status"], it["by"]) for name, it in rows.items() if it["selected"]} == {
        "stage": ("active", "config.yaml"),
        "stageway": ("active", "config.yaml"),
    }
    other = listing(user, env={"CLAUDE_BOTTLE_PROXY": "pipelock"})
    assert (other["stageway"]["status"], other["pipelock"]["by"]) == ("available", "environment")
    assert other["stageway"]["why"] == "pipelock is taken: CLAUDE_BOTTLE_PROXY; by --proxy or a manifest"


def test_the_preference_needs_a_look(user: User, install: Install, defaults: Path) -> None:
    """Without `--load` the list has the order, with it what is present here and what is passed over."""
    plain = listing(user)["stage"]
    assert (plain["status"], plain["selected"], plain["by"]) == ("available", None, "preference 2")
    assert listing(user, "--load")["stage"]["status"] == "active"
    absent = listing(user, "--load", env={"STAGE_PROBE": "absent"})
    assert (absent["stage"]["status"], absent["stage"]["selected"]) == ("available", False)
    assert absent["stage"]["why"].startswith("not present here")
    shown = user.run("plugins", "list", "--load", env={"STAGE_PROBE": "absent"}).stdout
    assert "\nbackend stage (stage-plugins): " in shown
    assert "  fix: bottle doctor says what is missing here\n" in shown


def test_a_preferred_one_that_crashes_is_not_passed_over(user: User, install: Install, defaults: Path) -> None:
    """As at a launch: what is there but broken would be taken, and the row says what it did."""
    install("import os\nos.abort()")
    row = listing(user, "--load")["stranger"]
    assert (row["status"], row["selected"], row["by"]) == ("failed", True, "preference")
    assert row["reason"] == "it ends the interpreter with SIGABRT"
    assert listing(user)["stage"]["status"] == "available"


def test_a_check_of_all_fails_for_what_is_needed(user: User, install: Install, defaults: Path) -> None:
    """Needed: what may be loaded, the order of preference, and what the user selects; not what the user blocks."""
    missing = user.run("plugins", "check", "--all")
    assert missing.returncode == 1
    what = "it is not installed, and is selected by the order of preference"
    assert f"no  backend stranger: {what}\n    fix: pip install stranger-plugins\n" in missing.stdout
    assert f"no  proxy strangeway: {what}\n    fix: install it, or select another proxy\n" in missing.stdout
    both = {"claude_bottle.backend": {"stranger": "m:P"}, "claude_bottle.proxy": {"strangeway": "m:P"}}
    install(points=both)
    assert user.run("plugins", "check", "--all").returncode == 1
    config = user.config / "config.yaml"
    config.write_text(config.read_text().replace("[docker]", "[docker, stranger-plugins]"))
    blocked = user.run("plugins", "check", "--all")
    assert "no  backend stranger (stranger-plugins 1.0): blocked, not loaded: " in blocked.stdout
    assert blocked.returncode == 0, blocked.stdout
    config.write_text(config.read_text() + "proxy: nowhere\n")
    selected = user.run("plugins", "check", "--all")
    assert "no  proxy nowhere: it is not installed, and is selected by user config\n" in selected.stdout
    assert selected.returncode == 1


def test_a_check_of_all_loads_nobody_who_is_not_trusted(user: User, install: Install) -> None:
    """An untrusted stranger is a line, no failure, and is not imported; by name it is a failure."""
    install(f"open({str(user.home / 'imported')!r}, 'w')", name="unknown-plugins")
    done = user.run("plugins", "check", "--all")
    assert "no  backend stranger (unknown-plugins 1.0): untrusted, not loaded: " in done.stdout
    assert done.returncode == 0, done.stdout
    assert user.run("plugins", "check", "stranger").returncode == 1
    assert user.run("plugins", "info", "stranger").returncode == 0
    assert not (user.home / "imported").exists()


def test_a_check_says_what_it_checks(user: User, install: Install) -> None:
    """By name, kind and name, or distribution; a name that is none is told with the nearest."""
    install()
    for name in ("stranger", "backend/stranger", "stranger-plugins"):
        done = user.run("plugins", "check", name)
        assert (done.returncode, done.stdout[:48]) == (0, "ok  backend stranger (stranger-plugins 1.0): 1 h")
    unknown = user.run("plugins", "check", "strangr", "stage")
    assert unknown.returncode == 1
    assert "no  plugin strangr: it is not installed\n    fix: did you mean stranger?\n" in unknown.stdout
    assert "ok  backend stage (stage-plugins 1.0): " in unknown.stdout
    assert user.run("plugins", "check", "proxy/stranger").returncode == 1
    assert user.run("plugins", "check").returncode == 2


def test_a_plugin_s_portrait(user: User, install: Install) -> None:
    """Options with types and defaults, hooks, traits, requirements, and who imports what."""
    wanted = ["claude-bottle-core>=0.1", "other>=2; python_version >= '3.11' and implementation_name == 'cpython'"]
    install(SECTION, modules=HELPER, requires=wanted)
    done = user.run("plugins", "info", "stranger", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    info = json.loads(done.stdout)
    assert info["version"] == 1
    assert {it["name"]: (it["type"], it["default"]) for it in info["options"]} == {
        "image": ("string", None),
        "size": ("large | small", '"small"'),
        "memory": ("string | null", "null"),
        "inner.depth": ("integer", "3"),
        "hosts": ("list of string", "[]"),
        "labels": ("mapping to integer", "{}"),
        "quick": ("boolean", "true"),
    }
    assert info["plugin"]["hooks"] == ["list_bottles", "probe"]
    assert info["traits"] == {
        "runs": "image",
        "listen": ["tcp"],
        "kernel": "shared",
        "unix": True,
        "root": False,
        "bind": False,
        "confines": True,
        "host_cure": "its network is not isolated here: bottle doctor",
        "name_cure": "its resolver asks others: bottle doctor",
    }
    assert info["requirements"] == wanted
    modules = {it["module"]: it for it in info["imports"]}
    assert "claude_bottle.launch.prepare" not in modules
    first, helper = info["imports"][0], modules["stranger_helper"]
    assert (first["module"], first["depth"], helper["depth"]) == ("stranger_plugins_module", 0, 1)
    assert first["total"] > helper["own"] >= 50
    text = user.run("plugins", "info", "stranger").stdout
    for line in ("  image        string              required\n", "  runs          image\n", "    stranger_helper\n"):
        assert line in text
    # A path is one word, however long: it is there to be copied.
    assert [line for line in text.splitlines() if len(line) > 80 and " " in line[16:]] == []


@pytest.mark.parametrize("source", ["import os; os.abort()", "raise SystemExit(0)"])
def test_a_broken_plugin_s_portrait(user: User, install: Install, source: str) -> None:
    """What metadata say is shown, with what is wrong."""
    install(source)
    done = user.run("plugins", "info", "stranger")
    assert (done.returncode, done.stderr) == (0, "")
    assert "  status        failed\n  reason        it" in done.stdout
    assert "  hooks         not known, it does not load\n" in done.stdout


def test_a_name_of_two_plugins_is_asked_back(user: User, install: Install) -> None:
    """A backend and an agent of one name: KIND/NAME tells them apart."""
    module = "stranger_plugins_module:PLUGIN"
    install(points={"claude_bottle.backend": {"stranger": module}, "claude_bottle.agent": {"stranger": module}})
    asked = user.run("plugins", "info", "stranger")
    assert asked.returncode == 2
    assert "name one: agent/stranger, backend/stranger" in asked.stderr
    assert user.run("plugins", "info", "backend/stranger").returncode == 0
    assert user.run("plugins", "info", "nothing").returncode == 1
