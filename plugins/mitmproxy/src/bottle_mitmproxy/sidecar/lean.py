"""mitmproxy with what an HTTP proxy never uses left out: half of its import time is QUIC, DNS and YAML.

A module that is left out is there by name, so that `from x import Y` holds, but every name in it is an
empty class that refuses to be made: `isinstance` says no, and using one fails instead of passing.
"""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import NoReturn

__all__ = ["LEFT_OUT", "install"]

LEFT_OUT = frozenset(
    {
        "aioquic",  # QUIC: there is no UDP in a bottle
        "mitmproxy.dns",
        "mitmproxy.net.dns",
        "mitmproxy.proxy.layers.http._http3",
        "mitmproxy.proxy.layers.quic",
        "ruamel",  # mitmproxy's own configuration file
    }
)


class Absent:
    """The base of every name in a module that is left out."""

    def __init__(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise RuntimeError(f"{type(self).__module__}.{type(self).__name__} is left out")


class AbsentLoader(Loader):
    """Makes modules whose every public name is an `Absent` class."""

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its names, each when it is first asked for."""

        def make_name(name: str) -> type[Absent]:
            if name.startswith("__"):
                raise AttributeError(name)
            absent = type(name, (Absent,), {"__module__": module.__name__})
            setattr(module, name, absent)
            return absent

        module.__path__ = []
        module.__getattr__ = make_name  # type: ignore[method-assign] # PEP 562: a module's own fallback


class AbsentFinder(MetaPathFinder):
    """Finds the modules that are left out, and nothing else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Answer for a module that is left out and for everything below it."""
        del path, target
        parts = fullname.split(".")
        if any(".".join(parts[:end]) in LEFT_OUT for end in range(1, len(parts) + 1)):
            return ModuleSpec(fullname, AbsentLoader(), is_package=True)
        return None


def install() -> None:
    """Leave them out of every later import. To be called before mitmproxy is imported. Idempotent."""
    if "mitmproxy.addons" in sys.modules:
        return
    sys.meta_path.insert(0, AbsentFinder())
    found = PathFinder.find_spec("mitmproxy")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("mitmproxy is not installed", name="mitmproxy")
    # Its `__init__` imports every add-on there is, and with them flask, ldap3, passlib and pyparsing.
    addons = ModuleType("mitmproxy.addons")
    addons.__path__ = [f"{location}/addons" for location in found.submodule_search_locations]
    sys.modules["mitmproxy.addons"] = addons
