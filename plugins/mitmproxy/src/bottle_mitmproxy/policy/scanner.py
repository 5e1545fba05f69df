"""The search for credentials: in bytes of any size, in URLs, and in what is about to be written down."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from bottle_mitmproxy.policy.halves import halves
from bottle_mitmproxy.policy.patterns import PATTERNS, SHORTEST, Pattern, is_placeholder
from bottle_mitmproxy.policy.unwrap import WINDOW, behind_escape, unwrapped, windows

__all__ = ["WINDOW", "Hit", "find_credential", "find_in_form", "find_in_url", "hits", "redact", "redact_target"]

SHOWN = 1 << 13
"""Characters of a path that are reported; what reads the reports keeps fewer still."""

WORD = re.compile(rb"[A-Za-z0-9_-]{%d,}" % SHORTEST)
LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"


class Hit(NamedTuple):
    """Where a credential stands."""

    issuer: str
    start: int
    end: int


def _by_beginning() -> Mapping[bytes, Sequence[Pattern]]:
    """Return the patterns of the kind `word` by the two bytes with which they begin."""
    table: defaultdict[bytes, list[Pattern]] = defaultdict(list)
    for pattern in PATTERNS:
        if pattern.kind == "word":
            for beginning in {(literal + bytes([byte]))[:2] for literal in pattern.literals for byte in LETTERS}:
                table[beginning].append(pattern)
    return table


WORDS = _by_beginning()
OTHERS = tuple(pattern for pattern in PATTERNS if pattern.kind != "word")


def hits(data: bytes) -> Iterator[Hit]:
    """Yield every credential in `data`, in no order; two may overlap."""
    for issuer, found in _matches(data):
        if not is_placeholder(found["secret"]):
            yield Hit(issuer, *found.span())


def _matches(data: bytes) -> Iterator[tuple[str, re.Match[bytes]]]:
    for word in WORD.finditer(data):
        at = word.start()
        for begin in {at, behind_escape(data, at)}:
            for pattern in WORDS.get(data[begin : begin + 2], ()):
                if found := pattern.regex.match(data, begin):
                    yield pattern.issuer, found
    for pattern in OTHERS:
        for found in _search(pattern, data):
            yield pattern.issuer, found


def _search(pattern: Pattern, data: bytes) -> Iterator[re.Match[bytes]]:
    for literal in pattern.literals:
        at = data.find(literal)
        while at >= 0:
            for begin in (at - before for before in pattern.before if before <= at):
                if found := pattern.regex.match(data, begin):
                    yield found
            at = data.find(literal, at + len(literal))


def find_credential(data: bytes) -> str | None:
    """Return the issuer of a credential that is in `data` as it is or in another form, None if there is none."""
    parts = chain(_windows(data), unwrapped(data), halves(data))
    return next((hit.issuer for part in parts for hit in hits(part)), None)


def find_in_url(target: bytes) -> str | None:
    """Look at a path and query as they are, and once more with their percent-encoding undone."""
    return find_credential(target) or find_credential(unquote_to_bytes(target))


def find_in_form(body: bytes) -> str | None:
    """Look at the fields of a form with their encoding undone, where spaces are written as plus signs."""
    parts = (unquote_to_bytes(part.replace(b"+", b" ")) for part in _windows(body))
    return next((hit.issuer for part in parts for hit in hits(part)), None)


def _windows(data: bytes) -> Iterator[bytes]:
    return (data[at:end] for at, end in windows(data))


def redact(text: str) -> str:
    """Return the text with each credential replaced by its issuer's name; the whole text if one is in another form.

    What does not print is percent-encoded: the text is read on terminals, which obey some of it.
    """
    data = text.encode("utf-8", "surrogateescape")
    safe, done = b"", 0
    for hit in sorted(hits(data), key=lambda hit: (hit.start, -hit.end)):
        if hit.start >= done:
            safe += data[done : hit.start] + f"[{hit.issuer}]".encode()
        done = max(done, hit.end)
    safe += data[done:]
    if issuer := find_credential(safe):
        return f"[{issuer}]"
    text = safe.decode("utf-8", "replace")
    return "".join(it if it.isprintable() else quote(it) for it in text)


def redact_target(target: str) -> str:
    """Return the first SHOWN characters of a path without its credentials, and of its query the names alone."""
    path, mark, query = target.partition("?")
    plain = unquote_to_bytes(path.encode("utf-8", "surrogateescape"))
    if find_credential(plain):
        path = plain.decode("utf-8", "replace")
    names = "&".join(f"{item.partition('=')[0]}=…" if "=" in item else "…" for item in query.split("&") if item)
    return (redact(path) + mark + redact(names))[:SHOWN]
