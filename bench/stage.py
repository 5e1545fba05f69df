"""The stage of all benchmarks: an upstream, and the files with which each command reaches it."""

import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from authority import make_certificates
from cost import Command
from upstream import PAGE, serving

__all__ = ["AGENT", "HOST", "Stage", "staged"]

HOST = "page.example.com"
AGENT = f"bench-{os.getpid()}"
"""The agent of the bottle that is measured while it runs: a name by which its handle is found."""

MANIFEST = f"""\
version: 1
bottles:
  bench:
    backend: bwrap
    proxy: mitmproxy
    egress:
      allowlist: [{HOST}]
      private_addresses: ["{{address}}/32"]
agents:
  shell: {{{{bottle: bench, agent: shell}}}}
  {AGENT}: {{{{bottle: bench, agent: shell}}}}
"""

CONFIG = """\
upstream:
  ca: [{authority}]
  hosts: {{{host}: "{address}:{port}"}}
"""


class Stage(NamedTuple):
    """A folder for files, the upstream's port on 127.0.0.1 and authority, the environment of `bottle`."""

    folder: Path
    port: int
    authority: Path
    env: Mapping[str, str]

    def bottle(self, *words: str, agent: str = "shell", options: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return the words of a `bottle start` that runs a command."""
        program = str(Path(sys.executable).with_name("bottle"))
        return (program, "start", agent, "--yes", *options, "--file", str(self.folder / "bottle.yaml"), "--", *words)

    def page_in_bottle(self) -> Command:
        """Return curl of the page in a bottle: opened, looked through, and closed again on the way."""
        argv = self.bottle("curl", "-sS", "--fail", f"https://{HOST}/")
        return Command("bottle", argv, PAGE, self.env, self.folder)

    def page_in_bwrap(self) -> Command:
        """Return curl of the page in a bare sandbox that shares the host's network."""
        curl = ("curl", "-sS", "--fail", "--cacert", str(self.authority), f"https://localhost:{self.port}/")
        argv = ("bwrap", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--unshare-pid", "--", *curl)
        return Command("bare bwrap", argv, PAGE, {"PATH": os.environ["PATH"]}, self.folder)


@contextmanager
def staged(address: str = "127.0.0.1", port: int = 0) -> Generator[Stage]:
    """Set everything up in a temporary folder, and take it away again; the upstream is at the address."""
    folder = Path(tempfile.mkdtemp(prefix="bottle-bench-"))
    try:
        authority, server = make_certificates(folder, "localhost", HOST)
        with serving(server, address, port) as found:
            (folder / "bottle.yaml").write_text(MANIFEST.format(address=address), encoding="utf-8")
            config = folder / "config" / "claude-bottle" / "config.yaml"
            config.parent.mkdir(parents=True)
            config.write_text(
                CONFIG.format(authority=authority, host=HOST, address=address, port=found), encoding="utf-8"
            )
            yield Stage(folder, found, authority, surroundings(folder))
    finally:
        shutil.rmtree(folder)


def surroundings(folder: Path) -> dict[str, str]:
    """Return a user's environment with folders of its own for configuration and state."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "XDG_RUNTIME_DIR", "DOCKER_HOST") if name in os.environ}
    return {
        **kept,
        "LANG": "C.UTF-8",
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_STATE_HOME": str(folder / "state"),
    }
