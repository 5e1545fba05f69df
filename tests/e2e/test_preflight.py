"""What `bottle start` shows before it does anything, for shell + bwrap + mitmproxy: text, JSON, problems, choices."""

import json
import os
from typing import Any, cast

import pytest
from e2e_user import User

MANIFEST = """
version: 1
bottles:
  dev:
    backend: bwrap
    egress:
      allowlist: [api.example.com, "*.example.org", api.example.com, "db.example.com:5432"]
      inspect: {"*.example.org": opaque}
    env:
      LOG_LEVEL: debug
      API_URL: "${HOST_API_URL}/v2"
    bwrap: {memory: 2g}
agents:
  My Reviewer:
    bottle: dev
    agent: shell
    prompt: |
      You review changes.
      Carefully.
"""
LABELS = [
    *("agent", "bottle", "backend", "proxy", "egress", "tls intercept", "dlp"),
    *("env", "skills", "ssh", "workspace", "prompt", "limits"),
]
GOLDEN: dict[str, Any] = {
    "version": 1,
    "agent": "My Reviewer",
    "bottle": "dev",
    "slug": "my-reviewer",
    "runtime": None,
    "backend": {"name": "bwrap", "why": "manifest"},
    "proxy": {"name": "mitmproxy", "why": "goes with bwrap"},
    "egress": {
        "hosts": ["*.example.org", "api.example.com", "db.example.com:5432"],
        "dlp_action": "block",
        "inspect": {
            "*.example.org": {"level": "opaque", "why": "manifest"},
            "api.example.com": {"level": "block", "why": "dlp_action"},
            "db.example.com": {"level": "block", "why": "dlp_action"},
        },
        "tls_interception": {"enabled": True, "ca_fingerprint": None},
    },
    "env": {"literal": ["LOG_LEVEL"], "forwarded": ["API_URL"]},
    "skills": [],
    "ssh": [],
    "workspace": None,
    "prompt": "You review changes.",
    "resources": ["claude-bottle-my-reviewer"],
    "sections": {"bwrap": {"memory": "2g", "processes": 1024, "tmp": "1g", "home": "2g", "workspace": "4g"}},
}
"""The documented keys, in their order. Keys may be added later, never removed."""
HOST = {"HOST_API_URL": "https://nobody-shows-this.example"}


@pytest.fixture
def planner(user: User) -> User:
    """Somebody with the manifest above, whose configuration says only that no engine of this machine counts."""
    (user.config / "config.yaml").write_text("block: [docker]\n")
    (user.work / "bottle.yaml").write_text(MANIFEST)
    return user


def dry_run(user: User, *words: str, agent: str = "My Reviewer", env: dict[str, str] | None = None) -> Any:
    """Return the JSON of a dry run."""
    done = user.bottle("start", agent, "--dry-run", "--format=json", *words, env={**HOST, **(env or {})})
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_the_json_is_the_documented_one(planner: User) -> None:
    """S1, S9, S10, S16, S21, S24: every key with its type, hosts sorted and each once, names of variables alone."""
    shown = dry_run(planner)
    assert {key: pick(shown[key], value) for key, value in GOLDEN.items()} == GOLDEN
    assert [key for key in shown if key in GOLDEN] == list(GOLDEN)
    assert [key for key in shown["egress"] if key in GOLDEN["egress"]] == list(GOLDEN["egress"])


def pick(shown: Any, wanted: Any) -> Any:
    """Return what is shown, without keys that were added after they were documented."""
    if not isinstance(wanted, dict):
        return shown
    keys = cast("dict[str, Any]", wanted)
    return {key: pick(shown[key], value) for key, value in keys.items()}


def test_the_text_has_the_same_facts(planner: User) -> None:
    """S1, S9: one `label : value` line each, in the documented order; interception stands under the egress."""
    done = planner.bottle("start", "My Reviewer", "--dry-run", env=HOST)
    rows = [line.partition(" : ") for line in done.out.splitlines()]
    facts = {label.strip(): value for label, _, value in rows}
    assert list(facts) == LABELS
    assert facts["tls intercept"] == "mitmproxy (per-bottle ephemeral CA, generated at launch)"
    assert facts["egress"] == ", ".join(GOLDEN["egress"]["hosts"])
    assert facts["backend"] == "bwrap (manifest)"
    assert facts["prompt"] == GOLDEN["prompt"]
    assert "*.example.org opaque" in facts["dlp"]


