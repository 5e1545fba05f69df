"""The inventory: what is installed, judged from metadata alone."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from core_harness import trust, write_distribution

from claude_bottle.manifest.config import UserConfig
from claude_bottle.plugins.inventory import read_inventory
from claude_bottle.plugins.record import Record
from claude_bottle.plugins.trust import TRUST_VARIABLE, read_rules

BACKEND = "claude_bottle.backend"
NOWHERE = Path("/nowhere")
DEFAULTS = """
from claude_bottle.plugins.defaults import Defaults, Pair, Reserved
DEFAULTS = Defaults(preference=(Pair("ours", "way"),), reserved=(Reserved("backend", "ours", "our-plugins"),))
"""

Install = Callable[..., Path]
Rows = Callable[..., list[Record]]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return what installs a distribution, first on the path."""
    count = 0

    def one(name: str, *, points: Mapping[str, Mapping[str, str]] | str, **more: Any) -> Path:
        nonlocal count
        count += 1
        folder = write_distribution(tmp_path / f"path-{count}", name, points=points, **more)
        monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
        return folder

    return one


@pytest.fixture
def backend(install: Install) -> Callable[..., Path]:
    """Return what installs a distribution with one backend, whose import would be noticed."""

    def one(name: str, plugin: str = "box", **more: Any) -> Path:
        module = f"never_imported_{name.replace('-', '_')}"
        return install(name, points={BACKEND: {plugin: f"{module}:PLUGIN"}}, **more)

    return one


@pytest.fixture
def defaults(install: Install) -> Path:
    """Install a default set to which the backend `ours` belongs."""
    points = {"claude_bottle.defaults": {"default": "inventory_defaults:DEFAULTS"}}
    return install("claude-bottle", points=points, modules={"inventory_defaults.py": DEFAULTS})


def rows(
    name: str, *trusted: str, block: Sequence[str] = (), pin: Mapping[str, str] | None = None, config: Path = NOWHERE
) -> list[Record]:
    """Return the backends of a name; `config` is the folder of a lock."""
    said = UserConfig(block=tuple(block), pin=pin or {})
    rules = read_rules(said, config, {TRUST_VARIABLE: " , ".join(trusted)})
    return list(read_inventory(rules).named("backend", name))


def test_a_row_says_where_a_plugin_comes_from(backend: Callable[..., Path]) -> None:
    """`plugins list`: name, kind, distribution, version, entry point, origin, location, range; nothing is imported."""
    folder = backend("Some.Box", version="2.3", requires=["claude_bottle.core >= 0.1, <9", "other"])
    [row] = rows("box", "some-box")
    assert row == Record(
        name="box",
        kind="backend",
        distribution="some-box",
        version="2.3",
        target="never_imported_Some.Box:PLUGIN",
        origin="wheel",
        location=str(folder),
        requires=">= 0.1, <9",
        trusted_by="CLAUDE_BOTTLE_TRUST",
        status="available",
    )


def test_an_editable_install_is_told_apart(backend: Callable[..., Path]) -> None:
    """PEP 610: `direct_url.json` tells an editable install; one that is no JSON tells nothing."""
    folder = backend("some-box")
    info = next(folder.glob("*.dist-info"))
    (info / "direct_url.json").write_text('{"url": "file:///x", "dir_info": {"editable": true}}')
    assert [row.origin for row in rows("box")] == ["editable"]
    (info / "direct_url.json").write_text("not json")
    assert [row.origin for row in rows("box")] == ["unknown"]


def test_a_stranger_is_untrusted_until_the_user_names_it(backend: Callable[..., Path]) -> None:
    """Installed is not enabled: whoever is not of the default set waits for the user's word, under any spelling."""
    backend("some-box")
    [row] = rows("box")
    assert (row.status, row.fix) == ("untrusted", "bottle plugins trust box")
    assert [it.status for it in rows("box", "other", "Some_Box")] == ["available"]


