"""Both ends of TLS: certificates for the bottle from its own authority, verification of upstreams."""

from typing import Any

from mitmproxy import ctx
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.certs import Cert, CertStore
from mitmproxy.options import Options
from mitmproxy.tls import TlsData

from bottle_mitmproxy.sidecar.authority import Authority

__all__ = ["Tls"]


class Tls(TlsConfig):
    """mitmproxy's TLS with a certificate store that was never a file."""

    def __init__(self, authority: Authority, options: Options) -> None:
        ctx.options = options
        self.certstore = make_store(authority)

    def tls_start_server(self, tls_start: TlsData) -> None:
        """Verify the name that is dialled, whatever name the client sent."""
        server = tls_start.conn
        address: Any = getattr(server, "address", None)
        server.sni = address[0]
        super().tls_start_server(tls_start)


def make_store(authority: Authority) -> CertStore:
    """Return a certificate store in memory; its parameters differ between mitmproxy 11 and 12."""
    store: Any = CertStore
    parameters: dict[str, object] = {
        "default_privatekey": authority.key,
        "default_ca": Cert(authority.certificate),
        "default_chain_file": None,
        "dhparams": None,
    }
    if "default_crl" in CertStore.__init__.__code__.co_varnames:
        parameters["default_crl"] = b""
    return store(**parameters)
