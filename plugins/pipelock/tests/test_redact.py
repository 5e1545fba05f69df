"""What is taken out of whatever is reported."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bottle_pipelock.redact import Place, read_place, scrub, scrub_path

SECRETS = (
    "ghp_" + "aB3dE6gH9k" * 3 + "123456",
    "github_pat_" + "11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz0123456789",
    "glpat-" + "abcdefghij0123456789",
    "sk-ant-" + "api03-abcdefghijklmnopqrstuvwxyz",
    "AKIA" + "IOSFODNN7EXAMPLE",
    "xoxb-" + "1234567890-1234567890123-abcdefghijklmnop",
    "AIza" + "SyA1234567890abcdefghijklmnopqrstuv",
    "npm_" + "abcdefghijklmnopqrstuvwxyz0123456789",
    "wJalrXUtnFEMI" + "K7MDENGbPxRfiCYEXAMPLEKEY1",
)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("shape", ["{}", "/a/{}/b", "x={}", "prefix {} suffix", "{}.evil.test"])
def test_a_credential_is_never_shown(secret: str, shape: str) -> None:
    """Wherever it stands in a text or a path, also percent-encoded."""
    text = shape.format(secret)
    encoded = shape.format("".join(f"%{ord(it):02x}" for it in secret))
    assert secret not in scrub(text)
    assert secret not in scrub_path(text)
    assert secret not in unquote(scrub_path(encoded))


@pytest.mark.parametrize(
    "path",
    [
        "/simple/requests/",
        "/repos/org/name/commits/4086512c0ffee4086512c0ffee4086512c0ffee4",
        "/packages/some_package_name-1.2.3-cp311-cp311-manylinux_2_17_x86_64.whl",
        "/v2/library/debian/manifests/sha256:0123456789abcdef0123456789abcdef",
        "/a%20b",
    ],
)
def test_an_ordinary_path_is_shown_as_it_is(path: str) -> None:
    """Hashes and names of packages are what makes a record useful."""
    assert scrub_path(path) == path


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("https://api.test/a/b?c=d#e", Place("api.test", 443, "/a/b")),
        ("http://api.test/", Place("api.test", 80, "/")),
        ("https://API.test.:8443/[redacted]", Place("api.test", 8443, "/[redacted]")),
        ("https://user:pass@api.test/", Place("api.test", 443, "/")),
        ("evil.test:443", Place("evil.test", 443, "")),
        ("[2001:db8::1]:443", Place("2001:db8::1", 443, "")),
        ("evil.test", Place("evil.test", None, "")),
        ("evil.test:99999", Place("evil.test:99999", None, "")),
        ("http://[::1/?k=v", Place("http://[::1/", None, "")),
        ("", Place("", None, "")),
    ],
)
def test_a_place_is_read_from_a_url_or_a_target(text: str, place: Place) -> None:
    """Without user information and query; what cannot be read is shown, not lost."""
    assert read_place(text) == place


@given(st.text())
def test_whatever_is_reported_prints(text: str) -> None:
    """A terminal obeys some of what does not print, and the agent chooses the text."""
    assert scrub(text).isprintable() or not scrub(text)
    place = read_place(text)
    assert all(it.isprintable() for it in (place.host, place.path))


@given(st.text(alphabet="abcXYZ019-_=", min_size=1), st.text(alphabet="abc019=&", min_size=1))
def test_no_query_is_shown(path: str, query: str) -> None:
    """Neither in a place nor in a reason that holds a URL."""
    assert "?" not in read_place(f"https://a.test/{path}?{query}").path
    assert scrub(f'Get "https://a.test/p?{query}": refused') == 'Get "https://a.test/p?…": refused'
