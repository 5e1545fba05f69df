"""mitmproxy's options as this proxy sets them: nothing is dialled, stored or streamed upstream before a decision."""

from collections.abc import Sequence
from typing import Any

from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.options import Options

__all__ = ["make_options"]

# What mitmproxy's layers read, and its `Proxyserver` add-on would define.
LAYER_OPTIONS: tuple[tuple[str, Any, object], ...] = (
    ("connection_strategy", str, "lazy"),  # eager dials with the client's SNI before there is a request
    ("stream_large_bodies", str | None, None),
    ("body_size_limit", str | None, None),  # the limit is ours: theirs would hold for responses too
    ("keep_host_header", bool, False),
    ("proxy_debug", bool, False),
    ("normalize_outbound_headers", bool, True),
    ("validate_inbound_headers", bool, True),
    ("store_streamed_bodies", bool, False),
    ("tcp_timeout", int, 3600),
)


class OptionLoader:
    """What an add-on's `load` is given."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def add_option(
        self,
        name: str,
        typespec: Any,
        default: Any,
        help: str,  # noqa: A002 - mitmproxy's name for it
        choices: Sequence[str] | None = None,
    ) -> None:
        """Add an option that is not there yet."""
        if name not in self._options:
            self._options.add_option(name, typespec, default, help, choices)


def make_options(bundle: str) -> Options:
    """Return the options; `bundle` is the PEM file of the authorities that upstream certificates must come from."""
    options = Options()
    loader = OptionLoader(options)
    TlsConfig().load(loader)  # pyright: ignore[reportUnknownMemberType] - untyped
    for name, typespec, default in LAYER_OPTIONS:
        loader.add_option(name, typespec, default, "")
    options.update(  # pyright: ignore[reportUnknownMemberType] - untyped
        http3=False,
        rawtcp=False,  # after a 101 that is no WebSocket, bytes would pass unseen
        ssl_insecure=False,
        ssl_verify_upstream_trusted_ca=bundle,
        upstream_cert=False,  # a certificate is made from the client's word, not fetched before a decision
    )
    return options
