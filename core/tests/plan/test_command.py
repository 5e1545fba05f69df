"""The command of a plan: the agent with its arguments, or what runs in its place."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_bottle.declare import NoSection
from claude_bottle.manifest.types import Egress
from claude_bottle.plan.environment import EnvNames
from claude_bottle.plan.plan import Plan, assemble_plan
from claude_bottle.plan.spec import BottleSpec, Choice, Draft
from claude_bottle.seam.levels import HostRule
from claude_bottle.seam.part import Part

AGENT = Part(section=NoSection(), argv=("coder", "--safe"), prompt_option=("--prompt-file",))
OTHER = Part(section=NoSection(), resources=("net",), lines=(("label", "text"),))


def plan(words: tuple[str, ...] = (), rules: tuple[HostRule, ...] = ()) -> Plan:
    """Return the plan of an agent and a backend."""
    spec = BottleSpec(
        agent="reviewer",
        slug="reviewer",
        bottle="dev",
        agent_plugin="coder",
        backend=Choice("box", "flag"),
        proxy=Choice("way", "flag"),
        egress=Egress(),
        folder=Path("/project"),
        words=words,
    )
    return assemble_plan(spec, Draft(parts=(("coder", AGENT), ("box", OTHER))), rules, EnvNames((), ()))


@pytest.mark.parametrize(
    ("words", "prompt", "command"),
    [
        ((), None, ("coder", "--safe")),
        ((), "/p", ("coder", "--safe", "--prompt-file", "/p")),
        (("--resume", "x"), "/p", ("coder", "--safe", "--resume", "x", "--prompt-file", "/p")),
        (("-p", "hi"), None, ("coder", "--safe", "-p", "hi")),
        (("curl", "-sS"), "/p", ("curl", "-sS")),
        (("",), "/p", ("",)),
    ],
)
def test_words_are_the_agent_s_arguments_or_a_command(
    words: tuple[str, ...], prompt: str | None, command: tuple[str, ...]
) -> None:
    """S28: words that begin with - go to the agent, others replace it, and only the agent is given its prompt."""
    assert plan(words).command(prompt) == command


@given(st.lists(st.text(), min_size=1))
def test_no_word_is_lost_or_changed(words: list[str]) -> None:
    """What stands after `--` arrives word by word."""
    command = plan(tuple(words)).command(None)
    assert command[len(command) - len(words) :] == tuple(words)


def test_parts_are_put_together_and_rules_sorted() -> None:
    """S14: resources and lines come in the plugins' order, rules by host."""
    rules = tuple(HostRule(host=host, level="block", plain="block", why="test") for host in ("b.example", "a.example"))
    made = plan(rules=rules)
    assert [rule.host for rule in made.egress.rules] == ["a.example", "b.example"]
    assert (made.resources, made.lines) == (("net",), (("label", "text"),))


def test_a_section_is_found_by_its_type() -> None:
    """S13: a plugin gets its own section back, exactly of its type, or an error that names the type."""
    assert plan().section(NoSection) == NoSection()
    with pytest.raises(LookupError, match="Part"):
        plan().section(Part)
