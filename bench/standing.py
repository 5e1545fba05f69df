"""A bottle that stands: how fast it runs a command, what its proxy costs a request, how much memory it holds."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from running import Running, started
from sample import Sample, interleave, percentile
from stage import HOST, Stage
from table import Row, judge, plain

from bottle_bwrap.interpreter import find_interpreter

__all__ = ["Effort", "measure_standing"]

CLIENT = Path(__file__).with_name("client.py")
PROXIED, DIRECT = "proxied", "direct"
MEGABYTE = 1_000_000


class Effort(NamedTuple):
    """How much is done: rounds, commands, requests in a round, bytes each way in a round."""

    rounds: int
    commands: int
    requests: int
    size: int


class Traffic(NamedTuple):
    """What one client saw in one round: the median request in seconds, bytes a second down and up."""

    latency: float
    down: float
    up: float


def measure_standing(stage: Stage, effort: Effort) -> list[Row]:
    """Launch one bottle, measure everything in it, and return the rows."""
    with started(stage) as running:
        idle = memory(running)
        commands = [time_command(running) for _ in range(effort.commands)]
        ways = {DIRECT: partial(direct, stage, effort), PROXIED: partial(proxied, running, effort)}
        interleave(1, ways)
        traffic = interleave(effort.rounds, ways)
        used = memory(running)
    return [row_of_commands(commands), *rows_of_memory(idle, used), *rows_of_traffic(traffic, effort)]


def time_command(running: Running) -> float:
    """Return the seconds of one `Bottle.exec` of a shell that does nothing."""
    begin = time.perf_counter()
    done = running.bottle.exec("true")
    seconds = time.perf_counter() - begin
    if done.returncode != 0:
        raise RuntimeError(f"exec: {done}")
    return seconds


def direct(stage: Stage, effort: Effort) -> Traffic:
    """Run the client beside the bottle, straight to the upstream."""
    argv = (sys.executable, "-I", str(CLIENT), f"127.0.0.1:{stage.port}", *words(effort))
    env = {"SSL_CERT_FILE": str(stage.authority)}
    return read(subprocess.run(argv, check=True, env=env, stdout=subprocess.PIPE).stdout, effort)


def proxied(running: Running, effort: Effort) -> Traffic:
    """Run the client in the bottle, through its proxy."""
    argv = (find_interpreter().path, "-I", "-", "proxy", *words(effort))
    done = running.bottle.exec("", argv=argv, stdin=CLIENT.read_bytes())
    if done.returncode != 0:
        raise RuntimeError(f"the client in the bottle: {done.stderr.decode()}")
    return read(done.stdout, effort)


def words(effort: Effort) -> tuple[str, ...]:
    """Return the client's other arguments."""
    return HOST, str(effort.requests), str(effort.size)


def read(output: bytes, effort: Effort) -> Traffic:
    """Return what a client printed."""
    found: Any = json.loads(output)
    latency = Sample(tuple(found["latencies"])).median
    return Traffic(latency, effort.size / found["down"], effort.size / found["up"])


def memory(running: Running) -> Mapping[str, float] | None:
    """Return the memory of a bottle's parts in megabytes, None where we may not look."""
    try:
        return running.memory()
    except PermissionError:  # the proxy and the agent server are undumpable: root alone may look
        return None


def row_of_commands(seconds: list[float]) -> Row:
    """Return the row of `Bottle.exec`."""
    obstacle = "each command is a process that the agent server forks"
    row = judge(
        f"`Bottle.exec` from another process, {len(seconds)} times",
        Sample(tuple(seconds)),
        10,
        obstacle=obstacle,
        unit=" ms",
        scale=1000,
    )
    return row._replace(measured=f"{row.measured}, p95 {percentile(seconds, 95) * 1000:.1f} ms")


def rows_of_memory(idle: Mapping[str, float] | None, used: Mapping[str, float] | None) -> list[Row]:
    """Return the rows of memory: a bottle at rest, and after the traffic below."""
    what = "memory (PSS) of a bottle"
    if idle is None or used is None:
        return [Row(what, "≤ 110 MB", "not measured", "needs root")]
    parts = ", ".join(f"{part} {size:.0f}" for part, size in idle.items())
    obstacle = "the modules of the proxy are most of it"
    rest = judge(f"{what} at rest", Sample((sum(idle.values()),)), 110, obstacle=obstacle, unit=" MB")
    after = plain(f"{what} after this traffic", f"{sum(used.values()):.0f} MB: proxy {used['proxy']:.0f}")
    return [rest._replace(measured=f"{sum(idle.values()):.0f} MB: {parts}"), after]


def rows_of_traffic(traffic: Mapping[str, list[Traffic]], effort: Effort) -> list[Row]:
    """Return the rows of requests: what the proxy adds, and what of the direct speed is left."""

    def sample(way: str, field: str) -> Sample:
        return Sample(tuple(getattr(found, field) for found in traffic[way]))

    added = sample(PROXIED, "latency").minus(sample(DIRECT, "latency")).text(".2f", 1000)
    rows = [
        plain(
            f"keep-alive request, {effort.requests} a round: added to {sample(DIRECT, 'latency').text('.2f', 1000)} ms",
            f"{added} ms",
        ),
    ]
    for way in ("down", "up"):
        speed, straight = sample(PROXIED, way), sample(DIRECT, way)
        share = speed.over(straight).text(".2f")
        size = effort.size // MEGABYTE
        rows.append(
            plain(
                f"{size} MB {way}, direct {straight.text('.0f', 1 / MEGABYTE)} MB/s",
                f"{speed.text('.0f', 1 / MEGABYTE)} MB/s, {share} of direct",
            )
        )
    return rows
