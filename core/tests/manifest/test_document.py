"""The document: what of YAML a manifest may use, and how its text may break off."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from claude_bottle.errors import BottleError
from claude_bottle.manifest import document
from claude_bottle.manifest.document import MAX_BYTES, MAX_DEPTH, parse_document, read_bytes
from claude_bottle.manifest.node import Items, Node, Scalar, Table

Events = Callable[[str], Iterable[yaml.Event]]


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def _both_loaders(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test with the parser in C and with the one in Python, which stands in where C is missing."""
    loader: Any = getattr(yaml, request.param)
    monkeypatch.setattr(document, "parse_events", cast("Events", partial(cast("Any", yaml).parse, Loader=loader)))


def problems(text: str | bytes) -> list[tuple[str, str]]:
    """Return where and what, of each problem."""
    data = text if isinstance(text, bytes) else text.encode()
    return [(problem.where, problem.message) for problem in parse_document(data, "f.yaml")[1]]


def hints(text: str) -> list[str | None]:
    """Return the hint of each problem."""
    return [problem.hint for problem in parse_document(text.encode(), "f.yaml")[1]]


def plain(node: Node) -> Any:
    """Return a tree as Python's own types."""
    match node:
        case Table(entries=entries):
            return {key: plain(child) for key, child in entries}
        case Items(children=children):
            return [plain(child) for child in children]
        case Scalar(text=text):
            return text
        case _:
            return None


def test_every_scalar_is_its_text() -> None:
    """What YAML 1.1 would turn into booleans, numbers in base 60 and 8, dates and nulls stays text."""
    root, found = parse_document(b"a: [yes, 22:22, 017, 1_000, 2020-01-01, ~, 1e3, .inf, 'q']\n8080: x\n", "f.yaml")
    assert found == []
    assert root is not None
    expected = ["yes", "22:22", "017", "1_000", "2020-01-01", "~", "1e3", ".inf", "q"]
    assert plain(root.node) == {"a": expected, "8080": "x"}


def test_parts_know_the_line_of_their_key() -> None:
    """A value stands on its key's line, an item on its own."""
    root, _ = parse_document(b"a:\n  - x\n  - |\n    text\nb:\n  c: 1\n", "f.yaml")
    assert root is not None
    assert isinstance(root.node, Table)
    (_, a), (_, b) = root.node.entries
    assert (a.line, b.line) == (1, 5)
    assert isinstance(a, Items)
    assert [child.line for child in a.children] == [2, 3]


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("a: 1\nb: {c: *x}\n", "f.yaml:2: b.c", "an alias is not supported"),
        ("a:\n  - &x 1\n", "f.yaml:2: a[0]", "an anchor is not supported"),
        ("a: !!str 1\n", "f.yaml:1: a", "a tag is not supported"),
        ("a: !run [x]\n", "f.yaml:1: a", "a tag is not supported"),
        ("a:\n  <<: {b: 1}\n", "f.yaml:2: a", "a merge key is not supported"),
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3: a", "duplicate key (first on line 1)"),
        ("a: {b: 1, b: 2}\n", "f.yaml:1: a.b", "duplicate key (first on line 1)"),
        ("? [a]\n: 1\n", "f.yaml:1", "a key must be text"),
        ("a: {? {b: 1} : 1}\n", "f.yaml:1: a", "a key must be text"),
        ("'': 1\n", "f.yaml:1", "a key must be text"),
        ("a: 1\n---\nb: 1\n", "f.yaml:2", "a second document"),
    ],
)
def test_surprising_yaml_is_a_problem(text: str, where: str, message: str) -> None:
    """Aliases, anchors, tags, merge keys, duplicates, odd keys and second documents are refused by line and key."""
    assert (where, message) in problems(text)


def test_a_quoted_merge_key_is_a_key_like_others() -> None:
    """Only the bare `<<` is YAML's merge."""
    assert problems("'<<': 1\n") == []


def test_an_alias_as_key_leaves_the_rest_readable() -> None:
    """A key that cannot be costs its own entry, nothing else."""
    root, found = parse_document(b"a: 1\n? *x\n: {y: 1}\nb: 2\n", "f.yaml")
    assert [problem.message for problem in found] == ["an alias is not supported"]
    assert root is not None
    assert plain(root.node) == {"a": "1", "b": "2"}


@pytest.mark.parametrize("text", ["a: *.example.org\n", "a: [*.example.org]\n", "*.example.org: a\n", "a: [*]\n"])
def test_an_unquoted_wildcard_is_told_to_quote(text: str) -> None:
    """The usual slip has a hint of its own, and the place in the line."""
    (problem,) = parse_document(text.encode(), "f.yaml")[1]
    assert problem.where == f"f.yaml:1:{text.index('*') + 1}"
    assert problem.hint == 'quote a value that begins with *, for example "*.example.org"'


