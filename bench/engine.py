"""On an engine: a page through a bottle with each proxy, against the bare calls, and twenty bottles at once."""

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from string import Template

from cost import Command, Cost, adopt_orphans, run
from machine import describe, load
from sample import Sample, interleave
from stage import HOST, Stage, staged
from table import Row, judge, markdown, plain
from upstream import PAGE

from bottle_docker.plugin import open_engine
from bottle_docker.probe import probe
from bottle_docker.site import default_gateways
from bottle_pipelock.section import IMAGE

__all__ = ["engine_section"]

MANY, FEW = 20, 3
"""Bottles at once, and rounds of them."""
TEXT = Path(__file__).with_name("engine.md")
PROOF = "the proof and two containers are in both; what is left is our own start and the plan"


def engine_section(rounds: int) -> str:
    """Measure in interleaved rounds, and return the section."""
    before = load()
    adopt_orphans()
    costs = measure(rounds)
    return Template(TEXT.read_text(encoding="utf-8")).substitute(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=describe(srt=False).replace(", without srt", ""),
        load=f"{before:.2f}",
        rounds=rounds,
        few=min(FEW, rounds),
        table=markdown(("what", "goal", "measured", ""), rows(costs)) if costs else "No engine can be used here.\n",
    )


def measure(rounds: int) -> dict[str, list[Cost]]:
    """Measure in interleaved rounds; nothing where no engine can be used."""
    if probe().state != "ready":
        return {}
    engine = open_engine()
    address = default_gateways(engine.networks())[0]
    proxies = ["mitmproxy"]
    if engine.image_id(IMAGE) and os.geteuid() == 0:
        proxies.append("pipelock")  # its upstream has to be at the port of the real Internet
    with staged(address, 443 if len(proxies) > 1 else 0) as stage:
        ways: dict[str, Callable[[], Cost]] = {}
        for proxy in proxies:
            ways[f"bottle, {proxy}"] = partial(run, page_in_bottle(stage, proxy))
            ways[f"floor, {proxy}"] = partial(run, page_on_floor(stage, proxy, address))
        interleave(1, ways)
        many = {f"{MANY} at once, mitmproxy": partial(run, page_in_bottle(stage, "mitmproxy"), MANY)}
        return {**interleave(rounds, ways), **interleave(min(FEW, rounds), many)}


def page_in_bottle(stage: Stage, proxy: str) -> Command:
    """Return curl of the page in a bottle on the engine."""
    options = ("--backend", "docker", "--proxy", proxy)
    argv = stage.bottle("curl", "-sS", "--fail", f"https://{HOST}/", options=options)
    return Command("bottle on docker", argv, PAGE, stage.env, stage.folder)


def page_on_floor(stage: Stage, proxy: str, address: str) -> Command:
    """Return the bare calls."""
    floor = str(Path(__file__).with_name("floor.py"))
    argv = (sys.executable, floor, proxy, str(stage.folder), f"{address}:{stage.port}")
    return Command("bare calls", argv, PAGE, stage.env, stage.folder)


def rows(costs: dict[str, list[Cost]]) -> list[Row]:
    """Return what was wanted of a launch on an engine."""
    found_rows: list[Row] = []
    for name, found in costs.items():
        wall = Sample(tuple(cost.wall for cost in found))
        found_rows.append(plain(f"{name}, wall", wall.text(".0f", 1000) + " ms"))
        floor = costs.get(name.replace("bottle", "floor"))
        if name.startswith("bottle") and floor:
            bare = Sample(tuple(cost.wall for cost in floor))
            found_rows.append(judge(f"{name}, wall ÷ floor", wall.over(bare), 1.15, obstacle=PROOF))
    return found_rows
