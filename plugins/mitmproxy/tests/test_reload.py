"""Rules that change while the proxy runs: in force at once, also for connections that are open."""

import os
from collections.abc import Iterator

import pytest
from egress_harness import SIDECAR_UID, Launch, Running, read_response, read_to_end, rule
from egress_upstream import TestAuthority, Upstream

from bottle_mitmproxy.settings import POLICY
from claude_bottle.errors import LaunchError
from claude_bottle.seam.sidecar import File

RULES = [rule("api.test"), rule("opaque.test", "opaque"), rule("plain.test")]


@pytest.fixture
def running(launch: Launch) -> Iterator[Running]:
    """Return a proxy of the test's own."""
    running = launch(rules=RULES)
    yield running
    running.site.close()


def test_a_host_that_is_added_opens(running: Running) -> None:
    """`bottle allow`: no restart, and `reload` returns when it holds."""
    assert running.status("https://warn.test/") == 403
    assert running.proxy.reload([*RULES, rule("warn.test")])
    assert running.status("https://warn.test/") == 200


@pytest.mark.parametrize("host", ["api.test", "opaque.test"])
def test_a_host_that_is_taken_away_closes_and_so_do_its_tunnels(
    running: Running, https: Upstream, host: str, authority: TestAuthority
) -> None:
    """N13: a tunnel that would no longer be let in ends; the others go on."""
    request = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    other = "api.test" if host == "opaque.test" else "opaque.test"
    running.ca.write_bytes(running.ca.read_bytes() + authority.bundle.read_bytes())
    with running.tls(f"{host}:443") as gone, running.tls(f"{other}:443") as kept:
        gone.sendall(request)
        assert read_response(gone).startswith(b"HTTP/1.1 200")
        assert running.proxy.reload([changed for changed in RULES if changed.host != host])
        assert read_to_end(gone) == b""
        kept.sendall(request.replace(host.encode(), other.encode()))
        assert read_response(kept).startswith(b"HTTP/1.1 200")
    assert running.status(f"https://{host}/") == 403


def test_another_level_ends_a_tunnel(running: Running, authority: TestAuthority) -> None:
    """N13: a tunnel that was not opened does not outlive the rule that said so."""
    running.ca.write_bytes(authority.bundle.read_bytes())
    with running.tls("opaque.test:443") as tls:
        assert running.proxy.reload([rule("api.test"), rule("opaque.test")])
        assert read_to_end(tls) == b""


def test_rules_that_cannot_be_read_change_nothing(running: Running) -> None:
    """N14: the old rules stay in force, and the caller is told."""
    with pytest.raises(LaunchError, match=r"not in force"):
        running.proxy.reload([rule("*.*")])
    assert running.status("https://api.test/") == 200
    assert running.status("https://warn.test/") == 403
    assert running.proxy.reload([*RULES, rule("warn.test")])
    assert running.status("https://warn.test/") == 200


def test_a_broken_or_missing_file_changes_nothing(running: Running) -> None:
    """N14: neither garbage nor an empty folder opens anything."""
    sidecar = running.site.sidecar
    assert sidecar
    sidecar.put([File(POLICY, b"{}")])
    assert running.status("https://api.test/") == 200
    (running.site.folder / POLICY).unlink()
    assert running.status("https://api.test/") == 200
    assert running.status("https://warn.test/") == 403


def test_the_file_is_for_the_sidecar_alone(running: Running) -> None:
    """S15: mode 0600, owned by the sidecar's uid."""
    status = (running.site.folder / POLICY).stat()
    assert status.st_mode & 0o777 == 0o600
    assert status.st_uid == (os.getuid() if SIDECAR_UID is None else SIDECAR_UID)
