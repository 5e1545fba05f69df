"""Values from outside: an entry of the user's keyring, or what a command of the user's own prints."""

import shlex
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from claude_bottle.errors import BottleError, UnavailableError

__all__ = ["entry_trouble", "forget_entry", "keyring_trouble", "keyring_value", "run_command", "store_entry"]

PATIENCE = 300.0
"""Seconds for a command: it may ask for a passphrase or a touch."""

SLOW = 2.0
"""Seconds after which a keyring is said to be waited for."""

NO_LIBRARY = "pip install 'claude-bottle-core[keyring]'"
NO_BACKEND = "start a keyring service such as gnome-keyring or KWallet, or give --secret-file NAME=PATH"
DESKTOP = "keyring.backends.SecretService"


def keyring_trouble() -> UnavailableError | None:
    """Return why there is no keyring here, None if there is one. Nobody is asked, and nothing is unlocked."""
    try:
        keyring = _library()
        backend: Any = keyring.get_keyring()
    except UnavailableError as error:
        return error
    except Exception as error:  # noqa: BLE001 - a backend's own mistake, whatever it is
        return UnavailableError(f"the keyring cannot be used: {type(error).__name__}", NO_BACKEND)
    if type(backend).__module__ in {"keyring.backends.fail", "keyring.backends.null"}:
        return UnavailableError("this machine has no keyring", NO_BACKEND)
    return None


def entry_trouble(entry: str) -> UnavailableError | None:
    """Return why an entry (SERVICE/NAME) cannot be had, as far as that is known without unlocking anything."""
    if (trouble := keyring_trouble()) is not None:
        return trouble
    try:
        missing = _is_missing(entry)
    except Exception as error:  # noqa: BLE001 - as above
        return UnavailableError(f"the keyring cannot be asked: {type(error).__name__}", NO_BACKEND)
    return _no_entry(entry) if missing else None


def _no_entry(entry: str) -> UnavailableError:
    service, _, name = entry.partition("/")
    return UnavailableError(
        f"the keyring has no entry {entry}", f"keyring set {shlex.quote(service)} {shlex.quote(name)}"
    )


def _is_missing(entry: str) -> bool:
    """Tell whether a keyring that says so while it is locked has no such entry."""
    backend: Any = _library().get_keyring()
    first = next(iter(getattr(backend, "backends", ())), backend)  # of a chain the one that is asked first
    if type(first).__module__ != DESKTOP:
        return False
    import secretstorage  # noqa: PLC0415 - comes with that backend # pyright: ignore[reportMissingTypeStubs, reportMissingImports]

    service, _, name = entry.partition("/")
    library: Any = secretstorage
    with closing(library.dbus_init()) as connection:
        return next(library.search_items(connection, {"service": service, "username": name}), None) is None


def keyring_value(entry: str) -> str:
    """Return the value of an entry, SERVICE/NAME; UnavailableError if it cannot be had, with nothing of it in that."""
    service, _, name = entry.partition("/")
    if (trouble := keyring_trouble()) is not None:
        raise trouble
    value: str | None = None
    why = ""
    try:
        with _waiting():
            value = _library().get_password(service, name)
    except Exception as error:  # noqa: BLE001 - of whatever backend: locked, refused, gone
        why = type(error).__name__
    if why:
        raise UnavailableError(f"the keyring did not give {entry} ({why})", "unlock it, then start again")
    if not value:
        raise _no_entry(entry)
    return value


def store_entry(entry: str, value: str) -> None:
    """Put a value into the keyring under SERVICE/NAME; UnavailableError if that fails, without the value."""
    service, _, name = entry.partition("/")
    why = ""
    try:
        with _waiting():
            _library().set_password(service, name, value)
    except Exception as error:  # noqa: BLE001 - as above
        why = type(error).__name__
    if why:
        raise UnavailableError(f"the keyring did not take {entry} ({why})", "unlock it, then try again")


def forget_entry(entry: str) -> None:
    """Remove an entry; nothing if it is not there. UnavailableError if the keyring does not let us."""
    service, _, name = entry.partition("/")
    keyring = _library()
    try:
        with _waiting():
            keyring.delete_password(service, name)
    except Exception as error:  # noqa: BLE001 - as above
        if type(error).__name__ == "PasswordDeleteError":
            return
        raise UnavailableError(f"the keyring did not remove {entry} ({type(error).__name__})", "unlock it") from None


def run_command(name: str, words: tuple[str, ...], environ: Mapping[str, str]) -> str:
    """Return what a command prints, without the line end; it has our terminal for its questions and its complaints.

    BottleError if it fails, says nothing, or is not there; nothing of what it printed is in it.
    """
    what = f"the command for the secret {name} ({words[0]})"
    try:
        done = subprocess.run(
            words, check=False, stdout=subprocess.PIPE, env=dict(environ), timeout=PATIENCE, close_fds=True
        )
    except subprocess.TimeoutExpired:
        done = None
    except OSError as error:
        raise BottleError(f"{what} cannot be run: {error.strerror}", "look at `secrets` in config.yaml") from None
    if done is None:
        raise BottleError(f"{what} did not end within {PATIENCE:g} seconds", "run it by hand")
    if done.returncode:
        raise BottleError(f"{what} ended with {done.returncode}", "run it by hand")
    try:
        value = done.stdout.decode().removesuffix("\n")
    except UnicodeDecodeError:
        value = ""
    if not value:
        raise BottleError(f"{what} printed no text", "run it by hand")
    return value


@contextmanager
def _waiting() -> Generator[None]:
    """Say what is waited for, once that takes long: a keyring may ask for its password in a window of its own."""
    words = "waiting for the keyring: unlock it where it asks, or press Ctrl-C\n"
    timer = threading.Timer(SLOW, lambda: sys.stderr.write(words))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _library() -> Any:
    try:
        import keyring  # noqa: PLC0415 - an extra, and 80 modules that most launches do not need
    except ImportError:
        raise UnavailableError("the library keyring is not installed", NO_LIBRARY) from None
    return keyring
