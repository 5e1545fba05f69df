"""The amended manifest: one more host in a bottle's allowlist, and every other character as it was."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import yaml

from claude_bottle.errors import BottleError, ProblemsError
from claude_bottle.manifest.document import Loader, parse_document, read_bytes
from claude_bottle.manifest.host import canonical_host
from claude_bottle.manifest.node import NULLS, Items, Node, Scalar, Table

__all__ = ["add_allowed_host", "amended"]

SEE = "run bottle start --dry-run to see where"

compose: Callable[[str], yaml.Node] = partial(cast("Any", yaml).compose, Loader=Loader)


def add_allowed_host(path: Path, bottle: str, host: str) -> None:
    """Write a host into the allowlist of a bottle, unless it stands there; comments and layout stay.

    The file is replaced in one step, with its mode; a link stays a link. BottleError, and nothing written, when the
    manifest has problems of form, lacks the bottle, or is laid out in a way that the edit does not hold for.
    """
    real = Path(os.path.realpath(path))
    old = read_bytes(real)
    new = amended(old, str(path), bottle, host)
    if new == old:
        return
    fresh = real.with_name(f".{real.name}.{os.getpid()}.new")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(new)
            os.fchmod(stream.fileno(), real.stat().st_mode & 0o777)
            os.fsync(stream.fileno())
        fresh.replace(real)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise BottleError(f"{path} cannot be written: {error.strerror}") from error


def amended(data: bytes, file: str, bottle: str, host: str) -> bytes:
    """Return a manifest's bytes with a host added; errors as in `add_allowed_host`.

    The outcome is read again and must differ by that one item, so no layout can turn the edit into another.
    """
    host = canonical_host(host)
    before = read(data, file)
    if bottle not in branches(branches(before, file).get("bottles"), file):
        raise BottleError(f"{file} has no bottle {bottle}")
    expected, missing = add(before, ("bottles", bottle, "egress", "allowlist"), host, file)
    if not missing:
        return data
    bom = "\ufeff" if data.startswith(b"\xef\xbb\xbf") else ""
    text = data.decode("utf-8-sig")
    new = (bom + insert(text, bottle, host)).encode()
    if parse_document(new, file)[1] or read(new, file) != expected:
        hint = f'write "{host}" into bottles.{bottle}.egress.allowlist yourself'
        raise BottleError(f"{file} is laid out in a way that cannot be edited here", hint)
    return new


def read(data: bytes, file: str) -> Any:
    """Return a document as Python's own types; ProblemsError for problems of its form."""
    root, problems = parse_document(data, file)
    if root is None or problems:
        raise ProblemsError(problems)
    return plain(root.node)


def plain(node: Node) -> Any:
    """Return a tree as Python's own types; a bare key is None."""
    match node:
        case Table(entries=entries):
            return {key: plain(child) for key, child in entries}
        case Items(children=children):
            return [plain(child) for child in children]
        case Scalar(text=text):
            return None if node.null else text
        case _:
            return None


def branches(tree: Any, file: str) -> dict[str, Any]:
    """Return a mapping's entries, none for a bare key; BottleError for what is no mapping."""
    if not isinstance(tree, dict | None):
        raise BottleError(f"{file} holds something else where a mapping belongs", SEE)
    return cast("dict[str, Any]", tree or {})


def add(tree: Any, keys: tuple[str, ...], host: str, file: str) -> tuple[Any, bool]:
    """Return a tree with the host at the end of the list at `keys`, and whether it was missing."""
    if not keys:
        if not isinstance(tree, list | None):
            raise BottleError(f"{file} holds something else where a list belongs", SEE)
        items = cast("list[Any]", tree or [])
        return [*items, host], host not in items
    branch = branches(tree, file)
    inner, missing = add(branch.get(keys[0]), keys[1:], host, file)
    return {**branch, keys[0]: inner}, missing


class Edit(NamedTuple):
    """Text to put in place of what stands from `start` to `end`."""

    start: int
    end: int
    text: str


def insert(text: str, bottle: str, host: str) -> str:
    """Return the text with the host put where it belongs."""
    node = compose(text)
    keys = ["bottles", bottle, "egress", "allowlist"]
    while keys and isinstance(node, yaml.MappingNode):
        pairs: list[tuple[yaml.Node, yaml.Node]] = node.value
        inner = next((value for key, value in pairs if key.value == keys[0]), None)
        if inner is None:
            break
        node = inner
        keys.pop(0)
    edit = edit_of(node, text, keys, f'"{host}"')
    return text[: edit.start] + edit.text + text[edit.end :]


def edit_of(node: yaml.Node, text: str, keys: list[str], host: str) -> Edit:
    """Return the edit that puts a host into the innermost part that is there; `keys` are what is not."""
    value = f"[{host}]"
    for key in reversed(keys[1:]):
        value = f"{{{key}: {value}}}"
    start = node.start_mark.index
    match node:
        case yaml.SequenceNode(flow_style=False):
            last = node.value[-1].start_mark
            dash = text.rindex("-", 0, last.index)
            indent = text[text.rfind("\n", 0, dash) + 1 : dash]
            after = text.find("\n", node.value[-1].end_mark.index - 1)
            return line_after(text, after, f"{indent}- {host}")
        case yaml.SequenceNode():
            at = node.value[-1].end_mark.index if node.value else start + 1
            return Edit(at, at, f", {host}" if node.value else host)
        case yaml.MappingNode(flow_style=False):
            indent = text[text.rfind("\n", 0, start) + 1 : start]
            return Edit(start, start, f"{keys[0]}: {value}\n{indent}")
        case yaml.MappingNode():
            return Edit(start + 1, start + 1, f"{keys[0]}: {value}{', ' if node.value else ''}")
        case _ if node.value in NULLS:
            whole = f"{{{keys[0]}: {value}}}" if keys else value
            return Edit(start, node.end_mark.index, whole if text[start - 1 : start] == " " else f" {whole}")
        case _:
            return Edit(start, start, "")


def line_after(text: str, at: int, line: str) -> Edit:
    """Return the edit that adds a line below the one that ends at `at`, -1 for the end of the text."""
    if at < 0:
        return Edit(len(text), len(text), f"\n{line}\n")
    return Edit(at + 1, at + 1, f"{line}\n")
