"""The bottles that run, over every backend that may be asked: each alone, within a deadline, in parallel."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from claude_bottle.errors import BottleError, DeadlineError, NotFoundError
from claude_bottle.launch.record import LaunchRecord, live_records
from claude_bottle.launch.team import ask
from claude_bottle.plugins.inventory import Inventory
from claude_bottle.plugins.load import Loaded, load
from claude_bottle.plugins.record import Record
from claude_bottle.seam.bottle import Bottle

__all__ = ["Answer", "Listed", "ask_each", "find_bottle", "list_bottles"]

DEADLINE = 2.0
"""Seconds that a backend may take before it is a line of its own."""

T = TypeVar("T")


class Answer(NamedTuple, Generic[T]):
    """What one plugin said, or why it said nothing."""

    record: Record
    value: T | None
    error: BottleError | None


class Listed(NamedTuple):
    """A bottle that runs, and its launch's own record, if that is on this machine."""

    handle: Bottle
    backend: str
    record: LaunchRecord | None

    @property
    def full_name(self) -> str:
        """What no bottle of another backend is called: `BACKEND/NAME`."""
        return f"{self.backend}/{self.handle.name}"


def ask_each(records: Sequence[Record], call: Callable[[Loaded], T], deadline: float = DEADLINE) -> list[Answer[T]]:
    """Load and ask each plugin in a thread of its own; one that fails or hangs is an answer with an error."""
    boxes: list[list[Answer[T]]] = [[] for _ in records]

    def run(record: Record, box: list[Answer[T]]) -> None:
        try:
            loaded = load(record)
            box.append(Answer(record, ask(loaded, lambda: call(loaded)), None))
        except BottleError as error:
            box.append(Answer(record, None, error))

    threads = [
        threading.Thread(target=run, args=(record, box), name=f"ask {record.name}", daemon=True)
        for record, box in zip(records, boxes, strict=True)
    ]
    end = time.monotonic() + deadline
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    late = DeadlineError(f"no answer within {deadline:g} s")
    return [box[0] if box else Answer(record, None, late) for record, box in zip(records, boxes, strict=True)]


def list_bottles(inventory: Inventory) -> tuple[list[Listed], list[Answer[Sequence[Bottle]]]]:
    """Return the bottles of every backend, and the answers of those backends that could not say."""
    launches = {record.label: record for record in live_records()}
    answers = ask_each(inventory.usable("backend"), lambda loaded: loaded.hooks.list_bottles() or ())
    bottles = [
        Listed(handle, answer.record.name, launches.get(handle.launch))
        for answer in answers
        for handle in answer.value or ()
    ]
    return sorted(bottles, key=lambda it: it.handle.name), [answer for answer in answers if answer.error]


def find_bottle(name: str, inventory: Inventory, ended: str = "") -> Listed:
    """Return the bottle of this name, or the only one whose agent has it; NotFoundError else.

    `BACKEND/NAME` tells bottles of one name apart. `ended` goes into the hint where none runs.
    """
    bottles, silent = list_bottles(inventory)
    fitting = [it for it in bottles if name in {it.handle.name, it.full_name}]
    fitting = fitting or [it for it in bottles if name in {it.handle.slug, it.record.agent if it.record else ""}]
    if len(fitting) == 1:
        return fitting[0]
    counts = Counter(it.handle.name for it in bottles)
    words = [it.handle.name if counts[it.handle.name] == 1 else it.full_name for it in fitting or bottles]
    names = ", ".join(words) or "none"
    if fitting:
        raise NotFoundError(f"several bottles of {name} run", f"name one: {names}")
    unsure = "".join(f"; {answer.record.name} does not answer" for answer in silent)
    raise NotFoundError(f"no bottle {name} runs{unsure}", f"running: {names}{f'; {ended}' if ended else ''}")
