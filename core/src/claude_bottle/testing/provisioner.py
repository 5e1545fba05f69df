"""The contracts of provisioners and agents, on a bottle that confines nothing or on a backend of this machine."""

import os
from collections.abc import Generator, Mapping
from typing import Any, ClassVar

import msgspec
import pytest

from claude_bottle.plan.environment import EnvNames
from claude_bottle.plan.plan import Plan, assemble_plan
from claude_bottle.plan.spec import BottleSpec, Choice, Draft
from claude_bottle.plugins.load import Loaded
from claude_bottle.seam.event import Event
from claude_bottle.seam.kinds import Kind
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.tree import FileEntry
from claude_bottle.testing.contract import Contract, load_target, make_spec, resolve
from claude_bottle.testing.ground import Ground, Held, ground_of
from claude_bottle.testing.local import TARGET

__all__ = ["AgentContract", "ProvisionerContract"]

NO_NAMES = EnvNames((), ())
STEPS = ("provision_skills", "provision_ssh", "provision_git", "provision")


class Inside(Contract):
    """What both kinds share: a bottle to work in, through nothing but its handle."""

    stage: ClassVar[tuple[str, str]] = ("local", TARGET)
    stage_section: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture(scope="class")
    @classmethod
    def ground(cls) -> Generator[Ground]:
        """The backend on which it is tried."""
        name, target = cls.stage
        with ground_of(load_target("backend", name, target), cls.stage_section) as ground:
            yield ground

    @pytest.fixture
    def held(self, ground: Ground) -> Generator[Held]:
        """A bottle of this test's own."""
        with ground.start(f"inside-{os.getpid()}") as held:
            yield held

    @pytest.fixture
    def plan(self, loaded: Loaded, ground: Ground, spec: BottleSpec) -> Plan:
        """The plan in which the plugin takes part."""
        spec = msgspec.structs.replace(spec, backend=Choice(ground.loaded.name, "flag"))
        return assemble_plan(spec, Draft(parts=((loaded.name, resolve(loaded, spec, Draft())),)), (), NO_NAMES)


class ProvisionerContract(Inside):
    """What a provisioner promises; a subclass sets `name`, `target` and, as a manifest would, `section` and `asks`.

    `stage` (an entry point's name and target) is another backend to work on.
    """

    kind: ClassVar[Kind] = "provisioner"

    def test_its_steps_run_on_any_bottle(self, loaded: Loaded, held: Held, plan: Plan) -> None:
        """Each step works through the handle alone; what it has nothing to do for is no error."""
        provision(loaded, held, plan)
        loaded.hooks.provision_ca(bottle=held.bottle, plan=plan, ca=b"")

    def test_its_steps_may_be_repeated(self, loaded: Loaded, held: Held, plan: Plan) -> None:
        """What is there is replaced: the second time leaves what the first did."""
        trees: list[set[object]] = []
        for _ in range(2):
            provision(loaded, held, plan)
            trees.append({it for it in held.bottle.get("/home/agent") if isinstance(it, FileEntry)})
        assert trees[0] == trees[1]

    def test_what_comes_out_is_said(self, loaded: Loaded, held: Held, plan: Plan) -> None:
        """`collect` returns one line for each thing; nothing to bring out is no error."""
        lines = loaded.hooks.collect(bottle=held.bottle, plan=plan)
        assert all(isinstance(line, str) and "\n" not in line for line in lines or ())

    def test_a_bottle_that_is_gone_is_an_error_of_ours(self, loaded: Loaded, held: Held, plan: Plan) -> None:
        """No step hangs or succeeds in silence on a bottle that has ended: it raises, or had nothing to do."""
        before = list(held.bottle.get("/home/agent"))
        provision(loaded, held, plan)
        worked = list(held.bottle.get("/home/agent")) != before
        held.bottle.stop()
        if worked:
            with pytest.raises(Exception, match=r"."):
                provision(loaded, held, plan)


def provision(loaded: Loaded, held: Held, plan: Plan) -> None:
    """Run the steps of a launch in their order."""
    for step in STEPS:
        more = {"answers": Secrets(), "report": list[Event]().append} if step == "provision_ssh" else {}
        getattr(loaded.hooks, step)(bottle=held.bottle, plan=plan, **more)


class AgentContract(Inside):
    """What an agent plugin promises; a subclass sets `name` and `target`."""

    kind: ClassVar[Kind] = "agent"

    def test_it_names_a_program(self, loaded: Loaded, spec: BottleSpec) -> None:
        """Without it there is nothing to run; the prompt is handed over as a file."""
        part = resolve(loaded, spec, Draft())
        assert part.argv
        assert all("\0" not in word for word in part.argv)

    def test_words_follow_its_own(self, loaded: Loaded, plan: Plan) -> None:
        """Words that begin with - are the agent's arguments; others are a command in its place."""
        spec = make_spec(loaded, self.section)
        draft = Draft(parts=((loaded.name, resolve(loaded, spec, Draft())),))
        more = msgspec.structs.replace(spec, words=("--more",))
        assert assemble_plan(more, draft, (), NO_NAMES).argv == (*plan.argv, "--more")
        other = msgspec.structs.replace(spec, words=("true",))
        assert assemble_plan(other, draft, (), NO_NAMES).argv == ("true",)

    def test_the_prompt_is_a_file(self, loaded: Loaded, held: Held, plan: Plan) -> None:
        """With a prompt its path is returned and the file has every word of it; without one it is empty."""
        path = loaded.hooks.provision_prompt(bottle=held.bottle, plan=plan)
        assert path is not None
        [file] = held.bottle.get(path)
        assert isinstance(file, FileEntry)
        assert plan.prompt in file.data.decode()
        empty = msgspec.structs.replace(plan, prompt="")
        assert loaded.hooks.provision_prompt(bottle=held.bottle, plan=empty) is None
        [file] = held.bottle.get(path)
        assert isinstance(file, FileEntry)
        assert file.data == b""
