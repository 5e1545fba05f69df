"""A launch of a bottle and its end, in a process of its own, in which one call that the plugin makes fails.

`python -m claude_bottle.testing.injection TARGET NAME SECTION SLUG [PLACE]`: without a place it prints the places as
JSON, which are the lines of the plugin's own source from which something of the system is changed. With one, the first
call from there fails as on a full disk.
"""

import errno
import os
import sys
import types
from contextlib import suppress
from pathlib import Path

import msgspec

from claude_bottle.errors import BottleError
from claude_bottle.plugins.load import Loaded
from claude_bottle.seam.owner import Launch, Owner
from claude_bottle.seam.secrets import Secrets
from claude_bottle.testing.contract import load_target
from claude_bottle.testing.ground import FORWARDED, LITERALS, make_plan

__all__ = ["Injection", "main"]

CHANGES = frozenset(
    {"open", "os.chmod", "os.chown", "os.fork", "os.link", "os.mkdir", "os.rename", "os.symlink", "socket.bind"}
    | {"socket.connect", "subprocess.Popen"}
)
"""Audit events of calls that make or change something."""

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Injection:
    """Watches the calls that come from a folder of source, and lets one fail. It is switched off, never taken out."""

    def __init__(self, folder: str, place: str | None) -> None:
        self.places: dict[str, None] = {}
        self.on = False
        self._folder, self._place = folder, place

    def audit(self, event: str, arguments: tuple[object, ...]) -> None:
        """Note a call, or fail in it."""
        if not self.on or event not in CHANGES or (event == "open" and not _writes(arguments)):
            return
        if (place := self._caller(event)) is None:
            return
        self.places[place] = None
        if place == self._place:
            self._place = None
            raise OSError(errno.ENOSPC, "No space left on device (injected)")

    def _caller(self, event: str) -> str | None:
        frame: types.FrameType | None = sys._getframe(2)  # pyright: ignore[reportPrivateUsage] - the one way to know who calls
        while frame is not None and not frame.f_code.co_filename.startswith(self._folder):
            frame = frame.f_back
        return f"{event} at {Path(frame.f_code.co_filename).name}:{frame.f_lineno}" if frame else None


def _writes(arguments: tuple[object, ...]) -> bool:
    flags = arguments[2] if len(arguments) > 2 else 0
    return isinstance(flags, int) and bool(flags & WRITES)


def main(target: str, name: str, section: str, slug: str, place: str | None = None) -> None:
    """Do it, and print the places."""
    loaded = load_target("backend", name, target)
    module = sys.modules[target.partition(":")[0].partition(".")[0]]
    injection = Injection(str(Path(module.__file__ or "").parent), place)
    sys.addaudithook(injection.audit)
    with suppress(BottleError, OSError):
        _launch(loaded, msgspec.json.decode(section), slug, injection)
    sys.stdout.write(msgspec.json.encode(list(injection.places)).decode())


def _launch(loaded: Loaded, section: dict[str, object], slug: str, injection: Injection) -> None:
    plan = make_plan(loaded, section, slug)
    launch = Launch(label=f"{os.getpid():08x}", owner=Owner.current())
    injection.on = True
    try:
        site = loaded.hooks.open_site(plan=plan, launch=launch, say=lambda _: None)
        assert site is not None
        try:
            site.settle()
            loaded.hooks.start_bottle(plan=plan, site=site, env=LITERALS, secrets=Secrets(FORWARDED))
        finally:
            injection.on = False
            site.close()
    finally:
        injection.on = False


if __name__ == "__main__":
    main(*sys.argv[1:])
