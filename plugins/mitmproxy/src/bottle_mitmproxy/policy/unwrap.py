"""What stands in bytes in another form: base64, hexadecimal, percent-encoding, escapes of JSON.

A form is undone where it stands, so that a body without any costs one look. What comes out is looked at the same way,
to a depth of three: base64 in an escaped string in a form is found, a fourth wrapping is not.
"""

import re
from binascii import a2b_base64, unhexlify
from collections.abc import Iterator, Mapping
from urllib.parse import unquote_to_bytes

from bottle_mitmproxy.policy.patterns import LONGEST

__all__ = ["DEEPEST", "WINDOW", "Batch", "behind_escape", "unwrapped", "windows"]

DEEPEST = 3
WINDOW, OVERLAP = 1 << 18, 2 * LONGEST
"""Bytes that one step looks at, and so many of the next: no single step may hold up the proxy's other connections.

Both are multiples of four, as base64 needs it.
"""

RUN = re.compile(rb"[A-Za-z0-9+/_-]{26,}")
"""Base64 or hexadecimal of twenty bytes, the shortest credential, or more; or a path, or a long name."""
HEX = re.compile(rb"[0-9A-Fa-f]{40,}")
WRAPPED = frozenset({64, 76})
"""Characters in a line of base64 (RFC 7468, RFC 2045)."""
LINE_END = re.compile(rb"(?:\r?\n|(?:\\r)?\\n)[ \t]*(?=[A-Za-z0-9+/])")
LAST_LINE = re.compile(rb"[A-Za-z0-9+/]{1,76}")
TO_STANDARD = bytes.maketrans(b"-_", b"+/")

PERCENT = re.compile(rb"%[0-9A-Fa-f]{2}")
ESCAPE = re.compile(rb"\\u00[0-7][0-9A-Fa-f]|\\/")
REACH = 1 << 10
"""Bytes on either side of something encoded that belong to the same value."""


ESCAPES: Mapping[int, re.Pattern[bytes]] = {
    ord("\\"): re.compile(rb"[nrtbf]|u[0-9A-Fa-f]{4}"),
    ord("%"): re.compile(rb"[0-9A-Fa-f]{2}"),
}
"""What a word begins with that belongs to the character before it: `\\n`, `\\u003d`, `%3D`."""


class Batch:
    """Small pieces, gathered so that they are looked at together; a line break keeps them apart."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> Iterator[bytes]:
        """Take a piece; yield what has been gathered when it is enough."""
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size >= WINDOW:
            yield from self.rest()

    def rest(self) -> Iterator[bytes]:
        """Yield what is left."""
        if self._pieces:
            yield b"\n".join(self._pieces)
        self._pieces, self._size = [], 0


def unwrapped(data: bytes, depth: int = DEEPEST) -> Iterator[bytes]:
    """Yield all that stands in `data` in another form, in parts that overlap by a credential's length."""
    if not depth:
        return
    for form in FORMS:
        for part in form(data):
            yield part
            yield from unwrapped(part, depth - 1)


def windows(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield beginnings and ends of parts that overlap by as much as a credential in any form can be long."""
    for at in range(0, len(data), WINDOW):
        yield at, min(at + WINDOW + OVERLAP, len(data))


def behind_escape(data: bytes, at: int) -> int:
    """Return where a word begins: here, or behind the end of an escape that looks like its first characters."""
    escape = ESCAPES.get(data[at - 1]) if at else None
    rest = escape.match(data, at) if escape else None
    return rest.end() if rest else at


def _encoded(data: bytes) -> Iterator[bytes]:
    """Yield what is in base64, of either alphabet and also over lines, and in hexadecimal."""
    batch, done = Batch(), 0
    for start, end in _runs(data):
        if start < done:
            continue
        run = data[start:end]
        if end - start in WRAPPED:
            run, done = _lines(data, start, end)
        for at in range(0, len(run), WINDOW):
            for piece in _readings(run[at : at + WINDOW + OVERLAP]):
                yield from batch.add(piece)
    yield from batch.rest()


def _runs(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where runs begin and end; one that is longer than a window comes in parts, each a multiple of four on."""
    begun = -1  # where a run began that goes on behind the window
    for at, end in windows(data):
        for found in RUN.finditer(data, at, end):
            start = found.start()
            if start == at and begun >= 0:
                start += (begun - at) % 4
            start = behind_escape(data, start)
            begun = start if found.end() == end < len(data) else -1
            yield start, found.end()


def _readings(run: bytes) -> Iterator[bytes]:
    """Yield the readings of a run: as a whole, behind each slash as in a path, and its hexadecimal parts."""
    digits = HEX.findall(run)
    for text in digits:
        yield unhexlify(text[len(text) % 2 :])
        if len(text) % 2:
            yield unhexlify(text[:-1])
    if digits != [run]:
        yield _base64(run)
        if b"/" in run and len(run) <= LONGEST:
            yield from (_base64(part) for part in run.split(b"/")[1:] if RUN.fullmatch(part))


def _lines(data: bytes, start: int, end: int) -> tuple[bytes, int]:
    """Join a line of base64 with those of its width that follow and the last, shorter one."""
    width, lines = end - start, [data[start:end]]
    while len(lines[-1]) == width and (gap := LINE_END.match(data, end)) and (line := LAST_LINE.match(data, gap.end())):
        lines.append(line[0])
        end = line.end()
    return b"".join(lines), end


def _base64(text: bytes) -> bytes:
    """Decode text of either alphabet, of which no padding and up to three characters too many are no matter."""
    text = text.translate(TO_STANDARD)
    over = len(text) % 4
    return a2b_base64(text[:-1] if over == 1 else text + b"=" * (-over % 4))


def _percent(data: bytes) -> Iterator[bytes]:
    """Yield what is percent-encoded, with its surroundings."""
    return (unquote_to_bytes(part) for part in _around(PERCENT, data))


def _escaped(data: bytes) -> Iterator[bytes]:
    """Yield what is written with escapes of JSON for plain characters, with its surroundings."""
    return (ESCAPE.sub(_unescape, part) for part in _around(ESCAPE, data))


def _unescape(escape: re.Match[bytes]) -> bytes:
    return b"/" if escape[0] == rb"\/" else bytes([int(escape[0][4:], 16)])


def _around(pattern: re.Pattern[bytes], data: bytes) -> Iterator[bytes]:
    """Yield the parts of `data` that have what the pattern matches, or lie within REACH of it."""
    for first, last in windows(data):
        start = end = -1
        for found in pattern.finditer(data, first, last):
            if found.start() > end + REACH or end < 0:
                if end >= 0:
                    yield data[max(0, start - REACH) : end + REACH]
                start = found.start()
            end = found.end()
        if end >= 0:
            yield data[max(0, start - REACH) : end + REACH]


FORMS = (_encoded, _percent, _escaped)
