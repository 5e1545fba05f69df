"""The diagnosis: which plugin `bottle start` takes here, what selects the others, and why not."""

from collections.abc import Callable, Mapping

import pytest

from claude_bottle.errors import PluginError
from claude_bottle.plugins.defaults import Defaults, Pair
from claude_bottle.plugins.diagnosis import Asked, Row, diagnose
from claude_bottle.plugins.inventory import Inventory
from claude_bottle.plugins.record import Outcome, Record, Status, failure
from claude_bottle.plugins.select import Wishes
from claude_bottle.seam.kinds import Kind
from claude_bottle.seam.probe import Finding, ProbeResult


def record(name: str, kind: Kind = "backend", status: Status = "available") -> Record:
    """Return a row of the inventory."""
    return Record(
        name=name,
        kind=kind,
        distribution=f"bottle-{name}",
        version="1",
        target="m:P",
        origin="wheel",
        location="/",
        status=status,
        reason="" if status == "available" else f"it is {status}",
        fix="" if status == "available" else "do something",
    )


INVENTORY = Inventory(
    (
        record("engine"),
        record("plain"),
        record("other"),
        record("engineway", "proxy"),
        record("plainway", "proxy"),
        record("otherway", "proxy"),
        record("gone", status="blocked"),
        record("helper", "agent"),
        record("keys", "provisioner"),
    ),
    Defaults(preference=(Pair("engine", "engineway"), Pair("plain", "plainway"))),
)
BY_NAME = "not in the order of preference: by --backend, CLAUDE_BOTTLE_BACKEND, a manifest or config.yaml"


def rows(asked: Asked = Asked(), outcomes: Mapping[Record, Outcome] | None = None) -> dict[str, Row]:  # noqa: B008 - frozen
    """Return the rows by name."""
    return {row.name: row for row in diagnose(INVENTORY, asked, outcomes or {})}


def finds(**states: str) -> Callable[[Record], ProbeResult]:
    """Return a probe that finds these."""
    missing = Finding(what="its engine", ok=False, detail="none")
    return lambda it: ProbeResult(
        state=states[it.name],  # pyright: ignore[reportArgumentType] - a literal
        findings=() if states[it.name] == "ready" else (missing,),
    )


def active(found: Mapping[str, Row]) -> dict[str, str]:
    """Return what is taken, and by what."""
    return {name: row.by for name, row in found.items() if row.status == "active"}


def test_without_a_look_the_preference_is_a_promise() -> None:
    """Nobody is taken before the machine was looked at; the place in the order is told, and what tells more."""
    found = rows()
    assert active(found) == {}
    assert (found["engine"].selected, found["engine"].by) == (None, "preference 1")
    assert found["engine"].why == "place 1 in the order of preference: taken if it is present here; --load looks"
    assert found["plain"].why == (
        "place 2 in the order of preference: taken if it is present here and engine is not; --load looks"
    )
    assert (found["plainway"].by, found["plainway"].selected) == ("with plain", None)
    assert found["plainway"].why == "goes with plain, if that is taken; --load looks"
    assert (found["other"].selected, found["other"].by, found["other"].why) == (False, "name", BY_NAME)
    assert found["otherway"].why == BY_NAME.replace("backend", "proxy").replace("BACKEND", "PROXY")


def test_with_a_look_the_preference_is_a_fact() -> None:
    """The first that is present is taken, with its proxy; the one that is passed over says why."""
    found = rows(Asked(probe=finds(engine="absent", plain="ready")))
    assert active(found) == {"plain": "preference", "plainway": "preference"}
    assert (found["engine"].by, found["engine"].why) == (
        "absent",
        "not present here (its engine: none); by --backend or a manifest",
    )
    assert found["other"].why == "plain is taken: preference; by --backend or a manifest"
    assert found["plainway"].why == "goes with plain"


def test_a_broken_one_is_never_passed_over() -> None:
    """As at a launch: what is there but broken is what would be taken, and would fail."""
    found = rows(Asked(probe=finds(engine="broken", plain="ready")))
    assert active(found) == {"engine": "preference", "engineway": "preference"}
    assert (found["plain"].by, found["plain"].why) == (
        "name",
        "engine is taken: preference; by --backend or a manifest",
    )


def test_nothing_present_is_told_to_all() -> None:
    """Where nothing can be picked, each row has the reason."""
    found = rows(Asked(probe=finds(engine="absent", plain="absent")))
    assert active(found) == {}
    assert found["plain"].why == "not present here (its engine: none); by --backend or a manifest"
    assert found["other"].why.startswith("no backend was chosen, and none can be picked here")
    assert found["plainway"].why == found["other"].why


@pytest.mark.parametrize(
    ("wishes", "by"), [(Wishes(environment="other"), "environment"), (Wishes(config="other"), "config.yaml")]
)
def test_who_is_named_is_taken_without_a_look(wishes: Wishes, by: str) -> None:
    """Environment and configuration hold before the preference, and need no probe."""
    found = rows(Asked(wishes, Wishes(environment="otherway")))
    assert active(found) == {"other": by, "otherway": "environment"}
    assert found["engine"].why.startswith("other is taken: ")
    assert found["engineway"].why == "otherway is taken: CLAUDE_BOTTLE_PROXY; by --proxy or a manifest"


def test_a_backend_that_no_proxy_goes_with_is_told() -> None:
    """A named backend outside the order has no proxy by itself."""
    found = rows(Asked(Wishes(config="other")))
    assert found["engineway"].why == "no proxy was chosen for backend other"


def test_agents_and_provisioners_are_the_manifest_s() -> None:
    """They are never taken by themselves."""
    found = rows()
    assert (found["helper"].by, found["helper"].why) == ("manifest", "`agent: helper` in a manifest")
    assert (found["keys"].by, found["keys"].why) == ("manifest", "the key `keys` in a manifest")


def test_what_cannot_be_selected_says_why() -> None:
    """A row keeps its own status, whoever names it and whatever it did the last time."""
    gone = INVENTORY.records[6]
    found = rows(Asked(Wishes(config="gone")), {gone: Outcome(error="broken")})
    assert (found["gone"].status, found["gone"].selected, found["gone"].why) == (
        "blocked",
        False,
        "blocked: it is blocked",
    )
    assert found["gone"].reason == "it is blocked"


def test_what_a_load_found_is_in_the_row() -> None:
    """Hooks, seconds, modules and when; an error makes it failed even where it is what would be taken."""
    engine, plain = INVENTORY.records[:2]
    error = failure(engine, PluginError("engine", "backend engine (bottle-engine 1): its import failed", "mend it"))
    outcomes = {engine: error, plain: Outcome(hooks=("probe",), seconds=0.5, modules=3, time=7.0)}
    found = rows(Asked(Wishes(config="engine")), outcomes)
    assert (found["engine"].status, found["engine"].selected) == ("failed", True)
    assert (found["engine"].reason, found["engine"].fix) == (
        "its import failed",
        "mend it; then: bottle plugins check engine",
    )
    assert found["engine"].hooks is None
    plain_row = found["plain"]
    assert (plain_row.hooks, plain_row.import_seconds, plain_row.modules, plain_row.loaded) == (("probe",), 0.5, 3, 7.0)
