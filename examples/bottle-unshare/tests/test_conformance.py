"""What every backend promises, held by the conformance kit."""

from typing import ClassVar

from claude_bottle.testing import BackendContract


class TestUnshare(BackendContract):
    """The backend `unshare`."""

    name: ClassVar[str] = "unshare"
    target: ClassVar[str] = "bottle_unshare.plugin:PLUGIN"
