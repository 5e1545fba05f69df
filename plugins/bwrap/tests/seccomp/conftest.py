"""The sandbox in which the kernel itself applies the filter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .sandbox import Sandbox, open_sandbox


@pytest.fixture(scope="session", name="sandbox")
def working_sandbox() -> Iterator[Sandbox]:
    """Give a sandbox, where the machine allows unprivileged user namespaces."""
    with open_sandbox() as sandbox:
        started = sandbox.run(["true"])
        if started.returncode:
            pytest.skip(f"bwrap cannot start, allow unprivileged user namespaces: {started.stderr.strip()}")
        yield sandbox
