"""Values of variables: text, and the host's variables in it."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_bottle.errors import BottleError
from claude_bottle.manifest.environment import HostVariable, Text, parse_env

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
DEFAULTS = st.none() | st.text(alphabet=st.characters(exclude_characters="$}\0", codec="utf-8"), max_size=8)
TEXTS = st.text(alphabet=st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=8)
PARTS = st.lists(st.builds(Text, TEXTS) | st.builds(HostVariable, NAMES, DEFAULTS), max_size=6)


def write(parts: tuple[Text | HostVariable, ...]) -> str:
    """Return the value that has these parts."""
    written: list[str] = []
    for part in parts:
        match part:
            case Text(text=text):
                written.append(text.replace("$", "$$"))
            case HostVariable(name=name, default=None):
                written.append(f"${{{name}}}")
            case HostVariable(name=name, default=default):
                written.append(f"${{{name}:-{default}}}")
    return "".join(written)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("debug", (Text("debug"),)),
        ("${HOST_API_URL}/v2", (HostVariable("HOST_API_URL"), Text("/v2"))),
        ("a$$b", (Text("a$b"),)),
        ("$$${A}", (Text("$"), HostVariable("A"))),
        ("$${A}", (Text("${A}"),)),
        ("${A:-}", (HostVariable("A", ""),)),
        ("${A:-x y:z}", (HostVariable("A", "x y:z"),)),
        ("line\nline", (Text("line\nline"),)),
    ],
)
def test_a_value_has_parts(text: str, parts: tuple[Text | HostVariable, ...]) -> None:
    """S18: a literal is all text, `${NAME}` is the host's, `$$` is a dollar."""
    assert parse_env(text) == parts


@pytest.mark.parametrize(
    "text",
    ["$", "$HOME", "${", "${}", "${1A}", "${A", "${A:}", "${A-b}", "${A:-$B}", "${A:-${B}}", "$(id)", "$$$", "${A }"],
)
def test_a_stray_dollar_is_refused(text: str) -> None:
    """What a shell would expand in ways of its own is never guessed at; the hint has both forms."""
    with pytest.raises(BottleError) as caught:
        parse_env(text)
    assert caught.value.hint is not None
    assert "${NAME}" in caught.value.hint
    assert "$$" in caught.value.hint


def test_a_refusal_does_not_show_the_value() -> None:
    """S7: a value may be a secret, so the message names the place alone."""
    with pytest.raises(BottleError) as caught:
        parse_env("hunter2-$-hunter2")
    assert caught.value.message == "a $ at character 9 begins nothing"


def test_a_nul_is_refused() -> None:
    """No environment can hold it."""
    with pytest.raises(BottleError, match="NUL"):
        parse_env("a\0b")


@given(PARTS)
def test_parts_come_back_from_what_they_write(parts: list[Text | HostVariable]) -> None:
    """Writing parts and reading them again gives the same, but for neighbouring texts, which become one."""
    joined = parse_env(write(tuple(parts)))
    assert write(joined) == write(tuple(parts))
    names = [part for part in parts if isinstance(part, HostVariable)]
    assert [part for part in joined if isinstance(part, HostVariable)] == names
    assert not any(isinstance(a, Text) and isinstance(b, Text) for a, b in pairwise(joined))


@given(st.text(alphabet="$${}:-A_ ", max_size=12))
def test_text_without_a_dollar_is_itself(text: str) -> None:
    """Only `$` means anything; all else is literal, whatever it looks like."""
    plain = re.sub(r"\$", "", text)
    assert parse_env(plain) == ((Text(plain),) if plain else ())
