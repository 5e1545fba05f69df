"""The README's first page: a token and three commands, from nothing to Claude Code at work, typed at a terminal."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from agents_tmux import Terminal
from agents_user import Company
from e2e_keyring import NOWHERE
from matrix_pair import COLUMNS
from model_claude import ClaudeModel

pytestmark = [
    pytest.mark.timeout(600),  # as in test_claude
    pytest.mark.parametrize("pair", COLUMNS[:1], indirect=True),  # the set that needs nothing else
]
ROOT = Path(__file__).parents[2]
TOKEN = "sk-ant-oat01-" + "Ab3dEf6hIj9l" * 4
"""Nobody's, of the shape by which `bottle login` knows a token."""
COMMIT = "git add -A && git -c user.name=Claude -c user.email=claude@example.com commit -qm from-inside"


def commands() -> list[str]:
    """Return the commands of the page's first block."""
    block = re.search(
        r"^## Claude Code in a bottle\n.*?^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert block
    return [line.partition("#")[0].strip() for line in block[1].splitlines()]


@pytest.fixture
def newcomer(claude: Company[ClaudeModel]) -> Company[ClaudeModel]:
    """Somebody who has a repository, no keyring, and no manifest but what leads the model's name to its stand-in."""
    user = claude.user
    egress = f"{{egress: {{private_addresses: [{claude.model.private}]}}}}"
    (user.config / "bottle.yaml").write_text(
        f"version: 1\nbottles: {{claude: {egress}}}\nagents: {{claude: {{bottle: claude}}}}\n"
    )
    git(user.work, "init", "-q", "-b", "main")
    (user.work / "notes.txt").write_text("one\n")
    git(user.work, "add", "notes.txt")
    git(user.work, "-c", "user.name=You", "-c", "user.email=you@example.com", "commit", "-qm", "begun")
    claude.model.credentials = frozenset({TOKEN})
    return claude


def git(folder: Path, *words: str) -> str:
    """Run git, and return what it prints."""
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_three_commands_lead_to_claude_code_at_work(newcomer: Company[ClaudeModel]) -> None:
    """Installed, logged in, started: the model gets the token, no other host is asked, the commit's branch is here."""
    user = newcomer.user
    install, login, start = commands()
    path = f"{user.home / '.local' / 'bin'}:{user.environment['PATH']}"
    mine = {"PATH": path, "PYTHON_KEYRING_BACKEND": NOWHERE, "PIP_NO_COMPILE": "1"}
    terminal = Terminal(user.work, {**user.environment, **mine})
    try:
        if (ROOT / "core" / "src").is_dir():  # what was installed from wheels has no clone to install from
            terminal.type(f"{install} -C {ROOT}; echo installed=$?")
            terminal.see("installed=0", 200)
            assert (user.home / ".local" / "bin" / "bottle").exists()
        terminal.type(login)
        terminal.see("not shown):")
        terminal.type(TOKEN)
        terminal.see("[y/N]:")
        terminal.type("y")
        terminal.see("stored a long-lived token")
        terminal.type(f"{start}; echo ended=$?")
        assert "CLAUDE_CODE_OAUTH_TOKEN into authorization" in " ".join(terminal.see("start? [y/N]:").split())
        terminal.type("y")
        terminal.see("bypass permissions on", 400)
        terminal.type(f"[[mock:write /workspace/notes.txt|two]] [[mock:bash {COMMIT}]]")
        terminal.see("MOCK-FINAL")
        terminal.type("/exit")
        terminal.see("ended=0")
    finally:
        terminal.close()
    shown = json.loads(user.bottle("start", "claude", "--dry-run", "--format", "json").out)["egress"]["hosts"]
    assert {event["host"] for event in user.events()} == set(shown) == {"api.anthropic.com"}
    assert newcomer.model.messages()[-1].headers["authorization"] == f"Bearer {TOKEN}"
    assert git(user.work, "log", "--format=%s", "main..bottle/claude") == "from-inside\n"
    assert git(user.work, "show", "bottle/claude:notes.txt") == "two"
    assert (user.work / "notes.txt").read_text() == "one\n"
