"""The selection: flag, environment, manifest, user configuration, preference, in this order."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_bottle.errors import BottleError, PluginError
from claude_bottle.plan.spec import Choice
from claude_bottle.plugins.defaults import Defaults, Pair
from claude_bottle.plugins.inventory import Inventory
from claude_bottle.plugins.record import Record, Status
from claude_bottle.plugins.select import Wishes, choose_backend, choose_proxy, find_record
from claude_bottle.seam.kinds import Kind
from claude_bottle.seam.probe import ProbeResult

PREFERENCE = Defaults(preference=(Pair("engine", "engineway"), Pair("plain", "plainway")))
NAMES = st.none() | st.sampled_from(["a", "b", "c"])


def row(name: str, status: Status = "available", kind: Kind = "backend", distribution: str = "") -> Record:
    """Return a row of the inventory."""
    return Record(
        name=name,
        kind=kind,
        distribution=distribution or f"bottle-{name}",
        version="1",
        target="m:P",
        origin="wheel",
        location="/",
        status=status,
        reason="" if status == "available" else f"it is {status}",
        fix="" if status == "available" else "do something",
    )


INSTALLED = Inventory((row("engine"), row("plain"), row("engineway", kind="proxy")), PREFERENCE)


def states(**known: str) -> Callable[[Record], ProbeResult]:
    """Return a probe that finds these states, and fails the test for any other plugin."""
    return lambda record: ProbeResult(state=known[record.name])  # pyright: ignore[reportArgumentType] - a literal


@given(NAMES, NAMES, NAMES, NAMES)
def test_the_strongest_source_wins_and_is_named(
    flag: str | None, environment: str | None, manifest: str | None, config: str | None
) -> None:
    """S31: flag > CLAUDE_BOTTLE_BACKEND > manifest > user config > preference; nobody is probed for a named one."""
    wishes = Wishes(flag, environment, manifest, config)
    named = [
        (flag, "flag"),
        (environment, "CLAUDE_BOTTLE_BACKEND"),
        (manifest, "manifest"),
        (config, "user config"),
        ("engine", "preference"),
    ]
    name, why = next((name, why) for name, why in named if name)
    assert choose_backend(wishes, INSTALLED, states(engine="ready")) == Choice(name, why)


def test_an_empty_variable_is_no_wish() -> None:
    """S31: `CLAUDE_BOTTLE_BACKEND=` chooses nothing."""
    assert choose_backend(Wishes(environment="", config="plain"), INSTALLED, states()).name == "plain"


def test_an_absent_one_is_passed_on_with_the_reason() -> None:
    """What a preferred backend drives is not there at all: the next one is taken, and the preflight says why."""
    choice = choose_backend(Wishes(), INSTALLED, states(engine="absent", plain="ready"))
    assert choice == Choice("plain", "preference; engine is not present")


def test_one_that_is_not_installed_is_passed_on_with_the_reason() -> None:
    """A preferred backend that nobody installed is passed over, and said."""
    inventory = Inventory((row("plain"),), PREFERENCE)
    choice = choose_backend(Wishes(), inventory, states(plain="ready"))
    assert choice == Choice("plain", "preference; engine is not installed")


def test_a_broken_one_is_never_passed_over() -> None:
    """An engine that is there but does not answer is chosen, and fails: isolation never changes in silence."""
    assert choose_backend(Wishes(), INSTALLED, states(engine="broken", plain="ready")).name == "engine"


def test_a_stranger_is_never_picked_by_availability() -> None:
    """Only what the default set's data name is picked where nobody names one."""
    inventory = Inventory((row("stranger"),), PREFERENCE)
    with pytest.raises(BottleError, match=r"no backend was chosen.*engine is not installed; plain is not installed"):
        choose_backend(Wishes(), inventory, states(stranger="ready"))


@pytest.mark.parametrize("status", ["blocked", "conflict", "incompatible", "untrusted"])
def test_only_an_available_one_is_picked_by_preference(status: Status) -> None:
    """A preferred name that is taken, too old or not trusted is not picked."""
    inventory = Inventory((row("engine", status), row("plain")), PREFERENCE)
    choice = choose_backend(Wishes(), inventory, states(plain="ready"))
    assert choice == Choice("plain", f"preference; engine is {status}")


def test_the_proxy_goes_with_the_backend_unless_it_is_named() -> None:
    """S31: the proxy follows the same order, and by default goes with the backend."""
    assert choose_proxy(Wishes(), INSTALLED, "engine") == Choice("engineway", "goes with engine")
    assert choose_proxy(Wishes(environment="x"), INSTALLED, "engine") == Choice("x", "CLAUDE_BOTTLE_PROXY")
    assert choose_proxy(Wishes(manifest="x", config="y"), INSTALLED, "engine") == Choice("x", "manifest")


def test_no_proxy_for_a_stranger_s_backend_is_an_error_that_lists_what_is_there() -> None:
    """A backend that the data do not know needs a named proxy."""
    with pytest.raises(BottleError) as refusal:
        choose_proxy(Wishes(), INSTALLED, "stranger")
    assert refusal.value.message == "no proxy was chosen for backend stranger"
    assert refusal.value.hint == "name one with --proxy or in the manifest; installed: engineway"


@pytest.mark.parametrize(
    "why", ["flag", "CLAUDE_BOTTLE_BACKEND", "user config", "manifest", "default", "preference", "goes with engine"]
)
def test_an_untrusted_plugin_is_used_by_nobody_s_word(why: str) -> None:
    """F9: neither a manifest, which may come from a cloned repository, nor a flag loads code that nobody looked at."""
    inventory = Inventory((row("box", "untrusted"),), PREFERENCE)
    with pytest.raises(PluginError, match=r"backend box of bottle-box cannot be used: it is untrusted") as refusal:
        find_record("backend", Choice("box", why), inventory)
    assert refusal.value.hint == "do something"


@pytest.mark.parametrize("status", ["blocked", "conflict", "incompatible"])
def test_what_cannot_work_cannot_be_chosen_by_anyone(status: Status) -> None:
    """A conflict or an incompatible range is an error with its cure, even by flag."""
    inventory = Inventory((row("box", status), row("box", status, distribution="other")), PREFERENCE)
    with pytest.raises(PluginError, match=f"it is {status}"):
        find_record("backend", Choice("box", "flag"), inventory)


def test_the_owner_of_a_name_is_found_beside_a_squatter() -> None:
    """Of a conflict with a reserved name, the first-party plugin is the one that is used."""
    inventory = Inventory((row("box", "conflict", distribution="aaa-squatter"), row("box")), PREFERENCE)
    assert find_record("backend", Choice("box", "manifest"), inventory).distribution == "bottle-box"


def test_an_unknown_name_suggests_the_nearest_of_its_kind() -> None:
    """A typo is met with the nearest installed name, never one of another kind."""
    with pytest.raises(PluginError) as refusal:
        find_record("backend", Choice("enginee", "flag"), INSTALLED)
    assert refusal.value.message == "backend enginee is not installed (chosen by: flag)"
    assert refusal.value.hint == "did you mean engine?"
    with pytest.raises(PluginError) as refusal:
        find_record("backend", Choice("zzz", "manifest"), INSTALLED)
    assert refusal.value.hint == "name one with --backend or in the manifest; installed: engine, plain"
