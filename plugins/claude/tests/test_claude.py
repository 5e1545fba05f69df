"""What the plugin `claude` says of a launch, and what it makes of a home, without a bottle that runs."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from bottle_claude.claude import PLUGIN, Claude
from bottle_claude.section import ClaudeSection
from bottle_claude.settings import settings
from bottle_claude.trouble import Turn, failed_turn, last_turn
from claude_bottle.manifest.types import Egress
from claude_bottle.plan.spec import BottleSpec, Choice, Draft
from claude_bottle.seam.event import Event
from claude_bottle.seam.part import Part
from claude_bottle.seam.tree import FileEntry


def spec(folder: Path = Path("/project"), **section: Any) -> BottleSpec:
    """Return what a manifest with this section asks for."""
    return BottleSpec(
        agent="reviewer",
        slug="reviewer",
        bottle="dev",
        agent_plugin="claude",
        backend=Choice("none", "flag"),
        proxy=Choice("none", "flag"),
        egress=Egress(),
        folder=folder,
        sections=(("claude", msgspec.convert(section, PLUGIN.section)),),
    )


def plan(**section: Any) -> Part[ClaudeSection]:
    """Return the plugin's part of the plan."""
    return Claude().resolve_plan(spec(**section), Draft())


def test_the_model_is_all_that_it_needs_to_reach() -> None:
    """Its conversation goes there by design, so what looks like a credential is recorded and let through."""
    assert [(wish.host, wish.level) for wish in plan().hosts] == [("api.anthropic.com", "warn")]
    login = {(wish.host, wish.level) for wish in plan(login="inside").hosts}
    hosts = ("api.anthropic.com", "claude.ai", "console.anthropic.com", "platform.claude.com")
    assert login == {(host, "warn") for host in hosts}


def test_what_it_does_of_its_own_accord_is_off() -> None:
    """In its own words: telemetry, the marketplace, updates, and complaints that it was not installed by itself."""
    assert plan().env == (
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        ("CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL", "1"),
        ("DISABLE_AUTOUPDATER", "1"),
        ("DISABLE_INSTALLATION_CHECKS", "1"),
    )


def test_a_gateway_s_token_is_handed_over() -> None:
    """It goes to no host that is known here, so the agent holds it; a login of the model's host need not be."""
    assert plan().forward == ("ANTHROPIC_AUTH_TOKEN",)
    where = [(it.name, it.prefix, it.host, it.header, it.format) for it in plan().credentials]
    assert where == [
        ("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat", "api.anthropic.com", "authorization", "Bearer {}"),
        ("ANTHROPIC_API_KEY", "sk-ant-api", "api.anthropic.com", "x-api-key", "{}"),
    ]


def test_what_is_kept_is_said_before_the_start() -> None:
    """Where it lies, and that no login is in it; by default there is no such line."""
    [(label, text)] = plan(state="keep").lines
    assert (label, text.endswith(".tar, without credentials")) == ("state", True)
    assert plan().lines == ()


def test_permissions_are_skipped_because_the_bottle_confines() -> None:
    """`permissions: ask` leaves them to Claude Code, and the preflight says so."""
    assert plan().argv == ("claude", "--dangerously-skip-permissions")
    asked = plan(permissions="ask")
    assert asked.argv == ("claude",)
    assert ("permissions", "Claude Code asks for each") in asked.lines


def test_the_tested_release_is_pinned_and_another_is_not() -> None:
    """An integrity for each kind of machine; for a version that the manifest names the registry's word is taken."""
    [program] = plan().programs
    assert {package.machine for package in program.packages} == {"x86_64", "aarch64"}
    assert all(package.integrity.startswith("sha512-") for package in program.packages)
    [other] = plan(version="2.1.300").programs
    assert {(package.version, package.integrity) for package in other.packages} == {("2.1.300", "")}


