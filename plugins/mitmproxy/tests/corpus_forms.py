"""Requests that carry something: each form in which a credential may leave, and everyday traffic as it leaves."""

import base64
import gzip
import json
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import quote

__all__ = ["FORMS", "Sent"]

JSON, FORM, TEXT = "application/json", "application/x-www-form-urlencoded", "text/plain"


class Sent(NamedTuple):
    """One request: what is behind the host, its headers, its body."""

    target: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def post(body: str | bytes, kind: str, *more: tuple[str, str]) -> Sent:
    """Return a request with a body."""
    data = body.encode() if isinstance(body, str) else body
    return Sent("/", (("content-type", kind), *more), data)


def every_byte(text: str) -> str:
    """Percent-encode text as strictly as it can be."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


def one_line(text: str) -> str:
    """Return text as a header takes it."""
    return text.replace("\r", "\\r").replace("\n", "\\n")


def cut(text: str) -> tuple[str, str]:
    """Cut text in the middle."""
    return text[: len(text) // 2], text[len(text) // 2 :]


def split_array(text: str) -> Sent:
    """Return a request with the halves as neighbours in an array of JSON."""
    return post(json.dumps({"parts": ["first", *cut(text), "and something else"]}), JSON)


def split_object(text: str) -> Sent:
    """Return a request with the halves as neighbours in an object of JSON."""
    left, right = cut(text)
    return post(json.dumps({"a": left, "b": right, "c": "and something else"}, indent=2), JSON)


def split_query(text: str) -> Sent:
    """Return a request with the halves as neighbours in the query."""
    left, right = cut(text)
    return Sent(f"/search?first={quote(left, safe='')}&second={quote(right, safe='')}&third=3")


def split_form(text: str) -> Sent:
    """Return a request with the halves as neighbours in a form."""
    left, right = cut(text)
    return post(f"first={quote(left, safe='')}&second={quote(right, safe='')}&third=3", FORM)


FORMS: Mapping[str, Callable[[str], Sent]] = {
    "plain": lambda text: post(f"the token:\n{text}\n", TEXT),
    "JSON": lambda text: post(json.dumps({"content": [{"type": "text", "text": f"1\tA=1\n{text}\n"}]}), JSON),
    "URL": lambda text: Sent(f"/search?q={quote(text, safe='')}&page=2"),
    "header": lambda text: Sent("/", (("x-token", one_line(text)),)),
    "base64": lambda text: post(json.dumps({"data": base64.b64encode(f"A=1\n{text}\n".encode()).decode()}), JSON),
    "base64url": lambda text: Sent(f"/raw/{base64.urlsafe_b64encode(text.encode()).decode().rstrip('=')}"),
    "base64 lines": lambda text: post(
        base64.encodebytes(b"Some text that comes before it. " * 4 + text.encode()), TEXT
    ),
    "hex": lambda text: post(json.dumps({"data": text.encode().hex()}), JSON),
    "URL-encoded": lambda text: post(f"a=1&token={every_byte(text)}&b=2", FORM),
    "gzip": lambda text: post(
        gzip.compress(f"the token: {text}\n".encode(), mtime=0), TEXT, ("content-encoding", "gzip")
    ),
    "split: array": split_array,
    "split: object": split_object,
    "split: query": split_query,
    "split: form": split_form,
}
"""Of the last four each half has eight characters or more; a header has no line breaks."""
