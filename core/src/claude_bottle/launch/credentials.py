"""Which credentials an agent plugin takes, asked of the plugin itself, and which of them one is."""

from collections.abc import Sequence

from claude_bottle.errors import BottleError, UsageError
from claude_bottle.launch.sources import Surroundings
from claude_bottle.launch.team import ask
from claude_bottle.manifest.config import load_config
from claude_bottle.manifest.types import Egress
from claude_bottle.plan.spec import BottleSpec, Choice, Draft
from claude_bottle.plugins.inventory import read_inventory
from claude_bottle.plugins.load import load
from claude_bottle.plugins.select import find_record
from claude_bottle.plugins.trust import read_rules
from claude_bottle.seam.part import Credential, Part

__all__ = ["agent_credentials", "pick_credential"]

NOBODY = Choice("none", "login")


def agent_credentials(name: str, around: Surroundings) -> tuple[Credential, ...]:
    """Return the credentials of an agent plugin with its default settings; BottleError if it has none."""
    rules = read_rules(load_config(around.config_dir), around.config_dir, around.environ)
    loaded = load(find_record("agent", Choice(name, "command line"), read_inventory(rules)))
    spec = BottleSpec(
        agent=name,
        slug=name,
        bottle="login",
        agent_plugin=name,
        backend=NOBODY,
        proxy=NOBODY,
        egress=Egress(),
        folder=around.cwd,
        sections=((name, loaded.plugin.section()),),
    )
    part: Part = ask(loaded, lambda: loaded.hooks.resolve_plan(spec=spec, draft=Draft()))  # pyright: ignore[reportMissingTypeArgument, reportUnknownVariableType] - its section is of no interest
    if not part.credentials:
        raise BottleError(f"the agent {name} has no login", "its bottles need none, or are given one by the manifest")
    return part.credentials


def pick_credential(known: Sequence[Credential], value: str, name: str | None) -> Credential:
    """Return which of an agent's credentials a value is: the one that is named, else the one whose prefix it has."""
    names = ", ".join(it.name for it in known)
    if name is not None:
        found = next((it for it in known if it.name == name), None)
        if found is None:
            raise UsageError(f"--as {name}: there is no such credential", f"one of {names}")
        return found
    fitting = [it for it in known if it.prefix and value.startswith(it.prefix)] or [it for it in known if not it.prefix]
    if not fitting:
        shapes = ", ".join(f"{it.prefix}…" for it in known)
        raise BottleError(f"this begins with none of {shapes}", f"paste it again, or say which it is: --as, {names}")
    return max(fitting, key=lambda it: len(it.prefix))
