"""What is installed, judged by the user's own configuration and trust."""

import os

from claude_bottle.manifest.config import load_config
from claude_bottle.plugins.inventory import Inventory, read_inventory
from claude_bottle.plugins.trust import read_rules
from claude_bottle.seam.folders import config_dir

__all__ = ["installed"]


def installed() -> Inventory:
    """Return every installed plugin; which of them may be used is the user's word."""
    folder = config_dir()
    return read_inventory(read_rules(load_config(folder), folder, os.environ))
