"""What is installed, judged by the user's own trust."""

from claude_bottle.manifest.config import load_config
from claude_bottle.plugins.inventory import Inventory, read_inventory
from claude_bottle.seam.folders import config_dir

__all__ = ["installed"]


def installed() -> Inventory:
    """Return every installed plugin; what config.yaml trusts is available, what it blocks is not."""
    config = load_config(config_dir())
    return read_inventory(config.trust, config.block)
