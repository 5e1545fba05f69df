"""The promise to authors: what was written against a generation of hooks loads, plans and runs on every core."""

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from core_harness import User

from claude_bottle.declare import KIND_HOOKS, NoSection
from claude_bottle.hookspecs import Specs
from claude_bottle.manifest.types import Egress
from claude_bottle.plan.hosts import check_answer, wanted_rules
from claude_bottle.plan.spec import BottleSpec, Choice, Draft
from claude_bottle.plugins.load import Loaded, load
from claude_bottle.plugins.record import Record
from claude_bottle.seam.kinds import Kind

DIGESTS = {"api1": "28489edd400e94c854c35ad422bd576a5b662b6496156c4015fae419c38c0f36"}
"""SHA-256 of each generation's files, names and contents: who must change one has broken somebody else's plugin."""

PLUGINS: Mapping[Kind, tuple[str, str]] = {
    "agent": ("frozenhand", "frozen_agent"),
    "provisioner": ("frozenprops", "frozen_props"),
    "backend": ("frozen", "frozen_backend"),
    "proxy": ("frozenway", "frozen_proxy"),
}
"""Name and module of each kind, in the order in which core asks them."""

CALLED = {
    "warm_up",
    "open_site",
    "settle",
    "start_proxy",
    "start_bottle 256",
    "provision_ca",
    "provision_ca props",
    "witness",
    "provision_prompt",
    "put prompt.md at /frozen",
    "provision_skills",
    "provision_ssh",
    "provision_git",
    "provision agent",
    "provision props",
    "provision backend",
    "provision proxy",
    "attach",
    "collect",
    "close",
}


def files(folder: Path) -> list[Path]:
    """Return the files of a generation."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


@pytest.fixture
def team(generation: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[Kind, Loaded]:
    """The plugins of a generation as a launch loads them."""
    monkeypatch.setattr(sys, "path", [str(generation), *sys.path])
    for module in [name for name in sys.modules if name.startswith("frozen_")]:
        monkeypatch.delitem(sys.modules, module)
    return {
        kind: load(
            Record(
                name=name,
                kind=kind,
                distribution="frozen-plugins",
                version="1.0",
                target=f"{module}:PLUGIN",
                origin="wheel",
                location=str(generation),
            )
        )
        for kind, (name, module) in PLUGINS.items()
    }


def test_nobody_has_edited_them(generation: Path) -> None:
    """A change here would hide what it breaks; a new generation gets a folder and a digest of its own."""
    digest = hashlib.sha256()
    for path in files(generation):
        digest.update(f"{path.relative_to(generation)}\0".encode() + path.read_bytes() + b"\0")
    assert digest.hexdigest() == DIGESTS[generation.name]


def test_each_kind_is_there_with_every_hook(team: Mapping[Kind, Loaded]) -> None:
    """What the first generation had is still a hook of its kind, with the same parameters; load refuses the rest."""
    for kind, loaded in team.items():
        hooks = {name for name in dir(loaded.plugin.impl) if not name.startswith("_")}
        assert hooks <= KIND_HOOKS[kind]
        assert loaded.plugin.api == 1
    assert {name for kind in PLUGINS for name in KIND_HOOKS[kind]} <= set(dir(Specs))


def test_they_are_planned_with_by_keyword(team: Mapping[Kind, Loaded]) -> None:
    """`validate`, `probe` and `resolve_plan`, asked as core asks them, in core's order."""
    spec = BottleSpec(
        agent="reviewer",
        slug="reviewer",
        bottle="dev",
        agent_plugin="frozenhand",
        backend=Choice("frozen", "flag"),
        proxy=Choice("frozenway", "flag"),
        egress=Egress(allowlist=("api.example.com",)),
        folder=Path("/"),
        sections=tuple((it.name, it.plugin.section()) for it in team.values()),
    )
    draft = Draft()
    for loaded in team.values():
        assert not loaded.hooks.validate(spec=spec)
        part = loaded.hooks.resolve_plan(spec=spec, draft=draft)
        assert part is not None
        assert part.section == loaded.plugin.section()
        wishes = [wish for _, it in draft.parts for wish in it.hosts]
        draft = Draft(parts=(*draft.parts, (loaded.name, part)), wanted=wanted_rules(spec, [*wishes, *part.hosts]))
    answer = draft.part("frozenway")
    assert answer is not None
    assert check_answer(draft.wanted, answer.rules or ()) is None
    assert [rule.host for rule in answer.rules or ()] == ["api.example.com", "frozen.example"]
    assert spec.section(NoSection) == NoSection()
    for kind in ("backend", "proxy"):
        probed = team[kind].hooks.probe()
        assert probed is not None
        assert probed.state == "ready"


def test_a_dry_run_shows_them(user: User) -> None:
    """Listed as what can be selected, and the plan has what each of them said."""
    listing = json.loads(user.run("plugins", "list", "--format", "json").stdout)["plugins"]
    rows = {row["name"]: row["status"] for row in listing if row["distribution"] == "frozen-plugins"}
    assert set(rows) == {name for name, _ in PLUGINS.values()}
    assert set(rows.values()) <= {"available", "active"}
    shown = user.run("start", "reviewer", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    for line in ("frozen agent", "frozen props", "after frozenhand", "256 after 2", "frozen.example", "everything"):
        assert line in shown.stdout + shown.stderr


def test_a_launch_runs_with_them(user: User) -> None:
    """Each hook is called, and nothing is left."""
    done = user.run("start", "reviewer", "--yes", "--file", "bottle.yaml")
    assert (done.returncode, done.stdout) == (0, "frozen --prompt-file /frozen/prompt.md\n"), done.stderr
    assert "brought reviewer out of claude-bottle-reviewer" in done.stderr
    assert set(user.journal) == CALLED
    assert [path.name for path in user.world.iterdir()] == ["journal"]


def test_what_crashed_is_cleaned_up(user: User) -> None:
    """`list_bottles`, `plan_cleanup` and `cleanup` are asked by the commands that need them."""
    (user.world / "leftover-1").touch()
    assert user.run("list").returncode == 0
    done = user.run("cleanup", "--yes")
    assert (done.returncode, done.stdout) == (0, "frozen: leftover leftover-1\n"), done.stderr
    assert list(user.world.glob("leftover-*")) == []