def test_a_dry_run_does_nothing(planner: User) -> None:
    """S3, S16: no file is made, nobody is asked, no engine is needed, and what was not checked is said on stderr."""
    before = sorted(planner.folder.rglob("*"))
    done = planner.bottle("start", "My Reviewer", "--dry-run", env={**HOST, "PATH": "/nowhere"})
    assert (done.code, sorted(planner.folder.rglob("*"))) == (0, before)
    assert done.err.splitlines() == ["not checked: bwrap on this machine", "not checked: mitmproxy on this machine"]
    again = planner.bottle("start", "My Reviewer", "--dry-run", env=HOST)
    assert again.out == done.out


def test_an_engine_that_nobody_named_and_that_does_not_answer_is_no_dead_end(planner: User) -> None:
    """S18: it is never passed over in silence; what could be taken instead is said, but of what was named."""
    planner.chosen = {}
    (planner.config / "config.yaml").unlink(missing_ok=True)
    planner.manifest({})
    gone = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "CLAUDE_BOTTLE_BACKEND": ""}
    words = ("start", "reviewer", "--yes", "--file", "bottle.yaml")
    done = planner.bottle(*words, "--", "true", env=gone)
    assert (done.code, "; or take another backend: --backend bwrap" in done.err) == (125, True), done.err
    named = planner.bottle(*words, "--backend", "docker", "--proxy", "mitmproxy", "--", "true", env=gone)
    assert (named.code, "another backend" in named.err) == (125, False), named.err


def test_no_value_is_shown(planner: User) -> None:
    """S10: neither form has a variable's value in it."""
    for form in ("text", "json"):
        done = planner.bottle("start", "My Reviewer", "--dry-run", "--format", form, env=HOST)
        assert [word for word in ("nobody-shows-this", "debug") if word in done.out + done.err] == []


def test_who_chose_is_said(planner: User) -> None:
    """S31: flag before environment before manifest before configuration before preference."""
    manifest = planner.work / "bottle.yaml"
    env = {"CLAUDE_BOTTLE_BACKEND": "bwrap", "CLAUDE_BOTTLE_PROXY": "mitmproxy"}
    whys = [(plan["backend"]["why"], plan["proxy"]["why"]) for plan in choices(planner, env)]
    manifest.write_text(MANIFEST.replace("    backend: bwrap\n", ""))
    whys += [(plan["backend"]["why"], plan["proxy"]["why"]) for plan in choices(planner, {})[1:]]
    (planner.config / "config.yaml").write_text("backend: bwrap\nproxy: mitmproxy\n")
    whys += [(plan["backend"]["why"], plan["proxy"]["why"]) for plan in choices(planner, {})[1:]]
    assert whys == [
        ("flag", "flag"),
        ("CLAUDE_BOTTLE_BACKEND", "CLAUDE_BOTTLE_PROXY"),
        ("preference; docker is blocked", "goes with bwrap"),
        ("user config", "user config"),
    ]


def choices(user: User, env: dict[str, str]) -> list[Any]:
    """Return the plan with flags, and the one without."""
    return [dry_run(user, "--backend", "bwrap", "--proxy", "mitmproxy", env=env), dry_run(user, env=env)]


def test_a_backend_that_is_not_there_is_a_problem(planner: User) -> None:
    """S31: the environment's word counts, also where it is wrong."""
    done = planner.bottle("start", "My Reviewer", "--dry-run", env={**HOST, "CLAUDE_BOTTLE_BACKEND": "bwarp"})
    assert done.code == 1
    assert "did you mean bwrap?" in done.err


def test_all_problems_are_shown_at_once(user: User) -> None:
    """S6: whatever is wrong is said together, with file, line and key, before anyone is asked."""
    (user.work / "bottle.yaml").write_text(
        MANIFEST.replace("memory: 2g", "memry: 2g")
        .replace("prompt: |", "promt: |")
        .replace("[api.example.com, ", "[-bad-, ")
    )
    done = user.bottle("start", "My Reviewer", "--yes", "--file", "bottle.yaml")
    assert done.code == 125
    for key in ("7: bottles.dev.egress.allowlist[0]", "12: bottles.dev.bwrap.memry", '17: agents["My Reviewer"].promt'):
        assert f"error: bottle.yaml:{key}: " in done.err, done.err
    assert "did you mean prompt?" in done.err
    assert user.events() == []


