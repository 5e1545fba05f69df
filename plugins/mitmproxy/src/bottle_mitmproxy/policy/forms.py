"""How a secret may be written: the encodings that programs use of their own accord."""

import base64
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import unquote_to_bytes

__all__ = ["Needle", "View", "base64_forms", "members", "views"]

ESCAPE = re.compile(rb"\\(?:u00|x)([0-9A-Fa-f]{2})|\\(/)")
BLANK = b"\0 \t\r\n"
BETWEEN = b":-,"
URL_SAFE = bytes.maketrans(b"+/", b"-_")
ROUNDS = 3
"""How many layers of percent-encoding and escapes are undone."""
GZIP = b"\x1f\x8b\x08"
MEMBERS = 8
INFLATED = 8 << 20
"""How many gzip members inside a body are looked into, and bytes of each."""


class Needle:
    """One text, and every form in which it is looked for."""

    def __init__(self, text: bytes) -> None:
        self._plain = text.lower()
        self._hex = text.hex().encode()
        self._base64 = frozenset(base64_forms(text))

    def within(self, view: "View") -> bool:
        """Tell whether it stands in a view, in whatever case, in hexadecimal or base64, at any offset."""
        return (
            self._plain in view.lower
            or self._hex in view.hexadecimal
            or any(form in view.packed for form in self._base64)
        )


class View:
    """Bytes without white space, which mail and shells put into encoded text, and NULs, which UTF-16 does."""

    def __init__(self, data: bytes) -> None:
        self.packed = data.translate(None, BLANK)
        self.lower = self.packed.lower()
        self.hexadecimal = self.lower.translate(None, BETWEEN)


def views(data: bytes) -> Iterator[View]:
    """Yield bytes as they are, and with percent-encoding and the escapes of JSON and shells undone, layer by layer."""
    for _ in range(ROUNDS):
        yield View(data)
        plain = unquote_to_bytes(data) if b"%" in data else data
        plain = ESCAPE.sub(_unescape, plain) if b"\\" in plain else plain
        if plain == data:
            return
        data = plain
    yield View(data)


def members(data: bytes) -> Iterator[bytes]:
    """Yield the content of each gzip member that stands somewhere in a body: a file that is uploaded."""
    at = data.find(GZIP)
    for _ in range(MEMBERS):
        if at < 0:
            return
        stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
        with suppress(zlib.error):
            yield stream.decompress(data[at:], INFLATED)
        at = data.find(GZIP, at + 1)


def _unescape(found: "re.Match[bytes]") -> bytes:
    return found[2] or bytes.fromhex(found[1].decode())


def base64_forms(text: bytes) -> tuple[bytes, ...]:
    """Return what base64 makes of a text at each offset, in both alphabets.

    Without the characters that its neighbours have a part in. How many there are does not depend on the text.
    """
    forms: list[bytes] = []
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + text)
        whole = encoded[(8 * offset + 5) // 6 : 8 * (offset + len(text)) // 6]
        forms += [whole, whole.translate(URL_SAFE)]
    return tuple(forms)
