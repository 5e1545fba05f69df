"""What every plugin promises, of whatever kind: how it loads, and what it answers while nothing is made yet."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from msgspec import Struct

from claude_bottle import declare
from claude_bottle.declare import KIND_HOOKS
from claude_bottle.errors import Problem
from claude_bottle.manifest.types import Egress
from claude_bottle.plan.hosts import check_answer, wanted_rules
from claude_bottle.plan.spec import BottleSpec, Choice, Draft
from claude_bottle.plugins.load import Loaded, load
from claude_bottle.plugins.record import Record
from claude_bottle.seam.kinds import Kind
from claude_bottle.seam.levels import HostWish
from claude_bottle.seam.part import Part

__all__ = ["HEAVY", "Contract"]

HEAVY = frozenset(
    {"aiohttp", "asyncio", "boto3", "botocore", "cryptography", "google", "grpc", "http.client", "httpx"}
    | {"paramiko", "pydantic", "requests", "rich", "urllib3"}
)
"""What a module may not import that is loaded to list, plan and probe; a hook imports it once it acts."""

MOST_MODULES = 60
"""Modules that loading a plugin may add to those of core."""

CANARY = "canary-2f7c1d0e"

LOAD = """
import importlib.metadata, json, sys
import claude_bottle.plugins.load, claude_bottle.plan.plan
before = set(sys.modules)
importlib.metadata.EntryPoint("", sys.argv[1], "").load()
json.dump(sorted(set(sys.modules) - before), sys.stdout)
"""

REQUIRED: Mapping[Kind, type] = {
    "backend": declare.BackendHooks,
    "proxy": declare.ProxyHooks,
    "agent": declare.AgentHooks,
}


class Contract:
    """The base of all contracts: a subclass names its plugin, and pytest collects what it inherits.

    `target` is the entry point's, `module:attribute`; `name` is the entry point's name; `section` is what a manifest
    would say in the plugin's section; `asks` are fields of `BottleSpec` that its key fills, as `skills` or `ssh`.
    """

    kind: ClassVar[Kind]
    target: ClassVar[str]
    name: ClassVar[str]
    section: ClassVar[Mapping[str, Any]] = {}
    asks: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture(scope="class")
    @classmethod
    def loaded(cls) -> Loaded:
        """The plugin as a launch loads it: imported, checked against the hookspecs, on a manager of its own."""
        return load_target(cls.kind, cls.name, cls.target)

    @pytest.fixture(scope="class")
    @classmethod
    def spec(cls, loaded: Loaded) -> BottleSpec:
        """What a small manifest asks for, with the plugin's section."""
        return msgspec.structs.replace(make_spec(loaded, cls.section), **cls.asks)

    def test_it_implements_what_its_kind_must(self, loaded: Loaded) -> None:
        """The hooks that every plugin of this kind answers, and none of another kind."""
        impl = loaded.plugin.impl
        protocol = REQUIRED.get(self.kind)
        needed = {name for name in vars(protocol or object) if not name.startswith("_")}
        marked = {name for name in dir(impl) if getattr(getattr(impl, name), "claude_bottle_impl", None) is not None}
        assert needed <= marked, f"missing: {sorted(needed - marked)}"
        assert marked <= KIND_HOOKS[self.kind]

    def test_its_import_is_light(self) -> None:
        """It is loaded to list and to plan: no SDK, no event loop, no HTTP client, and few modules at all."""
        done = subprocess.run([sys.executable, "-c", LOAD, self.target], capture_output=True, check=True, timeout=60)
        modules: list[str] = json.loads(done.stdout)
        heavy = {name for name in modules if name in HEAVY or name.partition(".")[0] in HEAVY}
        assert not heavy, f"imports {sorted(heavy)} when it is loaded"
        assert len(modules) <= MOST_MODULES

    def test_its_import_makes_nothing(self, tmp_path: Path) -> None:
        """No file in the home, no output."""
        environ = {**os.environ, "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"} | dict.fromkeys(
            ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"), str(tmp_path)
        )
        done = subprocess.run(
            [sys.executable, "-c", f"import importlib.metadata as m; m.EntryPoint('', {self.target!r}, '').load()"],
            env=environ,
            cwd=tmp_path,
            capture_output=True,
            check=True,
            timeout=60,
        )
        assert (done.stdout, done.stderr, list(tmp_path.rglob("*"))) == (b"", b"", [])

    def test_its_section_is_frozen_and_strict(self, loaded: Loaded) -> None:
        """A frozen struct with a default for every key; a key that it does not know is an error."""
        section = loaded.plugin.section
        config = section.__struct_config__
        assert config.frozen, "section: frozen=True"
        assert config.forbid_unknown_fields or not section.__struct_fields__, "section: forbid_unknown_fields=True"
        assert section() == section()

    def test_its_answer_is_the_same_each_time(self, loaded: Loaded, spec: BottleSpec) -> None:
        """`resolve_plan` depends on what it is asked alone, so a dry run shows what a launch does."""
        draft = make_draft(spec)
        assert resolve(loaded, spec, draft) == resolve(loaded, spec, draft)

    def test_its_part_survives_json(self, loaded: Loaded, spec: BottleSpec) -> None:
        """A plan is data: the section comes back from JSON as it was."""
        section = resolve(loaded, spec, make_draft(spec)).section
        assert type(section) is loaded.plugin.section
        assert msgspec.json.decode(msgspec.json.encode(section), type=type(section)) == section

    def test_planning_has_no_effect(
        self, loaded: Loaded, spec: BottleSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`validate` and `resolve_plan` write no file into the user's folders and leave no process."""
        for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "TMPDIR"):
            monkeypatch.setenv(name, str(tmp_path))
        monkeypatch.chdir(tmp_path)
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text()
        assert all(isinstance(it, Problem) for it in loaded.hooks.validate(spec=spec) or ())
        resolve(loaded, spec, make_draft(spec))
        assert list(tmp_path.rglob("*")) == []
        assert Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text() == children

    def test_no_value_of_the_environment_is_in_the_plan(
        self, loaded: Loaded, spec: BottleSpec, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A plan is printed: it names variables, and holds none of their values."""
        for name in ("API_KEY", "TOKEN", "SECRET", "PASSWORD"):
            monkeypatch.setenv(f"{self.name.upper().replace('-', '_')}_{name}", CANARY)
        assert CANARY not in repr(resolve(loaded, spec, make_draft(spec)))

    def test_the_rules_are_those_that_were_asked_for(self, loaded: Loaded, spec: BottleSpec) -> None:
        """A proxy answers for every host once, with what it will really do; nobody else answers."""
        draft = make_draft(spec)
        rules = resolve(loaded, spec, draft).rules
        if self.kind == "proxy":
            assert check_answer(draft.wanted, rules or ()) is None
        else:
            assert rules is None


def load_target(kind: Kind, name: str, target: str) -> Loaded:
    """Load a plugin by what its entry point names, installed or not."""
    record = Record(
        name=name, kind=kind, distribution="conformance", version="0", target=target, origin="unknown", location=""
    )
    return load(record)


def make_spec(loaded: Loaded, section: Mapping[str, Any], slug: str = "conformance") -> BottleSpec:
    """Return the spec of an agent in a bottle with two hosts; the plugin under test plays its own part in it."""
    kind = loaded.record.kind
    typed: Struct = msgspec.convert(section, loaded.plugin.section)
    return BottleSpec(
        agent=slug,
        slug=slug,
        bottle="dev",
        agent_plugin=loaded.name if kind == "agent" else "none",
        backend=Choice(loaded.name if kind == "backend" else "none", "flag"),
        proxy=Choice(loaded.name if kind == "proxy" else "none", "flag"),
        folder=Path("/"),
        prompt="You review changes.",
        sections=((loaded.name, typed),),
        egress=Egress(allowlist=("api.example.com",)),
    )


def make_draft(spec: BottleSpec) -> Draft:
    """Return the draft that a proxy sees: two wanted hosts, one of them opaque."""
    wishes = [HostWish(host="api.example.com"), HostWish(host="model.example", level="opaque", why="the agent")]
    return Draft(wanted=wanted_rules(spec, wishes))


def resolve(loaded: Loaded, spec: BottleSpec, draft: Draft) -> Part[Struct]:
    """Return the plugin's part of the plan."""
    part = loaded.hooks.resolve_plan(spec=spec, draft=draft)
    if part is None:
        assert loaded.record.kind == "provisioner", "resolve_plan returns nothing"
        return Part(section=loaded.plugin.section())
    return part
