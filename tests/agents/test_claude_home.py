"""What a bottle's Claude Code has of the host and of earlier launches: what the manifest says, and nothing else."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from agents_user import KEY, Company
from matrix_pair import COLUMNS
from model_claude import ClaudeModel

from bottle_claude.release import VERSION

pytestmark = [
    pytest.mark.timeout(600),  # as in test_claude
    pytest.mark.parametrize("pair", COLUMNS[:1], indirect=True),  # nothing here is a backend's or a proxy's
]
Claude = Company[ClaudeModel]
LOGIN = {"ANTHROPIC_API_KEY": KEY}
OTHER_VERSION = "2.1.331"


@pytest.fixture(autouse=True)
def host(claude: Claude) -> Iterator[Path]:
    """A host on which Claude Code is used as well, with settings, a login and sessions."""
    folder = claude.user.home / ".claude"
    folder.mkdir(exist_ok=True)
    for name in (".credentials.json", "settings.json", "CLAUDE.md"):
        (folder / name).write_text('{"host": "HOST-MARK"}')
    yield folder
    shutil.rmtree(folder)


def test_nothing_of_the_host_gets_in_and_nothing_stays(claude: Claude) -> None:
    """By default: not a file of the host's `~/.claude`, and no session of the launch before."""
    claude.manifest({}, {"agent": "claude"})
    script = "grep -rl HOST-MARK $HOME; ls $HOME/.claude; ls -d $HOME/.claude/projects"
    assert claude.start("-p", "say hi", env=LOGIN).code == 0
    done = claude.start("sh", "-c", script, env=LOGIN)
    assert done.out == "settings.json\n"
    assert not (claude.user.state / "claude-bottle" / "claude").exists()


def test_a_session_that_is_kept_goes_on_in_the_next_launch(claude: Claude) -> None:
    """`state: keep`: the preflight says where, the next launch continues with the times of then, without the key."""
    claude.manifest({"claude": {"state": "keep"}}, {"agent": "claude"})
    first = claude.start("-p", "FIRST-MARK", env=LOGIN)
    assert first.code == 0, first.err
    assert "state         : ~/.claude of the bottle is kept in " in first.err
    recent = "find ~/.claude/projects -name '*.jsonl' -mmin -60 | wc -l; ls -A ~/.claude | grep bottle"
    second = claude.start("sh", "-c", f"{recent}; exec claude --continue -p 'say hi'", env=LOGIN)
    assert (second.code, second.out) == (0, "1\nMOCK-HELLO\n"), second.err
    assert b"FIRST-MARK" in claude.model.messages()[-1].raw
    [kept] = (claude.user.state / "claude-bottle" / "claude").iterdir()
    assert KEY[-20:].encode() not in kept.read_bytes()
    kept.unlink()
    kept.parent.rmdir()


def test_permissions_are_asked_for_only_where_the_manifest_says_so(claude: Claude) -> None:
    """`permissions: ask`: with nobody to ask, what Claude Code would ask about is not done; by default it is."""
    outside = "[[mock:bash touch /tmp/outside]] [[mock:bash ls /tmp/outside]]"
    for section, done in (({}, True), ({"permissions": "ask"}, False)):
        claude.manifest({"claude": section}, {"agent": "claude"})
        answer = claude.start("-p", outside, env=LOGIN)
        assert (answer.code, answer.out == "MOCK-FINAL /tmp/outside\n") == (0, done), answer.out
        assert ("permissions   : Claude Code asks for each" in answer.err) != done


def test_the_host_s_own_program_can_be_used(claude: Claude, cache: Path) -> None:
    """`install: host`: what `claude` is on the host's PATH runs inside, and nothing is fetched."""
    [installed] = cache.glob(f"claude-bottle-programs/claude-{VERSION}*/claude")
    folder = cache / "host"
    folder.mkdir(exist_ok=True)
    (folder / "claude").unlink(missing_ok=True)
    os.link(installed, folder / "claude")
    claude.manifest({"claude": {"install": "host"}}, {"agent": "claude"})
    path = f"{folder}:{claude.user.environment['PATH']}"
    done = claude.start("-p", "say hi", env={**LOGIN, "PATH": path})
    assert (done.code, done.out) == (0, "MOCK-HELLO\n"), done.err
    assert f"program       : claude, this machine's own: {folder}/claude" in done.err


def test_a_version_that_the_manifest_names_is_the_one_that_runs(claude: Claude) -> None:
    """`version:` another release is fetched, held to what the registry says of it, and kept beside the tested one."""
    claude.manifest({"claude": {"version": OTHER_VERSION}}, {"agent": "claude"})
    done = claude.start("--version", env=LOGIN)
    assert (done.code, done.out) == (0, f"{OTHER_VERSION} (Claude Code)\n"), done.err
    assert f"claude {OTHER_VERSION} from npm, checked against what the registry says" in done.err
    claude.manifest({}, {"agent": "claude"})
    assert claude.start("--version", env=LOGIN).out == f"{VERSION} (Claude Code)\n"
