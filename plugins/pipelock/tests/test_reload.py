"""Rules that change while the real pipelock runs."""

from collections.abc import Callable, Sequence

import pytest
from pipelock_site import Running, rule
from pipelock_upstream import Upstream

from claude_bottle.seam.levels import HostRule

pytestmark = pytest.mark.pipelock

Start = Callable[[Sequence[HostRule]], Running]


def test_a_host_is_opened_and_closed_again(start: Start, tls: Upstream) -> None:
    """In force when `reload` returns, in both directions."""
    running = start([rule("api.test")])
    ask = running.client.https
    assert (ask("later.test", tls.port).status, ask("api.test", tls.port).status) == (403, 200)
    assert running.proxy.reload([rule("api.test"), rule("later.test")])
    assert (ask("later.test", tls.port).status, ask("api.test", tls.port).status) == (200, 200)
    assert running.proxy.reload([rule("api.test")])
    assert (ask("later.test", tls.port).status, ask("api.test", tls.port).status) == (403, 200)


def test_the_apex_of_a_wildcard_can_be_opened(start: Start, tls: Upstream) -> None:
    """That it was on the blocklist is no obstacle."""
    running = start([rule("*.wild.test")])
    assert running.client.https("wild.test", tls.port).status == 403
    assert running.proxy.reload([rule("*.wild.test"), rule("wild.test")])
    assert running.client.https("wild.test", tls.port).status == 200


def test_a_host_that_is_not_to_be_opened_needs_a_restart(start: Start, tls: Upstream) -> None:
    """It is refused, everything stays as it was, and what can be changed still can."""
    running = start([rule("api.test")])
    assert not running.proxy.reload([rule("api.test"), rule("opaque.test", "opaque")])
    assert running.client.https("opaque.test", tls.port).status == 403
    assert running.client.https("api.test", tls.port).status == 200
    assert running.proxy.reload([rule("api.test"), rule("later.test")])
    assert running.client.https("later.test", tls.port).status == 200


def test_a_host_below_an_opaque_wildcard_needs_no_restart(start: Start, tls: Upstream) -> None:
    """It is reachable already; to be told so again changes nothing."""
    running = start([rule("*.wild.test", "opaque")])
    assert running.proxy.reload([rule("*.wild.test", "opaque"), rule("deep.wild.test")])
    answer, connection = running.client.connect("deep.wild.test", tls.port)
    connection.close()
    assert answer.status == 200
