"""`bottle plugins trust` and the first selection: what is shown of a stranger before it is ever imported."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from core_harness import MANIFEST, Terminal, User, write_distribution

SOURCE = """
from claude_bottle import hookspecs
from claude_bottle.hookspecs import hookimpl

raise RuntimeError("imported")

class Box:
    @hookimpl
    def open_site(self, plan): ...
    @hookspecs.hookimpl()
    def probe(self): ...
    def cleanup(self, plan): ...
"""
POINTS = {"claude_bottle.backend": {"box": "some_box:PLUGIN"}}
IMPORTED = "its import failed with RuntimeError: imported"
Start = Callable[..., Terminal]


@pytest.fixture
def stranger(user: User, tmp_path: Path) -> Path:
    """Install a stranger's backend that says so when it is imported; return its metadata's folder."""
    folder = write_distribution(
        tmp_path / "stranger",
        "some-box",
        points=POINTS,
        modules={"some_box.py": SOURCE},
        requires=["claude-bottle-core"],
    )
    user.path.insert(0, folder)
    info = next(folder.glob("*.dist-info"))
    (info / "RECORD").write_text("some_box.py,sha256=abc,1\nsome_box/data.txt,sha256=def,2\n")
    return info


def status(user: User) -> tuple[str, str]:
    """Return how the stranger is listed, and by whose word."""
    rows = json.loads(user.run("plugins", "list", "--format", "json").stdout)["plugins"]
    return next((row["status"], row["trusted_by"]) for row in rows if row["name"] == "box")


def test_it_is_shown_as_it_stands_and_nothing_of_it_is_imported(user: User, stranger: Path) -> None:
    """F9: distribution, version, files, entry points and the hooks that its source marks."""
    shown = user.run("plugins", "trust", "box", "--yes")
    assert shown.returncode == 0
    assert shown.stderr.splitlines()[:11] == [
        "some-box 1.0 is not trusted: nobody here has trusted it yet",
        f"  from {stranger.parent} (wheel)",
        "  backend box: some_box:PLUGIN",
        "    hooks: open_site, probe",
        "  needs claude-bottle-core",
        "  2 files, RECORD e9e0d7e4a8f483c0…",
        "    some_box.py",
        "    some_box/data.txt",
        "  a plugin that is loaded runs with your rights; pip has run its code already if it came as source",
        "trusted some-box 1.0: another version, or other files, will be asked about again",
    ]
    assert status(user) == ("available", "plugins.lock")
    assert user.run("plugins", "trust", "some-box").stderr == "some-box 1.0 is trusted already, by plugins.lock\n"


def test_without_a_terminal_a_yes_is_needed(user: User, stranger: Path) -> None:
    """Nobody is trusted whom nobody looked at."""
    refused = user.run("plugins", "trust", "box")
    assert refused.returncode == 1
    assert "error: there is no terminal to ask on\n hint: add --yes once you have looked at it\n" in refused.stderr
    assert status(user) == ("untrusted", "")


def test_trust_can_be_taken_back(user: User, stranger: Path) -> None:
    """By the plugin's name or the distribution's; what is not in the lock is an error."""
    for name in ("box", "Some_Box", "backend/box"):
        user.run("plugins", "trust", name, "--yes")
        assert user.run("plugins", "trust", "--forget", name).stderr == f"{name} is not trusted any more\n"
        assert status(user) == ("untrusted", "")
    again = user.run("plugins", "trust", "--forget", "box")
    assert (again.returncode, "box is not in " in again.stderr) == (1, True)


def test_what_trust_would_not_help_is_said(user: User, stranger: Path) -> None:
    """A name that nobody has, and one whose trouble is another."""
    unknown = user.run("plugins", "trust", "bax")
    assert (unknown.returncode, "no plugin bax is installed\n hint: did you mean box?" in unknown.stderr) == (1, True)
    (user.config / "config.yaml").write_text("block: [docker, box]\n")
    blocked = user.run("plugins", "trust", "box")
    assert (blocked.returncode, "config.yaml says so" in blocked.stderr) == (1, True)


def test_the_first_selection_asks_once(user: User, stranger: Path, terminal: Start) -> None:
    """On a no it stays unloaded; on a yes it is loaded, and the next time nobody is asked."""
    no = terminal("start", "reviewer", "--backend", "box")
    no.wait_for("trust some-box 1.0? [y/N]:")
    no.type("\n")
    assert no.finish() == 125
    assert IMPORTED not in no.seen
    assert "backend box of some-box cannot be used" in no.seen
    yes = terminal("start", "reviewer", env={"CLAUDE_BOTTLE_BACKEND": "box"})
    yes.wait_for("trust some-box 1.0? [y/N]:")
    yes.type("y\n")
    assert yes.finish() == 125
    assert IMPORTED in yes.seen
    again = terminal("start", "reviewer", "--backend", "box")
    assert again.finish() == 125
    assert "[y/N]" not in again.seen
    assert IMPORTED in again.seen


def test_a_manifest_does_not_even_ask(user: User, stranger: Path, terminal: Start) -> None:
    """F9: a cloned repository puts no question before the user that a hasty yes would answer."""
    user.manifest(MANIFEST.replace("backend: stage\n", "backend: box\n"))
    shown = terminal("start", "reviewer")
    assert shown.finish() == 125
    assert "[y/N]" not in shown.seen
    assert "bottle plugins trust box" in shown.seen


def test_yes_and_dry_run_ask_nobody(user: User, stranger: Path, terminal: Start) -> None:
    """`--yes` answers what was shown, and a dry run does nothing."""
    for words in (("--yes", "--file", "bottle.yaml"), ("--dry-run",)):
        shown = terminal("start", "reviewer", "--backend", "box", *words)
        assert shown.finish() != 0
        assert "[y/N]" not in shown.seen
        assert "bottle plugins trust box" in shown.seen
    assert status(user) == ("untrusted", "")


def test_the_plan_names_third_parties_and_who_trusts_them(user: User) -> None:
    """The variable for CI is named in the output, and so is the lock."""
    shown = user.run("start", "reviewer", "--dry-run").stdout
    assert "third party   : stage-plugins 1.0 (trusted by plugins.lock)\n" in shown
    (user.config / "plugins.lock").unlink()
    assert user.run("start", "reviewer", "--dry-run").returncode == 1
    named = user.run("start", "reviewer", "--dry-run", env={"CLAUDE_BOTTLE_TRUST": "other,Stage_Plugins"})
    assert "third party   : stage-plugins 1.0 (trusted by CLAUDE_BOTTLE_TRUST)\n" in named.stdout


def test_a_manifest_may_block(user: User) -> None:
    """By plugin or by distribution; the flag does not help against it."""
    for name in ("stageprops", "stage-plugins"):
        user.manifest(MANIFEST + f"plugins:\n  block: [{name}]\n")
        shown = user.run("start", "reviewer", "--dry-run", "--backend", "stage")
        assert shown.returncode == 1
        assert "stageprops of stage-plugins cannot be used: bottle.yaml says so\n" in shown.stderr
        assert " hint: take it out of `block` in bottle.yaml\n" in shown.stderr


def test_a_manifest_may_require(user: User, stranger: Path) -> None:
    """What is not there, or may not be used, is a problem of step 1 with line and cure; nobody is trusted for it."""
    user.manifest(MANIFEST + "plugins:\n  require: [stage, stage-plugins, box, flyio]\n")
    shown, where = user.run("start", "reviewer", "--dry-run"), "bottle.yaml:17: plugins.require"
    assert [line for line in shown.stderr.splitlines() if line.startswith("error: ")] == [
        f"error: {where}[2]: backend box of some-box cannot be used: nobody here has trusted it yet",
        f"error: {where}[3]: flyio is not installed",
    ]
    assert " hint: bottle plugins trust box\n" in shown.stderr
