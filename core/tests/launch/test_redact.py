"""Forwarded values in what a proxy reports."""

from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from claude_bottle.launch.redact import SHORTEST, Redactor
from claude_bottle.seam.event import Event
from claude_bottle.seam.secrets import Secrets

VALUES = st.text(min_size=SHORTEST, max_size=40).filter(lambda value: not value.isspace())
ANYWHERE = st.text(alphabet="/.?=& ", max_size=10)


@given(value=VALUES, before=ANYWHERE, after=ANYWHERE)
def test_no_form_of_a_value_is_left(value: str, before: str, after: str) -> None:
    """S7: as it is and percent-encoded, a value is replaced by its variable's name."""
    redactor = Redactor(Secrets({"NAME": value}))
    for form in (value, quote(value), quote(value, safe="")):
        assert redactor.text(before + form + after).count("[NAME]") >= 1


def test_every_text_of_an_event_is_redacted() -> None:
    """S7: host, path, method, reason and fix; a host has lost its capitals on the way."""
    value = "Sesame-Open-1"
    texts = dict.fromkeys(("host", "method", "path", "reason", "fix"), f"x{value.lower()}y")
    event = Redactor(Secrets({"DOOR": value})).event(Event(time=1.0, verdict="deny", port=443, **texts))
    assert event == Event(time=1.0, verdict="deny", port=443, **dict.fromkeys(texts, "x[DOOR]y"))


def test_a_value_within_another_hides_neither() -> None:
    """The longer of two values is taken out whole."""
    redactor = Redactor(Secrets({"SHORT": "12345678", "LONG": "0123456789"}))
    assert redactor.text("a 0123456789 b 12345678") == "a [LONG] b [SHORT]"
    assert Redactor(Secrets({"SHORT": "01234567", "LONG": "0123456789"})).text("0123456789") == "[LONG]"


def test_a_short_value_and_no_value_change_nothing() -> None:
    """A value of a few characters would be found everywhere."""
    assert Redactor(Secrets({"FLAG": "1"})).text("port 8181") == "port 8181"
    assert Redactor(Secrets({})).text("port 8181") == "port 8181"
