"""pipelock's whole configuration as data, made from what a bottle's plan says. No secret is in it."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from bottle_pipelock.levels import one_action
from claude_bottle.seam.levels import DlpAction, HostRule

__all__ = ["INTERNAL", "LONGEST_BODY", "NOWHERE", "ConfigError", "Settings", "make_config"]

DAY = 24 * 60 * 60
LONGEST_BODY = 16 << 20
"""Bytes of a body that is held in memory and scanned; a longer one is refused."""

NOWHERE = "nothing.invalid"
"""Stands in for an empty allowlist, which pipelock refuses to start with; the name never resolves."""

# IANA's special-purpose registries: pipelock's own list lacks those of documentation, tests and some clouds.
INTERNAL = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",  # metadata of one cloud, on a public address
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/127",
    "64:ff9b::/96",  # behind it may lie any address of IPv4
    "64:ff9b:1::/48",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
)


class ConfigError(ValueError):
    """Settings from which no configuration can be made that means what they say."""


class Settings(Struct, frozen=True, kw_only=True):
    """Everything on which the configuration depends.

    `name` is the bottle's, as commands take it; `root` the folder of all files; `port` where it listens.
    `certificate` and `key` are the files of the authority below `root`, both or neither: without them no TLS
    is opened. `evidence` and `signing_key` are the folder of the receipts and the key that signs them.
    """

    name: str
    root: str
    port: int
    rules: tuple[HostRule, ...] = ()
    dlp_action: DlpAction = "block"
    private_addresses: tuple[str, ...] = ()
    certificate: str | None = None
    key: str | None = None
    evidence: str = "evidence"
    signing_key: str = "receipt.key"


def make_config(settings: Settings) -> Mapping[str, object]:
    """Return the configuration; its keys are those of pipelock 2.3.0, to which an unknown one is fatal.

    ConfigError for half an authority: with one file alone pipelock would look for its own.
    """
    return {
        "version": 1,
        "mode": "strict",  # in every other mode the allowlist is not looked at
        "enforce": True,
        "default_agent_identity": settings.name,
        "bind_default_agent_identity": True,
        "api_allowlist": sorted(rule.host for rule in settings.rules) or [NOWHERE],
        "internal": list(INTERNAL),
        "ssrf": {"ip_allowlist": list(settings.private_addresses)},
        "fetch_proxy": _listener(settings),
        "forward_proxy": {
            "enabled": True,
            "max_tunnel_seconds": DAY,  # an answer of a model is cut off where a tunnel ends
            "idle_timeout_seconds": DAY,
            "sni_verification": True,  # costs keep-alive over HTTP/1.1 where TLS is opened, see docs/pipelock.md
        },
        "tls_interception": _interception(settings),
        "metrics_listen": "127.0.0.1:0",  # away from the port that the agent reaches
        "logging": {"format": "json", "output": "stdout"},
        "flight_recorder": {
            "enabled": True,
            "dir": f"{settings.root}/{settings.evidence}",
            "signing_key_path": f"{settings.root}/{settings.signing_key}",
            # Redacting would leave nothing of a receipt in whose URL something looks like a credential, so that
            # whoever writes `?token=x` is not recorded. The file is the proxy's own and dies with the bottle.
            "redact": False,
        },
        **_scanning(one_action(settings.rules, settings.dlp_action)),
    }


def _listener(settings: Settings) -> Mapping[str, object]:
    return {
        "listen": f"0.0.0.0:{settings.port}",
        "timeout_seconds": 300,
        "max_response_mb": LONGEST_BODY >> 20,
        "monitoring": {
            "max_url_length": 16384,
            "entropy_threshold": 6.0,  # hashes, base64 and names of packages stay below
            "subdomain_entropy_threshold": 5.0,
            "max_requests_per_minute": 100_000,  # counted for a whole domain, and cannot be switched off
            "blocklist": _closed_apexes(settings.rules),
        },
    }


def _interception(settings: Settings) -> Mapping[str, object]:
    if (settings.certificate is None) != (settings.key is None):
        raise ConfigError("an authority is a certificate and its key, not one of them")
    if settings.certificate is None:
        return {"enabled": False}
    return {
        "enabled": True,
        "ca_cert": f"{settings.root}/{settings.certificate}",
        "ca_key": f"{settings.root}/{settings.key}",
        "passthrough_domains": _passthrough(settings.rules),
        "max_response_bytes": LONGEST_BODY,
    }


def _scanning(action: DlpAction) -> Mapping[str, object]:
    return {
        "request_body_scanning": {
            "enabled": True,
            "action": action,
            "max_body_bytes": LONGEST_BODY,
            "scan_headers": True,
            "header_mode": "all",
        },
        "dlp": {"scan_env": False},  # its own environment holds no secret
        "seed_phrase_detection": {"enabled": False},  # an agent's own system prompt is one
        # Not `enabled: false`, which makes it refuse where it should warn, and holds back streams.
        "response_scanning": {
            "enabled": True,
            "action": "warn",
            "sse_streaming": {"enabled": True, "action": "warn", "max_event_bytes": 4 << 20},
        },
        "media_policy": {"enabled": False},
        "taint": {"enabled": False},
        "sentry": {"enabled": False},
    }


def _closed_apexes(rules: Sequence[HostRule]) -> list[str]:
    """`*.x` opens x too, unless x is on the blocklist; x may be open for a reason of its own."""
    hosts = [rule.host for rule in rules]
    apexes = {host.removeprefix("*.") for host in hosts if host.startswith("*.")}
    return sorted(apex for apex in apexes if apex not in hosts and not _below(apex, hosts))


def _passthrough(rules: Sequence[HostRule]) -> list[str]:
    """Hosts that are not opened, without those below another: in a running pipelock the list cannot grow."""
    hosts = [rule.host for rule in rules if rule.level == "opaque"]
    return sorted(host for host in hosts if not _below(host.removeprefix("*."), hosts))


def _below(name: str, hosts: Iterable[str]) -> bool:
    return any(name.endswith(host[1:]) for host in hosts if host.startswith("*."))
