"""What Claude Code's end is told as: one cause with its cure, or nothing where none is known."""

import json
from collections.abc import Sequence
from typing import Any, cast

import pytest
from claude_plan import PLAN as BARE
from msgspec.structs import replace

from bottle_claude.trouble import find_causes
from claude_bottle.plan.plan import Plan
from claude_bottle.plan.spec import Choice
from claude_bottle.seam.bottle import Bottle, ExecResult
from claude_bottle.seam.event import Event
from claude_bottle.seam.part import Injection

MODEL = "api.anthropic.com"
PLAN = replace(
    BARE,
    backend=Choice("box", "flag"),
    words=("-p", "say hi"),
    injected=(Injection(name="ANTHROPIC_API_KEY", host=MODEL, header="x-api-key"),),
)
ROOM = "12% /home/agent\n3% /tmp\n"


class Ended:
    """A bottle in which places are filled so much, and the last session's last turn was this."""

    def __init__(self, disks: str, turn: dict[str, Any]) -> None:
        self._said = f"{disks}\n{json.dumps(turn)}\n".encode()

    def exec(self, script: str, timeout: float) -> ExecResult:
        """Say it."""
        assert (".jsonl" in script, timeout > 0) == (True, True)
        return ExecResult(0, self._said, b"")


def causes(
    status: int | None = None,
    *,
    plan: Plan = PLAN,
    code: int = 1,
    disks: str = ROOM,
    events: Sequence[Event] = (),
    error: str = "unknown",
    failed: bool = True,
) -> list[str]:
    """Return what is told of an end."""
    bottle = cast("Bottle", Ended(disks, {"isApiErrorMessage": failed, "apiErrorStatus": status, "error": error}))
    return [f"{it.message}; {it.hint}" for it in find_causes(bottle, plan, code, events)]


def event(host: str = MODEL, verdict: Any = "deny", rule: str = "dlp", reason: str = "the body carries it") -> Event:
    """Return what the proxy reported."""
    return Event(time=1.0, verdict=verdict, host=host, rule=rule, reason=reason, fix="the line")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "the service does not accept ANTHROPIC_API_KEY: it is wrong, or has expired; `bottle login claude`, or"),
        (403, "the service knows ANTHROPIC_API_KEY, and does not permit this; ask whoever runs the account"),
        (429, "the account has reached its limit (429); wait, or use another account"),
        (500, "the service is overloaded or out of order (500); nothing is wrong with this bottle: try again later"),
        (529, "the service is overloaded or out of order (529); nothing is wrong with this bottle: try again later"),
        (None, "api.anthropic.com cannot be reached: no answer came; check this machine's network"),
    ],
)
def test_each_error_of_the_service_has_its_cause(status: int | None, said: str) -> None:
    """The login that the bottle was given is named, and what to do about it."""
    [told] = causes(status)
    assert told.startswith(said)


def test_an_error_that_is_the_agent_s_own_is_not_explained() -> None:
    """What Claude Code says of a bad request is enough."""
    assert causes(400) == []
    assert causes(401, failed=False) == []


@pytest.mark.parametrize(
    ("forwarded", "named"),
    [
        (("ANTHROPIC_AUTH_TOKEN", "GITHUB_TOKEN"), "ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN"),
        (("CLAUDE_CODE_OAUTH_TOKEN",), "CLAUDE_CODE_OAUTH_TOKEN, ANTHROPIC_API_KEY"),
    ],
)
def test_every_login_that_may_have_been_used_is_named(forwarded: tuple[str, ...], named: str) -> None:
    """Whether the proxy has it or the agent; another secret is none."""
    assert f"does not accept {named}: " in causes(401, plan=replace(PLAN, forwarded=forwarded))[0]
    assert "does not accept the login: " in causes(401, plan=replace(PLAN, injected=()))[0]


def test_no_login_is_told_from_no_network() -> None:
    """Neither has a status."""
    assert "Claude Code has no login in this bottle; `bottle login claude`" in causes(error="authentication_failed")[0]


@pytest.mark.parametrize("status", [None, 403, 407])
def test_a_refusal_of_the_proxy_is_told_as_that(status: int | None) -> None:
    """With its reason and the line that would allow it; one of another host is not the cause."""
    told = f"this is no failed login: the proxy refused what went to {MODEL} (the body carries it); the line"
    assert causes(status, events=[event(), event("other.example")]) == [told]
    assert told not in causes(status, events=[event("other.example")])


def test_an_error_of_the_service_is_not_blamed_on_an_earlier_refusal() -> None:
    """A refusal never has a status of the service's."""
    assert "(529)" in causes(529, events=[event()])[0]


def test_what_the_proxy_could_not_reach_is_told_in_its_words() -> None:
    """The 502 is the proxy's; a later answer of the service's is what counts."""
    down = event(verdict="allow", rule="upstream", reason="it does not answer")
    said = f"{MODEL} cannot be reached: it does not answer; check this machine's network and its upstream proxy"
    assert causes(502, events=[down]) == causes(events=[down]) == [said]
    assert "(502)" in causes(502, events=[down, event(verdict="allow", rule="", reason="")])[0]


def test_of_several_causes_the_first_is_told() -> None:
    """A full or closed place, which may be why all else failed; one that is nearly full is none."""
    full = "unwritable /usr\n99% /home/agent\n100% /tmp\n"
    cure = "leave HOME out of the manifest's `env`, or `chmod u+w` it inside"
    assert causes(401, disks=full) == [f"/usr, the home in the bottle, cannot be written; {cure}"]
    cure = "remove something there, or give it more room in the bottle's section `box:`"
    assert causes(401, disks="99% /home/agent\n100% /tmp\n") == [f"/home/agent in the bottle is full; {cure}"]
    assert "does not accept" in causes(401, disks="98% /home/agent\n- /proc\n")[0]


def test_what_was_printed_whole_needs_no_word() -> None:
    """`-p` that ends well; an interactive one ends well whatever happened in it."""
    assert causes(529, code=0, disks="100% /tmp\n") == []
    assert "(529)" in causes(529, code=0, plan=replace(PLAN, words=()))[0]


def test_a_kill_is_want_of_memory() -> None:
    """Nobody looks into a bottle for it."""
    cure = "give the bottle more `memory` in its section `box:`"
    assert causes(code=137) == [f"Claude Code was killed (exit code 137), most likely for want of memory; {cure}"]
