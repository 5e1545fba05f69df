"""The contract of a proxy that injects: what it keeps from the agent goes to one place, and comes back from none."""

from collections.abc import Generator
from secrets import token_hex
from typing import Any, ClassVar

import pytest

from claude_bottle.plugins.load import Loaded
from claude_bottle.seam.part import Injection
from claude_bottle.testing.ground import Ground
from claude_bottle.testing.upstream import ALLOWED, WARN, Upstream
from claude_bottle.testing.ways import Way, make_plan, served

__all__ = ["KeepingContract"]

VALUE = f"kit-{token_hex(20)}"
INTO = Injection(name="KIT_TOKEN", host=ALLOWED, header="authorization", format="Bearer {}")

PLACES = {
    "another host": ["-H", "Authorization: Bearer {text}", f"https://{WARN}/"],
    "another header": ["-H", "X-Api-Key: {text}", f"https://{ALLOWED}/"],
    "another form": ["-H", "Authorization: token {text}", f"https://{ALLOWED}/"],
    "url": [f"https://{ALLOWED}/?q={{text}}"],
    "body": ["-d", "text={text}", f"https://{ALLOWED}/"],
}


class KeepingContract:
    """What whoever declares the trait `inject` promises; the tests of a proxy inherit it."""

    section: ClassVar[Any]

    @pytest.fixture(scope="class")
    @classmethod
    def keeper(cls, loaded: Loaded, ground: Ground, upstream: Upstream) -> Generator[Way]:
        """The proxy with a credential that is to go to one host, in one header."""
        traits = loaded.plugin.proxy_traits
        if traits is None or not traits.inject:
            pytest.skip("it does not declare the trait `inject`")
        plan = make_plan(loaded, ground, cls.section, upstream, injected=(INTO,))
        with served(loaded, ground, upstream, plan, {INTO.name: VALUE}) as way:
            yield way

    def test_the_agent_holds_a_placeholder(self, keeper: Way) -> None:
        """As long as the credential, with nothing of it, in the variable of its name; it is in no argument either."""
        held = keeper.bottle.exec(f'printf %s "${INTO.name}"').stdout.decode()
        assert held == keeper.proxy.env[INTO.name]
        assert len(held) == len(VALUE)
        assert held[-32:] != VALUE[-32:]

    def test_its_place_gets_the_credential_and_no_answer_gives_it_back(self, keeper: Way) -> None:
        """In its header, at its host; what the upstream says of it comes back without it; the record has neither."""
        held, mark = keeper.proxy.env[INTO.name], token_hex(8)
        status, said = keeper.curl("-H", f"Authorization: Bearer {held}", f"https://{ALLOWED}/echo/{mark}")
        assert status == "200", said
        (seen,) = [it for it in keeper.upstream.seen if mark in it]
        assert f"Bearer {VALUE}" in seen
        assert mark in said, "the upstream's answer, which has what it was sent, did not come"
        assert VALUE not in said
        assert held in said
        assert keeper.told(lambda event: mark in event.path)
        assert VALUE not in repr(keeper.events)

    @pytest.mark.parametrize("what", ["placeholder", "credential"])
    @pytest.mark.parametrize("place", PLACES)
    def test_it_goes_nowhere_else(self, keeper: Way, place: str, what: str) -> None:
        """Neither of the two arrives, whatever the level of the host; the same request without it does: the control."""
        text = keeper.proxy.env[INTO.name] if what == "placeholder" else VALUE
        for sent, expected in ((text, "403"), (f"kit-{token_hex(20)}", "200")):
            before = len(keeper.upstream.seen)
            assert keeper.curl(*(word.format(text=sent) for word in PLACES[place]))[0] == expected
            assert len(keeper.upstream.seen) - before == (expected == "200")