def test_the_lock_trusts_a_distribution_as_it_stands(backend: Callable[..., Path], tmp_path: Path) -> None:
    """F9: another version or another RECORD is untrusted again, with the reason; damage to the lock trusts nobody."""
    folder = backend("some-box")
    info = next(folder.glob("*.dist-info"))
    (info / "RECORD").write_text("box.py,sha256=abc,1\n")
    trust(tmp_path, folder)
    assert [(it.status, it.trusted_by) for it in rows("box", config=tmp_path)] == [("available", "plugins.lock")]
    (info / "RECORD").write_text("box.py,sha256=def,1\n")
    [row] = rows("box", config=tmp_path)
    assert (row.status, row.reason) == ("untrusted", "its files are not those that were trusted")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-box\nVersion: 1.1\n")
    [row] = rows("box", config=tmp_path)
    assert (row.status, row.reason) == ("untrusted", "it was trusted as 1.0, and this is 1.1")
    trust(tmp_path, folder)
    assert [row.status for row in rows("box", config=tmp_path)] == ["available"]
    (tmp_path / "plugins.lock").write_text("{")
    assert [row.status for row in rows("box", config=tmp_path)] == ["untrusted"]


def test_without_a_record_the_metadata_count(backend: Callable[..., Path], tmp_path: Path) -> None:
    """A distribution that lists no files is known by its metadata and entry points."""
    folder = backend("some-box")
    trust(tmp_path, folder)
    assert [row.status for row in rows("box", config=tmp_path)] == ["available"]
    points = next(folder.glob("*.dist-info")) / "entry_points.txt"
    points.write_text(points.read_text().replace("never_imported", "other"))
    assert [row.status for row in rows("box", config=tmp_path)] == ["untrusted"]


@pytest.mark.parametrize("pin", ["two-box", "Two_Box"])
def test_the_user_may_say_whose_a_name_is(pin: str, backend: Callable[..., Path]) -> None:
    """Of two rivals the pinned one is judged alone, and the other says why it is not used."""
    backend("one-box")
    backend("two-box")
    found = {row.distribution: row for row in rows("box", "one-box", "two-box", pin={"box": pin})}
    assert {name: row.status for name, row in found.items()} == {"one-box": "conflict", "two-box": "available"}
    assert found["one-box"].reason == "backend box also comes from two-box, which is pinned"
    untrusted = {row.distribution: row.status for row in rows("box", pin={"box": pin})}
    assert untrusted == {"one-box": "conflict", "two-box": "untrusted"}


def test_of_two_with_one_name_neither_wins(backend: Callable[..., Path]) -> None:
    """A name that two distributions have is a conflict for both, trusted or not, whichever is first on the path."""
    backend("one-box")
    backend("two-box")
    found = rows("box", "one-box", "two-box")
    assert [(row.distribution, row.status) for row in found] == [("one-box", "conflict"), ("two-box", "conflict")]
    assert "two-box" in found[0].reason
    assert "one-box" in found[1].reason


@pytest.mark.parametrize("word", ["box", "Two_Box"])
def test_what_the_user_blocks_is_out_of_the_way(word: str, backend: Callable[..., Path]) -> None:
    """A plugin by its own name, or a distribution under any spelling; who is blocked is nobody's rival."""
    backend("one-box")
    backend("two-box")
    found = {row.distribution: row for row in rows("box", "one-box", "two-box", block=[word])}
    assert found["two-box"].status == "blocked"
    assert found["two-box"].fix == "take it out of `block` in config.yaml"
    assert found["one-box"].status == ("blocked" if word == "box" else "available")


def test_a_reserved_name_stays_with_its_owner(defaults: Path, backend: Callable[..., Path]) -> None:
    """A stranger that takes a name of the default set is in conflict, and the owner works as before."""
    backend("our-plugins", "ours")
    backend("squatter", "ours")
    found = rows("ours", "squatter")
    assert [(row.distribution, row.status, row.first_party) for row in found] == [
        ("our-plugins", "available", True),
        ("squatter", "conflict", False),
    ]
    assert found[1].reason == "the name ours belongs to our-plugins"