def test_the_host_s_own_program_is_named_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`install: host` follows links; where there is none it is a problem with the key's place."""
    (tmp_path / "real").write_text("#!/bin/sh\n")
    (tmp_path / "real").chmod(0o755)
    (tmp_path / "claude").symlink_to("real")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [it.host for it in plan(install="host").programs] == [str(tmp_path / "real")]
    monkeypatch.setenv("PATH", "/nowhere")
    [problem] = Claude().validate(spec(install="host"))
    assert problem.where == "bottles.dev.claude.install"


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ({"version": "latest"}, "version"),
        ({"version": "2.1.332", "install": "host"}, "version"),
        ({"subagents": ["../../.ssh/id_ed25519"]}, "subagents"),
        ({"subagents": ["absent"]}, "subagents"),
        ({"memory": "absent.md"}, "memory"),
        ({"memory": "pipe"}, "memory"),
        ({"memory": "/dev/zero"}, "memory"),
        ({"memory": "large.md"}, "memory"),
    ],
)
def test_what_cannot_be_had_is_a_problem(section: dict[str, Any], key: str, tmp_path: Path, monkeypatch: Any) -> None:
    """A version that is none, a name that leaves its folder, a file that is not there, too large, or none."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for folder in (".claude/agents", ".ssh"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / ".ssh" / "id_ed25519.md").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large.md").write_bytes(b"a" * ((1 << 20) + 1))
    monkeypatch.setattr("bottle_claude.claude.host_program", lambda: tmp_path)
    assert [it.where for it in Claude().validate(spec(tmp_path, **section))] == [f"bottles.dev.claude.{key}"]


def test_a_memory_is_found_beside_the_manifest() -> None:
    """Its path is relative to the manifest's folder, and the preflight shows the whole of it."""
    assert ("handed over", "/project/notes.md as ~/.claude/CLAUDE.md") in plan(memory="notes.md").lines


def test_no_question_is_left() -> None:
    """Onboarding, trust, bypass and the key: each has its answer, and of the key only its end is written."""
    known, chosen = (json.loads(it.data) for it in settings("0123456789abcdefghij") if isinstance(it, FileEntry))
    assert known["hasCompletedOnboarding"]
    assert known["bypassPermissionsModeAccepted"]
    assert known["projects"] == {"/workspace": {"hasTrustDialogAccepted": True}}
    assert known["customApiKeyResponses"]["approved"] == ["0123456789abcdefghij"]
    assert chosen == {"skipDangerousModePermissionPrompt": True}


@pytest.mark.parametrize("line", ["", "no JSON", "[]", '{"apiErrorStatus": "x"}', '{"error": 1}'])
def test_a_transcript_that_the_agent_spoilt_explains_nothing(line: str) -> None:
    """Whatever is written there, no end of a launch fails over it."""
    assert last_turn(line) == Turn()
    assert list(failed_turn(Turn(), None, ())) == []  # type: ignore[arg-type]


PLAN: Any = SimpleNamespace(forwarded=(), injected=())
EVENT = {"time": 0, "verdict": "allow", "host": "api.anthropic.com"}
ANSWERED: Any = {"method": "POST", "path": "/v1/messages?beta=…", "status": 200}
WARNED: Any = {"method": "POST", "verdict": "warn", "reason": "request header contains secret", "rule": "dlp"}


@pytest.mark.parametrize(
    ("turn", "event", "said"),
    [
        ({"error": "unknown"}, ANSWERED, "what api.anthropic.com answered is broken off, or is none of its answers"),
        ({"error": "server_error"}, {**ANSWERED, "reason": "its answer is broken off"}, "answered is broken off, or"),
        ({"apiErrorStatus": 502}, {"path": "/v1/messages", "reason": "it closed"}, "cannot be reached: it closed"),
        ({"apiErrorStatus": 502}, {"rule": "upstream", "reason": "no name"}, "cannot be reached: no name"),
        ({"error": "server_error"}, {}, "cannot be reached: no answer came"),
        ({"error": "server_error"}, {"method": "CONNECT"}, "cannot be reached: no answer came"),
        ({"apiError": "tls_untrusted_ca"}, {"method": "CONNECT"}, "has a certificate that the bottle does not trust"),
        ({"error": "unknown"}, WARNED, "answered is broken off, or"),
        ({"apiErrorStatus": 529}, WARNED, "the service is overloaded or out of order (529)"),
        ({"apiErrorStatus": 529}, ANSWERED, "the service is overloaded or out of order (529)"),
        ({"error": "invalid_request"}, ANSWERED, None),
    ],
)
def test_a_failed_turn_has_the_cause_that_the_proxy_saw(
    turn: dict[str, Any], event: dict[str, Any], said: str | None
) -> None:
    """An answer that is none is no want of one; what Claude Code itself finds wrong is no fault of the network's."""
    line = json.dumps({"isApiErrorMessage": True, **turn})
    aside = Event(time=0, verdict="allow", host="api.anthropic.com", path="/api/claude_code/settings", status=404)
    events = [aside, msgspec.convert({**EVENT, **event}, Event)]
    causes = list(failed_turn(last_turn(line), PLAN, events))
    assert [said in it.message for it in causes if said] == [True] * len(causes)
    assert (causes == []) == (said is None)
