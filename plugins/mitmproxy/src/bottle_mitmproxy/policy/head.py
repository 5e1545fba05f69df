"""The head of a request, and the first bytes in a tunnel, as plain data."""

import re
from typing import Literal, NamedTuple

__all__ = ["Content", "Head", "content_of"]

Content = Literal["tls", "http", "other"]

METHOD_START = re.compile(rb"[A-Z][A-Z-]{0,19}")


class Head(NamedTuple):
    """A request's head.

    `scheme`, `host` and `port` say where it would go. `authority` is what the target itself names: the
    absolute form's host in HTTP/1, `:authority` in HTTP/2. `path` is the rest of the target, with its query.
    `sni` is the TLS connection's, None without.
    """

    method: str
    version: str
    scheme: str
    host: str
    port: int
    authority: str = ""
    fields: tuple[tuple[bytes, bytes], ...] = ()
    sni: str | None = None
    path: bytes = b"/"

    def values(self, name: bytes) -> list[str]:
        """Return every value of a header; bytes outside ASCII as escapes, which no comparison takes for a match."""
        return [value.decode("ascii", "backslashreplace").strip() for key, value in self.fields if key.lower() == name]


def content_of(data: bytes) -> Content | None:
    """Tell what a client begins to say in a tunnel; None if that cannot be told from so few bytes."""
    if data[:1] == b"\x16":
        if len(data) < 3:  # noqa: PLR2004 - type and version of a TLS record
            return None
        return "tls" if data[1] == 3 and data[2] <= 3 else "other"  # noqa: PLR2004 - TLS 1.0 to 1.3
    method = METHOD_START.match(data)
    if method and data[method.end() : method.end() + 1] == b" ":
        return "http"
    return None if not data or (method and method.end() == len(data)) else "other"
