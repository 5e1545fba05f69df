"""The JSON Schema: what editors check a manifest with, the sections of plugins included."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import yaml
from msgspec import Struct

from claude_bottle.manifest.schema import schema
from claude_bottle.manifest.template import TEMPLATE

HERE = Path(__file__).parent
TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "object": (dict,),
    "array": (list,),
}


class DockerSection(Struct, frozen=True, kw_only=True):
    """A section as a backend would type it."""

    memory: str = "2g"
    mode: str | None = None


class Egress(Struct, frozen=True):
    """A section whose type has a name of the core's."""

    burst: int


@pytest.fixture
def whole() -> dict[str, Any]:
    """Return the schema with two plugins."""
    return schema({"docker": DockerSection, "my-proxy": Egress})


def valid(part: Any, at: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    """Whether a value is valid, by the keywords that the schema uses."""
    if "$ref" in at:
        return valid(part, root["$defs"][at["$ref"].removeprefix("#/$defs/")], root)
    if "anyOf" in at:
        return any(valid(part, each, root) for each in at["anyOf"])
    if "enum" in at:
        return part in at["enum"]
    names: str | list[str] = at["type"]
    types = tuple(one for name in ([names] if isinstance(names, str) else names) for one in TYPES[name])
    if isinstance(part, dict):
        return dict in types and valid_object(cast("dict[str, Any]", part), at, root)
    if isinstance(part, list):
        return list in types and all(valid(each, at["items"], root) for each in cast("list[Any]", part))
    return isinstance(part, types)


def valid_object(part: Mapping[str, Any], at: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    """Whether a mapping's keys are known, there, and valid."""
    known: Mapping[str, Any] = at.get("properties", {})
    rest = at.get("additionalProperties", {})
    if not set(at.get("required", ())) <= set(part):
        return False
    if rest is False and set(part) - set(known):
        return False
    return all(valid(value, known.get(key, rest), root) for key, value in part.items())


def check(text: str, whole: Mapping[str, Any]) -> bool:
    """Whether a YAML text is valid, as an editor reads it."""
    return valid(yaml.safe_load(text), whole, whole)


def test_manifests_that_work_are_valid(whole: dict[str, Any]) -> None:
    """The full example, the one of `bottle init`, and scalars that YAML takes for something else than text."""
    assert check((HERE / "full.yaml").read_text(), whole)
    assert check(TEMPLATE, whole)
    assert check("version: 1\nbottles: {dev: {env: {PORT: 8080, A: yes, B: }, ssh: , egress: }}\nagents:\n", whole)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 1", "version: 2"),
        ("version: 1", "x: 1"),
        ("dlp_action: block", "dlp_action: blok"),
        ("memory: 4g", "memry: 4g"),
        ("mode: copy", "mode: move"),
        ("bottle: dev", "botle: dev"),
        ("docker: {memory: 4g}", "dokcer: {memory: 4g}"),
        ("docker: {memory: 4g}", "sections: {}"),
        ("docker: {memory: 4g}", "my-proxy: {burst: many}"),
        ('secret: "GitHub token"', 'secrt: "GitHub token"'),
        ("[pdf, review]", "pdf"),
    ],
)
def test_mistakes_are_not_valid(whole: dict[str, Any], old: str, new: str) -> None:
    """Unknown keys, missing keys and wrong values are marked while they are written."""
    text = (HERE / "full.yaml").read_text()
    assert old in text
    assert not check(text.replace(old, new, 1), whole)


def test_the_schema_is_closed_and_complete(whole: dict[str, Any]) -> None:
    """It is JSON, every reference leads somewhere, and nothing in it is about how core reads sections."""
    text = msgspec.json.encode(whole).decode()
    names = {part.split('"')[0] for part in text.split("#/$defs/")[1:]}
    assert names == set(whole["$defs"])
    assert not any("node." in name or name in ("Section", "Node") for name in names)
