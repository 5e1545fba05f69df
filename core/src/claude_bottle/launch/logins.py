"""Credentials of agents that are kept between launches: in the keyring, or in a file where the user said so."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

from msgspec import Struct

from claude_bottle.errors import BottleError, UnavailableError
from claude_bottle.launch.fetch import forget_entry, keyring_value, store_entry
from claude_bottle.plan.environment import LOGINS
from claude_bottle.seam.folders import private_dir
from claude_bottle.seam.store import Store

__all__ = ["SERVICE", "Index", "Kept", "Logins", "Where"]

SERVICE = "claude-bottle"
FOLDER = "credentials"
Where = Literal["keyring", "file"]


class Kept(Struct, frozen=True):
    """One stored credential: the variable that it comes in, whose it is, and where its value lies."""

    name: str
    agent: str
    where: Where


class Index(Struct, frozen=True):
    """What is stored, without a value; read at each launch, so that no keyring is opened to show a plan."""

    kept: tuple[Kept, ...] = ()


class Logins:
    """The stored credentials of one user."""

    def __init__(self, state_dir: Path) -> None:
        self._store = Store(state_dir / LOGINS, Index())
        self._folder = state_dir / FOLDER

    def kept(self) -> tuple[Kept, ...]:
        """Return what is stored."""
        return self._store.read().kept

    def file(self, name: str) -> Path:
        """Return where the value of a variable is, if it is in a file."""
        return self._folder / name

    def keep(self, it: Kept, value: str) -> list[str]:
        """Store a value in place of all that this agent had, and return a sentence for each that is still there.

        BottleError if it cannot be stored: then what there was is as it was.
        """
        if it.where == "keyring":
            store_entry(f"{SERVICE}/{it.name}", value)
        else:
            self._write(it.name, value)
        before = [old for old in self.kept() if old.agent == it.agent and (old.name, old.where) != (it.name, it.where)]
        self._store.change(lambda index: Index((*(old for old in index.kept if old.agent != it.agent), it)))
        left: list[str] = []
        for old in before:
            try:
                self._remove(old)
            except UnavailableError as error:
                left.append(error.message)
        return left

    def value(self, it: Kept) -> str:
        """Return a stored value; UnavailableError with the cure if it is no longer there."""
        hint = f"bottle login {it.agent}" if it.where == "file" else f"unlock it, or bottle login {it.agent} anew"
        file = self.file(it.name)
        try:
            return keyring_value(f"{SERVICE}/{it.name}") if it.where == "keyring" else file.read_text(encoding="utf-8")
        except UnavailableError as error:
            why = error.message
        except OSError as error:
            why = f"{file}: {error.strerror}"
        except UnicodeDecodeError:
            why = f"{file}: not UTF-8"
        raise UnavailableError(f"the login for {it.agent} cannot be read: {why}", hint)

    def forget(self, agent: str) -> tuple[Kept, ...]:
        """Remove all that is stored for an agent, and return what that was."""
        gone = tuple(it for it in self.kept() if it.agent == agent)
        for it in gone:
            self._remove(it)
        if gone:
            self._store.change(lambda index: Index(tuple(it for it in index.kept if it.agent != agent)))
        return gone

    def _remove(self, it: Kept) -> None:
        if it.where == "keyring":
            forget_entry(f"{SERVICE}/{it.name}")
        else:
            self.file(it.name).unlink(missing_ok=True)

    def _write(self, name: str, value: str) -> None:
        path = private_dir(self._folder) / name
        new = path.with_name(f"{name}.new")
        try:
            new.unlink(missing_ok=True)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
                stream.write(value)
            new.replace(path)
        except OSError as error:
            with suppress(OSError):
                new.unlink()
            raise BottleError(f"{path} cannot be written: {error.strerror}", "see that there is room") from error
