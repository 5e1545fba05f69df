"""The machine and the versions that a run is about."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from rival import NODE, SRT

__all__ = ["describe", "first_line", "hardware", "load"]


def load() -> float:
    """Return the load average of the last minute."""
    return os.getloadavg()[0]


def describe(*, srt: bool) -> str:
    """Return one line: processor, cores, memory, kernel, versions."""
    parts = (
        hardware(),
        f"Python {platform.python_version()}",
        f"mitmproxy {version('mitmproxy')}",
        first_line("bwrap", "--version"),
        " ".join(first_line("curl", "--version").split()[:2]),
        f"srt {SRT} on node {NODE}" if srt else "without srt",
        "as root" if os.getuid() == 0 else "as a plain user",
    )
    return ", ".join(parts)


def hardware() -> str:
    """Return processor, cores, memory and kernel."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    kernel = f"Linux {platform.release().partition('-')[0]} {platform.machine()}"
    return f"{processor()}, {os.cpu_count()} cores, {memory:.0f} GB, {kernel}"


def processor() -> str:
    """Return the processor's name, its architecture where the kernel has no name for it."""
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else platform.machine()


def first_line(*argv: str) -> str:
    """Return the first line that a program prints."""
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.partition("\n")[0]
