"""The walk: text takes the type of its field, and every problem is found in one pass."""

from collections.abc import Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct, field

from claude_bottle.errors import BottleError
from claude_bottle.manifest.decode import decode_section
from claude_bottle.manifest.document import parse_document
from claude_bottle.manifest.node import Section
from claude_bottle.manifest.rule import Rule


def section(text: str) -> Section:
    """Return a document as the section of a plugin."""
    root, problems = parse_document(text.encode(), "f.yaml")
    assert root is not None
    assert problems == []
    return root


def value(text: str, type_: Any) -> Any:
    """Return the value of a document that has no problems."""
    found, problems = decode_section(section(text), type_)
    assert problems == []
    return found


def complaints(text: str, type_: Any) -> list[str]:
    """Return the problems of a document, as they are shown."""
    return [str(problem) for problem in decode_section(section(text), type_)[1]]


class Color(Enum):
    """An enumeration by value."""

    RED = "red"


class Inner(Struct, frozen=True):
    """A struct with a key that must be there."""

    name: str
    size: Annotated[int, Meta(ge=1, le=9)] = 1


class Outer(Struct, frozen=True, kw_only=True):
    """One field of each kind."""

    text: str = "default"
    flag: bool = False
    number: int | None = 7
    ratio: float = 0.5
    mode: Literal["one", "two"] = "one"
    level: Literal[1, 2] = 1
    color: Color = Color.RED
    many: tuple[str, ...] = ()
    listed: list[int] = field(default_factory=list[int])
    seen: frozenset[str] = frozenset()
    some: Sequence[Inner] = ()
    by_name: Mapping[str, Inner] = field(default_factory=lambda: MappingProxyType({}))
    loose: dict[str, int] = field(default_factory=dict[str, int])
    either: str | Inner | tuple[str, ...] = ""
    rank: int | Literal["auto"] = "auto"
    renamed: str = field(name="other-name", default="")


@pytest.mark.parametrize(
    "word", ["yes", "no", "on", "null", "~", "22:22", "017", "1e3", "2020-01-01", "8080", "true", ""]
)
def test_a_text_field_takes_any_scalar_as_text(word: str) -> None:
    """A scalar has the type of its field: `yes` is "yes", `PORT: 8080` is "8080"."""
    assert value(f"text: {word}", Outer).text == word


def test_each_kind_of_field_is_read() -> None:
    """Structs, sequences, mappings, literals, enumerations and unions all take their form."""
    text = """
text: a
flag: true
number: 3
ratio: 1.5
mode: two
level: 2
color: red
many: [a, 1]
listed: [1, 2]
seen: [a, a]
some: [{name: x, size: 9}]
by_name: {k: {name: y}}
loose: {a: 1}
either: {name: z}
rank: 4
other-name: b
"""
    assert value(text, Outer) == Outer(
        text="a",
        flag=True,
        number=3,
        ratio=1.5,
        mode="two",
        level=2,
        color=Color.RED,
        many=("a", "1"),
        listed=[1, 2],
        seen=frozenset({"a"}),
        some=(Inner("x", 9),),
        by_name={"k": Inner("y")},
        loose={"a": 1},
        either=Inner("z"),
        rank=4,
        renamed="b",
    )


def test_a_union_goes_by_the_form() -> None:
    """Text, a mapping and a list each find their member; of scalar types the first that reads it."""
    assert value("either: x", Outer).either == "x"
    assert value("either: [x]", Outer).either == ("x",)
    assert value("rank: auto", Outer).rank == "auto"
    assert complaints("rank: soon", Outer) == ['f.yaml:1: rank: expected auto, got "soon"']


def test_a_bare_key_is_empty_or_none() -> None:
    """`key:` with nothing behind it is an empty list or mapping, and None where None may stand."""
    found = value("many:\nby_name:\nnumber:\nloose: null", Outer)
    assert (found.many, found.by_name, found.number, found.loose) == ((), {}, None, {})
    assert value("", Outer) == Outer()


