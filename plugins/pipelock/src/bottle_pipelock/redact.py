"""What is taken out of everything that is reported: pipelock's own log has a refused URL with the secret in it."""

import re
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

__all__ = ["Place", "read_place", "scrub", "scrub_path"]

SHOWN = 1 << 12
"""Characters of a text that are looked at and reported."""

HIDDEN = "[redacted]"

# Prefixes that issuers give to what they issue, and what follows them.
ISSUED = re.compile(
    r"(?:gh[opsur]_|github_pat_|gl[a-z]{2,6}-|gr1348941|sk-|[sr]k_live_|whsec_|xox[a-z]-|xapp-|a[ks]ia(?=[0-9a-z]{16})"
    r"|aiza|gocspx-|ya29\.|npm_|pypi-|hf_|do[opr]_v1_|shp[a-z]{2}_|sntrys?[a-z]?_|dckr_[a-z]{3}_|glsa_|hv[bsr]\."
    r"|age-secret-key-1|eyj[0-9a-z_-]{8,}\.)[0-9a-z_.=+-]{12,}",
    re.IGNORECASE,
)
LONG = re.compile(r"[A-Za-z0-9_+=-]{32,}")
QUERY = re.compile(r"(?<=[^\s?])\?[^\s\"']*")


class Place(NamedTuple):
    """Where a request goes. `port` is None where neither it nor a scheme is known; `path` has no query."""

    host: str
    port: int | None
    path: str


def read_place(text: str) -> Place:
    """Return the parts of a URL, or of `HOST:PORT`; what cannot be read is a host that is shown as far as it prints."""
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
        host = (parts.hostname or "").removesuffix(".")
    except ValueError:
        return Place(scrub(text.partition("?")[0][:100]), None, "")
    return Place(scrub(host), port, scrub_path(parts.path) if parts.scheme else "")


def scrub(text: str) -> str:
    """Return a text without credentials and without the queries of URLs; what does not print is percent-encoded."""
    text = QUERY.sub("?…", text[:SHOWN])
    text = ISSUED.sub(HIDDEN, text)
    text = LONG.sub(lambda found: HIDDEN if _random(found[0]) else found[0], text)
    return "".join(it if it.isprintable() else quote(it, errors="replace") for it in text)


def scrub_path(path: str) -> str:
    """Return a path without credentials, also those that are percent-encoded in it."""
    plain = unquote(path, errors="replace")
    return scrub(path) if scrub(plain) == plain else scrub(plain)


def _random(word: str) -> bool:
    """Whether capitals, small letters and digits are mixed, as in a key, and not in a hash or a name."""
    return all(any(test(it) for it in word) for test in (str.isupper, str.islower, str.isdigit))
