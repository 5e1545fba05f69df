"""A long session of the real Claude Code, on each pair: `make soak`, never part of the tests."""

import time

import pytest
from agents_user import KEY, Company
from e2e_user import Done
from model_claude import ClaudeModel

pytestmark = pytest.mark.timeout(1200)
Claude = Company[ClaudeModel]
CHUNKS, PAUSE = 181, 2.0
ROUNDS = 40


def run(claude: Claude, prompt: str) -> Done:
    """Run one prompt in a bottle of its own."""
    claude.manifest({"env": {"CLAUDE_CODE_MAX_RETRIES": "0"}}, {"agent": "claude"})
    return claude.start("-p", prompt, env={"ANTHROPIC_API_KEY": KEY})


def test_a_stream_of_six_minutes_arrives_whole(claude: Claude) -> None:
    """No part of the way out ends a stream that goes on."""
    begin = time.monotonic()
    done = run(claude, f"[[mock:slow {CHUNKS} {PAUSE}]]")
    assert done.code == 0, done.err
    assert done.out.split() == [f"MOCK-SLOW-{number}" for number in range(CHUNKS)]
    assert time.monotonic() - begin > (CHUNKS - 1) * PAUSE


def test_forty_rounds_with_a_context_that_grows(claude: Claude) -> None:
    """Each request has all that was said before, and none is refused or lost."""
    done = run(claude, f"[[mock:rounds {ROUNDS} head -c 15000 /dev/urandom | base64 -w 0]]")
    assert done.code == 0, done.err
    assert done.out.startswith("MOCK-FINAL ")
    sizes = [len(it.raw) for it in claude.model.messages()[-ROUNDS - 1 :]]
    assert sizes == sorted(sizes)
    assert sizes[-1] - sizes[0] > ROUNDS * 15_000
    assert all(event["verdict"] != "deny" for event in claude.user.events())
