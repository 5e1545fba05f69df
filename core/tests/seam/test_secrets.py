"""Secrets: values that cannot be shown by accident."""

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.sidecar import File, SidecarSpec

VALUE = "ghp_hunter2hunter2"
SECRETS = Secrets({"TOKEN": VALUE})


class Holder(msgspec.Struct):
    """Something that holds secrets."""

    secrets: Secrets


def within(it: Secrets) -> str:
    """Show what holds them."""
    return f"{[it]} {(it,)} { ({'a': it}) } {Holder(it)!r}"


def views(it: Secrets) -> str:
    """Show the views of the mapping."""
    return f"{it.items()!r} {it.values()!r} {it.keys()!r}"


def percent(it: Secrets) -> str:
    """Show them in the old form of a format."""
    return "%s %r" % (it, it)  # noqa: UP031 - the old form is what is tested


FORMS: list[Callable[[Secrets], str]] = [
    repr,
    str,
    "{}".format,
    "{0!r:>40}".format,
    "{0!s}".format,
    within,
    views,
    percent,
]


@pytest.mark.parametrize("show", FORMS)
def test_no_form_of_text_shows_a_value(show: Callable[[Secrets], str]) -> None:
    """S7: repr, str and format, alone or inside of something, say how many values there are, never which."""
    text = show(SECRETS)
    assert VALUE not in text
    assert "1 values" in text


@pytest.mark.parametrize(
    "encode",
    [json.dumps, msgspec.json.encode, msgspec.msgpack.encode, pickle.dumps, copy.copy, copy.deepcopy, vars],
)
def test_no_encoder_takes_them(encode: Callable[[object], object]) -> None:
    """S7: JSON, msgpack, pickle and copies refuse, and their errors show no value."""
    with pytest.raises(TypeError) as refusal:
        encode(SECRETS)
    assert VALUE not in str(refusal.value)


@pytest.mark.parametrize("encode", [msgspec.json.encode, msgspec.msgpack.encode, pickle.dumps, copy.deepcopy])
def test_no_encoder_takes_what_holds_them(encode: Callable[[object], object]) -> None:
    """S7: a structure with secrets in it cannot be written down either."""
    with pytest.raises(TypeError) as refusal:
        encode(Holder(SECRETS))
    assert VALUE not in str(refusal.value)


def test_a_traceback_shows_no_value(caplog: pytest.LogCaptureFixture) -> None:
    """S7: neither a traceback with local variables nor a log of an exception has a value in it."""
    with pytest.raises(KeyError) as failure:
        SECRETS["UNKNOWN"]
    shown = "".join(traceback.TracebackException.from_exception(failure.value, capture_locals=True).format())
    logging.getLogger("test").error("failed with %s", SECRETS, exc_info=failure.value)
    assert "self = <Secrets: 1 values>" in shown
    assert VALUE not in shown + caplog.text


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_they_are_a_mapping_of_their_own(values: dict[str, str]) -> None:
    """Values are there for whoever asks by name; a later change of what they came from does not reach them."""
    secrets = Secrets(values)
    before = dict(values)
    values["later"] = "added"
    assert dict(secrets) == before
    assert len(secrets) == len(before)


def test_a_file_of_a_sidecar_shows_no_content() -> None:
    """S11: it may be the key of an authority, and stands in the repr of whatever holds it."""
    files = (File("ca-key.pem", b"-----BEGIN hidden"),)
    spec = SidecarSpec(argv=("it",), files=files, stdin=b"hidden")
    assert "hidden" not in repr(spec)
    assert "ca-key.pem" in repr(spec)
