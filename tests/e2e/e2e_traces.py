"""Where a value could have been left on this machine: what the searches of the end-to-end tests share."""

from pathlib import Path

__all__ = ["OURS", "command_line", "processes", "read"]

OURS = (Path("/run/claude-bottle"), Path("/run/claude-bottle-uids"), Path("/dev/shm"))
"""Folders beside the user's own in which something of ours may lie."""


def read(path: Path) -> bytes:
    """Return what can be read of a file now."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def processes() -> list[Path]:
    """Return the folder below `/proc` of each process."""
    return [path for path in Path("/proc").iterdir() if path.name.isdigit()]


def command_line(process: Path) -> str:
    """Return a process's words; `sleep` often stands for the agent."""
    return read(process / "cmdline").replace(b"\0", b" ").decode("utf-8", "replace").strip()
