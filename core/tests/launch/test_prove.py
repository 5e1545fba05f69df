"""The proof before the agent: each thing that must not be seen, and each that must, stops a launch."""

import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import pytest

from claude_bottle.errors import ProofError
from claude_bottle.launch.prove import Proof, refused_name
from claude_bottle.plan.plan import EgressPlan, Plan
from claude_bottle.plan.spec import Choice
from claude_bottle.seam.bottle import Dial, Sightings
from claude_bottle.seam.sidecar import Address, Outpost
from claude_bottle.seam.traits import BackendTraits, Listen

REFUSED = b"HTTP/1.1 403 Forbidden\r\n\r\n"
TRAITS = BackendTraits(runs="process", host_cure="its network is open", name_cure="its resolver is open")
PLAN = Plan(
    agent="a",
    bottle="b",
    slug="a",
    agent_plugin="p",
    backend=Choice("one", "flag"),
    proxy=Choice("two", "flag"),
    egress=EgressPlan(rules=(), dlp_action="block"),
    argv=("true",),
)


class View:
    """A bottle and its site as the proof sees them; what each dial meets is given."""

    launch = "0123abcd"
    listen = Listen("tcp", "127.0.0.1", 3128)

    def __init__(self, outside: bytes | None = None, proxy: bytes | None = REFUSED, *, resolves: bool = False) -> None:
        self.outside, self.proxy, self.resolves = outside, proxy, resolves
        self.asked: list[Dial] = []

    def look(self, dials: Sequence[Dial], names: Sequence[str]) -> Sightings:
        """Answer as given."""
        self.asked += dials
        answers = tuple(self.proxy if dial.port == self.listen.port else self.outside for dial in dials)
        return Sightings(answers=answers, resolved=(self.resolves,) * len(names))

    def settle(self) -> None:
        """Nothing takes long here."""

    @contextmanager
    def witness(self) -> Generator[Sequence[Address]]:
        """Listen on this machine for real: the proof dials its own witness first."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            yield [Address("127.0.0.1", server.getsockname()[1])]


def prove(view: View) -> None:
    """Run the proof."""
    proof = Proof(PLAN, cast("Any", view), TRAITS)
    proof.begin(cast("Any", view))
    proof.ask_proxy(cast("Any", view))
    proof.judge()


def test_an_isolated_bottle_passes() -> None:
    """The witness is not reached, the name is not known, and the proxy refuses the name of this very launch."""
    view = View()
    prove(view)
    (asked,) = (dial for dial in view.asked if dial.send)
    assert refused_name("0123abcd").encode() in asked.send


@pytest.mark.parametrize(
    ("view", "message", "hint"),
    [
        pytest.param(View(outside=b""), "reaches the host", TRAITS.host_cure, id="witness"),
        pytest.param(View(resolves=True), "resolver knows", TRAITS.name_cure, id="resolver"),
        pytest.param(View(proxy=None), "does not refuse as it should", None, id="no proxy"),
        pytest.param(View(proxy=b"HTTP/1.1 200 OK\r\n\r\n"), "does not refuse as it should", None, id="open proxy"),
    ],
)
def test_without_proof_there_is_no_agent(view: View, message: str, hint: str | None) -> None:
    """N1, N2, N7: what is seen that should not be, or missing that should be there, is an error with the cure."""
    with pytest.raises(ProofError, match=message) as caught:
        prove(view)
    assert caught.value.hint == hint


def test_a_witness_that_does_not_answer_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe that could not have worked anyway is no proof: the host must reach its own witness."""

    @contextmanager
    def closed(self: View) -> Generator[Sequence[Address]]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        yield [Address("127.0.0.1", port)]

    monkeypatch.setattr(View, "witness", closed)
    with pytest.raises(ProofError, match="does not answer the host"):
        prove(View())


def test_no_witness_at_all_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend without a witness cannot be proved."""

    @contextmanager
    def none(self: View) -> Generator[Sequence[Address]]:
        yield []

    monkeypatch.setattr(View, "witness", none)
    with pytest.raises(ProofError, match="no witness"):
        prove(View())


class Far(View):
    """A bottle whose host is another machine: what its outpost sees there is given."""

    def __init__(self, *, echo: bool = True, known: bool = True, **inside: Any) -> None:
        super().__init__(**inside)
        self.echo, self.known = echo, known
        self.names: list[str] = []

    def look(self, dials: Sequence[Dial], names: Sequence[str]) -> Sightings:
        """Note the names too."""
        self.names += names
        return super().look(dials, names)

    def look_there(self, dials: Sequence[Dial], names: Sequence[str]) -> Sightings:
        """Answer as a witness does, or with words of its own."""
        answers = tuple(dial.send if self.echo else b"witness" for dial in dials)
        return Sightings(answers=answers, resolved=(self.known,) * len(names))

    @contextmanager
    def witness(self) -> Generator[Any]:
        """Have one on a machine with an address of no machine."""
        with super().witness() as here:
            there = (Address("192.0.2.1", 9), Address("192.0.2.2", 9))
            yield Outpost(host="far.test", addresses=there, look=self.look_there, here=tuple(here))


def test_a_host_elsewhere_is_witnessed_from_there() -> None:
    """What its witnesses answered to is dialled from inside, and this machine's; a name that it resolves is asked."""
    far = Far()
    prove(far)
    assert sorted(dial.host for dial in far.asked) == ["127.0.0.1", "127.0.0.1", "192.0.2.1", "192.0.2.2"]
    assert "far.test" in far.names


@pytest.mark.parametrize(
    ("view", "message"),
    [
        pytest.param(Far(echo=False), "does not answer its own host, far.test", id="control"),
        pytest.param(Far(outside=b""), "reaches the host at 192.0.2.1", id="witness"),
        pytest.param(Far(resolves=True), "resolver knows far.test", id="resolver"),
    ],
)
def test_without_proof_from_elsewhere_there_is_no_agent(view: Far, message: str) -> None:
    """N2, N7: words that core did not make are no answer of a witness, and what it sees inside stops the launch."""
    with pytest.raises(ProofError, match=message):
        prove(view)


def test_a_name_that_the_host_elsewhere_does_not_know_is_no_question() -> None:
    """Whether a resolver leaks is seen only by a name that somebody knows."""
    far = Far(known=False)
    prove(far)
    assert "far.test" not in far.names
