"""Names, variables, networks and paths in a manifest: the rule of each, from text to its one form, and the nearest."""

import ipaddress
import re
from collections.abc import Callable, Iterable

from claude_bottle.errors import BottleError
from claude_bottle.manifest.host import LAST_PORT, parse_host
from claude_bottle.manifest.node import quote

__all__ = [
    "agent_name",
    "dial_address",
    "did_you_mean",
    "distribution_name",
    "env_name",
    "header_format",
    "header_name",
    "host_path",
    "keyring_entry",
    "nearest",
    "one_line",
    "paragraphs",
    "plugin_name",
    "private_network",
    "runtime_name",
    "skill_name",
    "user_name",
]


FRAMING = frozenset(
    {
        "host",
        "connection",
        "content-length",
        "content-encoding",
        "expect",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers by which a proxy or a server finds where a message goes, and where it ends."""


def matching(pattern: str, message: str) -> Callable[[str], str]:
    """Return a rule that takes text which a pattern matches as a whole, and leaves it as it is."""
    regex = re.compile(pattern)

    def check(text: str) -> str:
        if not regex.fullmatch(text):
            raise BottleError(f"{quote(text)}: {message}")
        return text

    return check


OWN_KEYS = frozenset({"skills", "ssh", "workspace"})
"""Keys of the manifest itself that a provisioner named after them takes, and nobody else; none is a section."""

# Forty, so that a resource's name, which adds to the slug, stays within the 63 characters of a DNS label.
agent_name = matching(
    r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}",
    "a name has at most 40 letters, digits, spaces, dots, _ and -, a letter or digit first",
)
plugin_name = matching(
    r"[a-z0-9][a-z0-9._-]{0,39}", "the name of a plugin has lower-case letters, digits, dots, _ and -"
)
env_name = matching(r"[A-Za-z_][A-Za-z0-9_]*", "a variable's name has letters, digits and _, and begins with no digit")
skill_name = matching(r"[A-Za-z0-9_][A-Za-z0-9._-]*", "a skill is named by its folder: letters, digits, dots, _ and -")
runtime_name = matching(r"[A-Za-z0-9][A-Za-z0-9._-]*", "a runtime's name has letters, digits, dots, _ and -")
user_name = matching(r"[A-Za-z0-9_][A-Za-z0-9._-]*", "a user's name has letters, digits, dots, _ and -")
keyring_entry = matching(
    r"[^/\x00-\x20\x7f][^/\x00-\x1f\x7f]*/[^\x00-\x20\x7f][^\x00-\x1f\x7f]*", "an entry of a keyring is SERVICE/NAME"
)
distribution_name = matching(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", "the name of a distribution, as pip takes it"
)
one_line = matching(r"[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+", "one line of text, without control characters")


def paragraphs(text: str) -> str:
    """Return text of any length; BottleError for control characters other than line breaks and tabs."""
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text):
        raise BottleError("control characters cannot stand in this text")
    return text


def header_name(text: str) -> str:
    """Return the name of a header in lower case; BottleError for one that says where a request goes or ends."""
    name = text.lower()
    if not re.fullmatch(r"[a-z0-9!#$%&'*+.^_`|~-]+", name):
        raise BottleError(f"{quote(text)}: not the name of a header", "such as Authorization or X-Api-Key")
    if name in FRAMING or name.startswith("proxy-"):
        raise BottleError(f"{quote(text)}: this header is no place for a credential", "such as Authorization")
    return name


def header_format(text: str) -> str:
    """Return how a credential stands in its header: `{}` once, in printable ASCII."""
    if text.count("{}") != 1 or not text.isascii() or not text.isprintable() or text != text.strip():
        raise BottleError(f"{quote(text)}: {{}} stands once in it, for the credential", 'such as "Bearer {}"')
    return text


def host_path(text: str) -> str:
    """Return a path on the host as it is written; `~` is expanded where it is used."""
    one_line(text)
    if text.startswith("~") and not text.startswith("~/") and text != "~":
        raise BottleError(f"{quote(text)}: the home of another user", "write the path itself")
    return text


def private_network(text: str) -> str:
    """Return a network or an address in CIDR notation."""
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise BottleError(f"{quote(text)}: not a network in CIDR notation", cidr_hint(text)) from None


def cidr_hint(text: str) -> str:
    """Return the network that was probably meant."""
    try:
        return f"write {ipaddress.ip_network(text, strict=False)}, the network of this address"
    except ValueError:
        return "write it as 10.1.0.0/16, an address alone as 10.1.2.3"


def dial_address(text: str) -> str:
    """Return `ADDR:PORT`, an IP address and a port, in its one form; IPv6 stands in brackets."""
    pattern = parse_host(text)
    try:
        ipaddress.ip_address(pattern.host)
    except ValueError:
        pattern = pattern._replace(port=None)
    if pattern.port is None:
        raise BottleError(f"{quote(text)}: not an address with a port", f"write it as 192.0.2.1:443 (1 to {LAST_PORT})")
    return str(pattern)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like `word`, or None; case does not count."""
    import difflib  # noqa: PLC0415 - only a mistake pays for it

    names = {name.lower(): name for name in sorted(known)}
    found = difflib.get_close_matches(word.lower(), names, n=1)
    return names[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean memory?)` to end a sentence with, or nothing."""
    name = nearest(word, known)
    return f" (did you mean {name}?)" if name else ""
