"""What every provisioner promises, held by the conformance kit on both kinds of backends."""

from pathlib import Path
from typing import ClassVar

import pytest
from git_harness import Repo
from msgspec.structs import replace

from claude_bottle.manifest.types import Workspace
from claude_bottle.plan.plan import Plan, assemble_plan
from claude_bottle.plan.spec import Choice, Draft
from claude_bottle.plugins.load import Loaded
from claude_bottle.testing import ProvisionerContract
from claude_bottle.testing.contract import make_spec, resolve
from claude_bottle.testing.ground import Ground
from claude_bottle.testing.provisioner import NO_NAMES

pytestmark = pytest.mark.timeout(600)


class TestWorkspace(ProvisionerContract):
    """The provisioner `workspace` on the backend without a daemon, in a launch that has a repository to bring in."""

    name, target = "workspace", "bottle_git.plugin:PLUGIN"
    stage: ClassVar[tuple[str, str]] = ("bwrap", "bottle_bwrap.plugin:PLUGIN")

    @pytest.fixture
    def plan(self, loaded: Loaded, ground: Ground, tmp_path: Path) -> Plan:
        """The plan in which a repository comes in."""
        repo = Repo(tmp_path / "repo")
        spec = replace(make_spec(loaded, self.section), workspace=Workspace(), cwd=repo.path)
        spec = replace(spec, backend=Choice(ground.loaded.name, "flag"))
        return assemble_plan(spec, Draft(parts=((loaded.name, resolve(loaded, spec, Draft())),)), (), NO_NAMES)


class TestWorkspaceOnEngine(ProvisionerContract):
    """It, on an engine."""

    name, target = "workspace", "bottle_git.plugin:PLUGIN"
    stage: ClassVar[tuple[str, str]] = ("docker", "bottle_docker.plugin:PLUGIN")
    plan = TestWorkspace.plan
