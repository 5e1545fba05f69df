"""`bottle doctor`: each backend and proxy asked alone and soon, and what core needs of the machine."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from core_harness import User, write_distribution
from core_strangers import HEAD, vouch

Install = Callable[..., None]


@pytest.fixture
def install(user: User, tmp_path: Path) -> Install:
    """Return what installs a trusted stranger's backend with this body of `probe`, and code before it."""
    vouch(user, "stranger-plugins")

    def one(body: str, before: str = "") -> None:
        source = f"import os, time\n{before}\n{HEAD}\nclass Box:\n    @hookimpl\n    def probe(self):\n        {body}\n"
        folder = tmp_path / "path"
        points = {"claude_bottle.backend": {"stranger": "stranger_module:PLUGIN"}}
        write_distribution(folder, "stranger-plugins", points=points)
        (folder / "stranger_module.py").write_text(f"{source}PLUGIN = declare(Box())\n")
        user.path.insert(0, folder)

    return one


def test_doctor_says_what_each_plugin_finds(user: User) -> None:
    """`bottle doctor`: each backend and proxy with what it found, and the cure of what is wrong."""
    shown = user.run("doctor", env={"STAGE_PROBE": "broken"}).stdout
    assert "backend stage: broken\n  no  stage floor: has a hole\n      mend it\n" in shown
    assert "proxy stageway: ready\n" in shown


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("os.abort()", "it ends the interpreter with SIGABRT"),
        ("os._exit(0)", "it ends the interpreter with exit code 0"),
        ("raise SystemExit(1)", "backend stranger (stranger-plugins 1.0) failed: SystemExit: 1"),
        ("1 / 0", "backend stranger (stranger-plugins 1.0) failed: ZeroDivisionError: division by zero"),
        ("return None", "backend stranger (stranger-plugins 1.0) does not answer"),
        ("time.sleep(60)", "no answer within 1.2 s"),
    ],
)
def test_a_probe_that_fails_is_a_line_with_a_cure(user: User, install: Install, body: str, what: str) -> None:
    """Whatever one does, the others are there, and so is the last line."""
    install(body)
    before = user.run("doctor")
    shown = before.stdout.splitlines()
    at = shown.index("backend stranger: broken")
    assert shown[at + 1] == f"  no  {what}"
    assert shown[at + 2].startswith("      ")
    assert "proxy stageway: ready" in shown
    assert before.stderr == ""
    assert shown[-1].startswith(("bottle start uses ", "no default backend and proxy are ready here"))


def test_an_import_that_fails_is_a_line_with_a_cure(user: User, install: Install) -> None:
    """A plugin that cannot be loaded is told as a launch tells it."""
    install("pass", "import no_such_module")
    shown = user.run("doctor").stdout
    assert (
        "its import failed with ModuleNotFoundError: No module named 'no_such_module'\n      pip install --upgrade"
        in shown
    )


def test_all_answers_are_there_within_two_seconds(user: User, install: Install) -> None:
    """One that would take for ever, at import or at its probe, costs no more than the deadline that is promised."""
    install("pass", "time.sleep(60)")
    user.run("--version")  # so that nothing is compiled within the two seconds
    begin = time.monotonic()
    shown = user.run("doctor").stdout
    assert time.monotonic() - begin < 2
    assert "backend stranger: broken\n  no  no answer within 1.2 s\n" in shown
    assert "backend stage: ready\n" in shown


def test_another_bottle_before_ours_is_told(user: User) -> None:
    """What a shell would run as `bottle` is looked at, without running it."""
    other = user.home / "bin" / "bottle"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\ntouch ran\n")
    other.chmod(0o755)
    shown = user.run("doctor", env={"PATH": f"{other.parent}{os.pathsep}{os.environ['PATH']}"}).stdout
    assert f"  no  `bottle` on PATH: {other} is another program\n      put " in shown
    assert "or call it claude-bottle\n" in shown
    assert not (user.project / "ran").exists()


def test_the_machine_is_looked_at_first(user: User) -> None:
    """Room in the user's own folders, and the clock."""
    shown = user.run("doctor").stdout.splitlines()
    assert shown[0] == "machine"
    assert shown[1].startswith("  ok  room: ")
    assert shown[1].endswith(f" GiB in {user.state}")
    assert shown[2].startswith("  ok  clock: 2")
