"""The pinned and hashed constraints: whole, without addresses, and what the pyproject files ask for."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FILES = ["constraints.txt", "constraints-run.txt", "constraints-build.txt"]
IMAGE = "plugins/mitmproxy/src/bottle_mitmproxy/image/requirements.txt"
ENTRY = re.compile(r"(?P<pin>[a-z0-9-]+==\S+(?: ; .+?)?) \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+")
PYTHONS = ["3.11.2", "3.12.1", "3.13.0"]
PLATFORMS = [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")]


def entries(root: Path, name: str) -> list[str]:
    """The entries of a constraints file, each with all its hashes."""
    return [match.group() for match in ENTRY.finditer((root / name).read_text())]


def pins(root: Path, name: str) -> list[Requirement]:
    """The pinned requirements of a constraints file."""
    return [Requirement(match["pin"]) for match in ENTRY.finditer((root / name).read_text())]


def projects(root: Path) -> list[dict[str, Any]]:
    """The pyproject files of the workspace's members."""
    found = [*root.glob("*/pyproject.toml"), *root.glob("plugins/*/pyproject.toml")]
    return [tomllib.loads(path.read_text()) for path in found]


def wanted_to_run(root: Path, *, testing: bool = False) -> Iterator[Requirement]:
    """What the members ask for, with every extra but that of the conformance kit."""
    for project in (data["project"] for data in projects(root)):
        extras = project.get("optional-dependencies", {})
        for extra in [project["dependencies"], *(extras[name] for name in extras if testing or name != "testing")]:
            yield from (Requirement(text) for text in extra)


def wanted_in_groups(root: Path, *names: str) -> Iterator[Requirement]:
    """What the named dependency groups ask for; a group that they include is named as well."""
    groups = tomllib.loads((root / "pyproject.toml").read_text())["dependency-groups"]
    yield from (Requirement(item) for name in names for item in groups[name] if isinstance(item, str))


def wanted(root: Path, name: str) -> list[Requirement]:
    """Everything that a constraints file must have, our own distributions left out."""
    asked = {
        "constraints.txt": [*wanted_to_run(root, testing=True), *wanted_in_groups(root, "build", "dev")],
        "constraints-run.txt": [*wanted_to_run(root)],
        "constraints-build.txt": [*wanted_in_groups(root, "build")],
    }
    ours = {canonicalize_name(data["project"]["name"]) for data in projects(root)}
    return [requirement for requirement in asked[name] if canonicalize_name(requirement.name) not in ours]


def environment(python: str, platform: str, machine: str) -> dict[str, str]:
    """The values that markers ask for."""
    short = python.rpartition(".")[0]
    return {
        **{key: str(value) for key, value in default_environment().items()},
        "python_full_version": python,
        "python_version": short,
        "sys_platform": platform,
        "platform_system": platform.capitalize(),
        "platform_machine": machine,
    }


@pytest.mark.parametrize("name", [*FILES, IMAGE])
def test_every_line_is_pinned_and_hashed(root: Path, name: str) -> None:
    """The file is entries from end to end: one version, at least one SHA-256, no address and no option."""
    text = (root / name).read_text()
    assert entries(root, name)
    assert ENTRY.sub("", text) == ""
    assert "://" not in text


@pytest.mark.parametrize("name", FILES[1:])
def test_the_smaller_files_are_parts_of_the_whole(root: Path, name: str) -> None:
    """What runs and what builds has the versions and hashes that the tests ran with."""
    whole = {re.split(r"[= ]", entry)[0] + entry.partition("\n")[2] for entry in entries(root, "constraints.txt")}
    part = {re.split(r"[= ]", entry)[0] + entry.partition("\n")[2] for entry in entries(root, name)}
    assert part - whole == set()


def test_the_image_has_what_the_tests_ran_with(root: Path) -> None:
    """Each pin of the proxy's image is one of the constraints, and its files of those are among the image's.

    More are: the constraints leave out what is for a Python older than ours.
    """

    def hashes(name: str) -> dict[str, set[str]]:
        return {re.split(r"[ ;]", it)[0]: set(re.findall("[0-9a-f]{64}", it)) for it in entries(root, name)}

    whole, image = hashes("constraints-run.txt"), hashes(IMAGE)
    assert [pin for pin, files in image.items() if not whole.get(pin) or whole[pin] - files] == []


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("platform", "machine"), PLATFORMS)
def test_the_constraints_satisfy_the_pyproject_files(
    root: Path, name: str, python: str, platform: str, machine: str
) -> None:
    """Each requirement that applies to a Python and a platform has exactly one pin there, and accepts it."""
    where = environment(python, platform, machine)
    applying = [pin for pin in pins(root, name) if not pin.marker or pin.marker.evaluate(where)]
    versions = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in applying}
    assert len(versions) == len(applying)
    refused = [
        str(requirement)
        for requirement in wanted(root, name)
        if (not requirement.marker or requirement.marker.evaluate(where))
        and not requirement.specifier.contains(versions.get(canonicalize_name(requirement.name), "0"))
    ]
    assert refused == []
