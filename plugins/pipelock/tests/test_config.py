"""The configuration as data and as a file."""

from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bottle_pipelock.config import LONGEST_BODY, NOWHERE, ConfigError, Settings, make_config
from bottle_pipelock.render import render
from claude_bottle.seam.levels import HostRule, Level

NAMES = ("a.test", "b.a.test", "c.b.a.test", "*.a.test", "*.b.a.test", "*.test", "192.0.2.1", "2001:db8::1")


def rule(host: str, level: Level = "block") -> HostRule:
    """Return a rule as it is answered under block."""
    return HostRule(host=host, level=level, plain="block", why="test")


def config(*rules: HostRule, **more: Any) -> Any:
    """Return the configuration for some hosts."""
    given: dict[str, Any] = {"certificate": "ca.pem", "key": "ca-key.pem", **more}
    return make_config(Settings(name="demo", root="/etc/pipelock", port=8888, rules=rules, **given))


def opens(patterns: list[str], name: str, *, apex: bool) -> bool:
    """Whether one of the patterns holds for a name; of `*.x`, as pipelock reads it in some lists, for x too."""
    return any(
        pattern == name or (pattern.startswith("*.") and (name.endswith(pattern[1:]) or (apex and name == pattern[2:])))
        for pattern in patterns
    )


rules = st.lists(
    st.builds(rule, st.sampled_from(NAMES), st.sampled_from(("block", "opaque"))), unique_by=lambda it: it.host
)


def test_only_strict_mode_looks_at_the_allowlist() -> None:
    """The one mode in which a host that is not listed is refused."""
    made = config(rule("b.test"), rule("a.test"))
    assert (made["mode"], made["enforce"], made["api_allowlist"]) == ("strict", True, ["a.test", "b.test"])


def test_no_host_at_all_is_still_a_configuration() -> None:
    """Pipelock does not start with an empty allowlist, so a name stands there that never resolves."""
    assert config()["api_allowlist"] == [NOWHERE]
    assert NOWHERE.endswith(".invalid")


@given(rules)
def test_exactly_what_is_allowed_is_open(allowed: list[HostRule]) -> None:
    """As pipelock reads its two lists, a name is open if and only if a rule of ours holds for it."""
    made = config(*allowed)
    blocked = made["fetch_proxy"]["monitoring"]["blocklist"]
    for name in ("a.test", "b.a.test", "c.b.a.test", "x.c.b.a.test", "test", "other"):
        ours = opens([it.host for it in allowed], name, apex=False)
        theirs = opens(made["api_allowlist"], name, apex=True) and not opens(blocked, name, apex=True)
        assert ours == theirs, name


@given(rules)
def test_exactly_what_is_opaque_passes_through(allowed: list[HostRule]) -> None:
    """The list is short, and says neither more nor less."""
    made = config(*allowed)["tls_interception"]["passthrough_domains"]
    opaque = [it.host for it in allowed if it.level == "opaque"]
    for name in ("a.test", "b.a.test", "c.b.a.test", "x.c.b.a.test", "test", "192.0.2.1"):
        assert opens(opaque, name, apex=False) == opens(made, name, apex=False)


def test_a_host_below_an_opaque_wildcard_adds_nothing() -> None:
    """So that it can be allowed while pipelock runs, which does not let that list grow."""
    before = config(rule("*.a.test", "opaque"))["tls_interception"]
    assert config(rule("*.a.test", "opaque"), rule("b.a.test", "opaque"))["tls_interception"] == before


def test_the_action_is_one_for_all() -> None:
    """Warn everywhere, or block as soon as anything blocks."""
    warn = HostRule(host="a.test", level="warn", plain="warn", why="test")
    assert config(warn, dlp_action="warn")["request_body_scanning"]["action"] == "warn"
    assert config(warn, rule("b.test"), dlp_action="warn")["request_body_scanning"]["action"] == "block"
    assert config(warn, dlp_action="block")["request_body_scanning"]["action"] == "block"


@pytest.mark.parametrize("half", [{"key": None}, {"certificate": None}])
def test_half_an_authority_is_an_error(half: Mapping[str, None]) -> None:
    """Pipelock would look for the other half in its home."""
    with pytest.raises(ConfigError, match="not one of them"):
        config(**half)


def test_no_authority_means_no_interception() -> None:
    """It is said, and not left to a default."""
    assert config(certificate=None, key=None)["tls_interception"] == {"enabled": False}


def test_private_addresses_are_the_only_ones_that_are_let_through() -> None:
    """What the manifest lists, and nothing that we add."""
    assert config(private_addresses=("10.1.0.0/16",))["ssrf"] == {"ip_allowlist": ["10.1.0.0/16"]}
    assert config()["ssrf"] == {"ip_allowlist": []}
    assert {"169.254.0.0/16", "127.0.0.0/8", "168.63.129.16/32", "fc00::/7"} <= set(config()["internal"])


def test_what_was_learnt_from_the_real_program_is_set() -> None:
    """Each of these values stands against something that was seen to break."""
    made = config()
    assert (made["default_agent_identity"], made["bind_default_agent_identity"]) == ("demo", True)
    assert made["forward_proxy"]["max_tunnel_seconds"] == made["forward_proxy"]["idle_timeout_seconds"] == 86400
    assert made["response_scanning"]["enabled"]
    assert made["response_scanning"]["sse_streaming"]["enabled"]
    assert made["forward_proxy"]["sni_verification"]
    assert made["response_scanning"]["action"] == made["response_scanning"]["sse_streaming"]["action"] == "warn"
    assert made["tls_interception"]["max_response_bytes"] == LONGEST_BODY == 16 << 20
    assert made["request_body_scanning"]["scan_headers"]
    assert [made[key]["enabled"] for key in ("seed_phrase_detection", "media_policy", "sentry", "taint")] == [False] * 4
    assert made["dlp"] == {"scan_env": False}
    assert made["metrics_listen"].startswith("127.0.0.1:")
    assert made["logging"] == {"format": "json", "output": "stdout"}
    assert made["flight_recorder"]["signing_key_path"] == "/etc/pipelock/receipt.key"


@given(rules)
def test_the_file_says_what_the_data_says(allowed: list[HostRule]) -> None:
    """Rendering loses nothing, and is the same bytes each time."""
    made = config(*allowed)
    assert yaml.safe_load(render(made)) == made
    assert render(made) == render(config(*allowed))
