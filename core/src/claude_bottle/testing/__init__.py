"""The conformance kit: contracts for a plugin's tests to inherit, one for each kind.

They need what `claude-bottle-core[testing]` installs. The kit's own backend and proxy, in modules of their own, do not.
"""

import pkgutil
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from claude_bottle.testing.backend import BackendContract
    from claude_bottle.testing.provisioner import AgentContract, ProvisionerContract
    from claude_bottle.testing.proxy import ProxyContract

__all__ = ["AgentContract", "BackendContract", "ProvisionerContract", "ProxyContract"]

if (pytest := sys.modules.get("pytest")) is not None:
    pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))


def __getattr__(name: str) -> Any:
    """Import a contract when it is asked for: it needs pytest, which the kit's own backend and proxy do not."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    kind = name.removesuffix("Contract").lower()
    return getattr(import_module(f"{__name__}.{'provisioner' if kind == 'agent' else kind}"), name)
