"""The preflight: fixed labels and keys, in their order, and nothing in it that is not a fact."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from claude_bottle.manifest.types import Ssh, Workspace
from claude_bottle.plan.plan import EgressPlan, Plan
from claude_bottle.plan.spec import Choice, Upstream
from claude_bottle.plan.view import render_json, render_text, view_plan
from claude_bottle.seam.levels import HostRule, Level
from claude_bottle.seam.part import Injection

LABELS = [
    "agent",
    "bottle",
    "backend",
    "proxy",
    "egress",
    "tls intercept",
    "dlp",
    "env",
    "skills",
    "ssh",
    "workspace",
    "prompt",
]


class BoxSection(Struct, frozen=True):
    """A backend's section."""

    memory: str


class Empty(Struct, frozen=True):
    """A section without settings."""


def rule(host: str, level: Level, why: str, ports: tuple[int, ...] = (80, 443), raw: tuple[int, ...] = ()) -> HostRule:
    """Return a rule that scans plain HTTP."""
    return HostRule(host=host, level=level, plain="block", why=why, ports=ports, raw_ports=raw)


PLAN = Plan(
    agent="reviewer",
    bottle="dev",
    slug="reviewer",
    agent_plugin="coder",
    backend=Choice("box", "manifest"),
    proxy=Choice("way", "manifest"),
    egress=EgressPlan(
        rules=(
            rule("*.example.org", "opaque", "manifest"),
            rule("api.coder.example", "opaque", "coder asks for warn; way cannot for one host"),
            rule("api.example.com", "block", "dlp_action"),
            rule("github.com", "opaque", "ssh", ports=(22,), raw=(22,)),
        ),
        dlp_action="block",
    ),
    argv=("coder",),
    runtime="runsc",
    literals=(("CODER_QUIET", "1"), ("LOG_LEVEL", "the value of a literal")),
    agents_own=("CODER_QUIET",),
    forwarded=("API_URL", "CODER_TOKEN", "GITHUB_TOKEN"),
    skills=("pdf", "review"),
    ssh=(Ssh(host="github.com", user="git", port=22, identity_file="~/.ssh/id_ed25519"),),
    prompt="You review changes.\nSecond line.",
    resources=("claude-bottle-reviewer",),
    sections=(("coder", Empty()), ("box", BoxSection("4g")), ("way", Empty())),
)

JSON = """\
{
  "version": 1,
  "agent": "reviewer",
  "bottle": "dev",
  "slug": "reviewer",
  "runtime": "runsc",
  "backend": {
    "name": "box",
    "why": "manifest"
  },
  "proxy": {
    "name": "way",
    "why": "manifest"
  },
  "egress": {
    "hosts": [
      "*.example.org",
      "api.coder.example",
      "api.example.com",
      "github.com"
    ],
    "dlp_action": "block",
    "inspect": {
      "*.example.org": {
        "level": "opaque",
        "why": "manifest"
      },
      "api.coder.example": {
        "level": "opaque",
        "why": "coder asks for warn; way cannot for one host"
      },
      "api.example.com": {
        "level": "block",
        "why": "dlp_action"
      },
      "github.com": {
        "level": "opaque",
        "why": "ssh"
      }
    },
    "tls_interception": {
      "enabled": true,
      "ca_fingerprint": null
    },
    "private_addresses": [],
    "upstream": null
  },
  "env": {
    "literal": [
      "LOG_LEVEL"
    ],
    "forwarded": [
      "API_URL",
      "CODER_TOKEN",
      "GITHUB_TOKEN"
    ],
    "agent": [
      "CODER_QUIET"
    ]
  },
  "skills": [
    "pdf",
    "review"
  ],
  "ssh": [
    {
      "host": "github.com",
      "user": "git",
      "port": 22
    }
  ],
  "workspace": null,
  "prompt": "You review changes.",
  "resources": [
    "claude-bottle-reviewer"
  ],
  "sections": {
    "box": {
      "memory": "4g"
    }
  },
"""

TEXT = """\
agent         : reviewer (coder)
bottle        : dev, runtime runsc
backend       : box (manifest)
proxy         : way (manifest)
egress        : *.example.org, api.coder.example, api.example.com, github.com
tls intercept : way (per-bottle ephemeral CA, generated at launch)
dlp           : block; *.example.org opaque (manifest); \
api.coder.example opaque (coder asks for warn; way cannot for one host); github.com opaque (ssh)
env           : LOG_LEVEL, API_URL (forwarded), CODER_TOKEN (forwarded), GITHUB_TOKEN (forwarded), CODER_QUIET (coder)
skills        : pdf, review
ssh           : git@github.com:22
workspace     : none
prompt        : You review changes.
"""


def test_the_json_is_the_documented_one() -> None:
    """S1, S9, S16: keys, values and order of the documented preflight; later keys come after them."""
    assert render_json(view_plan(PLAN)).startswith(JSON)


def test_the_text_is_the_documented_one() -> None:
    """S1, S9: the fixed labels in their order, the TLS line, and each host whose level differs."""
    assert render_text(view_plan(PLAN)) == TEXT


