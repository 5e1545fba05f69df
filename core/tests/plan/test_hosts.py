"""The rules of a bottle's hosts: level and why, ports, one rule a host."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from claude_bottle.errors import Problem
from claude_bottle.manifest.types import Egress, Inject, Secret, Ssh
from claude_bottle.plan.environment import SecretSources, env_names
from claude_bottle.plan.hosts import check_answer, inject_problems, inspect_problems, wanted_rules, way_problems
from claude_bottle.plan.spec import BottleSpec, Choice
from claude_bottle.seam.levels import DlpAction, HostRule, HostWish, Level

NAMES = ["api.example.com", "example.org", "a.b.example.org", "*.example.org", "192.0.2.7", "2001:db8::1"]
LEVELS: list[Level] = ["block", "warn", "opaque"]
ACTIONS: list[DlpAction] = ["block", "warn"]


def spec(
    *allowlist: str,
    inspect: Mapping[str, Level] | None = None,
    dlp: DlpAction = "block",
    ssh: tuple[Ssh, ...] = (),
) -> BottleSpec:
    """Return a spec with an egress section and SSH hosts."""
    return BottleSpec(
        agent="reviewer",
        slug="reviewer",
        bottle="dev",
        agent_plugin="claude",
        backend=Choice("stage", "flag"),
        proxy=Choice("stageway", "flag"),
        egress=Egress(allowlist=allowlist, inspect=inspect or {}, dlp_action=dlp),
        folder=Path("/project"),
        ssh=ssh,
    )


def ssh(host: str, port: int = 22) -> Ssh:
    """Return an SSH entry."""
    return Ssh(host=host, user="git", port=port, identity_file="~/.ssh/id")


def test_the_manifest_decides_before_a_suggestion_and_a_suggestion_before_dlp_action() -> None:
    """S4: level and why are the manifest's `inspect`, else the first suggestion, else `dlp_action`."""
    wishes = [
        HostWish(host="one.example", level="opaque", why="the agent"),
        HostWish(host="two.example", level="opaque", why="the agent"),
        HostWish(host="two.example", level="warn", why="another"),
        HostWish(host="three.example", why="no opinion"),
    ]
    rules = wanted_rules(spec("two.example", inspect={"one.example": "warn"}), wishes)
    assert {rule.host: (rule.level, rule.why) for rule in rules} == {
        "one.example": ("warn", "manifest"),
        "two.example": ("opaque", "the agent"),
        "three.example": ("block", "dlp_action"),
    }


def test_a_suggestion_never_reaches_plain_http() -> None:
    """Plain HTTP is scanned at the manifest's `inspect`, else at `dlp_action`, whatever a plugin suggests."""
    wishes = [HostWish(host=host, level="opaque", why="the agent") for host in ("one.example", "two.example")]
    rules = wanted_rules(spec(inspect={"one.example": "warn"}), wishes)
    assert [(rule.host, rule.plain) for rule in rules] == [("one.example", "warn"), ("two.example", "block")]


@given(
    allowlist=st.lists(st.sampled_from(NAMES)),
    inspect=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(LEVELS)),
    wishes=st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from([*LEVELS, None]))),
    dlp=st.sampled_from(ACTIONS),
)
def test_rules_are_sorted_single_and_never_leave_plain_http_unread(
    allowlist: list[str], inspect: dict[str, Level], wishes: list[tuple[str, Level | None]], dlp: DlpAction
) -> None:
    """S16, S24: hosts are sorted, each once, allowed by somebody, and `plain` is never opaque."""
    given_spec = spec(*allowlist, inspect=inspect, dlp=dlp)
    rules = wanted_rules(given_spec, [HostWish(host=host, level=level, why="plugin") for host, level in wishes])
    hosts = [rule.host for rule in rules]
    named = {*allowlist, *(host for host, _ in wishes)}
    assert hosts == sorted(set(hosts))
    assert named <= set(hosts)
    assert all(host in named or "*.example.org" in named for host in hosts)
    assert {rule.plain for rule in rules} <= {"block", "warn"}
    for rule in rules:
        if rule.host in inspect:
            assert (rule.level, rule.why) == (inspect[rule.host], "manifest")


def test_a_closer_inspect_wins_and_makes_a_rule_of_its_own_under_a_wildcard() -> None:
    """N5: `inspect` for a name below an allowed wildcard holds for that name alone."""
    rules = wanted_rules(spec("*.example.org", inspect={"*.example.org": "opaque", "a.example.org": "block"}), [])
    assert [(rule.host, rule.level) for rule in rules] == [("*.example.org", "opaque"), ("a.example.org", "block")]


def test_an_inspected_wildcard_covers_the_names_below_it_and_not_itself() -> None:
    """N5: `*.x` concerns any depth below x, never x, and never a name that only ends alike."""
    allowed = ["example.org", "a.b.example.org", "evilexample.org"]
    rules = wanted_rules(spec(*allowed, "*.example.org", inspect={"*.example.org": "opaque"}), [])
    assert {rule.host: rule.level for rule in rules} == {
        "example.org": "block",
        "a.b.example.org": "opaque",
        "evilexample.org": "block",
        "*.example.org": "opaque",
    }