def test_a_mapping_field_is_read_only() -> None:
    """Frozen data stays frozen below its surface."""
    found = value("by_name: {k: {name: y}}", Outer)
    with pytest.raises(TypeError):
        found.by_name["k"] = Inner("z")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("flag: yes", 'flag: expected true or false, got "yes"'),
        ("number: 22:22", 'number: expected a whole number, got "22:22"'),
        ("number: 0x10", 'number: expected a whole number, got "0x10"'),
        ("ratio: fast", 'ratio: expected a number, got "fast"'),
        ("mode: tow", 'mode: expected one or two, got "tow" (did you mean two?)'),
        ("level: 3", 'level: expected 1 or 2, got "3"'),
        ("color: blue", 'color: expected red, got "blue"'),
        ("text: [a]", "text: expected text, got a list"),
        ("text: {a: b}", "text: expected text, got a mapping"),
        ("many: a", 'many: expected a list, got "a"'),
        ("many: {a: b}", "many: expected a list, got a mapping"),
        ("by_name: [a]", "by_name: expected a mapping, got a list"),
        ("many: [[a]]", "many[0]: expected text, got a list"),
        ("some: [{name: x, size: 10}]", 'some[0].size: expected a whole number <= 9, got "10"'),
        ("some: [{size: 1}]", "some[0]: the key name is missing"),
        ("loose: {a b: x}", 'loose["a b"]: expected a whole number, got "x"'),
        ("either: {nam: x}", "either.nam: unknown key (did you mean name?)"),
        ("txet: a", "txet: unknown key (did you mean text?)"),
        ("renamed: a", "renamed: unknown key"),
        ("zzzzzz: a", "zzzzzz: unknown key"),
        ("many: null\nnumber: ''", 'number: expected a whole number, got ""'),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(text: str, complaint: str) -> None:
    """A message says file, line, key, what may stand there and what does."""
    line = text.count("\n") + 1
    assert f"f.yaml:{line}: {complaint}" in complaints(text, Outer)


def test_a_hostile_key_or_value_is_shown_harmlessly() -> None:
    """Escape sequences in a file do nothing to the terminal that shows the problems."""
    for complaint in complaints('"\\e[2Jkey": a\nnumber: "\\e[31m\\u202e"\nmode: "\\n"', Outer):
        assert complaint.isascii()
        assert complaint.isprintable()


def test_problems_leave_the_best_value() -> None:
    """Beside problems stands what is good: bad items are out, bad optional keys have their default."""
    found, problems = decode_section(
        section("text: kept\nnumber: x\nmany: [a, [b], c]\nsome: [{name: x}, {}]\nnew: 1"),
        Outer,
    )
    assert found == Outer(text="kept", many=("a", "c"), some=(Inner("x"),))
    assert len(problems) == 4


def test_without_a_key_that_must_be_there_is_no_value() -> None:
    """A required key that is missing or bad leaves nothing to go on with."""
    assert decode_section(section("size: 2"), Inner)[0] is None
    assert decode_section(section("name: [x]"), Inner)[0] is None


def test_limits_of_lists_and_mappings_hold() -> None:
    """A plugin's `Meta` on a container concerns its length."""

    class Limited(Struct):
        """Both containers, at least one entry each."""

        many: Annotated[tuple[str, ...], Meta(min_length=1)] = ()
        named: Annotated[Mapping[str, str], Meta(max_length=1)] = field(default_factory=dict[str, str])

    assert complaints("many: []\nnamed: {a: b, c: d}", Limited) == [
        "f.yaml:1: many: expected a length >= 1, got 0",
        "f.yaml:2: named: expected a length <= 1, got 2",
    ]


def test_a_rule_refuses_with_its_hint_and_gives_the_one_form() -> None:
    """A rule of a plugin's own speaks with the line of the field, for keys of mappings as well."""

    def even(text: str) -> str:
        if len(text) % 2:
            raise BottleError("an odd length", "add a letter")
        return text.lower()

    class Ruled(Struct):
        """The same rule for keys and values."""

        named: Mapping[Annotated[str, Rule(even)], Annotated[str, Rule(even)]]

    assert value("named: {AB: Ab}", Ruled).named == {"ab": "ab"}
    _, problems = decode_section(section("named:\n  AB: ab\n  abc: ab\n  CD: a"), Ruled)
    assert [(problem.where, problem.hint) for problem in problems] == [
        ("f.yaml:3: named.abc", "add a letter"),
        ("f.yaml:4: named.CD", "add a letter"),
    ]


def test_two_keys_that_mean_the_same_are_a_problem() -> None:
    """What only looks different is a duplicate too, and the first one stands."""
    type_ = Mapping[Annotated[str, Rule(str.lower)], str]
    found, problems = decode_section(section("a: 1\nA: 2"), type_)
    assert found == {"a": "1"}
    assert [str(problem) for problem in problems] == ['f.yaml:2: A: the same as "a"']


def test_a_check_of_the_struct_itself_is_a_problem_of_its_section() -> None:
    """What `__post_init__` refuses is reported, not raised."""

    class Pair(Struct):
        """Two numbers in order."""

        low: int
        high: int

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low is above high")

    assert complaints("\nlow: 2\nhigh: 1", Pair) == ["f.yaml:2: low is above high"]
