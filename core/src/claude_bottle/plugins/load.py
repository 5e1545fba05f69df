"""A selected plugin, imported, checked against the hookspecs, and registered on a manager of its own."""

import inspect
from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import NamedTuple, cast

import pluggy

from claude_bottle.declare import API, KIND_HOOKS, Plugin
from claude_bottle.errors import PluginError
from claude_bottle.hookspecs import PROJECT, Hooks, Specs
from claude_bottle.plugins.inventory import GROUPS
from claude_bottle.plugins.record import Record

__all__ = ["Loaded", "load"]


class Loaded(NamedTuple):
    """A plugin that can be called: its row, its declaration, and its hooks alone."""

    record: Record
    plugin: Plugin
    hooks: Hooks

    @property
    def name(self) -> str:
        """The entry point's name."""
        return self.record.name


def load(record: Record) -> Loaded:
    """Import one plugin and make it callable.

    PluginError names distribution, version and cure, whatever the import does short of ending the process.
    """
    plugin = _declared(record, _import(record))
    _check_hooks(record, plugin)
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Specs)
    try:
        manager.register(plugin.impl, name=record.name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise _refused(record, str(error).partition("\n")[0]) from error
    return Loaded(record, plugin, cast("Hooks", manager.hook))


def _import(record: Record) -> object:
    group = next(group for group, kind in GROUPS.items() if kind == record.kind)
    try:
        return cast("object", EntryPoint(record.name, record.target, group).load())
    except (Exception, SystemExit) as error:  # whatever a stranger's module does at import
        raise _refused(record, f"its import failed with {type(error).__name__}: {error}") from error


def _refused(record: Record, what: str) -> PluginError:
    return PluginError(
        record.name,
        f"{record.kind} {record.name} ({record.distribution} {record.version}): {what}",
        f"pip install --upgrade {record.distribution}, or select another {record.kind}",
    )


def _declared(record: Record, plugin: object) -> Plugin:
    if not isinstance(plugin, Plugin):
        raise _refused(record, f"{record.target} is a {type(plugin).__name__}, not a declared plugin")
    if plugin.kind != record.kind:
        raise _refused(record, f"declared as {plugin.kind}, installed as {record.kind}")
    if plugin.api != API:
        raise _refused(record, f"written for hooks of generation {plugin.api}, here is {API}")
    return plugin


def _check_hooks(record: Record, plugin: Plugin) -> None:
    impl = plugin.impl
    for name in dir(impl):
        if name.startswith("_"):
            continue
        function = inspect.getattr_static(impl, name)
        marked = getattr(function, f"{PROJECT}_impl", None) is not None
        if not marked:
            if hasattr(Specs, name) and callable(function):
                raise _refused(record, f"{name} is not marked with @hookimpl")
            continue
        if not hasattr(Specs, name):
            raise _refused(record, f"there is no hook {name}")
        if name not in KIND_HOOKS[record.kind]:
            raise _refused(record, f"a {record.kind} does not have the hook {name}")
        _check_function(record, name, getattr(impl, name))


def _check_function(record: Record, name: str, function: Callable[..., object]) -> None:
    """Refuse what pluggy would call in vain: a generator's body never runs, a keyword-only parameter gets nothing."""
    if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
        raise _refused(record, f"{name} must be a plain function, without yield or async")
    known = inspect.signature(getattr(Specs, name)).parameters
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD:
            raise _refused(record, f"the parameter {parameter.name} of {name} must be a plain one")
        if parameter.name not in known or parameter.name == "self":
            raise _refused(record, f"{name} has no parameter {parameter.name}")
