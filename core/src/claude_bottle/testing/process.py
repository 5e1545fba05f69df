"""A sidecar of the kit's own backend: a process of this machine, as whoever runs the test."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

from claude_bottle.errors import DeadlineError
from claude_bottle.seam.bottle import ExecResult
from claude_bottle.seam.sidecar import File, SidecarSpec

__all__ = ["LocalSidecar"]

PAUSE = 0.02
"""Seconds between two looks at what it says."""


class LocalSidecar:
    """A process whose files lie in the site's folder."""

    def __init__(self, spec: SidecarSpec, root: Path) -> None:
        self._root = root
        self.put(spec.files)
        for name in spec.folders:
            (root / name).mkdir(parents=True)
        if spec.warm is not None:
            spec.warm.end()
        with (root / "stdout").open("wb") as out, (root / "stderr").open("wb") as errors:
            self._process = subprocess.Popen(
                spec.argv,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=errors,
                env=dict(spec.env),
                cwd=root,
                start_new_session=True,
            )
        with suppress(OSError), self._process.stdin or nullcontext() as stdin:
            _ = stdin and stdin.write(spec.stdin)

    def lines(self, timeout: float | None = None) -> Iterator[bytes]:
        """Yield its stdout, which is a file that grows while it runs."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with (self._root / "stdout").open("rb") as file:
            part = b""
            while True:
                runs = self._process.poll() is None  # asked first: what it said before its end is read after it
                part += file.readline()
                if part.endswith(b"\n") or (part and not runs):
                    yield part
                    part = b""
                elif not runs:
                    return
                elif deadline is not None and time.monotonic() > deadline:
                    raise DeadlineError("the proxy said nothing in time")
                else:
                    time.sleep(PAUSE)

    @property
    def last_words(self) -> str:
        """The last line of its stderr."""
        return (self._root / "stderr").read_text(errors="replace").rstrip().rpartition("\n")[2]

    def exec(self, argv: Sequence[str], timeout: float) -> ExecResult:
        """Run a command beside it."""
        done = subprocess.run(argv, cwd=self._root, timeout=timeout, capture_output=True, check=False)
        return ExecResult(done.returncode, done.stdout, done.stderr)

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout)
        return None

    def put(self, files: Sequence[File]) -> None:
        """Write files, each in one step."""
        for file in files:
            path = self._root / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f"{path.name}.new")
            new.write_bytes(file.data)
            new.chmod(file.mode)
            new.replace(path)

    def get(self, name: str) -> Mapping[str, bytes]:
        """Return the files of a folder."""
        return {path.name: path.read_bytes() for path in (self._root / name).glob("*") if path.is_file()}

    def stop(self) -> None:
        """End it and whatever it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
