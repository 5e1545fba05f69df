"""Which release of an agent's program a launch puts in: the user alone changes that, by `bottle agents update`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from agents_user import open_cache
from e2e_user import User

from bottle_claude.release import VERSION

# Stands in for npm: the real registry's newest release is another one every day.
NPM = """#!/bin/sh
echo "$@" >>"${0%/*}/calls"
case "$2 $3" in
  "@anthropic-ai/claude-code version") echo 9.9.9 ;;
  @anthropic-ai/claude-code-linux-*@9.9.9\\ dist.integrity) echo sha512-bmV3 ;;
  *) echo "npm error 404 $2 is not in this registry" >&2; exit 1 ;;
esac
"""
NEWER = "claude 9.9.9 from npm, checked against its pinned sha512, to be fetched once"


@pytest.fixture
def somebody() -> Iterator[User]:
    """Somebody whose registry has a newer release of one agent's program."""
    user = User()
    tools = user.folder / "tools"
    tools.mkdir()
    (tools / "npm").write_text(NPM)
    (tools / "npm").chmod(0o755)
    user.environment["PATH"] = f"{tools}:{user.environment['PATH']}"
    user.manifest({}, {"agent": "claude"})
    with open_cache() as cache:  # empty, and for root, too, not the machine's own
        user.environment["XDG_CACHE_HOME"] = str(cache)
        yield user
        user.close()


def preflight(user: User) -> str:
    """Return the line of the preflight on the program."""
    done = user.bottle("start", "reviewer", "--dry-run")
    assert done.code == 0, done.err
    [line] = [line for line in done.out.splitlines() if line.startswith("program ")]
    return line.partition(" : ")[2]


def test_an_update_is_shown_asked_for_and_then_used(somebody: User) -> None:
    """Nothing changes before a yes; afterwards the preflight has the new release with the sha512 that was shown."""
    before = preflight(somebody)
    shown = somebody.bottle("agents", "update", "claude", "--dry-run")
    assert shown.code == 0, shown.err
    version = before.split()[1]
    assert shown.out.startswith(
        f"claude: {version} -> 9.9.9\n  @anthropic-ai/claude-code-linux-x64@9.9.9 (x86_64) sha512-"
    )
    unasked = somebody.bottle("agents", "update", "claude")
    assert (unasked.code, "there is no terminal to ask on" in unasked.err) == (1, True)
    assert preflight(somebody) == before
    assert somebody.bottle("agents", "update", "claude", "--yes").code == 0
    assert preflight(somebody) == NEWER
    again = somebody.bottle("agents", "update", "claude")
    assert (again.code, again.err) == (0, "every agent is up to date\n")


def test_a_version_in_the_manifest_is_no_one_else_s_to_change(somebody: User) -> None:
    """It stays after an update, and the preflight says that the registry's word is taken for it."""
    assert somebody.bottle("agents", "update", "claude", "--yes").code == 0
    updated = preflight(somebody)
    somebody.manifest({"claude": {"version": VERSION}}, {"agent": "claude"})
    assert preflight(somebody) == updated.replace("9.9.9", VERSION)
    somebody.manifest({"claude": {"version": "2.1.300"}}, {"agent": "claude"})
    assert preflight(somebody) == "claude 2.1.300 from npm, checked against what the registry says, to be fetched once"


def test_a_dry_run_asks_no_registry(somebody: User) -> None:
    """The preflight of a launch fetches nothing, and looks nothing up."""
    preflight(somebody)
    assert not (somebody.folder / "tools" / "calls").exists()
    assert not list(Path(somebody.environment["XDG_CACHE_HOME"]).rglob("*"))


def test_a_machine_without_npm_is_told_before_the_question(somebody: User) -> None:
    """S14: the cure is one line, and nobody is asked about a launch that must fail."""
    done = somebody.bottle("start", "reviewer", "--file", "bottle.yaml", "--yes", env={"PATH": "/nowhere"})
    assert done.code == 125
    assert "npm is not on the PATH, and claude comes from its registry" in done.err
    assert "apt-get install npm" in done.err


def test_an_unknown_agent_is_an_error(somebody: User) -> None:
    """With the names of those that there are."""
    done = somebody.bottle("agents", "update", "claud")
    assert (done.code, "there is no agent claud" in done.err) == (1, True)
