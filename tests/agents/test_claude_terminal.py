"""The interactive Claude Code at a real terminal: no question at its start, every key, the terminal as it was."""

from collections.abc import Iterator

import pytest
from agents_tmux import Terminal
from agents_user import KEY, Company
from e2e_user import BINARIES, Bottle, wait_until
from model_claude import ClaudeModel

pytestmark = pytest.mark.timeout(600)  # as in test_claude
Claude = Company[ClaudeModel]
PROMPT = "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}"
MODEL = "api.anthropic.com"
KILL = 'for it in /proc/[0-9]*; do if [ "$(cat $it/comm 2>/dev/null)" = claude ]; then kill -9 ${it#/proc/}; fi; done'


@pytest.fixture
def terminal(claude: Claude) -> Iterator[Terminal]:
    """A terminal at which the agent is started, with a login in its environment."""
    environment = {**claude.user.environment, "ANTHROPIC_API_KEY": KEY, "CLAUDE_CODE_MAX_RETRIES": "0"}
    window = Terminal(claude.user.work, environment)
    claude.manifest({}, {"agent": "claude"})
    window.run([str(BINARIES / "bottle"), "start", "reviewer", "--file", "bottle.yaml", "--yes"])
    yield window
    window.close()
    assert wait_until(lambda: claude.user.listed() == [])


def test_a_session_from_its_start_to_its_end(claude: Claude, terminal: Terminal) -> None:
    """From start to prompt nothing is asked; a round of tools, another size, Ctrl-C and `/exit` do what they should.

    No host but the model's is so much as asked for, and there none of what would tell of its use.
    """
    screen = terminal.see(PROMPT, 400)
    assert "bypass permissions on" in terminal.see("bypass permissions on"), screen
    terminal.type("[[mock:bash id -un]]")
    terminal.see("MOCK-FINAL agent")
    terminal.resize(90, 30)
    terminal.type("[[mock:bash stty size </dev/tty || echo none]] [[mock:slow 100 0.2]]")
    terminal.see("MOCK-SLOW-3")
    assert all(len(line) <= 90 for line in terminal.screen().splitlines())
    terminal.press("C-c")
    terminal.see("Interrupted")
    terminal.type("say hi")
    terminal.see("MOCK-HELLO")
    terminal.type("/exit")
    terminal.see("code=0")
    assert terminal.restored()
    assert {event["host"] for event in claude.user.events()} == {MODEL}
    paths = {it.path.partition("?")[0] for it in claude.model.seen}
    assert "/v1/messages" in paths
    assert [it for it in paths if it.startswith(("/api/event_logging", "/api/eval"))] == []


def test_a_crash_leaves_the_terminal_as_it_was(claude: Claude, terminal: Terminal) -> None:
    """Claude Code is killed in its full-screen mode: the code is that of the signal, and the cause is told."""
    terminal.see("bypass permissions on", 400)
    [row] = claude.user.listed()
    Bottle(claude.user, row["name"]).sh(KILL)
    terminal.see("code=137")
    assert "claude: Claude Code was killed (exit code 137)" in " ".join(terminal.screen().split())
    assert terminal.restored()