def test_what_nobody_claims_is_an_error(user: User) -> None:
    """S6, S34: a key that no installed plugin can do is refused with its name, never ignored."""
    user.manifest({"runtime": "runsc"})
    done = user.start("true")
    assert done.code == 125
    assert ".runtime" in done.err
    assert user.bottle("start", "reviewer", "--dry-run").code == 1


def test_the_prompt_is_always_a_file(user: User) -> None:
    """S28: with a prompt it holds the whole of it, without one it is empty."""
    user.manifest(agent={"prompt": "You review.\nCarefully."})
    assert user.start("cat", "/home/agent/.bottle/prompt.md").out == "You review.\nCarefully."
    user.manifest()
    done = user.start("cat", "/home/agent/.bottle/prompt.md")
    assert (done.code, done.out) == (0, "")


def test_there_is_no_root_for_the_agent(user: User) -> None:
    """S20: root inside is for provisioning, where a backend has it; this one has none, and says so."""
    user.detached()
    done = user.bottle("exec", "--root", "reviewer", "--", "id")
    assert (done.code, done.out) == (125, "")
    assert "there is no root in this bottle" in done.err


def test_what_lies_behind_the_proxy_is_shown(user: User) -> None:
    """The user's own `upstream:` and what `private_addresses` opens stand in text and JSON."""
    shown = json.loads(user.bottle("start", "reviewer", "--dry-run", "--format=json").out)["egress"]
    assert shown["private_addresses"] == ["127.0.0.0/8"]
    assert shown["upstream"]["hosts"]["api.e2e.test"].startswith("127.0.0.1:")
    text = user.bottle("start", "reviewer", "--dry-run").out
    assert [label for label in ("upstream ", "upstream ca ", "private addresses ") if label not in text] == []


def test_a_warning_names_what_a_manifest_loosens(user: User) -> None:
    """A manifest that nobody approved is shown with all that it takes and loosens, without values."""
    done = user.bottle("start", "reviewer", "--yes", env={"SHELL": "/bin/sh"})
    assert done.code == 125
    assert "loosens bottles.dev.egress.private_addresses[0]: 127.0.0.0/8" in done.err


def test_one_command_has_two_names(user: User) -> None:
    """`claude-bottle` is the same program, under a name that no other package owns."""
    own = user.bottle("--version")
    path = user.environment["PATH"].partition(":")[0]
    assert os.access(f"{path}/claude-bottle", os.X_OK)
    assert own.out.startswith("bottle ")


def test_doctor_finds_this_machine_fit(user: User) -> None:
    """Where all these tests run, `doctor` says that they can."""
    done = user.bottle("doctor")
    assert done.code == 0
    assert "bottle start uses bwrap and mitmproxy here" in done.out


def test_plugins_are_listed(user: User) -> None:
    """S33: the three of the default set are there, each usable."""
    rows = json.loads(user.bottle("plugins", "list", "--format", "json").out)["plugins"]
    assert {(row["kind"], row["name"], row["status"]) for row in rows} >= {
        ("agent", "shell", "available"),
        ("backend", "bwrap", "available"),
        ("proxy", "mitmproxy", "available"),
    }


def test_a_proxy_in_a_network_of_its_own_is_not_led_to_this_machines_loopback(user: User) -> None:
    """What can never be dialled from there is a problem before anyone is asked, at a dry run too."""
    done = user.bottle("start", "reviewer", "--proxy", "pipelock", "--dry-run")
    assert done.code == 1
    assert "upstream.hosts: api.e2e.test: 127.0.0.1:" in done.err
    assert "pipelock on bwrap has a network of its own" in done.err
    assert user.bottle("start", "reviewer", "--proxy", "mitmproxy", "--dry-run").code == 0


def test_what_a_pair_needs_is_a_problem_of_the_first_step(user: User) -> None:
    """A dry run does not look for it; a launch names what is missing for these two, with the cure."""
    (user.config / "config.yaml").unlink()
    user.manifest({"egress": {"allowlist": ["api.example.com"]}})
    path = os.pathsep.join(
        it for it in user.environment["PATH"].split(os.pathsep) if not os.access(f"{it}/pipelock", os.X_OK)
    )
    words = ("start", "reviewer", "--file", "bottle.yaml", "--proxy", "pipelock")
    dry, done = (user.bottle(*words, last, env={"PATH": path}) for last in ("--dry-run", "--yes"))
    assert dry.code == 0
    assert "not checked: pipelock on this machine" in dry.err
    assert done.code == 125
    assert "proxy pipelock: pipelock: pipelock is not on PATH" in done.err
    assert "put pipelock 2.3.0 on PATH" in done.err
