"""pipelock's configuration, as data and as YAML. A key that its version does not know is fatal to it.

Each value was observed on the real program; the reasons stand beside the surprising ones.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import yaml
from msgspec import Struct

from claude_bottle.seam.levels import DlpAction, HostRule

__all__ = ["CA", "CA_KEY", "CONFIG", "EVIDENCE", "RECEIPT_KEY", "UPSTREAM", "Settings", "build_config", "render_config"]

CONFIG, CA, CA_KEY, RECEIPT_KEY = "pipelock.yaml", "ca.pem", "ca-key.pem", "receipt.key"
EVIDENCE, UPSTREAM = "evidence", "upstream-bundle.pem"
"""Names below the sidecar's root."""

DAY = 86400
MIB = 1 << 20
METRICS_PORT = 9091


class Settings(Struct, frozen=True, kw_only=True):
    """All that the configuration depends on. Nothing in it is secret.

    `port` is where the agent finds it; `root` is the folder of its files as it sees them. `certificate` and `key`
    are names of files there: with both of them TLS is opened. `private_addresses` are CIDRs.
    """

    name: str
    port: int
    root: str
    rules: tuple[HostRule, ...]
    action: DlpAction
    private_addresses: tuple[str, ...] = ()
    certificate: str | None = None
    key: str | None = None


def build_config(settings: Settings) -> dict[str, Any]:
    """Return the configuration as data; ValueError for a certificate without its key, or the other way round."""
    if (settings.certificate is None) != (settings.key is None):
        raise ValueError("TLS is opened with a certificate and its key, and one of them is missing")
    names = [rule.host for rule in settings.rules]
    return {
        "version": 1,
        "mode": "strict",  # in any other mode the list of allowed hosts is read, and not kept to
        "default_agent_identity": settings.name,
        "bind_default_agent_identity": True,
        "api_allowlist": names or ["claude-bottle.invalid"],  # strict refuses an empty one
        "ssrf": {"ip_allowlist": list(settings.private_addresses)},
        "fetch_proxy": {
            "listen": f"0.0.0.0:{settings.port}",
            "monitoring": {
                "max_url_length": 16384,
                "entropy_threshold": 6.0,
                "subdomain_entropy_threshold": 5.0,
                "max_requests_per_minute": 100_000,
                "blocklist": closed_apexes(names),
            },
        },
        "forward_proxy": {"enabled": True, "max_tunnel_seconds": DAY, "idle_timeout_seconds": DAY},
        "tls_interception": tls_interception(settings),
        "request_body_scanning": {
            "action": settings.action,
            "scan_headers": True,
            "max_body_bytes": 64 * MIB,
        },
        "dlp": {"scan_env": False},
        "seed_phrase_detection": {"enabled": False},  # it takes an agent's own instructions for one
        # It cannot be switched off: without `enabled` what is found is refused, and streams are held back.
        "response_scanning": {
            "enabled": True,
            "action": "warn",
            "sse_streaming": {"action": "warn", "max_event_bytes": 4 * MIB},
        },
        "media_policy": {"enabled": False},
        "sentry": {"enabled": False},
        "metrics_listen": f"127.0.0.1:{METRICS_PORT}",  # else the agent reads them
        "logging": {"format": "json", "output": "stdout"},
        "flight_recorder": {
            "enabled": True,
            "dir": f"{settings.root}/{EVIDENCE}",
            "signing_key_path": f"{settings.root}/{RECEIPT_KEY}",
        },
    }


def tls_interception(settings: Settings) -> dict[str, Any]:
    """Return how TLS is opened, if it is."""
    if settings.certificate is None:
        return {"enabled": False}
    return {
        "enabled": True,
        "ca_cert": settings.certificate,
        "ca_key": settings.key,
        "passthrough_domains": [rule.host for rule in settings.rules if rule.level == "opaque"],
        "max_response_bytes": 16 * MIB,  # of which it takes a hundred times as much memory
    }


def closed_apexes(names: Sequence[str]) -> list[str]:
    """Return what must be refused by name: a wildcard opens what it stands below, too."""
    apexes = {name.removeprefix("*.") for name in names if name.startswith("*.")}
    return sorted(apex for apex in apexes if not opened(apex, names))


def opened(host: str, names: Iterable[str]) -> bool:
    """Say whether a name is allowed by itself or by a wildcard above it."""
    return any(host == name or (name.startswith("*.") and host.endswith(name[1:])) for name in names)


def render_config(settings: Settings) -> bytes:
    """Return the configuration as YAML."""
    return yaml.safe_dump(build_config(settings), sort_keys=False).encode()
