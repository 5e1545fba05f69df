"""The conformance kit: contracts for a plugin's tests to inherit, one for each kind.

It needs what `claude-bottle-core[testing]` installs.
"""

import pkgutil

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))

# ruff: noqa: E402 - their asserts are rewritten
from claude_bottle.testing.backend import BackendContract
from claude_bottle.testing.provisioner import AgentContract, ProvisionerContract
from claude_bottle.testing.proxy import ProxyContract

__all__ = ["AgentContract", "BackendContract", "ProvisionerContract", "ProxyContract"]
