"""A user's keyring in the end-to-end tests: a real one of the library's, which is a file and needs no desktop."""

from pathlib import Path
from typing import Any

import keyrings.alt.file  # pyright: ignore[reportMissingTypeStubs] - it has none
from e2e_user import User

__all__ = ["NOWHERE", "give_keyring", "keyring_file", "put"]

NOWHERE = "keyring.backends.fail.Keyring"
"""The library's backend for a machine without one."""


def give_keyring(user: User) -> None:
    """Let a user's commands use the file."""
    user.environment["PYTHON_KEYRING_BACKEND"] = "keyrings.alt.file.PlaintextKeyring"
    user.environment["XDG_DATA_HOME"] = str(user.folder / "data")


def keyring_file(user: User) -> Path:
    """Return where it is."""
    return user.folder / "data" / "python_keyring" / "keyring_pass.cfg"


def put(user: User, service: str, name: str, value: str) -> None:
    """Put an entry in, with the library's own code."""
    ring: Any = keyrings.alt.file.PlaintextKeyring()
    ring.file_path = str(keyring_file(user))
    ring.set_password(service, name, value)
