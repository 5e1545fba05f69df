"""What may leave: credentials under `block` and `warn`, levels of inspection, ports, and the record of all that."""

import re
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from e2e_upstream import ALLOWED, AUTHORITY, OTHER, Internet
from e2e_user import Bottle, User, wait_until
from matrix_pair import Pair

WARN, OPAQUE, DEEP, PLAIN = "warn.e2e.test", "opaque.e2e.test", "deep.wild.e2e.test", "plain.e2e.test"
PLACES = {
    "body": "-d 'token={token}' https://{host}/",
    "header": "-H 'Authorization: token {token}' https://{host}/",
    "url": "'https://{host}/?token={token}'",
}


@pytest.fixture(scope="module")
def levels(pair: Pair, internet: Internet) -> Iterator[Bottle]:
    """A bottle with a host of each level, a wildcard, a host at another port, and one without TLS."""
    someone = pair.user(internet)
    someone.manifest(
        {
            "egress": {
                "allowlist": [ALLOWED, WARN, OPAQUE, "*.wild.e2e.test", PLAIN, f"{OTHER}:8443"],
                "inspect": {WARN: "warn", OPAQUE: "opaque"},
                "private_addresses": [internet.private],
            }
        }
    )
    yield someone.detached()
    someone.close()


def token() -> str:
    """Return something that has the shape of a GitHub token."""
    return "ghp_" + secrets.token_hex(18)


def curl(bottle: Bottle, words: str) -> tuple[str, str]:
    """Send a request from inside, and return the answer's status and body."""
    done = bottle.sh(f"curl -sS -w '\\n%{{http_code}}' {words}")
    body, _, status = done.out.rpartition("\n")
    return status, body


def events_of(bottle: Bottle, **wanted: Any) -> list[dict[str, Any]]:
    """Return the events with these values, once there are some."""

    def found() -> list[dict[str, Any]]:
        return [event for event in bottle.user.events() if all(event.get(key) == wanted[key] for key in wanted)]

    wait_until(found)
    return found()


@pytest.mark.parametrize("place", PLACES)
def test_a_credential_does_not_leave_under_block(place: str, levels: Bottle, internet: Internet) -> None:
    """S4: a GitHub-shaped token in body, header or URL is a 403 of the proxy, and the upstream never sees it."""
    value = token()
    status, body = curl(levels, PLACES[place].format(token=value, host=ALLOWED))
    assert status == "403"
    assert re.search("github token|contains secret", body, re.IGNORECASE)
    assert not internet.got(value)


@pytest.mark.parametrize("place", PLACES)
def test_a_credential_leaves_under_warn_and_is_on_record(
    place: str, levels: Bottle, internet: Internet, holds: Callable[[str], None]
) -> None:
    """`warn` forwards the same request and records it, without the token."""
    holds("one level")
    value = token()
    before = len(events_of(levels, host=WARN, verdict="warn")) if place != "body" else 0
    status, body = curl(levels, PLACES[place].format(token=value, host=WARN))
    assert (status, body) == ("200", f"hello from {WARN}\n")
    assert internet.got(value)
    assert wait_until(lambda: len(events_of(levels, host=WARN, verdict="warn")) > before)
    assert value not in str(levels.user.events())


def test_plain_http_is_scanned_too(levels: Bottle, internet: Internet) -> None:
    """S4: without TLS the body is scanned as well, and what is clean passes."""
    value = token()
    assert curl(levels, f"-d {value} http://{PLAIN}/")[0] == "403"
    assert not internet.got(value)
    assert curl(levels, f"-d harmless http://{PLAIN}/")[0] == "200"


def test_dlp_action_of_a_bottle_is_the_level_of_its_hosts(user: User, internet: Internet) -> None:
    """S4: `dlp_action: warn` forwards what `block`, the default, refuses."""
    egress = {"allowlist": [ALLOWED], "private_addresses": [internet.private], "dlp_action": "warn"}
    user.manifest({"egress": egress})
    value = token()
    done = user.start("curl", "-sS", "-d", value, f"https://{ALLOWED}/")
    assert done.out == f"hello from {ALLOWED}\n"
    assert internet.got(value)
    assert [event["verdict"] for event in user.events()] == ["warn"]


def test_an_opaque_host_is_not_opened(levels: Bottle, internet: Internet) -> None:
    """`opaque` tunnels: the client sees the upstream's own certificate, which the bottle has no reason to trust."""
    done = levels.sh(f"curl -skv https://{OPAQUE}/ 2>&1")
    assert f"CN={AUTHORITY}" in done.out
    assert f"hello from {OPAQUE}" in done.out
    value = token()
    assert curl(levels, f"-k -d {value} https://{OPAQUE}/")[0] == "200"
    assert internet.got(value)


def test_a_wildcard_opens_what_is_below_it(levels: Bottle) -> None:
    """N5: `*.x` is any name below x, and never x."""
    assert curl(levels, f"https://{DEEP}/")[0] == "200"
    refused = levels.sh("curl -sv https://wild.e2e.test/ 2>&1; curl -sv https://evilwild.e2e.test/ 2>&1")
    assert refused.out.count("< HTTP/1.1 403") == 2


