"""On an engine: a page through a bottle with each proxy, against the bare calls, and twenty bottles at once."""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cost import Command, Cost, run
from sample import Sample, interleave
from stage import HOST, Stage, staged
from table import Row, judge, plain
from upstream import PAGE

from bottle_docker.plugin import open_engine
from bottle_docker.probe import probe
from bottle_docker.site import default_gateways
from bottle_pipelock.section import IMAGE

__all__ = ["measure_engine", "rows_of_engine"]

MANY = 20
PROOF = "the proof's second and the start of two containers are in both; what is left is our own start and the plan"


def measure_engine(rounds: int) -> dict[str, list[Cost]]:
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
        ways[f"{MANY} at once, mitmproxy"] = partial(run, page_in_bottle(stage, "mitmproxy"), MANY)
        interleave(1, {name: way for name, way in ways.items() if "at once" not in name})
        return interleave(rounds, ways)


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


def rows_of_engine(costs: dict[str, list[Cost]]) -> list[Row]:
    """Return what was wanted of a launch on an engine."""
    rows: list[Row] = []
    for name, found in costs.items():
        wall = Sample(tuple(cost.wall for cost in found))
        rows.append(plain(f"docker: {name}, wall", wall.text(".0f", 1000) + " ms"))
        floor = costs.get(name.replace("bottle", "floor"))
        if name.startswith("bottle") and floor:
            bare = Sample(tuple(cost.wall for cost in floor))
            rows.append(judge(f"docker: {name}, wall ÷ floor", wall.over(bare), 1.15, obstacle=PROOF))
    return rows
