"""The start-up budget: how much of Python each command loads before it does its work."""

import subprocess
import sys
from pathlib import Path

import pytest

# Loaded late or never: each costs more than the rest of a command together.
HEAVY = {"asyncio", "cryptography", "docker", "mitmproxy", "requests", "rich"}

# From 3.12 on, the standard library's own importlib.metadata and pathlib come in more parts.
NEWER = 20 if sys.version_info >= (3, 12) else 0

MANIFEST = """\
version: 1
bottles:
  dev:
    backend: bwrap
    proxy: mitmproxy
    egress:
      allowlist: [api.example.com]
agents:
  shell:
    bottle: dev
    agent: shell
"""

# Both are run by the same interpreter in the same way, and import nothing to look at themselves.
BARE = "import sys"
COMMAND = """\
import sys
from claude_bottle.cli.main import main
try:
    code = main()
except SystemExit as stop:
    code = stop.code
if code:
    sys.exit(code)
"""
DUMP = "\nopen({file!r}, 'w', encoding='utf-8').write('\\n'.join(sys.modules))"


def loaded(code: str, arguments: list[str], folder: Path) -> set[str]:
    """The modules that a fresh interpreter has loaded after `code`, which must end well."""
    report = folder / "modules"
    environment = {
        "HOME": str(folder),
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "LANG": "C.UTF-8",
    }
    answer = subprocess.run(
        [sys.executable, "-c", code + DUMP.format(file=str(report)), *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    return set(report.read_text().splitlines())


@pytest.mark.parametrize(
    ("budget", "arguments"),
    [
        pytest.param(25, ["--version"], id="version"),
        pytest.param(95, ["--help"], id="help"),
        pytest.param(200, ["plugins", "list"], id="plugins-list"),
        pytest.param(250, ["start", "shell", "--dry-run", "--file", "bottle.yaml"], id="dry-run"),
    ],
)
def test_a_command_loads_no_more_than_its_budget(tmp_path: Path, budget: int, arguments: list[str]) -> None:
    """Modules over the bare count of the same interpreter stay within the budget, no heavy one among them."""
    (tmp_path / "bottle.yaml").write_text(MANIFEST)
    extra = loaded(COMMAND, arguments, tmp_path) - loaded(BARE, [], tmp_path)
    assert {name for name in extra if name.partition(".")[0] in HEAVY} == set()
    assert len(extra) <= budget + NEWER, ", ".join(sorted(extra))