@pytest.mark.parametrize("place", [f"{ALLOWED}:22", f"{ALLOWED}:8443", f"{OTHER}:443", f"{OTHER}:80"])
def test_only_ports_that_are_open_are_reached(place: str, levels: Bottle, holds: Callable[[str], None]) -> None:
    """N2: an allowed host is open at 443 and 80, one with a port of its own there alone."""
    holds("ports")
    done = levels.sh(f"curl -sv https://{place}/ 2>&1")
    assert "< HTTP/1.1 403" in done.out
    assert "is not open" in done.out


def test_a_port_of_its_own_is_open(levels: Bottle, internet: Internet, holds: Callable[[str], None]) -> None:
    """`host:port` opens that port."""
    holds("ports")
    assert curl(levels, f"https://{OTHER}:8443/")[0] == "200"
    assert internet.seen[-1].host == f"{OTHER}:8443"


def test_the_private_address_of_an_allowed_name_is_refused(user: User, internet: Internet) -> None:
    """N10: an allowed name that leads to a private address is refused, and the missing line is named."""
    user.manifest({"egress": {"allowlist": [ALLOWED]}})
    done = user.start("curl", "-sS", f"https://{ALLOWED}/")
    assert f"egress.private_addresses: [{internet.private}]" in done.err
    assert "hello" not in done.out


def test_every_decision_is_on_record(user: User) -> None:
    """Allowed and refused requests are events of one form, kept for the user alone, and summed up at the end."""
    script = f"curl -s https://{ALLOWED}/some/path?key=value; curl -s https://{OTHER}/; curl -s http://{OTHER}/"
    done = user.start("sh", "-c", script)
    allowed, *refused = sorted(user.events(), key=lambda event: event["verdict"])
    assert {key: allowed[key] for key in ("verdict", "host", "port", "method")} == {
        "verdict": "allow",
        "host": ALLOWED,
        "port": 443,
        "method": "GET",
    }
    assert allowed["bottle"].startswith("claude-bottle-reviewer")
    assert allowed["path"].startswith("/some/path")
    assert "value" not in allowed["path"]
    assert [(it["verdict"], it["host"], it["rule"], it["port"]) for it in refused] == [
        ("deny", OTHER, "allowlist", 443),
        ("deny", OTHER, "allowlist", 80),
    ]
    assert f"{OTHER}: {refused[0]['reason']} (2 times)" in done.err
    assert f"egress.allowlist: [{OTHER}]" in done.err
    [file] = (user.state / "claude-bottle" / "events").iterdir()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_an_allowed_request_has_its_figures(user: User, holds: Callable[[str], None]) -> None:
    """What came back, and how many bytes went either way."""
    holds("figures")
    user.start("curl", "-s", "-d", "1234", f"https://{ALLOWED}/")
    (event,) = user.events()
    assert (event["status"], event["sent"], event["received"] > 0) == (200, 4, True)


def test_the_record_is_read_by_logs(user: User) -> None:
    """`bottle logs` shows what an ended bottle did, as text and as the very lines that were kept."""
    user.start("curl", "-s", f"https://{OTHER}/")
    text = user.bottle("logs", "reviewer")
    assert f"deny   CONNECT {OTHER} 403" in text.out
    [file] = (user.state / "claude-bottle" / "events").iterdir()
    assert user.bottle("logs", "--format", "json").out == file.read_text()
    assert user.bottle("logs", "nobody").code == 1


def test_a_host_is_opened_while_the_bottle_runs(user: User, internet: Internet) -> None:
    """`bottle allow` holds at once, for this bottle, and closes nothing that was open."""
    bottle = user.detached()
    assert curl(bottle, f"https://{OTHER}/")[0] == "000"
    done = user.bottle("allow", bottle.name, OTHER)
    assert done.code == 0, done.err
    assert curl(bottle, f"https://{OTHER}/") == ("200", f"hello from {OTHER}\n")
    assert curl(bottle, f"https://{ALLOWED}/")[0] == "200"


FRONTS = {
    "SNI": f"--connect-to {OTHER}:443:{ALLOWED}:443 https://{OTHER}/",
    "Host": f"-H 'Host: {OTHER}' https://{ALLOWED}/",
    "both": f"--connect-to {OTHER}:443:{ALLOWED}:443 -H 'Host: {ALLOWED}' https://{OTHER}/",
}


@pytest.mark.parametrize("front", FRONTS)
def test_an_allowed_host_is_no_front_for_another(front: str, bottle: Bottle, internet: Internet) -> None:
    """N6: the CONNECT host, SNI and Host agree, or nothing arrives. Where they do, the same request does."""
    before = len(internet.seen)
    done = bottle.sh(f"curl -sk -m 10 {FRONTS[front]}")
    assert f"hello from {OTHER}" not in done.out
    assert len(internet.seen) == before
    honest = FRONTS[front].replace(OTHER, ALLOWED)
    assert bottle.sh(f"curl -sk -m 10 {honest}").out == f"hello from {ALLOWED}\n"
