"""Values of the user's own commands and keyring, where there are none; the end-to-end tests have how it is told."""

import os
import traceback
from collections.abc import Callable
from types import SimpleNamespace
from typing import NoReturn

import pytest
from keyring.backends import null

from claude_bottle.errors import BottleError, UnavailableError
from claude_bottle.launch import fetch


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sleep", "60"), "did not end within 0.1 seconds"),
        (("printf", "\\377hunter2"), "printed no text"),
        (("/etc/passwd",), "cannot be run: Permission denied"),
    ],
)
def test_a_command_that_gives_no_value_is_told(
    words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that never ends, prints no text or is no program: with its name, and nothing of what it printed."""
    monkeypatch.setattr(fetch, "PATIENCE", 0.1 if words[0] == "sleep" else 20)
    with pytest.raises(BottleError, match=said) as caught:
        fetch.run_command("TOKEN", words, os.environ)
    assert f"the command for the secret TOKEN ({words[0]})" in caught.value.message
    assert (caught.value.__cause__, "hunter2" in str(caught.value)) == (None, False)


def leak(*_: str) -> NoReturn:
    """Fail as a keyring's backend may, with the value in its message."""
    raise RuntimeError("hunter2")


@pytest.mark.parametrize(
    "call",
    [
        lambda: fetch.keyring_value("service/name"),
        lambda: fetch.store_entry("service/name", "hunter2"),
        lambda: fetch.forget_entry("service/name"),
    ],
    ids=["read", "store", "forget"],
)
def test_a_keyring_that_fails_is_told_without_its_words(
    call: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """S7: a backend's message and traceback may hold the value; its entry and the kind of failure are enough."""
    library = SimpleNamespace(get_keyring=object, get_password=leak, set_password=leak, delete_password=leak)
    monkeypatch.setattr(fetch, "_library", lambda: library)
    with pytest.raises(UnavailableError, match=r"service/name \(RuntimeError\)") as caught:
        call()
    told = "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in told.replace('"service/name", "hunter2"', "")


def test_a_keyring_that_keeps_nothing_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was switched off, and an entry that is empty."""
    library = SimpleNamespace(get_keyring=null.Keyring, get_password=lambda *_: "")  # pyright: ignore[reportUnknownLambdaType] - whatever it is asked
    monkeypatch.setattr(fetch, "_library", lambda: library)
    with pytest.raises(UnavailableError, match="this machine has no keyring"):
        fetch.keyring_value("service/name")
    library.get_keyring = object
    with pytest.raises(UnavailableError, match="the keyring has no entry service/name"):
        fetch.keyring_value("service/name")