def test_no_pin_takes_a_reserved_name(defaults: Path, backend: Callable[..., Path]) -> None:
    """The names of the default set are its own, whatever else is said."""
    backend("squatter", "ours")
    assert [row.status for row in rows("ours", "squatter", pin={"ours": "squatter"})] == ["conflict"]


def test_a_reserved_name_is_reserved_even_where_its_owner_is_missing(
    defaults: Path, backend: Callable[..., Path]
) -> None:
    """Nobody slips into the place of a default plugin that is not installed."""
    backend("squatter", "ours")
    assert [row.status for row in rows("ours", "squatter")] == ["conflict"]


def test_only_the_default_set_has_defaults(install: Install, defaults: Path) -> None:
    """A stranger's order of preference is not read, nor imported."""
    install("evil-defaults", points={"claude_bottle.defaults": {"default": "evil_defaults_module:DEFAULTS"}})
    inventory = read_inventory()
    assert [pair.backend for pair in inventory.defaults.preference] == ["ours"]
    assert inventory.defaults.proxy_for("ours") == "way"
    assert inventory.defaults.proxy_for("box") is None


@pytest.mark.parametrize(
    ("requires", "status"),
    [
        ([], "available"),
        (["claude-bottle-core"], "available"),
        (["claude-bottle-core>=0.1,<0.2"], "available"),
        (["Claude_Bottle.Core (>=0.1)"], "available"),
        (["claude-bottle-core[ca]~=0.1.0"], "available"),
        (["claude-bottle-core==0.1.*"], "available"),
        (["claude-bottle-core @ file:///elsewhere"], "available"),
        (["claude-bottle-core>=99"], "incompatible"),
        (["claude-bottle-core<0.1"], "incompatible"),
        (["claude-bottle-core !! nonsense"], "incompatible"),
        (["claude-bottle-core-extras>=99"], "available"),
    ],
)
def test_an_incompatible_range_is_seen_before_any_import(
    backend: Callable[..., Path], requires: list[str], status: str
) -> None:
    """Compatibility is read from `Requires-Dist` on core; one that asks for no range is taken at its word."""
    backend("some-box", requires=requires)
    [row] = rows("box", "some-box")
    assert row.status == status
    if status == "incompatible":
        assert row.reason.startswith("needs claude-bottle-core")


def test_the_same_distribution_twice_is_the_first_on_the_path(backend: Callable[..., Path]) -> None:
    """A stale copy behind an editable install is no conflict with itself."""
    backend("some-box", version="1.0")
    backend("some-box", version="2.0")
    assert [(row.version, row.status) for row in rows("box", "some-box")] == [("2.0", "available")]


@pytest.mark.parametrize(
    ("metadata", "points"),
    [
        ("", {BACKEND: {"odd": "m:P"}}),
        ("Version: 1.0\n", {BACKEND: {"odd": "m:P"}}),
        (b"Metadata-Version: 2.1\nName: odd\nVersion: 1\nSummary: \xff\xfe\n", {BACKEND: {"odd": "m:P"}}),
        (None, "[claude_bottle.backend]\nno equals sign\n"),
        (None, "odd = m:P\n"),
        (None, "[claude_bottle.backend\nodd = m:P\n"),
        (None, "\0\0\0"),
    ],
)
def test_odd_metadata_hide_no_other_plugin(
    install: Install, backend: Callable[..., Path], metadata: str | bytes | None, points: Any
) -> None:
    """A distribution without a name, in no encoding, or with entry points that are none, breaks nobody else."""
    backend("some-box")
    install("odd", points=points, metadata=metadata)
    assert [row.status for row in rows("box", "some-box")] == ["available"]


def test_no_version_is_shown_as_unknown(backend: Callable[..., Path]) -> None:
    """A distribution that states no version is listed all the same."""
    backend("some-box", metadata="Metadata-Version: 2.1\nName: some-box\n")
    assert [row.version for row in rows("box")] == ["unknown"]


def test_an_unknown_group_is_no_plugin(install: Install) -> None:
    """Entry points of other groups, near misses too, are not ours."""
    install("some-box", points={"claude_bottle.backends": {"box": "m:P"}, "console_scripts": {"box": "m:P"}})
    assert rows("box") == []
