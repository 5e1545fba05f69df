"""The stage's site, sidecar and bottle: the kit's own, which tell what they do and fail where they are told to."""

import os
import socket
import subprocess
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from stage_world import leak, note, step

from claude_bottle.errors import UnavailableError
from claude_bottle.seam.bottle import Dial, Sightings
from claude_bottle.seam.owner import Launch
from claude_bottle.seam.sidecar import Address, SidecarSpec
from claude_bottle.seam.tree import Entry
from claude_bottle.testing.bottle import LocalBottle, dial_once
from claude_bottle.testing.local import LocalSite
from claude_bottle.testing.process import LocalSidecar

__all__ = ["StageSite"]


class StageSidecar(LocalSidecar):
    """Tells its number."""

    def __init__(self, spec: SidecarSpec, root: Path) -> None:
        super().__init__(spec, root)
        note(f"sidecar {self._process.pid}")


class StageBottle(LocalBottle):
    """Has walls as far as it says what it sees, and keeps nothing that is put into it."""

    @property
    def state(self) -> Literal["running", "stopped"]:
        """Say so, unless the whole stage is gone."""
        if leak() == "no stage":
            raise UnavailableError("the stage does not answer")
        return super().state

    def begin(self) -> None:
        """Let it run."""
        super().begin()
        note("bottle made")

    def attach(self, argv: Sequence[str], *, root: bool = False, env: Mapping[str, str] | None = None) -> int:
        """Run a command on our own streams, where the tests are."""
        process = subprocess.Popen(
            argv, env={**self._environment(root=root), "PATH": os.environ["PATH"], **(env or {})}
        )
        try:
            step("attach")  # only now: who waits for it sends a signal, which must not come between the two lines above
            code = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        return code if code >= 0 else 128 - code

    def put(self, entries: Iterable[Entry], dest: str) -> None:
        """Say so."""
        note(f"put {len(list(entries))} at {dest}")

    def look(self, dials: Sequence[Dial], names: Sequence[str]) -> Sightings:
        """Dial the proxy alone, unless the environment tears the walls down."""
        step("look")
        own = self._environment(root=False)["HTTP_PROXY"]
        seen = [own == f"http://{dial.host}:{dial.port}" or leak() == "witness" for dial in dials]
        answers = tuple(dial_once(dial) if it else None for dial, it in zip(dials, seen, strict=True))
        note("looked")
        return Sightings(answers, tuple(leak() == "name" for _ in names))

    def stop(self) -> None:
        """End it, on request; from another terminal the launch with it."""
        step("stop bottle")
        super().stop()


class StageSite(LocalSite):
    """A site of these."""

    bottle, sidecar = StageBottle, StageSidecar

    def __init__(self, slug: str, launch: Launch) -> None:
        super().__init__(slug, launch)
        note("site made")

    @contextmanager
    def witness(self) -> Generator[Sequence[Address]]:
        """Listen on this machine, unless the environment wants a witness that is none."""
        step("witness")
        with super().witness() as witnesses:
            match leak():
                case "no witness":
                    yield []
                case "deaf witness":
                    with socket.create_server(("127.0.0.1", 0)) as server:
                        port = server.getsockname()[1]
                    yield [Address("127.0.0.1", port)]
                case _:
                    yield witnesses

    def close(self) -> None:
        """Sweep everything."""
        step("close site")
        super().close()
