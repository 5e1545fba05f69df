"""Stored logins: one for an agent, which a new one replaces once it is there; the keyring is a real one in memory."""

from pathlib import Path

import pytest

from claude_bottle.errors import BottleError, UnavailableError
from claude_bottle.launch import logins as module
from claude_bottle.launch.logins import Kept, Logins, Where

TOKEN, KEY = "the token of somebody", "the key of somebody"


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the keyring holds."""
    held: dict[str, str] = {}
    monkeypatch.setattr(module, "store_entry", held.__setitem__)
    monkeypatch.setattr(module, "forget_entry", held.pop)
    monkeypatch.setattr(module, "keyring_value", held.__getitem__)
    return held


@pytest.mark.parametrize("second", ["keyring", "file"])
@pytest.mark.parametrize("first", ["keyring", "file"])
def test_a_new_one_takes_the_place_of_the_old(
    ring: dict[str, str], tmp_path: Path, first: Where, second: Where
) -> None:
    """Of the same variable or another one, in the same place or another; another agent's stays."""
    logins = Logins(tmp_path)
    logins.keep(Kept("OTHER", "other", "keyring"), "another's")
    for name, value in (("TOKEN", TOKEN), ("TOKEN", f"{TOKEN} anew"), ("KEY", KEY)):
        for where in (first, second):
            logins.keep(it := Kept(name, "coder", where), value)
            assert (logins.value(it), logins.kept()) == (value, (Kept("OTHER", "other", "keyring"), it))
            stored = {path.read_text() for path in (tmp_path / "credentials").glob("*")} | set(ring.values())
            assert stored == {"another's", value}
    logins.forget("coder")
    assert (ring, logins.kept()) == ({"claude-bottle/OTHER": "another's"}, (Kept("OTHER", "other", "keyring"),))
    assert list((tmp_path / "credentials").glob("*")) == []


def test_one_that_cannot_be_stored_costs_no_other(
    ring: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A locked keyring, a folder that takes no file: what was stored is still there and still used."""
    logins, old = Logins(tmp_path), Kept("TOKEN", "coder", "keyring")
    logins.keep(old, TOKEN)

    def refuse(*_: object) -> None:
        raise UnavailableError("the keyring is locked")

    monkeypatch.setattr(module, "store_entry", refuse)
    (tmp_path / "credentials").mkdir(mode=0o700)
    (tmp_path / "credentials" / "KEY.new").mkdir()
    for where in ("keyring", "file"):
        with pytest.raises(BottleError):
            logins.keep(Kept("KEY", "coder", where), KEY)
    assert (ring, logins.kept()) == ({"claude-bottle/TOKEN": TOKEN}, (old,))
