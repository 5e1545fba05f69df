"""What every provisioner promises, held by the conformance kit: on no backend at all, in a sandbox, in a container."""

import pytest
from skills_copied import Copied

from claude_bottle.testing import ProvisionerContract

pytestmark = pytest.mark.timeout(300)


class TestSkills(Copied, ProvisionerContract):
    """The provisioner `skills` on a bottle that confines nothing."""

    name, target = "skills", "bottle_skills.plugin:PLUGIN"


class TestSkillsInSandbox(Copied, ProvisionerContract):
    """The provisioner `skills` in a sandbox."""

    name, target = "skills", "bottle_skills.plugin:PLUGIN"
    stage = ("bwrap", "bottle_bwrap.plugin:PLUGIN")


class TestSkillsInContainer(Copied, ProvisionerContract):
    """The provisioner `skills` in a container."""

    name, target = "skills", "bottle_skills.plugin:PLUGIN"
    stage = ("docker", "bottle_docker.plugin:PLUGIN")
