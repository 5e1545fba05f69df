"""Other forms of bytes, and values cut in two: what is undone, at which edges, and that none of it can be made slow."""

import base64
import json
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest
from corpus_shapes import ALNUM, some
from hypothesis import given, settings
from hypothesis import strategies as st

from bottle_mitmproxy.policy.halves import HALF
from bottle_mitmproxy.policy.scanner import WINDOW, find_credential, find_in_form, find_in_url

SECRET = f"ghp_{some(ALNUM, 36)}".encode()
FOUND = "a GitHub token"

WRAP: dict[str, Callable[[bytes], bytes]] = {
    "base64": base64.b64encode,
    "base64url": lambda data: base64.urlsafe_b64encode(data).rstrip(b"="),
    "hex": lambda data: data.hex().encode(),
    "HEX": lambda data: data.hex().upper().encode(),
    "percent": lambda data: "".join(f"%{byte:02x}" for byte in data).encode(),
    "escapes": lambda data: "".join(f"\\u{byte:04x}" for byte in data).encode(),
}


@given(
    st.lists(st.sampled_from(sorted(WRAP)), min_size=1, max_size=3),
    st.binary(max_size=40),
    st.sampled_from([b"", b" ", b'"', b"\n", b"data:image/png;base64,", b"x=", b"/v1/"]),
)
@settings(max_examples=200, deadline=None)
def test_forms_within_forms_are_undone(forms: list[str], noise: bytes, before: bytes) -> None:
    """S9, N12: whatever stands beside the secret in them, and before the outermost."""
    data = noise + b" " + SECRET + b" " + noise
    for form in forms:
        data = WRAP[form](data)
    assert find_credential(before + data + b'"') == FOUND


def test_a_wrapping_too_many_is_not_looked_for() -> None:
    """The depth is what it says: an end that whoever means harm can pass, and everyday traffic never meets."""
    data = SECRET
    for _ in range(4):
        data = base64.b64encode(data)
    assert find_credential(data) is None
    assert find_credential(base64.b64decode(data)) == FOUND


@pytest.mark.parametrize("form", WRAP)
@pytest.mark.parametrize("shift", range(4))
def test_a_form_that_is_larger_than_a_window_is_undone_throughout(form: str, shift: int) -> None:
    """N12: an image of megabytes may have a credential anywhere in it."""
    size = {"base64": 3, "base64url": 3, "percent": 1, "escapes": 1}.get(form, 2)
    for place in (WINDOW * size // 4 + shift, WINDOW + shift, 2 * WINDOW + shift):
        data = b"." * (place - 30) + b" " + SECRET + b" " + b"," * 30_000
        assert find_credential(b"x" * shift + b": " + WRAP[form](data)) == FOUND


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\\n", b"\\r\\n", b"\n  "])
@pytest.mark.parametrize("width", [64, 76])
def test_base64_in_lines_is_undone(end: bytes, width: int) -> None:
    """N12: as PEM and MIME have it, plain or in JSON, indented or not; the last line may be of any length."""
    for more in range(8):
        text = base64.b64encode(b"z" * (57 * 3 - 10) + b" " + SECRET + b" " * more)
        lines = end.join(text[at : at + width] for at in range(0, len(text), width))
        assert find_credential(b"data:" + end + lines + end) == FOUND


@pytest.mark.parametrize("before", [r"\n", r"\t", r"\r\n", r"\u003d", r"\u0022", "%3D", "%0A", r"\\n", "%22"])
def test_a_word_begins_behind_an_escape(before: str) -> None:
    """A file that an agent has read stands in JSON with its line breaks escaped: the next line begins there."""
    for secret in (SECRET.decode(), f"{some('0123456789abcdef', 32)}-us12", f"hvs.{some(ALNUM, 24)}"):
        assert find_credential(f"text{before}{secret}".encode()) is not None


@given(st.integers(HALF, len(SECRET) - HALF), st.sampled_from(["[]", "{}", "?", "[] in ?", "form"]))
def test_a_credential_cut_in_two_is_found_wherever_it_is_cut(at: int, where: str) -> None:
    """S9: neighbours in an array, an object, a query, a form, of eight characters or more each."""
    left, right = SECRET[:at].decode(), SECRET[at:].decode()
    if where == "[]":
        assert find_credential(json.dumps(["x", left, right, "x"]).encode()) == FOUND
    elif where == "{}":
        assert find_credential(json.dumps({"a": {"b": left, "c": right}}, indent=3).encode()) == FOUND
    elif where == "?":
        assert find_in_url(f"/?a={quote(left)}&b={quote(right)}".encode()) == FOUND
    elif where == "[] in ?":
        assert find_in_url(f"/?a={quote(json.dumps([left, right]))}".encode()) == FOUND
    else:
        assert (find_credential(f"a={left}&b={right}".encode()) or find_in_form(b"")) == FOUND


@pytest.mark.parametrize(
    "apart",
    [
        json.dumps([SECRET[:7].decode(), SECRET[7:].decode()]),
        json.dumps([SECRET[:15].decode(), SECRET[15:30].decode(), SECRET[30:].decode()]),
        json.dumps([SECRET[:20].decode(), 1, SECRET[20:].decode()]),
        json.dumps({"a": [SECRET[:20].decode()], "b": [SECRET[20:].decode()]}),
        f'"{SECRET[:20].decode()}" + "{SECRET[20:].decode()}"',
    ],
)
def test_other_cuts_are_not_looked_for(apart: str) -> None:
    """Shorter halves, more pieces, other places, and what the code of tests joins: it is as narrow as it says."""
    assert find_credential(apart.encode()) is None


@pytest.mark.parametrize(
    "unit",
    [
        '","',
        '"aaaaaaaa",',
        '"aaaaaaaa": "aaaaaaaa", ',
        '"' + "a" * 1024 + '",',
        "%41",
        "%4",
        "\\u0041",
        "\\/",
        '\\"',
        "&a=bbbbbbbb",
        "A" * 76 + "\n",
        "/" + "a" * 26,
        "a1" * 20 + "f ",
        "secret_access_key   :  ",
        "-----BEGIN PRIVATE KEY-----\\n",
    ],
)
def test_no_repetition_of_a_form_makes_it_slow(unit: str) -> None:
    """A hostile body cannot hold the proxy up: its cost grows with its size alone."""
    body = (unit * (1 << 20))[: 1 << 20].encode()
    begin = time.process_time()
    assert find_credential(body) is None
    assert time.process_time() - begin < 1.5
