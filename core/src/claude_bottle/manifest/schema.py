"""The JSON Schema of a manifest, with the sections of the plugins at hand."""

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from claude_bottle.manifest.types import BottleSection, Manifest

__all__ = ["schema"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PLACE = "#/$defs/{name}"


def schema(sections: Mapping[str, type]) -> dict[str, Any]:
    """Return the schema, JSON Schema 2020-12; `sections` has the section type of each plugin by name.

    It takes what the manifest takes as to form: any scalar where text stands, nothing where a mapping or list
    stands. The rules for names, hosts, networks and variables are checked when a manifest is read.
    """
    types = [Manifest, BottleSection, *sections.values()]
    found, components = msgspec.json.schema_components(types, ref_template=PLACE)
    defs = {name: loosen(each) for name, each in components.items()}
    bottle = defs[target(found[1])]["properties"]
    untyped = defs.pop(target(bottle.pop("sections")["additionalProperties"]))
    del defs[target(untyped["properties"]["node"])]
    bottle.update({name: loosen(each) for name, each in zip(sections, found[2:], strict=True)})
    return {"$schema": DIALECT, "title": "bottle.yaml", **found[0], "$defs": defs}


def target(part: dict[str, Any]) -> str:
    """Return the name of the definition that a part refers to; msgspec lengthens names that clash."""
    return str(part["$ref"]).removeprefix(PLACE.format(name=""))


def loosen(part: Any) -> Any:
    """Return a part of a schema that takes scalars as YAML writes them, and no unknown keys."""
    if isinstance(part, list):
        return [loosen(each) for each in cast("list[Any]", part)]
    if not isinstance(part, dict):
        return part
    old = cast("dict[str, Any]", part)
    new = {key: loosen(each) for key, each in old.items()}
    if "properties" in old:
        new["properties"] = {key: loosen(each) for key, each in old["properties"].items()}
        new.setdefault("additionalProperties", False)
    match old.get("type"):
        case "string" if "enum" not in old:
            new["type"] = ["string", "number", "boolean", "null"]
        case "object" | "array" as name:
            new["type"] = [name, "null"]
        case _:
            pass
    return new
