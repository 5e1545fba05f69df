"""What HTTP/1.1 allows an upstream to say and mitmproxy does not understand: interim answers, and trailers.

Neither is passed on, which a proxy may do with all but 100 and 101 (RFC 9110, 15.2 and 6.5.1); 100 is mitmproxy's own.
"""

import re
from typing import Any, cast

import h11
from h11._readers import ChunkedReader
from mitmproxy.proxy import events, layer
from mitmproxy.proxy.layers import http
from mitmproxy.proxy.layers.http import _http1 as http1  # pyright: ignore[reportPrivateUsage] - it has no other place
from mitmproxy.proxy.layers.http._http1 import Http1Client

__all__ = ["Chunks", "Http1Upstream", "understand_replies"]

INTERIM = re.compile(rb"HTTP/1\.[01] 1(?!01)[0-9]{2}[ \r\n]")


class Http1Upstream(Http1Client):
    """A connection on which what comes before the answer is left out."""

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        """Read the head of the answer, once there is one."""
        while INTERIM.match(bytes(self.buf)) and self.buf.maybe_extract_lines():
            pass
        yield from super().read_headers(event)


class Chunks(ChunkedReader):
    """A body in chunks, whose trailers are left out."""

    def __call__(self, buf: Any) -> h11.Data | h11.EndOfMessage | None:
        """Read on."""
        event = super().__call__(buf)
        return h11.EndOfMessage() if isinstance(event, h11.EndOfMessage) else event


def understand_replies() -> None:
    """Have mitmproxy use both. Idempotent."""
    cast("Any", http).Http1Client = Http1Upstream
    cast("Any", http1).ChunkedReader = Chunks