def test_text_and_json_show_no_value_and_no_key() -> None:
    """S7: neither a variable's value nor the path of an identity appears."""
    shown = render_text(view_plan(PLAN)) + render_json(view_plan(PLAN))
    assert "the value of" not in shown
    assert "id_ed25519" not in shown


def test_what_the_agent_sees_of_secrets_is_shown() -> None:
    """S10, S12: where each comes from, which of them the agent sees, and where the proxy puts the others."""
    injected = (
        Injection(name="CODER_TOKEN", host="api.coder.example", header="authorization"),
        Injection(name="KEY", host="api.example.com", port=8443, header="x-key"),
    )
    sources = (("CODER_TOKEN", "keyring"), ("GITHUB_TOKEN", "asked for"), ("KEY", "--secret-file"))
    text = render_text(view_plan(replace(PLAN, forwarded=("GITHUB_TOKEN",), injected=injected, sources=sources)))
    assert text.splitlines()[len(LABELS) :] == [
        "secrets       : CODER_TOKEN (keyring), GITHUB_TOKEN (asked for), KEY (--secret-file)",
        "agent sees    : GITHUB_TOKEN",
        "injected      : CODER_TOKEN into authorization for api.coder.example; the agent holds a placeholder",
        "injected      : KEY into x-key for api.example.com:8443; the agent holds a placeholder",
    ]
    assert "GITHUB_TOKEN (forwarded), CODER_TOKEN (injected), KEY (injected)" in text


def test_labels_of_plugins_come_after_the_fixed_ones() -> None:
    """A plugin's line stands after core's, in the order of the plugins; of one label no line is lost."""
    plan = replace(PLAN, lines=(("limits", "4 GiB"), ("props", "some"), ("limits", "100 processes")))
    view = view_plan(plan)
    labels = [line.partition(":")[0].strip() for line in render_text(view).splitlines()]
    assert labels == [*LABELS, "limits", "props"]
    assert view.details == {"limits": "4 GiB; 100 processes", "props": "some"}


def test_what_loosens_or_stands_behind_the_proxy_is_shown() -> None:
    """Private addresses, and upstreams of the user's own configuration, are lines and keys of their own."""
    upstream = Upstream(
        ca=("/etc/ca.pem",), hosts=(("api.example.com", "10.0.0.1:443"),), proxy="http://proxy.example:3128"
    )
    egress = replace(PLAN.egress, private_addresses=("10.0.0.0/8",), upstream=upstream)
    view = view_plan(replace(PLAN, egress=egress, workspace=Workspace(mode="bind"), words=("sh", "-c", "a b")))
    lines = dict(line.split(" : ", 1) for line in render_text(view).splitlines())
    shown = {label.strip(): value for label, value in lines.items() if label.strip() not in LABELS}
    assert shown == {
        "command": "sh -c 'a b'",
        "private addresses": "10.0.0.0/8",
        "upstream": "api.example.com at 10.0.0.1:443",
        "upstream ca": "/etc/ca.pem",
        "upstream proxy": "http://proxy.example:3128 (it decides the address)",
    }
    assert view.workspace == "bind"


def test_ports_stand_with_the_host_unless_they_are_the_usual_ones() -> None:
    """A port of its own is in the host's text, an address of six in brackets; SSH's port is on the ssh line."""
    rules = (
        rule("2001:db8::1", "block", "dlp_action", ports=(8443,)),
        rule("a.example", "block", "dlp_action", ports=(80, 443, 8443)),
        rule("b.example", "block", "dlp_action", ports=(443,)),
        rule("git.example", "opaque", "ssh", ports=(22, 80, 443), raw=(22,)),
    )
    view = view_plan(replace(PLAN, egress=EgressPlan(rules=rules, dlp_action="block")))
    assert view.egress.hosts == (
        "[2001:db8::1]:8443",
        "a.example",
        "a.example:8443",
        "b.example:443",
        "git.example",
    )


def test_a_plan_is_shown_alike_each_time() -> None:
    """The view is a function of the plan: byte for byte the same, and valid JSON."""
    first, second = (render_json(view_plan(PLAN)) for _ in range(2))
    assert first == second
    assert msgspec.json.decode(first)["egress"]["hosts"] == sorted(msgspec.json.decode(first)["egress"]["hosts"])


@given(
    prompt=st.text(st.characters(codec="utf-8"), max_size=30),
    word=st.text(st.characters(codec="utf-8"), max_size=30),
    detail=st.text(st.characters(codec="utf-8"), max_size=30),
)
def test_no_text_can_forge_a_line(prompt: str, word: str, detail: str) -> None:
    """Whatever stands in a prompt, a command or a plugin's line, the preflight has one line a fact, all printable."""
    plan = replace(PLAN, prompt=prompt, words=("sh", word), lines=(("props", detail),))
    lines = render_text(view_plan(plan)).split("\n")
    assert len(lines) == len(LABELS) + 3
    assert all(line.isprintable() for line in lines)
