"""Claude Code in a bottle against the bare program: one answer, and a session of forty rounds, with the same stand-in.

The stand-in for the model's API (tests/model) answers at once, so that nothing but the program and the bottle is
measured. The bare program reaches it as `localhost`, a bottle's under the real name, through its proxy.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from string import Template
from typing import NamedTuple

from cost import run
from engine import page_on_floor
from machine import describe, load
from sample import Sample, interleave
from spent import read_phases
from stage import Stage, staged
from table import Row, judge, markdown, plain

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "model"))

from model_claude import ClaudeModel
from model_server import Answer, Request

from bottle_claude.release import VERSION, program
from bottle_docker.plugin import open_engine
from bottle_docker.probe import probe
from bottle_docker.site import default_gateways
from bottle_pipelock.section import IMAGE
from claude_bottle.seam.prefix import find_prefix

__all__ = ["claude_section"]

KEY = "sk-test-0123456789abcdefghijklmnopqrstuvwxyz"
BARE = "bare `claude`"
FLOOR = "the engine's bare calls"
GOALS: Mapping[str, tuple[float, str]] = {
    "bwrap": (1.0, "see the phases"),
    "docker": (1.5, "the engine's bare calls for two containers and two networks take more"),
}
"""Seconds that a launch may add, by backend, and what stands in the way."""
ROUNDS = 40
THINKING = 2.0
"""Seconds from a request to its answer, fast for a model."""
FEW = 3
"""Rounds of sessions, which take minutes."""
ANSWER = ("-p", "say hi")
SESSION = ("-p", f"[[mock:rounds {ROUNDS} head -c 15000 /dev/urandom | base64 -w 0]]")
QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_INSTALLATION_CHECKS": "1",
    "IS_SANDBOX": "1",  # lets root skip permissions
}
INSIDE = "the program in the bottle"
TEXT = Path(__file__).with_suffix(".md")


class Model(ClaudeModel):
    """The stand-in; it answers after `thinking` seconds. `times` are when requests to the model itself came."""

    thinking = 0.0

    names = (*ClaudeModel.names, "localhost")

    def __init__(self, folder: Path, address: str = "127.0.0.1", ports: tuple[int, int] = (0, 0)) -> None:
        self.times: list[float] = []
        super().__init__(folder, address, ports)

    @property
    def port(self) -> int:
        """Where it serves TLS."""
        return self._secure.server_port

    def answer(self, request: Request) -> Answer:
        """See `ModelServer`."""
        if request.path.startswith("/v1/messages"):
            self.times.append(time.monotonic())
            self.seen.clear()  # forty contexts that grow are no use here
            time.sleep(self.thinking)
        return super().answer(request)


class Taken(NamedTuple):
    """Seconds: of the whole command, between the first and the last request to the model, and by phase."""

    wall: float
    session: float
    phases: Mapping[str, float]


class Place(NamedTuple):
    """A folder with a user's environment and manifest, and the stand-in that its bottles reach."""

    folder: Path
    model: Model

    def bare(self, words: tuple[str, ...]) -> Taken:
        """Run the program as it is installed for bottles, without one."""
        prefix = find_prefix(program(None))
        if prefix is None:
            raise RuntimeError("the program is not in the cache, though a bottle has just run it")
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "ANTHROPIC_BASE_URL": f"https://localhost:{self.model.port}",
            "ANTHROPIC_API_KEY": KEY,
            "NODE_EXTRA_CA_CERTS": str(self.model.ca),
            **QUIET,
        }
        return self._run((str(prefix / "claude"), "--dangerously-skip-permissions", *words), env)

    def bottled(self, backend: str, proxy: str, words: tuple[str, ...]) -> Taken:
        """Run it in a bottle."""
        bottle = str(Path(sys.executable).with_name("bottle"))
        chosen = ("--backend", backend, "--proxy", proxy)
        argv = (bottle, "start", "claude", "--yes", "--timings", *chosen, "--file", f"{proxy}.yaml", "--", *words)
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ}
        folders = {f"XDG_{name}_HOME": str(self.folder / name.lower()) for name in ("CONFIG", "STATE")}
        return self._run(argv, {**kept, **folders, "ANTHROPIC_API_KEY": KEY})

    def _run(self, argv: tuple[str, ...], env: Mapping[str, str]) -> Taken:
        self.model.times.clear()
        begin = time.monotonic()
        done = subprocess.run(argv, check=False, cwd=self.folder, env=env, capture_output=True, text=True)
        wall = time.monotonic() - begin
        if done.returncode or not done.stdout.startswith("MOCK-"):
            raise RuntimeError(f"{argv[0]}: exit code {done.returncode}, {done.stdout[:200]!r}: {done.stderr[-2000:]}")
        phases = read_phases(done.stderr)
        if phases:
            phases[INSIDE] = wall - sum(phases.values())
        return Taken(wall, self.model.times[-1] - self.model.times[0], phases)


@contextmanager
def placed(address: str, ports: tuple[int, int] = (0, 0)) -> Generator[Place]:
    """Start a stand-in at an address, and write what a user has who is led to it."""
    with tempfile.TemporaryDirectory(prefix="bottle-bench-") as name:
        folder = Path(name)
        model = Model(folder, address, ports)
        config = folder / "config" / "claude-bottle" / "config.yaml"
        config.parent.mkdir(parents=True)
        (folder / "home").mkdir()
        config.write_text(model.config(), encoding="utf-8")
        for proxy, action in (
            ("mitmproxy", "block"),
            ("pipelock", "warn"),
        ):  # with `block` pipelock opens no model's host
            egress = f"{{private_addresses: [{model.private}], dlp_action: {action}}}"
            manifest = f"version: 1\nbottles: {{dev: {{egress: {egress}}}}}\nagents: {{claude: {{bottle: dev}}}}\n"
            (folder / f"{proxy}.yaml").write_text(manifest, encoding="utf-8")
        try:
            yield Place(folder, model)
        finally:
            model.close()


