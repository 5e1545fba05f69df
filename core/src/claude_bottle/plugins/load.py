"""A selected plugin, imported, checked against the hookspecs, and registered on a manager of its own."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint
from typing import NamedTuple, cast

import pluggy

from claude_bottle.declare import API, KIND_HOOKS, Plugin
from claude_bottle.errors import PluginError
from claude_bottle.hookspecs import PROJECT, Going, Hooks, Specs
from claude_bottle.plugins.inventory import GROUPS
from claude_bottle.plugins.record import Record

__all__ = ["Loaded", "implemented", "load", "refused"]


class Loaded(NamedTuple):
    """A plugin that can be called: its row, its declaration, and its hooks alone.

    `going` are sentences about what it uses and what a version to come will not have.
    """

    record: Record
    plugin: Plugin
    hooks: Hooks
    going: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The entry point's name."""
        return self.record.name


def load(record: Record) -> Loaded:
    """Import one plugin and make it callable.

    PluginError names distribution, version and cure, whatever the import does short of ending the process.
    """
    plugin = _declared(record, _import(record))
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Specs)
    try:
        _check_hooks(record, plugin)
        manager.register(plugin.impl, name=record.name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise refused(record, str(error).partition("\n")[0]) from error
    except PluginError:
        raise
    except (Exception, SystemExit) as error:  # whatever a stranger's object does when it is looked at
        what = f"its hooks cannot be read: {type(error).__name__}: {error}"
        raise refused(record, what.partition("\n")[0]) from error
    return Loaded(record, plugin, cast("Hooks", manager.hook), tuple(_going(plugin)))


def refused(record: Record, what: str) -> PluginError:
    """Return what to raise of a plugin that cannot be loaded: its distribution, version and cure."""
    return PluginError(
        record.name,
        f"{record.kind} {record.name} ({record.distribution} {record.version}): {what}",
        f"pip install --upgrade {record.distribution}, or select another {record.kind}",
    )


def implemented(plugin: Plugin) -> tuple[str, ...]:
    """Return the names of the hooks that a plugin implements, in alphabetical order."""
    return tuple(name for name in sorted(KIND_HOOKS[plugin.kind]) if _is_marked(plugin.impl, name))


def _going(plugin: Plugin) -> Iterator[str]:
    """Yield a sentence for each hook and each argument that this plugin has and that its spec marks with `Going`."""
    for name in implemented(plugin):
        options = getattr(getattr(Specs, name), f"{PROJECT}_spec")
        if (mark := options["warn_on_impl"]) is not None:
            yield f"the hook {name} {mark}"
        parameters = inspect.signature(getattr(plugin.impl, name)).parameters
        arguments: Mapping[str, Going] = options["warn_on_impl_args"] or {}
        for argument, mark in arguments.items():
            if argument in parameters:
                yield f"the argument {argument} of the hook {name} {mark}"


def _is_marked(impl: object, name: str) -> bool:
    return getattr(inspect.getattr_static(impl, name, None), f"{PROJECT}_impl", None) is not None


def _import(record: Record) -> object:
    group = next(group for group, kind in GROUPS.items() if kind == record.kind)
    try:
        return cast("object", EntryPoint(record.name, record.target, group).load())
    except (Exception, SystemExit) as error:  # whatever a stranger's module does at import
        what = f"its import failed with {type(error).__name__}: {error}"
        raise refused(record, what.partition("\n")[0]) from error


def _declared(record: Record, plugin: object) -> Plugin:
    if not isinstance(plugin, Plugin):
        raise refused(record, f"{record.target} is a {type(plugin).__name__}, not a declared plugin")
    if plugin.kind != record.kind:
        raise refused(record, f"declared as {plugin.kind}, installed as {record.kind}")
    if plugin.api != API:
        raise refused(record, f"written for hooks of generation {plugin.api}, here is {API}")
    return plugin


def _check_hooks(record: Record, plugin: Plugin) -> None:
    impl = plugin.impl
    for name in dir(impl):
        if name.startswith("_"):
            continue
        if not _is_marked(impl, name):
            if hasattr(Specs, name) and callable(inspect.getattr_static(impl, name)):
                raise refused(record, f"{name} is not marked with @hookimpl")
            continue
        if not hasattr(Specs, name):
            raise refused(record, f"there is no hook {name}")
        if name not in KIND_HOOKS[record.kind]:
            raise refused(record, f"a {record.kind} does not have the hook {name}")
        _check_function(record, name, getattr(impl, name))


def _check_function(record: Record, name: str, function: Callable[..., object]) -> None:
    """Refuse what pluggy would call in vain: a generator's body never runs, a keyword-only parameter gets nothing."""
    if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
        raise refused(record, f"{name} must be a plain function, without yield or async")
    known = inspect.signature(getattr(Specs, name)).parameters
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD:
            raise refused(record, f"the parameter {parameter.name} of {name} must be a plain one")
        if parameter.name not in known or parameter.name == "self":
            raise refused(record, f"{name} has no parameter {parameter.name}")
