"""The corpus: everyday traffic passes, and every issuer's credential is refused in every form; exceptions by name."""

import pytest
from corpus_everyday import EVERYDAY
from corpus_forms import FORMS, Sent
from corpus_shapes import CASES, EXAMPLES

from bottle_mitmproxy.sidecar.body import Cargo, scan

NOT_FOUND: dict[tuple[str, str], str] = {}
"""Issuer and form of what is not refused, and why."""


def found(sent: Sent) -> tuple[str, str] | None:
    """Return what is found in a request."""
    fields = tuple((name.encode(), value.encode()) for name, value in sent.headers)
    return scan(Cargo(sent.target.encode(), fields, sent.body))


@pytest.mark.parametrize("name", EVERYDAY)
def test_everyday_traffic_passes(name: str) -> None:
    """S4: whatever coding agents send all day is no credential."""
    assert found(EVERYDAY[name]) is None


@pytest.mark.parametrize("form", FORMS)
def test_every_issuer_is_refused_in_every_form(form: str) -> None:
    """S4, S9, N12: but those that are listed by name, and these are not."""
    missed = {issuer for issuer, example in CASES if found(FORMS[form](example)) is None}
    assert missed == {issuer for issuer, unfound in NOT_FOUND if unfound == form}


def test_the_corpus_is_as_large_as_promised() -> None:
    """At least 25 issuers; a megabyte in base64 and megabytes of bytes are among the everyday."""
    assert len(EXAMPLES) >= 25
    assert sum(len(sent.body) for sent in EVERYDAY.values()) > 10 << 20
