"""What pipelock is told, as data: from a plan's egress to the YAML that the real program takes."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bottle_pipelock.authority import make_authority, make_receipt_key
from bottle_pipelock.config import CA, CA_KEY, Settings, build_config, closed_apexes, opened, render_config
from bottle_pipelock.levels import too_strict, what_holds
from bottle_pipelock.section import bytes_of
from claude_bottle.seam.levels import HostRule

LABELS = st.sampled_from(["a", "b", "c"])
HOSTS = st.lists(LABELS, min_size=1, max_size=3).map(".".join)
NAMES = st.lists(st.one_of(HOSTS, HOSTS.map("*.{}".format)), max_size=6, unique=True)


def rule(host: str, level: str = "block", **more: object) -> HostRule:
    """Return a rule as core wants it."""
    return HostRule(host=host, level=level, plain="block", why="dlp_action", **more)  # pyright: ignore[reportArgumentType]


def settings(*rules: HostRule, **more: object) -> Settings:
    """Return settings with TLS opened."""
    whole = {"certificate": CA, "key": CA_KEY, "action": "block", **more}
    return Settings(name="reviewer", port=3128, root="/etc/claude-bottle", rules=rules, **whole)  # pyright: ignore[reportArgumentType]


def test_the_list_of_hosts_is_kept_to() -> None:
    """S5: in strict mode alone is the list of allowed hosts more than a list."""
    config = build_config(settings(rule("api.test"), rule("*.wild.test"), rule("git.test", "opaque")))
    assert config["mode"] == "strict"
    assert config["api_allowlist"] == ["api.test", "*.wild.test", "git.test"]
    assert config["tls_interception"]["passthrough_domains"] == ["git.test"]
    assert config["fetch_proxy"]["monitoring"]["blocklist"] == ["wild.test"]
    assert build_config(settings())["api_allowlist"] == ["claude-bottle.invalid"]


def test_management_is_out_of_the_agents_reach() -> None:
    """N15: figures are served inside the sidecar alone, and nothing else that manages it is on."""
    config = build_config(settings(rule("api.test")))
    assert config["metrics_listen"].startswith("127.0.0.1:")
    assert not {"kill_switch", "scan_api", "reverse_proxy"} & config.keys()


@pytest.mark.parametrize("half", [{"certificate": None}, {"key": None}])
def test_half_a_pair_is_an_error(half: dict[str, None]) -> None:
    """A certificate without its key would leave TLS closed in silence."""
    with pytest.raises(ValueError, match="one of them is missing"):
        build_config(settings(rule("api.test"), **half))
    assert build_config(settings(certificate=None, key=None))["tls_interception"] == {"enabled": False}


def test_what_is_rendered_is_what_was_built() -> None:
    """One function builds, another renders, and nothing is lost or added between them."""
    given_settings = settings(rule("*.x.test"), private_addresses=("10.0.0.0/8",))
    assert yaml.safe_load(render_config(given_settings)) == build_config(given_settings)


@given(NAMES, HOSTS)
def test_a_wildcard_never_opens_what_it_stands_below(names: list[str], host: str) -> None:
    """N5: pipelock's own wildcard opens its apex, so the apex is refused by name, unless it is allowed itself."""
    theirs = any(host == name.removeprefix("*.") or (name[0] == "*" and host.endswith(name[1:])) for name in names)
    assert (theirs and host not in closed_apexes(names)) == opened(host, names)


def test_a_level_that_one_host_cannot_have_becomes_opaque() -> None:
    """S4: one action for all that is opened; what is asked for beside it is told, not silently another."""
    wanted = (rule("a.test"), rule("b.test", "warn"), rule("c.test", "opaque"))
    held = what_holds(wanted, "block")
    assert [(it.host, it.level) for it in held] == [("a.test", "block"), ("b.test", "opaque"), ("c.test", "opaque")]
    assert held[1].why == "dlp_action asks for warn; pipelock cannot for one host"
    assert [it.level for it in what_holds((rule("b.test", "warn"),), "warn")] == ["warn"]


def test_block_for_one_host_is_refused_beside_warn() -> None:
    """S4: more than the one action is never silently less."""
    assert too_strict({"a.test": "block", "b.test": "warn"}, "warn") == ["a.test"]
    assert too_strict({"a.test": "block", "b.test": "warn"}, "block") == []


@pytest.mark.parametrize(("size", "count"), [("128m", 128 << 20), ("512M", 512 << 20), ("2g", 2 << 30)])
def test_sizes_are_read(size: str, count: int) -> None:
    """Whole numbers of MiB or GiB."""
    assert bytes_of(size) == count


@pytest.mark.parametrize("size", ["", "1", "64m", "1.5g", "512mb", "-1g"])
def test_sizes_that_are_none_are_refused(size: str) -> None:
    """Also one on which it would not run."""
    with pytest.raises(ValueError, match="is not a size"):
        bytes_of(size)


def test_keys_are_seen_by_nobody() -> None:
    """S11: the authority's key is in no repr, each bottle has another, and both keys have pipelock's own form."""
    one, two = make_authority("dev"), make_authority("dev")
    assert one.key != two.key
    assert repr(one) == "<Authority>"
    assert one.key.startswith(b"-----BEGIN EC PRIVATE KEY-----\n")
    assert make_receipt_key().startswith(b"pipelock-ed25519-private-v1\n")
