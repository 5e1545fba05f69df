"""What programs in a bottle find in their environment: the proxy, its CA, and where an agent's programs are."""

from collections.abc import Mapping

__all__ = ["BIN", "BUNDLE", "CA_FILE", "NO_PROXY", "PLACE", "ca_environment", "proxy_environment"]

CA_FILE = "/usr/local/share/ca-certificates/claude-bottle.crt"
"""Where the CA of a bottle lies inside, where the backend's tree lets it."""

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
"""The system's bundle inside: the host's or image's own, and the CA of this bottle."""

PLACE = "/opt/claude-bottle"
"""Where an agent's programs are in a bottle, each in a folder of its name; in an image and in a sandbox alike."""

BIN = f"{PLACE}/bin"
"""Where their commands are; first on the PATH."""

NO_PROXY = "localhost,127.0.0.1,::1"


def proxy_environment(host: str, port: int) -> Mapping[str, str]:
    """Return the proxy variables in both spellings; a backend calls this, for it owns the address."""
    url = f"http://{host}:{port}"
    upper = {"HTTP_PROXY": url, "HTTPS_PROXY": url, "ALL_PROXY": url, "NO_PROXY": NO_PROXY}
    return upper | {name.lower(): value for name, value in upper.items()} | {"NODE_USE_ENV_PROXY": "1"}


def ca_environment(bundle: str = BUNDLE) -> Mapping[str, str]:
    """Return the variables that point runtimes at a bundle which holds the CA of this bottle."""
    names = (
        "NODE_EXTRA_CA_CERTS",
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "GIT_SSL_CAINFO",
        "PIP_CERT",
    )
    return dict.fromkeys(names, bundle)
