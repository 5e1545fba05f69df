"""What Claude Code's end means: which failures are the bottle's, the user's or the service's, each with its cure."""

from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.json import decode

from bottle_claude.credentials import CREDENTIALS, GATEWAY, MODEL
from claude_bottle.errors import Problem
from claude_bottle.plan.plan import Plan
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.event import Event

__all__ = ["find_causes"]

KILLED = 137
FULL = 99
"""Percent of a place."""
PATIENCE = 10.0
NETWORK = "check this machine's network and its upstream proxy"
OWN = "invalid_request"
"""The kind of an error without a status that Claude Code itself finds, and tells well: a prompt that is too long."""
PRINTING = frozenset({"-p", "--print"})
API = "/v1/messages"
"""The path of what is said to the model, seen where the proxy opens its host."""
STATUS = "nothing is wrong with this bottle: try again later, https://status.claude.com tells more"

# A home that cannot be written, what is left of each place in which the agent can write, and the last turn of the
# session that was written last.
LOOK = r"""
[ -w "$HOME" ] || echo unwritable "$HOME"
df -P "$HOME" /tmp /workspace 2>/dev/null | awk 'NR > 1 { print $5, $6 }'
echo
file=$(ls -t "$HOME"/.claude/projects/*/*.jsonl 2>/dev/null | head -n 1)
[ -z "$file" ] || tail -n 30 "$file" | grep '"type":"assistant"' | tail -n 1 | head -c 100000
"""


class Turn(Struct, rename="camel"):
    """What of a turn in Claude Code's transcript is read: whether it is an error, of which kinds and status.

    The agent can write there whatever it likes, so nothing of it is shown.
    """

    error: str = ""
    api_error: str = ""
    is_api_error_message: bool = False
    api_error_status: int | None = None


def find_causes(bottle: Bottle, plan: Plan, code: int, events: Sequence[Event]) -> list[Problem]:
    """Return the first cause that explains the end; nothing where there was no failure, or none that is known."""
    if code == 0 and PRINTING & set(plan.words):
        return []
    if code == KILLED:
        cure = f"give the bottle more `memory` in its section `{plan.backend.name}:`"
        return [Problem("Claude Code was killed (exit code 137), most likely for want of memory", cure)]
    looked = bottle.exec(LOOK, timeout=PATIENCE).stdout.decode("utf-8", "replace")
    disks, _, turn = looked.partition("\n\n")
    found = [*bad_places(disks, plan.backend.name), *failed_turn(last_turn(turn), plan, events)]
    return found[:1]


def bad_places(disks: str, backend: str) -> Iterator[Problem]:
    """Yield the places without room, or that cannot be written; a line of `disks` has percent, or that, and path."""
    for line in disks.splitlines():
        used, _, place = line.partition(" ")
        if used == "unwritable":
            cure = "leave HOME out of the manifest's `env`, or `chmod u+w` it inside"
            yield Problem(f"{place}, the home in the bottle, cannot be written", cure)
        elif used.rstrip("%").isdigit() and int(used.rstrip("%")) >= FULL:
            cure = f"remove something there, or give it more room in the bottle's section `{backend}:`"
            yield Problem(f"{place} in the bottle is full", cure)


def last_turn(line: str) -> Turn:
    """Return the last turn; an unremarkable one where nothing can be read."""
    try:
        return decode(line, type=Turn, strict=False)
    except ValueError:
        return Turn()


def failed_turn(turn: Turn, plan: Plan, events: Sequence[Event]) -> Iterator[Problem]:
    """Yield why the last turn of a session failed, if it did."""
    if not turn.is_api_error_message:
        return
    status = turn.api_error_status
    own = [event for event in events if event.host == MODEL]
    last = next((it for it in reversed(own) if it.path.startswith(API)), own[-1] if own else None)
    refused = [event for event in own if event.verdict == "deny"]
    if refused and (status is None or status < 500):  # noqa: PLR2004 - the range of HTTP
        yield refusal(refused[-1])
    elif status is None and turn.error == "authentication_failed":
        yield Problem(
            "Claude Code has no login in this bottle",
            f"`bottle login claude`, or set {' or '.join(it.name for it in CREDENTIALS)} here",
        )
    elif turn.api_error.startswith("tls"):
        cure = "where it is right, let the proxy open the host, and name its authority in config.yaml, `upstream: ca`"
        yield Problem(f"what answers as {MODEL} has a certificate that the bottle does not trust", cure)
    elif last and last.reason and (last.rule == "upstream" or (last.verdict == "allow" and not last.status)):
        yield Problem(f"{MODEL} cannot be reached: {last.reason}", NETWORK)
    elif status is not None:
        yield from of_status(status, plan)
    elif last and last.method not in {"", "CONNECT"} and turn.error != OWN:
        cure = f"try again; if it stays so, look for what stands between this machine and {MODEL}"
        yield Problem(f"what {MODEL} answered is broken off, or is none of its answers", cure)
    elif turn.error != OWN:
        yield Problem(f"{MODEL} cannot be reached: no answer came", NETWORK)


def refusal(event: Event) -> Problem:
    """Return that the proxy refused what was sent to the model, which Claude Code takes for a failed login."""
    message = f"this is no failed login: the proxy refused what went to {MODEL} ({event.reason})"
    return Problem(message, event.fix or "see `bottle logs`")


def of_status(status: int, plan: Plan) -> Iterator[Problem]:
    """Yield what an error of the service itself means."""
    held = {*plan.forwarded, *(it.name for it in plan.injected)}
    known = (*(it.name for it in CREDENTIALS), GATEWAY)
    given = ", ".join(name for name in known if name in held) or "the login"
    match status:
        case 401:
            yield Problem(
                f"the service does not accept {given}: it is wrong, or has expired",
                "`bottle login claude`, or set a new one",
            )
        case 403:
            yield Problem(f"the service knows {given}, and does not permit this", "ask whoever runs the account")
        case 429:
            yield Problem("the account has reached its limit (429)", "wait, or use another account")
        case _ if status >= 500:  # noqa: PLR2004 - the range of HTTP
            yield Problem(f"the service is overloaded or out of order ({status})", STATUS)
        case _:
            return
