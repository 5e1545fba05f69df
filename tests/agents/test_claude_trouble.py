"""When things go wrong with Claude Code: one line of ours at the end, with the cause and the cure."""

import re

import pytest
from agents_user import KEY, Company
from e2e_user import Done
from model_claude import ClaudeModel

pytestmark = pytest.mark.timeout(600)  # as in test_claude
Claude = Company[ClaudeModel]
RETRIES = {"CLAUDE_CODE_MAX_RETRIES": "0"}


def run(claude: Claude, prompt: str, bottle: dict[str, object] | None = None, **env: str) -> Done:
    """Run one prompt in a bottle of its own."""
    claude.manifest({"env": RETRIES, **(bottle or {})}, {"agent": "claude"})
    return claude.start("-p", prompt, env={"ANTHROPIC_API_KEY": KEY, **env})


def last_line(done: Done) -> str:
    """Return what was said last, which is what a reader sees first."""
    return done.err.rstrip("\n").rpartition("\n")[2]


def test_an_expired_login_is_told_from_a_refusal(claude: Claude) -> None:
    """A 401 of the service: which variable it does not accept; the exit code and stdout are Claude Code's."""
    done = run(claude, "[[mock:error 401]]")
    assert (done.code, done.out) == (1, "Invalid API key · Fix external API key\n")
    cure = "`bottle login claude`, or set a new one"
    expected = f"claude: the service does not accept ANTHROPIC_API_KEY: it is wrong, or has expired; {cure}"
    assert last_line(done) == expected


def test_an_overloaded_service_is_no_fault_of_the_bottle(claude: Claude) -> None:
    """A 529 of the service: wait."""
    done = run(claude, "[[mock:error 529]]")
    assert done.code == 1
    assert last_line(done).startswith("claude: the service is overloaded or out of order (529); nothing is wrong with")


def test_a_missing_login_says_what_to_set(claude: Claude) -> None:
    """Nothing in the host's environment: the names of what would do."""
    done = run(claude, "say hi", ANTHROPIC_API_KEY="")
    assert done.code == 1
    assert last_line(done).startswith("claude: Claude Code has no login in this bottle; `bottle login claude`, or set ")


def test_a_full_home_is_named(claude: Claude, full: dict[str, object]) -> None:
    """What the agent filled is named, with the section in which there is more to give."""
    done = run(claude, "[[mock:bash cat /dev/zero >/tmp/fill; true]] [[mock:error 400]]", full)
    assert done.code == 1
    cure = f"remove something there, or give it more room in the bottle's section `{claude.pair.backend}:`"
    assert last_line(done) == f"claude: /tmp in the bottle is full; {cure}"


def test_a_home_that_cannot_be_written_is_named(claude: Claude) -> None:
    """Whoever set another one, or took the right away, is told so beside whatever Claude Code makes of it."""
    done = run(claude, "[[mock:error 400]]", {"env": {**RETRIES, "HOME": "/usr"}})
    assert done.code == 1
    expected = "claude: /usr, the home in the bottle, cannot be written; leave HOME out of the manifest's `env`"
    assert last_line(done).startswith(expected)


@pytest.fixture
def full(claude: Claude) -> dict[str, object]:
    """A bottle with little room in /tmp."""
    return {claude.pair.backend: {"tmp": "16m"}}


def test_too_little_memory_is_a_problem_before_the_start(claude: Claude) -> None:
    """Nobody is asked about a bottle in which Claude Code cannot run."""
    done = run(claude, "say hi", {claude.pair.backend: {"memory": "128m"}})
    assert done.code == 125
    assert "claude does not work with less than 512m of memory, and the bottle has 128m" in done.err


def test_a_refusal_of_the_proxy_is_no_failed_login(claude: Claude) -> None:
    """What the proxy refuses on the way to the model is told as that, whatever Claude Code calls it."""
    claude.needs("one level")
    egress = {"private_addresses": [claude.model.private], "inspect": {"api.anthropic.com": "block"}}
    prompt = "[[mock:bash printf ghp_; printf A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8]]"
    done = run(claude, prompt, {"egress": egress})
    assert done.code == 1
    assert "claude: this is no failed login: the proxy refused what went to api.anthropic.com" in last_line(done)


def test_a_service_that_cannot_be_reached_is_the_network(claude: Claude) -> None:
    """Nothing answers where the name leads: whose network to look at."""
    if claude.pair.proxy == "pipelock":
        pytest.skip("pipelock: it dials the port that was asked for, where the stand-in answers (docs/pipelock.md)")
    config = claude.user.config / "config.yaml"
    before = config.read_text()
    try:
        config.write_text(re.sub(r"(?m)^(    api\.anthropic\.com: .*):\d+$", r"\1:1", before))
        done = run(claude, "say hi", {"egress": {"private_addresses": [claude.model.private]}})
    finally:
        config.write_text(before)
    assert done.code == 1
    assert last_line(done).startswith("claude: api.anthropic.com cannot be reached: ")
