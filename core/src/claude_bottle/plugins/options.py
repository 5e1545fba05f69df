"""The options of a plugin, from the type of its section: names, types, defaults."""

from typing import Any, cast

import msgspec
from msgspec import Struct

__all__ = ["Option", "options"]

PLACE = "#/$defs/{name}"


class Option(Struct, frozen=True, kw_only=True):
    """A key of a plugin's section, dotted where it lies in another; `default` is JSON, None where it is required."""

    name: str
    type: str
    default: str | None = None
    description: str = ""


def options(section: type[Struct]) -> tuple[Option, ...]:
    """Return the options of a section, in the order in which its type has them."""
    (found,), components = msgspec.json.schema_components([section], ref_template=PLACE)
    return tuple(_flat(_resolve(found, components), components, ""))


def _flat(part: dict[str, Any], components: dict[str, Any], prefix: str) -> list[Option]:
    rows: list[Option] = []
    required = part.get("required", ())
    for name, raw in part.get("properties", {}).items():
        inner = _resolve(raw, components)
        if "properties" in inner:
            rows += _flat(inner, components, f"{prefix}{name}.")
            continue
        default = None if name in required else msgspec.json.encode(raw.get("default", _empty(inner))).decode()
        text = str(inner.get("description", ""))
        rows.append(Option(name=prefix + name, type=_type(inner, components), default=default, description=text))
    return rows


def _resolve(part: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    """Return what a reference stands for."""
    reference = part.get("$ref")
    return components[str(reference).removeprefix(PLACE.format(name=""))] if reference else part


def _empty(part: dict[str, Any]) -> object:
    """Return the default that a factory makes, which a schema does not have: the empty one of its type."""
    match part.get("type"):
        case "object":
            return {}
        case "array":
            return []
        case _:
            return None


def _type(part: dict[str, Any], components: dict[str, Any]) -> str:
    part = _resolve(part, components)
    if "enum" in part:
        return " | ".join(str(value) for value in part["enum"])
    if "anyOf" in part:
        return " | ".join(_type(each, components) for each in cast("list[dict[str, Any]]", part["anyOf"]))
    match part.get("type"):
        case "array":
            return f"list of {_type(part.get('items') or {}, components)}"
        case "object" if isinstance(part.get("additionalProperties"), dict):
            return f"mapping to {_type(part['additionalProperties'], components)}"
        case None:
            return "anything"
        case name:
            return str(name)
