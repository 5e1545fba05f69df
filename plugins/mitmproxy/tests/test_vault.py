"""What a vault finds and replaces, and what is undone for it, without a proxy around it."""

import base64
import io
import itertools
import secrets
import zlib
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mitmproxy import http

from bottle_mitmproxy.policy.vault import Cleaner, Entry, Vault
from bottle_mitmproxy.settings import SettingsError
from bottle_mitmproxy.sidecar.exchange import Exchange, Inflater, read_vault
from claude_bottle.seam.part import Injection
from claude_bottle.seam.placeholder import make_placeholder

REAL = "sk-ant-oat01-" + secrets.token_hex(20) + "_-+/???" + secrets.token_hex(3)
TO_API = Injection(name="TOKEN", host="api.test", header="authorization", format="Bearer {}")


def test_an_answer_s_names_of_headers_are_without_it() -> None:
    """S5: what can stand there."""
    value = secrets.token_hex(20)
    vault = Vault([Entry(TO_API, value.encode(), make_placeholder(value).encode())])
    response = http.Response.make(200, headers=[(b"x-" + value.upper().encode(), b"1")])
    flow: Any = SimpleNamespace(request=http.Request.make("GET", "https://api.test/"), response=response)
    assert Exchange(vault).receive(flow)
    assert value not in str(response.headers.fields).lower()


@pytest.mark.parametrize("line", [b"", b"{}\n", b'{"OTHER": ["a", "b"]}\n', b'{"TOKEN": ["a"]}\n', b"TOKEN=a\n"])
def test_without_the_value_nothing_is_served(line: bytes) -> None:
    """S4: a proxy that is to inject and is given nothing does not start, and says so without what it was given."""
    with pytest.raises(SettingsError, match="did not come") as caught:
        read_vault([TO_API], io.BytesIO(line))
    assert caught.value.__cause__ is None


def test_no_form_of_text_shows_one() -> None:
    """S7: neither the vault nor what it is made of."""
    vault = Vault([Entry(TO_API, REAL.encode(), make_placeholder(REAL).encode())])
    assert REAL not in f"{vault!r} {vars(vault)} {Cleaner(vault)!r}"


@given(st.binary(max_size=40), st.binary(max_size=40), st.lists(st.integers(0, 160), max_size=6))
def test_a_stream_is_cleaned_wherever_it_is_cut(before: bytes, after: bytes, cuts: list[int]) -> None:
    """S5: the same bytes come out whatever the chunks, as many as went in."""
    entry = Entry(TO_API, REAL.encode(), make_placeholder(REAL).encode())
    vault = Vault([entry])
    whole = before + REAL.encode() + after + base64.b64encode(before + REAL.encode())
    cleaner, edges = Cleaner(vault), sorted({0, len(whole), *(it for it in cuts if it < len(whole))})
    parts = [cleaner.feed(whole[at:to]) for at, to in itertools.pairwise(edges)]
    out = b"".join([*parts, cleaner.feed(b"", last=True)])
    assert out == vault.clean(whole)
    assert REAL.encode() not in out
    assert len(out) == len(whole)


@given(st.integers(0, 3 << 20), st.integers(1, 4 << 20), st.sampled_from([-15, 15, 31]))
@example((1 << 20) + 9, 4 << 20, -15)  # all is read before all is out
def test_what_is_inflated_is_whole(size: int, cut: int, window: int) -> None:
    """S5: whatever its size, wherever it is cut, in each of the three forms, two members one behind the other."""
    packer = zlib.compressobj(wbits=window)
    packed = packer.compress(bytes(size)) + packer.flush()
    inflater = Inflater(zlib.MAX_WBITS if window < 0 else window)
    whole = packed if window < 0 else packed * 2
    parts = [inflater.feed(whole[at : at + cut]) for at in range(0, len(whole), cut)]
    assert b"".join(parts) == bytes(size * (1 if window < 0 else 2))


@pytest.mark.parametrize("form", ["utf-16-le", "utf-16-be"])
def test_wide_characters_are_looked_into(form: str) -> None:
    """S4: as programs of Windows write."""
    entry = Entry(TO_API, REAL.encode(), make_placeholder(REAL).encode())
    for text in (REAL, entry.placeholder.decode()):
        assert Vault([entry]).find(f"it is {text}".encode(form)) == TO_API


@given(st.binary(max_size=200))
def test_random_bytes_are_no_credential(data: bytes) -> None:
    """Nothing is found in what does not hold it."""
    vault = Vault([Entry(TO_API, REAL.encode(), make_placeholder(REAL).encode())])
    assert vault.find(data) is None
    assert vault.clean(data) == data
