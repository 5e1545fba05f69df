"""Values that were cut in two: neighbours in JSON, in a query or in a form, put together again.

A credential is found that is cut once, into halves of eight characters or more that directly follow one another. More
pieces, shorter ones or other places are not looked for: words of everyday lists would become credentials.
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from bottle_mitmproxy.policy.unwrap import Batch, windows

__all__ = ["HALF", "halves"]

HALF, REACH = 8, 1 << 10
"""Bytes that each half has at least, and of which at most so many are looked at."""

NEXT_STRING = re.compile(rb'"[ \t\r\n]{0,64},[ \t\r\n]{0,64}"(?:[^"\\]{1,64}"[ \t]{0,8}:[ \t]{0,8}")?')
"""What lies between two strings of an array, or of an object, where a key follows."""
NEXT_FIELD = re.compile(rb"&[^&=\s]{0,64}=")

VALUE = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+/=.:%~-"
STRING = re.compile(rb"[\w+/=.:~-]{%d}(?:[ !#-\[\]-~]|\\.){0,%d}" % (HALF, REACH))
FIELD = re.compile(rb"[\w+/=.:%%~-]{%d}[!-%%'-~]{0,%d}" % (HALF, REACH))


def halves(data: bytes) -> Iterator[bytes]:
    """Yield each two neighbours as one, many in a part, with a line break between them."""
    batch = Batch()
    for first, last in windows(data):
        for cut in NEXT_STRING.finditer(data, first, last):
            left = data[_string(data, cut.start()) : cut.start()]
            if _fits(left) and (right := STRING.match(data, cut.end())):
                yield from batch.add(left + right[0])
        for cut in NEXT_FIELD.finditer(data, first, last):
            left = data[data.rfind(b"=", max(0, cut.start() - REACH), cut.start()) + 1 : cut.start()]
            if _fits(left) and (right := FIELD.match(data, cut.end())):
                yield from batch.add(unquote_to_bytes(left + right[0]))
    yield from batch.rest()


def _fits(left: bytes) -> bool:
    """Tell whether a value ends as half a credential may."""
    tail = left[-HALF:]
    return len(tail) == HALF and not tail.translate(None, VALUE) and left.isascii()


def _string(data: bytes, end: int) -> int:
    """Return where a string of JSON begins that ends here, or lies within reach."""
    first = max(0, end - REACH)
    start = data.rfind(b'"', first, end)
    while start > first and data[start - 1] == ord("\\"):
        start = data.rfind(b'"', first, start)
    return max(first, start + 1)
