"""Addresses: judged as they are dialled, so that no name can be rebound in between."""

import asyncio
import socket
from typing import Any

import pytest
from egress_harness import Launch, Running, rule
from egress_upstream import Upstream

from bottle_mitmproxy.policy.addresses import parse_networks
from bottle_mitmproxy.policy.policy import Policy
from bottle_mitmproxy.sidecar.dial import DIAL, Dial, GuardedLoop, RefusedAddressError


@pytest.fixture(scope="module")
def strict(launch: Launch, http: Upstream) -> Running:
    """Return a proxy that may dial no private address."""
    rules = [rule("localhost", ports=(80, 443, http.port)), rule("127.0.0.1", ports=(http.port,)), rule("plain.test")]
    return launch(rules=[*rules, rule("opaque.test", "opaque")], private=())


@pytest.mark.parametrize("url", ["http://localhost:{}/", "http://plain.test/"])
def test_a_name_that_leads_inside_is_refused(strict: Running, http: Upstream, url: str) -> None:
    """N10: an allowed name that resolves to loopback is 403, with the line that would allow it, and is not dialled."""
    before = http.connections
    done = strict.curl("-w", "%{http_code}", url.format(http.port))
    assert done.stdout.endswith(b"403")
    assert b"127.0.0.1, a loopback address" in done.stdout or b"::1, a loopback address" in done.stdout
    assert b"egress.private_addresses: [" in done.stdout
    assert http.connections == before
    assert strict.events()[-1].rule == "address"


def test_a_tunnel_that_is_not_opened_leads_nowhere_inside(strict: Running, https: Upstream) -> None:
    """N10: an opaque tunnel is judged like any other."""
    before = https.connections
    assert strict.status("-k", "https://opaque.test/") == 0
    assert https.connections == before
    assert [event.rule for event in strict.events(2)] == ["", "address"]


def test_an_address_is_refused_at_connect(strict: Running, http: Upstream) -> None:
    """N10: literals are 403 before anything else happens."""
    assert strict.status("-p", f"http://127.0.0.1:{http.port}/") == 403
    assert strict.status(f"http://127.0.0.1:{http.port}/") == 403


def test_metadata_is_refused_even_where_loopback_is_allowed(proxy: Running) -> None:
    """N10: the private addresses that are listed are the only ones."""
    done = proxy.curl("-w", "%{http_code}", "http://metadata.test/")
    assert done.stdout.endswith(b"403")
    assert b"a metadata address" in done.stdout


def dialling(policy: Policy | None, answers: list[list[str]]) -> tuple[list[str], BaseException | None]:
    """Open a connection to a name whose lookups give these answers in turn; return what was dialled."""
    dialled: list[str] = []

    class Loop(GuardedLoop):
        async def getaddrinfo(self, host: Any, port: Any, **hints: Any) -> Any:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers.pop(0)]

    async def connect(self: object, sock: socket.socket, address: Any) -> None:
        dialled.append(address[0])
        raise ConnectionRefusedError

    async def run() -> None:
        if policy:
            DIAL.set(Dial("x.test", 443, policy))
        await asyncio.open_connection("x.test", 443)

    error: BaseException | None = None
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner(loop_factory=Loop) as runner:
        patch.setattr(asyncio.SelectorEventLoop, "sock_connect", connect)
        try:
            runner.run(run())
        except OSError as raised:
            error = raised
    return dialled, error


def test_a_name_is_looked_up_once_and_that_answer_is_dialled() -> None:
    """N10: a second answer, however private, is never asked for."""
    answers = [["1.1.1.1"], ["10.0.0.1"]]
    dialled, _ = dialling(Policy([rule("x.test")]), answers)
    assert dialled == ["1.1.1.1"]
    assert answers == [["10.0.0.1"]]


def test_of_several_addresses_only_public_ones_are_dialled() -> None:
    """N10: a private address among public ones is passed over."""
    dialled, _ = dialling(Policy([rule("x.test")]), [["10.0.0.1", "1.1.1.1", "169.254.169.254"]])
    assert dialled == ["1.1.1.1"]


def test_listed_private_addresses_are_dialled() -> None:
    """`private_addresses` holds for the address, whatever the name."""
    policy = Policy([rule("x.test")], parse_networks(["10.0.0.0/8"]))
    assert dialling(policy, [["10.0.0.1", "192.168.0.1"]])[0] == ["10.0.0.1"]


def test_nothing_is_dialled_that_was_not_decided_on() -> None:
    """N14: a connection that no decision led to is refused, whatever its address."""
    dialled, error = dialling(None, [["1.1.1.1"]])
    assert dialled == []
    assert isinstance(error, RefusedAddressError)
