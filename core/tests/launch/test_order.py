"""The order of a launch, and what is left when any step of it fails."""

import os
import threading

import pytest
from core_stage import Stage

from claude_bottle.errors import BottleError, LaunchError, PluginError, ProofError
from claude_bottle.launch.launch import Running
from claude_bottle.seam.part import Injection

UP = [
    "open_site",
    "start_proxy",
    "start_proxy late",
    "start_bottle",
    "start_bottle late",
    "ready",
    "provision_ca",
    "provision_prompt",
    "provision_skills",
    "provision_ssh",
    "provision_git",
    "provision",
]
PROOF = {"witness", "look"}
"""What happens beside the steps from `start_bottle` to `provision_prompt`."""
MADE = ["site made", "bottle made"]


def calls(journal: list[str]) -> list[str]:
    """Return the steps of a launch alone."""
    made = ("site made", "bottle made", "resolve proxy", "event", "sidecar", "warm", "looked")
    return [line for line in journal if not line.startswith(made)]


def test_a_launch_goes_up_in_order_and_down_in_reverse(stage: Stage) -> None:
    """S2, S14: site, proxy, bottle, readiness, CA, proof, prompt, skills, ssh, git; work comes out; then back."""
    up: list[str] = []
    stage.launch(lambda running: up.extend(stage.user.left()))
    journal = [line for line in calls(stage.user.journal) if line not in PROOF]
    assert journal[: len(UP)] == UP
    assert journal[len(UP) :] == ["collect", "stop proxy", "stop bottle", "stop proxy", "close site"]
    assert len(up) == 4  # the backend's folder, the sidecar, the record and its socket
    assert stage.user.left() == []


def test_the_proof_begins_with_the_bottle_and_nothing_goes_in_before_its_end(stage: Stage) -> None:
    """N2: it looks around once the bottle is up, at the proxy once that serves, and the prompt waits for both."""
    stage.set(pause="look")
    stage.launch()
    journal = stage.user.journal
    looks, ends = ([at for at, line in enumerate(journal) if line == word] for word in ("look", "looked"))
    assert len(looks) == len(ends) == 2
    assert journal.index("bottle made") < journal.index("witness") < looks[0] < looks[1]
    assert journal.index("ready") < looks[1]
    assert ends[1] < journal.index("provision_prompt")


@pytest.mark.parametrize("step", ["ready", "provision_ca", "provision_prompt"])
def test_a_proof_does_not_outlive_its_launch(stage: Stage, step: str) -> None:
    """N2, S14: whatever fails beside it is told in its own words, and nobody looks around afterwards."""
    stage.set(fail=step, pause="look")
    with pytest.raises(BottleError, match=f"{step} refused"):
        stage.launch()
    assert [it.name for it in threading.enumerate() if it.name == "proof"] == []
    assert stage.user.left() == []


@pytest.mark.parametrize(("leak", "message"), [("", "ready refused"), ("no stage", "the stage does not answer")])
def test_a_backend_that_is_gone_is_told_and_not_its_proxy(stage: Stage, leak: str, message: str) -> None:
    """S14: a proxy that does not get ready is the cause only where the backend still answers."""
    stage.set(fail="ready", leak=leak)
    with pytest.raises(BottleError, match=message):
        stage.launch()
    assert stage.user.left() == []