def test_ports_are_the_web_s_unless_one_is_named() -> None:
    """A host is open at 80 and 443, at the port it was listed with, or at the union of all mentions."""
    rules = wanted_rules(spec("a.example", "b.example:8443", "c.example", "c.example:8443"), [])
    assert {rule.host: rule.ports for rule in rules} == {
        "a.example": (80, 443),
        "b.example": (8443,),
        "c.example": (80, 443, 8443),
    }


def test_an_ssh_host_is_open_at_its_port_alone_where_raw_bytes_pass() -> None:
    """S24, N3: an SSH entry opens its port for raw bytes and nothing else; an allowlist entry adds the web's ports."""
    rules = wanted_rules(spec("git.example", ssh=(ssh("git.example"), ssh("only.example", 2222))), [])
    assert [(rule.host, rule.ports, rule.raw_ports, rule.level, rule.why) for rule in rules] == [
        ("git.example", (22, 80, 443), (22,), "opaque", "ssh"),
        ("only.example", (2222,), (2222,), "opaque", "ssh"),
    ]


def test_inspect_of_a_host_that_nothing_allows_is_a_problem() -> None:
    """A rule that would do nothing is never passed over; its line and a cure are named."""
    given_spec = spec("api.example.com", inspect={"typo.example.com": "opaque"})
    assert inspect_problems(given_spec, wanted_rules(given_spec, []), "bottle.yaml:7") == [
        Problem(
            "typo.example.com is inspected but not allowed",
            "add it to egress.allowlist, or remove the line",
            "bottle.yaml:7",
        )
    ]


def test_inspect_with_a_port_is_a_problem() -> None:
    """A level holds for the whole host, so a port beside it is refused instead of ignored."""
    given_spec = spec("db.example:5432", inspect={"db.example:5432": "opaque"})
    [problem] = inspect_problems(given_spec, wanted_rules(given_spec, []), "bottle.yaml:7")
    assert problem.message == "db.example:5432: a level holds for a host at all its ports"
    assert problem.hint == "write db.example"


def answer(*hosts: str) -> list[HostRule]:
    """Return a rule for each host."""
    return [HostRule(host=host, level="block", plain="block", why="test") for host in hosts]


def test_a_proxy_answers_for_every_host_once() -> None:
    """A proxy can neither lose nor add a host, nor answer twice for one."""
    wanted = answer("a.example", "b.example")
    assert check_answer(wanted, answer("b.example", "a.example")) is None
    assert check_answer(wanted, answer("a.example")) == "it does not answer for b.example"
    assert check_answer(wanted, answer("a.example", "b.example", "c.example")) == "it adds c.example"
    assert check_answer(wanted, answer("a.example", "b.example", "b.example")) == "it answers twice for one host"


def inject(host: str = "api.com") -> Secret:
    """Return a secret that is to be injected."""
    return Secret(secret="Token", inject=Inject(host=host, header="authorization"))


@pytest.mark.parametrize(
    ("allowed", "inspect", "host", "said"),
    [
        (("api.com",), {}, "api.com", ""),
        (("*.api.com",), {}, "v2.api.com", ""),
        (("api.com:8443",), {}, "api.com:8443", ""),
        (("other.com",), {}, "api.com", "api.com:443, which is not allowed"),
        (("*.api.com",), {}, "api.com", "api.com:443, which is not allowed"),
        (("api.com:8443",), {}, "api.com", "api.com:443, which is not allowed"),
        (("api.com",), {"api.com": "opaque"}, "api.com", "whose TLS is not opened (manifest)"),
        (("*.api.com",), {"*.api.com": "opaque"}, "v2.api.com", "whose TLS is not opened (manifest)"),
    ],
)
def test_a_credential_s_host_is_allowed_and_opened(
    allowed: tuple[str, ...], inspect: Mapping[str, Level], host: str, said: str
) -> None:
    """S4: one that would never get there is a problem with its key, before anything starts."""
    wanted = replace(spec(*allowed, inspect=inspect), env=(("TOKEN", inject(host)),))
    names = env_names(wanted, [], SecretSources({}, {}, str), injects=True)
    problems = way_problems(wanted, names.injected, wanted_rules(wanted, []))
    assert [(it.where, said in it.message) for it in problems] == (
        [("bottles.dev.env.TOKEN.inject.host", True)] if said else []
    )


@pytest.mark.parametrize(
    ("other", "injects", "said"),
    [
        (Secret(secret="another"), True, []),
        (inject(), True, []),
        (Secret(secret="another"), False, ["which the proxy way cannot do"]),
        (Secret(secret="Token"), True, ["the same secret as OTHER"]),
    ],
)
def test_a_credential_is_kept_from_the_agent_or_refused(other: Secret, injects: bool, said: list[str]) -> None:
    """S4: a proxy that cannot inject, and a second variable with the same secret, are problems with the key."""
    wanted = replace(spec(), env=(("TOKEN", inject()), ("OTHER", other)))
    problems = inject_problems(wanted, "way", injects)
    mine = [it for it in problems if it.where == "bottles.dev.env.TOKEN.inject"]
    assert [text in it.message for text, it in zip(said, mine, strict=True)] == [True] * len(said)
