"""What a command loads: the modules of a fresh interpreter, and how many they may be."""

import subprocess
import sys
from pathlib import Path

import pytest

__all__ = ["BARE", "BUDGETS", "COMMAND", "HEAVY", "NEWER", "loaded"]

# Loaded late or never: each costs more than the rest of a command together.
HEAVY = {"asyncio", "cryptography", "docker", "mitmproxy", "requests", "rich"}

# From 3.12 on, the standard library's own importlib.metadata and pathlib come in more parts.
NEWER = 20 if sys.version_info >= (3, 12) else 0

BUDGETS = pytest.mark.parametrize(
    ("budget", "arguments"),
    [
        pytest.param(25, ["--version"], id="version"),
        pytest.param(95, ["--help"], id="help"),
        pytest.param(200, ["plugins", "list"], id="plugins-list"),
        pytest.param(250, ["start", "shell", "--dry-run", "--file", "bottle.yaml"], id="dry-run"),
    ],
)

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


def loaded(code: str, arguments: list[str], folder: Path, path: Path | None = None) -> set[str]:
    """The modules that a fresh interpreter has loaded after `code`, which must end well; `path` goes before its own."""
    report = folder / "modules"
    environment = {
        "HOME": str(folder),
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "LANG": "C.UTF-8",
    }
    answer = subprocess.run(
        [sys.executable, "-c", code + DUMP.format(file=str(report)), *arguments],
        cwd=folder,
        env=environment | ({"PYTHONPATH": str(path)} if path else {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    return set(report.read_text().splitlines())