def test_the_bottle_has_its_environment_and_the_launcher_has_not(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """S7: literals, placeholders of the proxy and forwarded values reach the bottle; nothing reaches `os.environ`."""
    seen: list[bytes] = []
    monkeypatch.setenv("HOST_ONLY", "not for the bottle")
    stage.launch(lambda running: seen.append(running.bottle.exec("env").stdout))
    text = seen[0].decode()
    assert {"LOG_LEVEL=debug", "STAGE_AGENT=yes", "STAGE_PLACEHOLDER=placeholder", "TOKEN=a secret"} <= set(
        text.splitlines()
    )
    assert "HOST_ONLY" not in text
    assert "TOKEN" not in os.environ


LOGIN = Injection(name="LOGIN", host="api.example.com", header="authorization")


def test_the_bottle_has_a_placeholder_and_never_the_credential(stage: Stage) -> None:
    """S4: what the proxy injects it gets whole, and the backend never."""
    seen: list[bytes] = []
    stage.launch(lambda running: seen.append(running.bottle.exec("env").stdout), injected=[LOGIN])
    assert b"LOGIN=for LOGIN\n" in seen[0]
    assert b"the real" not in seen[0]
    assert b"TOKEN=a secret\n" in seen[0]


@pytest.mark.parametrize("given", ["nothing", "the value"])
def test_a_proxy_that_makes_no_placeholder_stops_the_launch(stage: Stage, given: str) -> None:
    """S4: one that forgot to inject, or would hand the credential over, is named before there is a bottle."""
    stage.set(inject=given)
    with pytest.raises(PluginError, match="gave no placeholder for LOGIN") as caught:
        stage.launch(injected=[LOGIN])
    assert "the real" not in str(caught.value)
    assert "start_bottle" not in stage.user.journal
    assert stage.user.left() == []


def test_the_fingerprint_is_said_once_the_ca_is_trusted(stage: Stage) -> None:
    """S1: one line with the SHA-256 of the CA's DER form."""
    stage.launch()
    assert stage.said[:1] == [
        "tls intercept: CA SHA-256 619675f1bfc22c9e5e8b987cbdc08826930d9de06d5db9c81dfd8ef9d57ffdad"
    ]


def test_a_proxy_that_opens_no_tls_has_no_ca(stage: Stage) -> None:
    """S2: without a CA the step is left out."""
    stage.set(ca="none")
    stage.launch()
    assert "provision_ca" not in stage.user.journal


def test_what_is_no_certificate_stops_the_launch(stage: Stage) -> None:
    """A proxy that gives garbage as its CA is an error, and nothing is left."""
    stage.set(ca="garbage")
    with pytest.raises(LaunchError, match="no certificate"):
        stage.launch()
    assert stage.user.left() == []


@pytest.mark.parametrize("how", ["refuse", "crash", "exit"])
@pytest.mark.parametrize("step", [step for step in UP if step != "ready"])
def test_a_failure_at_any_step_leaves_nothing(stage: Stage, step: str, how: str) -> None:
    """S14: whatever a plugin does at a step, refuse, crash or try to end the program, all that was made is removed."""
    stage.set(fail=step, how=how)
    with pytest.raises(BottleError) as failure:
        stage.launch()
    if how == "refuse":
        assert (failure.value.message, failure.value.hint) == (f"{step} refused", "the hint of the stage")
    else:
        assert isinstance(failure.value, PluginError)
        assert "(stage-plugins 1.0) failed: " in failure.value.message
    # A site that was never opened cannot be closed.
    assert stage.user.left() == []
    assert ("close site" in stage.user.journal) == (step != "open_site")
    assert "attach" not in stage.user.journal


@pytest.mark.parametrize("step", ["ready", "witness", "look"])
def test_a_handle_that_refuses_leaves_nothing(stage: Stage, step: str) -> None:
    """S14: also what a plugin's site, proxy or bottle raises ends the launch in order."""
    stage.set(fail=step)
    with pytest.raises(BottleError, match=f"{step} refused"):
        stage.launch()
    assert stage.user.left() == []


@pytest.mark.parametrize("how", ["crash", "system", "exit"])
@pytest.mark.parametrize("step", ["ready", "witness", "look"])
def test_a_handle_that_crashes_is_told_with_its_plugin(stage: Stage, step: str, how: str) -> None:
    """A plugin's mistake outside of its hooks has an owner too, and leaves nothing."""
    stage.set(fail=step, how=how)
    with pytest.raises(PluginError, match=r"\(stage-plugins 1\.0\) failed: ") as failure:
        stage.launch()
    assert failure.value.plugin == ("stageway" if step == "ready" else "stage")
    assert stage.user.left() == []


@pytest.mark.parametrize(
    ("answer", "leak", "message"),
    [
        ("refuse", "witness", "the bottle reaches the host at 127.0.0.1"),
        ("refuse", "name", "the bottle's resolver knows"),
        ("refuse", "no witness", "the backend has no witness on the host"),
        ("refuse", "deaf witness", "does not answer the host"),
        ("open", "", "the proxy does not refuse as it should"),
        ("mute", "", "the proxy does not refuse as it should"),
    ],
)
def test_without_proof_there_is_no_agent(stage: Stage, answer: str, leak: str, message: str) -> None:
    """N1, N2, N7: a hole, or a proof that proves nothing, stops before the prompt, and everything is removed."""
    stage.set(answer=answer, leak=leak)
    with pytest.raises(ProofError, match=message):
        stage.launch()
    assert "provision_prompt" not in stage.user.journal
    assert stage.user.left() == []


def test_a_proxy_that_ends_at_once_is_told_in_its_own_words(stage: Stage) -> None:
    """N14: a dead proxy is no bottle."""
    stage.set(answer="dead")
    with pytest.raises(LaunchError, match="the proxy ended: last words"):
        stage.launch()
    assert stage.user.left() == []


@pytest.mark.parametrize("how", ["refuse", "crash", "exit"])
@pytest.mark.parametrize("step", ["stop proxy", "stop bottle"])
def test_a_failing_way_back_is_told_and_goes_on(stage: Stage, step: str, how: str) -> None:
    """S14: a step of the way back that fails keeps no other from running; the site sweeps what it should have."""
    stage.set(fail=step, how=how)
    stage.launch()
    assert stage.user.left() == []
    warnings = [line for line in stage.said if line.startswith("warning: not removed: ")]
    assert warnings
    assert all(line.endswith("(run bottle cleanup)") for line in warnings)


def test_an_error_in_the_body_passes_unchanged(stage: Stage) -> None:
    """What happens while the agent runs is the caller's, after everything was removed."""

    def body(running: Running) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stage.launch(body)
    assert stage.user.left() == []


@pytest.mark.parametrize(
    ("rules", "fault"),
    [
        ("lost", "it does not answer for agent.example"),
        ("added", "it adds added.example"),
        ("twice", "it answers twice for one host"),
    ],
)
def test_a_proxy_that_answers_for_other_hosts_is_refused(stage: Stage, rules: str, fault: str) -> None:
    """Core refuses lost and added hosts before anyone is asked."""
    stage.set(rules=rules)
    with pytest.raises(PluginError, match=f"proxy stageway: {fault}"):
        stage.prepared()
