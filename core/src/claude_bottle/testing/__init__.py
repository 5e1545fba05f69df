"""The conformance kit: contracts for a plugin's tests to inherit, one for each kind.

It needs what `claude-bottle-core[testing]` installs.
"""

import pkgutil

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))

from claude_bottle.testing.backend import BackendContract  # noqa: E402 - whose asserts are to be rewritten

__all__ = ["BackendContract"]
