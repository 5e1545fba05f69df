"""What a type looks like in a document: a mapping, a list or a scalar, with which limits and rules."""

from collections.abc import Mapping, Sequence, Sized
from enum import Enum
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, NamedTuple, cast, get_args, get_origin

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import FieldInfo

from claude_bottle.manifest.node import Items, Node, Scalar, Table, quote
from claude_bottle.manifest.rule import Rule

__all__ = ["MAPPINGS", "REST", "SEQUENCES", "beyond", "choices", "fits", "is_rest", "is_struct", "kind", "noun", "peel"]

REST: Final = "sections of plugins, still untyped"
"""Marks, in `Annotated`, the one field of a struct that takes the sections of plugins beside its own keys."""

SEQUENCES: Mapping[Any, type] = {tuple: tuple, list: list, set: set, frozenset: frozenset, Sequence: tuple}
MAPPINGS = (dict, Mapping)
NOUNS: Mapping[Any, str] = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


class Peeled(NamedTuple):
    """A type without its annotations."""

    bare: Any
    limits: tuple[Meta, ...]
    rules: tuple[Rule, ...]


def peel(type_: Any) -> Peeled:
    """Split `Annotated` into the type, its limits and its rules."""
    if get_origin(type_) is not Annotated:
        return Peeled(type_, (), ())
    bare, *notes = get_args(type_)
    limits = tuple(note for note in notes if isinstance(note, Meta))
    return Peeled(bare, limits, tuple(note for note in notes if isinstance(note, Rule)))


def is_struct(type_: Any) -> bool:
    """Whether a type is one of msgspec's."""
    return isinstance(type_, type) and issubclass(type_, Struct)


def is_rest(field: FieldInfo) -> bool:
    """Whether a field takes the sections of plugins."""
    return REST in getattr(field.type, "__metadata__", ())


def fits(type_: Any, node: Node) -> bool:
    """Whether a type can be written as this node is; a bare key is an empty list or mapping."""
    origin: Any = get_origin(type_) or type_
    if origin in SEQUENCES:
        return isinstance(node, Items) or (isinstance(node, Scalar) and node.null)
    if origin in MAPPINGS or is_struct(origin):
        return isinstance(node, Table) or (isinstance(node, Scalar) and node.null)
    return isinstance(node, Scalar)


def choices(type_: Any) -> Mapping[str, Any]:
    """Return what a literal or an enumeration may be, by its text; nothing for other types."""
    if get_origin(type_) is Literal:
        return {str(option): option for option in get_args(type_)}
    if isinstance(type_, type) and issubclass(type_, Enum):
        return {str(option.value): option for option in type_}
    return {}


def noun(type_: Any) -> str:
    """Return what a type is called in a sentence."""
    origin: Any = get_origin(type_) or type_
    if options := choices(type_):
        *most, last = options
        return f"{', '.join(most)} or {last}" if most else last
    if origin in SEQUENCES:
        return "a list"
    if origin in MAPPINGS or is_struct(origin):
        return "a mapping"
    return NOUNS.get(origin, getattr(origin, "__name__", "a value").lower())


def kind(node: Node) -> str:
    """Return what a node is called in a sentence."""
    match node:
        case Scalar(text=text):
            return quote(text)
        case Items():
            return "a list"
        case _:
            return "a mapping"


def beyond(value: Any, peeled: Peeled) -> str | None:
    """Return which limit a value breaks; of a list or mapping the limits concern the length."""
    type_, sample, shown = peeled.bare, value, quote(str(value))
    if isinstance(value, (tuple, list, set, frozenset, dict, MappingProxyType)):
        length = len(cast("Sized", value))
        type_, sample, shown = list[None], [None] * length, str(length)
    for limit in peeled.limits:
        type_ = Annotated[type_, limit]
    try:
        msgspec.convert(sample, type_)
    except msgspec.ValidationError as error:
        rule = (
            str(error)
            .replace("`", "")
            .removeprefix("Expected ")
            .replace("int ", "a whole number ")
            .replace("array of", "a")
        )
        return f"expected {rule}, got {shown}"
    return None
