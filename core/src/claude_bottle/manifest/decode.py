"""The walk that gives text its type: a section of a document in, a frozen value and all its problems out."""

from collections.abc import Collection, Mapping
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo

from claude_bottle.errors import BottleError, Problem
from claude_bottle.manifest.names import did_you_mean
from claude_bottle.manifest.node import Broken, Items, Node, Scalar, Section, Table, quote
from claude_bottle.manifest.shape import (
    MAPPINGS,
    SEQUENCES,
    beyond,
    choices,
    fits,
    is_rest,
    is_struct,
    kind,
    noun,
    peel,
)

__all__ = ["decode_section"]

T = TypeVar("T")

BAD: Final = object()
"""What a part is that has problems: not a value, and None may be one."""


def decode_section(
    section: Section, type_: type[T], section_names: Collection[str] = ()
) -> tuple[T | None, list[Problem]]:
    """Return the value of a section, and all problems in it, each with file, line and key.

    A scalar has the type of its field: `yes` in a text field is "yes". A bare key is an empty mapping or
    list, and None where the field may be None. `Mapping` fields are read-only. `Meta` and `Rule` hold.

    Beside problems stands the best value that could be had, for later checks to add theirs: a bad item is
    left out, a bad optional key has its default; None where a key that must be there is missing or bad.

    Takes structs, sequences of one type, mappings with text keys, literals, unions of at most one struct or
    mapping, one sequence and scalars, and whatever msgspec reads from text.
    """
    walk = Walk(frozenset(section_names))
    value = walk.value(section, type_)
    return None if value is BAD else cast("T", value), walk.problems


class Walk:
    """One pass over a section, that notes problems and goes on."""

    def __init__(self, section_names: frozenset[str]) -> None:
        self.section_names = section_names
        self.problems: list[Problem] = []

    def bad(self, section: Section, message: str, hint: str | None = None) -> object:
        """Note a problem."""
        self.problems.append(section.problem(message, hint))
        return BAD

    def value(self, section: Section, type_: Any) -> Any:
        """Return the value of a section, or BAD."""
        if isinstance(section.node, Broken):
            return BAD
        peeled = peel(type_)
        value = self.bare(section, peeled.bare)
        if value is BAD:
            return BAD
        if peeled.limits and (excess := beyond(value, peeled)):
            return self.bad(section, excess)
        try:
            for rule in peeled.rules:
                value = rule.apply(value)
        except BottleError as error:
            return self.bad(section, error.message, error.hint)
        return value

    def bare(self, section: Section, type_: Any) -> Any:
        """Return the value as a type that has no annotations, whatever its kind."""
        origin: Any = get_origin(type_) or type_
        if origin in (Union, UnionType):
            return self.union(section, get_args(type_))
        if not fits(type_, section.node):
            return self.bad(section, f"expected {noun(type_)}, got {kind(section.node)}")
        if origin in SEQUENCES:
            return self.items(section, get_args(type_), SEQUENCES[origin])
        if origin in MAPPINGS:
            return self.mapping(section, get_args(type_), frozen=origin is Mapping)
        if is_struct(origin):
            return self.struct(section, origin)
        return self.scalar(section, type_)

    def union(self, section: Section, members: tuple[Any, ...]) -> Any:
        """Return the value as the member that its form fits; of scalar types the first that reads it."""
        node = section.node
        if NoneType in members:
            members = tuple(member for member in members if member is not NoneType)
            if isinstance(node, Scalar) and node.null:
                return None
        fitting = [member for member in members if fits(peel(member).bare, node)]
        if not fitting:
            nouns = " or ".join(noun(peel(member).bare) for member in members)
            return self.bad(section, f"expected {nouns}, got {kind(node)}")
        for member in fitting[:-1]:
            trial = Walk(self.section_names)
            if (value := trial.value(section, member)) is not BAD:
                return value
        return self.value(section, fitting[-1])

    def items(self, section: Section, args: tuple[Any, ...], make: type) -> Any:
        """Return a list's good items."""
        children = section.node.children if isinstance(section.node, Items) else ()
        of = args[0] if args else str
        values = (self.value(section.child(index, child), of) for index, child in enumerate(children))
        return make(value for value in values if value is not BAD)

    def mapping(self, section: Section, args: tuple[Any, ...], *, frozen: bool) -> Any:
        """Return a mapping's good entries; of two that mean the same key the first."""
        key_type, value_type = args or (str, str)
        found: dict[Any, Any] = {}
        for text, node in entries(section):
            child = section.child(text, node)
            key = self.value(Section(Scalar(node.line, text), section.file, child.path), key_type)
            value = self.value(child, value_type)
            if key in found and text != key:
                self.bad(child, f"the same as {quote(str(key))}")
            if key is not BAD and value is not BAD:
                found.setdefault(key, value)
        return MappingProxyType(found) if frozen else found

    def struct(self, section: Section, cls: type[Struct]) -> Any:
        """Return a struct of what is good, BAD when something that it must have is not."""
        fields = {field.encode_name: field for field in msgspec.structs.fields(cls)}
        rest = next((field for field in fields.values() if is_rest(field)), None)
        if rest:
            del fields[rest.encode_name]
        names = self.section_names if rest else frozenset[str]()
        values: dict[str, Any] = {}
        raw: dict[str, Section] = {}
        for key, node in entries(section):
            child = section.child(key, node)
            if key in fields:
                if (value := self.value(child, fields[key].type)) is not BAD:
                    values.setdefault(fields[key].name, value)
            elif key in names:
                raw.setdefault(key, child)
            else:
                self.bad(child, f"unknown key{did_you_mean(key, [*fields, *names])}")
        if rest:
            values[rest.name] = MappingProxyType(raw)
        return self.make(section, cls, fields, values)

    def make(self, section: Section, cls: type[Struct], fields: Mapping[str, FieldInfo], values: dict[str, Any]) -> Any:
        """Return the struct, with its own checks (`__post_init__`) run."""
        given = {key for key, _ in entries(section)}
        required = [field for field in fields.values() if field.required]
        for field in required:
            if field.encode_name not in given:
                self.bad(section, f"the key {field.encode_name} is missing")
        if any(field.name not in values for field in required):
            return BAD
        try:
            return cls(**values)
        except BottleError as error:
            return self.bad(section, error.message, error.hint)
        except (ValueError, TypeError) as error:  # what msgspec takes from a __post_init__
            return self.bad(section, str(error))

    def scalar(self, section: Section, type_: Any) -> Any:
        """Return a leaf: text, a number, a literal, or what else msgspec reads from text."""
        text = cast("Scalar", section.node).text
        if options := choices(type_):
            if text in options:
                return options[text]
            return self.bad(section, f"expected {noun(type_)}, got {quote(text)}{did_you_mean(text, options)}")
        try:
            return msgspec.convert(text, type_, strict=False)
        except msgspec.ValidationError:
            hint = "write true or false" if type_ is bool else None
            return self.bad(section, f"expected {noun(type_)}, got {quote(text)}", hint)


def entries(section: Section) -> tuple[tuple[str, Node], ...]:
    """Return a mapping's entries; a bare key has none."""
    return section.node.entries if isinstance(section.node, Table) else ()