class Ways(NamedTuple):
    """What each way took: for one answer, for a session at once, and for one with a model that thinks."""

    answers: Mapping[str, list[Taken]]
    sessions: Mapping[str, list[Taken]]
    thought: Mapping[str, list[Taken]]


Way = Callable[[tuple[str, ...]], Taken]


def claude_section(rounds: int) -> str:
    """Measure in interleaved rounds, and return the section."""
    before = load()
    ways = measure(rounds)
    pairs = [name for name in ways.sessions if name != BARE]
    rows = [row for name in pairs for row in rows_of(name, ways)]
    return Template(TEXT.read_text(encoding="utf-8")).substitute(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=describe(srt=False).replace(", without srt", ""),
        load=f"{before:.2f}",
        version=VERSION,
        rounds=rounds,
        few=len(ways.sessions[BARE]),
        turns=ROUNDS,
        thinking=f"{THINKING:g}",
        bare=f"{wall(ways.answers[BARE]).text('.0f', 1000)} ms",
        at_once=f"{session(ways.sessions[BARE]).text('.2f')} s",
        thought=f"{session(ways.thought[BARE]).text('.1f')} s",
        table=markdown(("what", "goal", "measured", ""), rows),
        phases=phase_table({name: ways.answers[name] for name in pairs}),
    )


def measure(rounds: int) -> Ways:
    """Return what each way took, after one answer of each that is not counted."""
    with placed("127.0.0.1") as here:
        ways: dict[str, Way] = {"bwrap + mitmproxy": partial(here.bottled, "bwrap", "mitmproxy"), BARE: here.bare}
        if probe().state != "ready":
            return run_all(ways, [here.model], rounds, None)
        engine = open_engine()
        pipelock = bool(engine.image_id(IMAGE)) and os.geteuid() == 0  # it dials the port that is asked for
        address = default_gateways(engine.networks())[0]
        with placed(address, (443, 80) if pipelock else (0, 0)) as there, staged(address) as stage:
            for proxy in ("mitmproxy", "pipelock") if pipelock else ("mitmproxy",):
                ways[f"docker + {proxy}"] = partial(there.bottled, "docker", proxy)
            return run_all(ways, [here.model, there.model], rounds, partial(on_floor, stage, address))


def on_floor(stage: Stage, address: str) -> Taken:
    """Run the engine's bare calls for one page, see `floor.py`."""
    return Taken(run(page_on_floor(stage, "mitmproxy", address)).wall, 0.0, {})


def run_all(ways: Mapping[str, Way], models: list[Model], rounds: int, floor: Callable[[], Taken] | None) -> Ways:
    """Run each way's answer, its session, and its session with models that think, where that has a goal."""
    answers = {name: partial(way, ANSWER) for name, way in ways.items()} | ({FLOOR: floor} if floor else {})
    interleave(1, answers)
    sessions = {name: partial(way, SESSION) for name, way in ways.items()}
    answered = interleave(rounds, answers)
    few = FEW if rounds > FEW else 1
    at_once = interleave(few, sessions)
    for model in models:
        model.thinking = THINKING
    with_goal = {name: way for name, way in sessions.items() if not name.endswith("pipelock")}
    return Ways(answered, at_once, interleave(few, with_goal))


def rows_of(name: str, ways: Ways) -> Iterator[Row]:
    """Yield the rows of one pair of backend and proxy."""
    one, bare = wall(ways.answers[name]), wall(ways.answers[BARE])
    goal, obstacle = GOALS[name.partition(" ")[0]]
    yield judge(f"one answer, {name}: added", one.minus(bare), goal, obstacle=obstacle, unit=" s")
    yield plain(f"one answer, {name}: ÷ bare", one.over(bare).text(".2f"))
    if FLOOR in ways.answers and name == "docker + mitmproxy":
        floor = wall(ways.answers[FLOOR])
        yield plain("the engine's bare calls for one page", floor.text(".2f") + " s")
        yield plain(f"one answer, {name}: added ÷ these", one.minus(bare).over(floor).text(".2f"))
    at_once = session(ways.sessions[name]).over(session(ways.sessions[BARE]))
    yield plain(f"session at once, {name}: ÷ bare", at_once.text(".2f"))
    if name in ways.thought:
        share = session(ways.thought[name]).over(session(ways.thought[BARE]))
        obstacle = "each request is searched for credentials before any of it is sent"
        yield judge(f"session, {name}: ÷ bare", share, 1.05, obstacle=obstacle)


def phase_table(answers: Mapping[str, list[Taken]]) -> str:
    """Return the medians of the phases, a column for each pair."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for name, taken in answers.items():
        for phase in taken[0].phases:
            found[phase][name] = statistics.median(it.phases[phase] for it in taken) * 1000
    order = [phase for phase in found if phase != INSIDE] + [INSIDE]
    rows = [(it, *(f"{found[it][name]:.0f}" if name in found[it] else "" for name in answers)) for it in order]
    return markdown(("phase", *answers), rows)


def wall(taken: list[Taken]) -> Sample:
    """Return the times of the whole command."""
    return Sample(tuple(it.wall for it in taken))


def session(taken: list[Taken]) -> Sample:
    """Return the times between the first and the last request."""
    return Sample(tuple(it.session for it in taken))
