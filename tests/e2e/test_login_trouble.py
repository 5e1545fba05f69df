"""A login that cannot be stored, or is no longer there: one error, and nothing that was there is lost."""

from pathlib import Path

import pytest
from e2e_login import give_coder, preflight, token
from e2e_user import User


@pytest.fixture
def coder(user: User, tmp_path: Path) -> User:
    """Somebody with an agent plugin that has two credentials, and with a real keyring, which is a file."""
    return give_coder(user, tmp_path)


RINGS = """
import time
from keyrings.alt.file import PlaintextKeyring

class Locked(PlaintextKeyring):
    def get_password(self, service, name):
        raise RuntimeError("locked")
    set_password = delete_password = lambda self, *_: self.get_password(*_)

class Slow(PlaintextKeyring):
    def set_password(self, *entry):
        time.sleep(2.5)
        super().set_password(*entry)
"""


@pytest.fixture
def rings(coder: User, tmp_path: Path) -> User:
    """The same, whose keyring can be locked or slow."""
    (tmp_path / "e2e_rings.py").write_text(RINGS)
    return coder


def test_a_login_that_fails_leaves_the_one_before(rings: User) -> None:
    """Neither a keyring that is locked nor a disk takes away what was stored; the hint has the way around."""
    rings.bottle("login", "coder", stdin=token())
    locked = {"PYTHON_KEYRING_BACKEND": "e2e_rings.Locked"}
    refused = rings.bottle("login", "coder", stdin=token("api"), env=locked)
    assert (refused.code, "the keyring did not take" in refused.err) == (1, True)
    assert "or add --file to keep it in " in refused.err
    blocked = rings.state / "claude-bottle" / "credentials" / "CODER_KEY.new"
    blocked.mkdir(parents=True)
    unwritten = rings.bottle("login", "coder", "--file", stdin=token("api"))
    assert (unwritten.code, "credentials/CODER_KEY cannot be written: " in unwritten.err) == (1, True)
    assert preflight(rings)["secrets"] == {"CODER_TOKEN": "keyring"}
    blocked.rmdir()
    instead = rings.bottle("login", "coder", "--file", stdin=token("api"), env=locked)
    assert instead.code == 0
    assert "warning: what was stored before is still there: the keyring did not remove" in instead.err
    assert list(preflight(rings)["secrets"]) == ["CODER_KEY"]


def test_a_keyring_that_takes_long_is_what_is_waited_for(rings: User) -> None:
    """It may ask for its password somewhere else, so that nobody takes the silence for a hang."""
    done = rings.bottle("login", "coder", stdin=token(), env={"PYTHON_KEYRING_BACKEND": "e2e_rings.Slow"})
    assert done.err.startswith("waiting for the keyring: unlock it where it asks, or press Ctrl-C\nstored a token")


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        (("coder",), "", "there is nothing on stdin"),
        (("coder",), "something-else-entirely", "begins with none of coder-oat-…, coder-api-…"),
        (("coder", "--as", "OTHER"), "x" * 20, "one of CODER_TOKEN, CODER_KEY"),
        (("coder",), "coder-oat-1", "fewer than 12"),
        (("coder",), "coder-oat-two words of text here", "cannot stand in a header"),
        (("coder",), "coder-oat-\udcff\udcfe-0123456789abcdef", "cannot stand in a header"),
        (("coder",), "coder-oat-" + "a" * 100_000, "has more than 16 KiB"),
        (("shell",), "x" * 20, "the agent shell has no login"),
        (("codr",), "x" * 20, "did you mean coder?"),
    ],
)
def test_what_cannot_be_stored_is_said(coder: User, words: tuple[str, ...], stdin: str, said: str) -> None:
    """One error with its cure, without what was pasted, and nothing is stored."""
    strict = {"PYTHONIOENCODING": "utf-8:strict"}  # as in most locales
    given = stdin.encode("utf-8", "surrogateescape")
    done = coder.bottle("login", *words, "--debug", stdin=given, env=strict)
    assert done.code in {1, 2}
    assert said in done.err
    assert not stdin or stdin not in done.err
    assert preflight(coder)["secrets"] == {}


def test_a_login_that_is_gone_is_one_error(coder: User) -> None:
    """The keyring was emptied behind our back: the launch stops with the cure, before anything is made."""
    coder.bottle("login", "coder", stdin=token())
    for path in (coder.folder / "data").rglob("*.cfg"):
        path.unlink()
    done = coder.start("true")
    assert done.code == 125
    assert "the login for coder cannot be read: the keyring has no entry claude-bottle/CODER_TOKEN" in done.err
    assert "bottle login coder" in done.err


def test_a_stored_login_that_is_spoilt_is_one_error(coder: User) -> None:
    """A file that is no text names itself, and the cure."""
    coder.bottle("login", "coder", "--file", stdin=token())
    file = coder.state / "claude-bottle" / "credentials" / "CODER_TOKEN"
    file.write_bytes(b"\xff\xfe")
    done = coder.start("true")
    assert (done.code, f"the login for coder cannot be read: {file}: not UTF-8" in done.err) == (125, True)
