"""The credentials that the agent never holds: where each of them goes, and that nothing else carries it."""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from bottle_mitmproxy.policy.forms import Needle, base64_forms, members, views
from bottle_mitmproxy.policy.reading import UNFINISHED, Reading
from claude_bottle.seam.part import Injection

__all__ = ["Cleaner", "Entry", "Field", "Vault"]

WINDOW = 1 << 18
"""Bytes that are searched in one go: no single step may hold up the other connections of the proxy."""

WIDEST = 6
"""Bytes of one character: `\\u0041`."""
CLEAR = 8
"""Characters of a credential before the end of a line for which more is waited for: fewer hold no line up."""

Field = tuple[bytes, bytes]


class Entry(NamedTuple):
    """One credential, its placeholder, and where it may go."""

    injection: Injection
    value: bytes
    placeholder: bytes

    def __repr__(self) -> str:
        return f"<Entry {self.injection.name}>"

    def fills(self, field: Field) -> bool:
        """Tell whether a header is this entry's, with the placeholder and nothing else; the scheme's case is free."""
        name, value = field
        scheme, rest = self._written(self.placeholder)
        at = len(scheme)
        return (
            name.lower() == self.injection.header.encode()
            and value[:at].lower() == scheme.lower()
            and value[at:] == rest
        )

    @property
    def filled(self) -> bytes:
        """The header's value with the credential in it."""
        return b"".join(self._written(self.value))

    def _written(self, text: bytes) -> tuple[bytes, bytes]:
        """Return the header's value with a text in its place: what stands before it, whose case is free, and the rest.

        `Basic USER:{}` is a user and a password, which are sent in base64 (RFC 7617); nothing else has a colon there.
        """
        before, _, after = self.injection.format.encode().partition(b"{}")
        scheme, space, user = before.partition(b" ")
        if scheme.lower() == b"basic" and b":" in user:
            return scheme + space, b64encode(user + text + after)
        return before, text + after


class Vault:
    """Every credential of a bottle. It is false when there is none, and nothing is looked for."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = tuple(entries)
        self._needles = [(it, Needle(text)) for it in self._entries for text in (it.value, it.placeholder)]
        self._swaps = [swap for it in self._entries for swap in _swaps(it)]
        self._longest = max((len(it.value) for it in self._swaps), default=0)
        self._overlap = 8 * max((len(it.value) for it in self._entries), default=0)

    def __bool__(self) -> bool:
        return bool(self._entries)

    def fill(self, host: str, port: int, fields: Iterable[Field]) -> Mapping[int, bytes]:
        """Return, by its place among the headers of a request to a host, the value that each placeholder stands for."""
        entries = [it for it in self._entries if (it.injection.host, it.injection.port) == (host, port)]
        return {at: it.filled for at, field in enumerate(fields) for it in entries if it.fills(field)}

    def find(self, data: bytes) -> Injection | None:
        """Return the credential that stands in some bytes, itself or its placeholder, in whatever usual encoding."""
        for part in self._windows(data):
            for view in views(part):
                for entry, needle in self._needles:
                    if needle.within(view):
                        return entry.injection
        return None

    def find_packed(self, data: bytes) -> Injection | None:
        """Return the credential that stands in a gzip file somewhere in a body."""
        return next((found for member in members(data) if (found := self.find(member))), None)

    def clean(self, data: bytes) -> bytes:
        """Return bytes with each credential replaced by its placeholder, in whatever form; their length stays."""
        for it in self._entries:
            data = data.replace(it.value, it.placeholder)  # also one that itself looks like an escape
        reading = Reading(data)
        views, out = (reading.text, reading.text.lower()), bytearray()
        for swap in self._swaps:
            at = (text := views[swap.folded]).find(swap.value)
            while at >= 0:
                out = out or bytearray(data)
                reading.write(at, swap.placeholder, out)
                at = text.find(swap.value, at + len(swap.value))
        return bytes(out) or data

    def held_back(self, data: bytes) -> int:
        """Return how many bytes at the end may be the beginning of a credential."""
        tail = data[-WIDEST * self._longest :]
        unfinished = UNFINISHED.search(tail)
        rest = len(tail) - unfinished.start() if unfinished else 0
        reading = Reading(tail[: len(tail) - rest])
        texts = (reading.text, reading.text.lower())
        size = max((_begun(texts[it.folded], it.value) for it in self._swaps), default=0)
        if size < (CLEAR if reading.ends_a_line else 1):
            return rest
        return len(tail) - reading.start(len(reading.text) - size)

    def _windows(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), WINDOW):
            yield data[at : at + WINDOW + self._overlap]


class Cleaner:
    """Takes credentials out of a stream. What may become one waits for the next bytes, and for the end."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._rest = b""

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """Return what can be passed on."""
        data = self._vault.clean(self._rest + data)
        held = 0 if last else self._vault.held_back(data)
        self._rest = data[len(data) - held :]
        return data[: len(data) - held]


def _begun(text: bytes, value: bytes) -> int:
    """Return how many characters at the end of a text are the beginning of a value."""
    at = text.find(value[:CLEAR])
    while at >= 0:
        if value.startswith(text[at:]):
            return len(text) - at
        at = text.find(value[:CLEAR], at + 1)
    return next((size for size in range(CLEAR - 1, 0, -1) if text.endswith(value[:size])), 0)


class Swap(NamedTuple):
    """One form of a credential, its placeholder's, and whether it is looked for in lower case."""

    value: bytes
    placeholder: bytes
    folded: bool

    def __repr__(self) -> str:
        return "<Swap>"


def _swaps(entry: Entry) -> list[Swap]:
    value, placeholder = entry.value, entry.placeholder
    forms = zip(base64_forms(value), base64_forms(placeholder), strict=True)
    return [
        Swap(value.lower(), placeholder, folded=True),
        Swap(value.hex().encode(), placeholder.hex().encode(), folded=True),
        *(Swap(of_value, of_placeholder, folded=False) for of_value, of_placeholder in forms),
    ]
