"""The name of a plugin that is yet to be written, and what follows from it."""

import re

from claude_bottle.errors import BottleError
from claude_bottle.manifest.names import OWN_KEYS, plugin_name
from claude_bottle.manifest.types import BottleSection
from claude_bottle.plugins.inventory import Inventory
from claude_bottle.plugins.trust import normalise
from claude_bottle.seam.kinds import Kind

__all__ = ["check_free", "distribution_of", "package_of", "title_of"]

IDENTIFIER = re.compile(r"[a-z](?:[a-z0-9_-]*[a-z0-9])?")


def check_free(name: str, kind: Kind, inventory: Inventory) -> None:
    """Raise BottleError unless a plugin of this name can be written, installed and selected here."""
    plugin_name(name)
    if not IDENTIFIER.fullmatch(name):
        hint = "begin with a letter, end with a letter or digit, and put no dots between"
        raise BottleError(f"{name}: no Python module can be named after it", hint)
    keys = frozenset(BottleSection.__struct_fields__)
    if name in (keys - OWN_KEYS if kind == "provisioner" else keys | OWN_KEYS):
        raise BottleError(f"{name} is a key of bottle.yaml itself", "choose another name")
    distribution = normalise(distribution_of(name))
    for row in inventory.defaults.reserved:
        if name == row.name or distribution == row.distribution:
            raise BottleError(f"the name {name} belongs to {row.distribution}", "choose another name")
    for row in (*inventory.of(name), *inventory.of(distribution)):
        found = f"{row.kind} {row.name} of {row.distribution}"
        raise BottleError(f"{name} is taken: {found} is installed", "choose another name, or uninstall that one")


def distribution_of(name: str) -> str:
    """Return the distribution's name."""
    return f"bottle-{name}"


def package_of(name: str) -> str:
    """Return the import package's name."""
    return f"bottle_{name.replace('-', '_')}"


def title_of(name: str) -> str:
    """Return what the names of its classes begin with."""
    return "".join(word.capitalize() for word in re.split("[-_]", name))
