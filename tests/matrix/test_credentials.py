"""The corpus of credentials through each proxy as it is run: what of it is refused, against what is written down."""

import json
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import matrix_corpus
import pytest
from corpus_everyday import EVERYDAY
from corpus_forms import FORMS, Sent
from corpus_shapes import CASES, EXAMPLES
from e2e_upstream import ALLOWED
from e2e_user import Bottle
from matrix_pair import Pair

pytestmark = pytest.mark.timeout(600)

SLOW = frozenset({"pipelock"})
"""Proxies that take minutes for it."""
PAGE = Path(__file__).parents[2] / "docs" / "credentials.md"
SOURCE = Path(matrix_corpus.__file__).read_text()
REFUSED = 403


@pytest.fixture(autouse=True)
def in_time(request: pytest.FixtureRequest) -> None:
    """Leave out what takes minutes, unless it is asked for."""
    if "pair" in request.fixturenames and os.environ.get("BOTTLE_CORPUS") != "all":
        pair: Pair = request.getfixturevalue("pair")
        if pair.proxy in SLOW:
            pytest.skip(f"{pair.proxy} takes minutes for the corpus: make corpus")


def statuses(bottle: Bottle, requests: Iterable[Sent]) -> list[int]:
    """Send requests from inside a bottle to a host that is allowed."""
    data = b"".join(
        json.dumps({"target": it.target, "headers": it.headers, "size": len(it.body)}).encode() + b"\n" + it.body
        for it in requests
    )
    done = bottle.exec("python3", "-c", SOURCE, ALLOWED, stdin=data, timeout=580)
    assert done.code == 0, done.err
    return json.loads(done.out)


def written(proxy: str, row: str) -> tuple[int, int]:
    """Return the two numbers that the page has in a row for a proxy."""
    table = [line.strip("|").split("|") for line in PAGE.read_text().splitlines() if line.startswith("|")]
    column = [cell.strip() for cell in table[0]].index(proxy)
    cells = next(line for line in table if line[0].strip() == row)
    found = re.search(r"(\d+) of (\d+)", cells[column])
    assert found, cells
    return int(found[1]), int(found[2])


def test_everyday_traffic_is_refused_as_often_as_is_written(
    pair: Pair, bottle: Bottle, needs: Callable[[str], None]
) -> None:
    """S4: with mitmproxy none; with the others the page has the number, and it is this."""
    needs("python3")
    found = statuses(bottle, EVERYDAY.values())
    refused = [name for name, status in zip(EVERYDAY, found, strict=True) if status == REFUSED]
    assert set(found) <= {200, REFUSED}
    assert (len(refused), len(EVERYDAY)) == written(pair.proxy, "everyday"), refused


def test_credentials_are_refused_as_often_as_is_written(
    pair: Pair, bottle: Bottle, needs: Callable[[str], None]
) -> None:
    """S4, S9, N12: every shape of every issuer in every form."""
    needs("python3")
    sent = {(form, number): FORMS[form](example) for form in FORMS for number, (_, example) in enumerate(CASES)}
    found = dict(zip(sent, statuses(bottle, sent.values()), strict=True))
    counts = {form: sum(found[form, number] == REFUSED for number in range(len(CASES))) for form in FORMS}
    assert set(found.values()) <= {200, REFUSED}
    assert {form: (count, len(CASES)) for form, count in counts.items()} == {
        form: written(pair.proxy, form) for form in FORMS
    }


def test_the_page_counts_the_corpus() -> None:
    """Every row has the corpus' own totals, and the text says how large it is."""
    totals = {form: len(CASES) for form in FORMS} | {"everyday": len(EVERYDAY)}
    for proxy in ("mitmproxy", "pipelock"):
        assert {row: written(proxy, row)[1] for row in totals} == totals
    assert {row: written("mitmproxy", row)[0] for row in totals} == totals | {"everyday": 0}
    assert f"{len(CASES)} shapes of {len(EXAMPLES)} issuers" in PAGE.read_text()
    assert f"{len(EVERYDAY)} requests" in PAGE.read_text()