def test_an_alias_without_a_dot_is_told_to_quote_too() -> None:
    """`*name` is an alias to YAML, and a wildcard to whoever wrote it."""
    assert hints("a: *example\n") == ['quote a value that begins with *, for example "*.example.org"']


@pytest.mark.parametrize(
    ("text", "where", "hint"),
    [
        ("a:\n\tb: 1\n", "f.yaml:2:1", "indent with spaces; YAML takes no tabs there"),
        ("a: @b\n", "f.yaml:1:4", "quote a value that begins with @"),
        ("a: b: c\n", "f.yaml:1:5", "quote a value that holds a colon and a space, and indent sister keys alike"),
        ("a: [1, 2\n", "f.yaml:2:1", None),
    ],
)
def test_broken_yaml_names_line_and_column(text: str, where: str, hint: str | None) -> None:
    """A syntax error ends the reading with its place, and the cure where there is a usual one."""
    (problem,) = parse_document(text.encode(), "f.yaml")[1]
    assert (problem.where, problem.hint) == (where, hint)
    assert problem.message.startswith("not YAML: ")


def test_what_was_found_before_broken_yaml_is_kept() -> None:
    """All problems are shown together, also those above the place where the text breaks off."""
    assert [where for where, _ in problems("a: 1\na: 2\nb: [\n")] == ["f.yaml:2: a", "f.yaml:4:1"]


@pytest.mark.parametrize(
    ("data", "where", "message"),
    [
        (b"a: 1\nb: \xff\n", "f.yaml:2", "not UTF-8"),
        (b"a: 1\nb: \x07\n", "f.yaml:2", "a control character"),
        (b"a: 1\nb: \x00\n", "f.yaml:2", "a control character"),
        (b"#" * (MAX_BYTES + 1), "f.yaml:1", "more than 1 MiB"),
        (b"a:\n  " + b"[" * (MAX_DEPTH + 1), "f.yaml:2", "more than 100 levels deep"),
        (b"[" * 100_000, "f.yaml:1", "more than 100 levels deep"),
        (b"{a: " * 100_000, "f.yaml:1", "more than 100 levels deep"),
    ],
)
def test_what_is_no_text_of_a_sane_size_is_refused(data: bytes, where: str, message: str) -> None:
    """Bytes that are not UTF-8, control characters, size and depth end the reading, without a crash."""
    root, (problem,) = parse_document(data, "f.yaml")
    assert root is None
    assert (problem.where, problem.message) == (where, message)


def test_a_hundred_levels_are_fine() -> None:
    """The limit is where it is said to be."""
    assert problems("[" * MAX_DEPTH + "]" * MAX_DEPTH) == []
    assert problems("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)) != []


def test_a_bomb_of_aliases_stays_small() -> None:
    """Billions of nodes by reference cost what their text costs: aliases are never followed."""
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    begin = perf_counter()
    found = problems("\n".join(rows))
    assert perf_counter() - begin < 2
    assert sum(message == "an alias is not supported" for _, message in found) == 99


def test_a_byte_order_mark_is_no_key() -> None:
    """An editor's mark at the beginning changes nothing."""
    root, found = parse_document(b"\xef\xbb\xbfa: 1\n", "f.yaml")
    assert found == []
    assert root is not None
    assert plain(root.node) == {"a": "1"}


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(min_size=1), inner)))
def test_what_a_dumper_writes_comes_back(value: Any) -> None:
    """Any tree of text, written by a YAML library, is read as it was."""
    text = yaml.safe_dump(value, default_style='"', allow_unicode=False)
    root, found = parse_document(text.encode(), "f.yaml")
    assert found == []
    assert root is not None
    assert plain(root.node) == value


@given(st.binary(max_size=200) | st.text(alphabet="ab:-[]{}*&!|>'\"#?,% \n\t", max_size=60).map(str.encode))
def test_no_input_makes_it_raise(data: bytes) -> None:
    """Whatever the bytes, the answer is a tree or problems, each of them with its file."""
    root, found = parse_document(data, "f.yaml")
    assert root is not None or found
    assert all(problem.where.startswith("f.yaml:") for problem in found)


def test_an_unreadable_file_says_why(tmp_path: Path) -> None:
    """A file that cannot be read is one plain sentence."""
    with pytest.raises(BottleError, match="cannot be read: Is a directory"):
        read_bytes(tmp_path)


def test_an_endless_file_is_not_read_to_its_end() -> None:
    """Reading stops one byte past the limit, so that a device cannot fill the memory."""
    assert len(read_bytes(Path("/dev/zero"))) == MAX_BYTES + 1
