"""The demo: one bottle from preflight to teardown, with real requests to a server that the demo starts itself.

It touches nothing of the user's: configuration, state and home are in a folder of its own, removed at the end.
"""

# ruff: noqa: INP001 - a script

import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

from processes import running, tree
from stage import Answer, Stage
from upstream import Upstream

HERE = Path(__file__).resolve().parent
INSIDE = "/usr/local/bin:/usr/bin:/bin"
"""Where a bottle finds programs: the host's own, seen read-only."""
ALLOWED, OTHER = "api.demo.test", "evil.demo.test"
CANARY = "DEMO_CANARY"
REFUSALS = 2
PATIENCE = 5.0
"""Seconds that what happens beside a command may take: a line in the record, the end of a process."""


class World(NamedTuple):
    """What the steps share: the folder of the demo, its server, and the words that begin a request inside.

    `script` is a client for the standard input of these words, empty where they need none.
    """

    folder: Path
    upstream: Upstream
    client: str
    script: str


def main() -> int:
    """Run all steps; the exit code is 0 if each was as expected."""
    signal.signal(signal.SIGTERM, _end)
    begin = time.monotonic()
    client, script = _client()
    folder = Path(tempfile.mkdtemp(prefix="bottle-demo-"))
    try:
        world = World(folder, Upstream((ALLOWED, OTHER), folder), client, script)
        stage = Stage(_environment(world), HERE)
        try:
            _play(stage, world)
        finally:
            stage.run("bottle cleanup --yes")
            world.upstream.close()
        return stage.end(time.monotonic() - begin)
    finally:
        shutil.rmtree(folder)


def _end(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)


def _client() -> tuple[str, str]:
    """Return the words that begin a request, and the script that they are given; exit where there is nothing."""
    if shutil.which("bottle") is None:
        sys.exit("error: there is no bottle on PATH\nhint: run `make demo`, which installs one for this checkout")
    if shutil.which("curl", path=INSIDE):
        return "curl -sv", ""
    if shutil.which("python3", path=INSIDE):
        return "python3 -", (HERE / "fetch.py").read_text(encoding="utf-8")
    sys.exit("error: there is no HTTP client in /usr for the bottle to use\nhint: install curl")


def _environment(world: World) -> Mapping[str, str]:
    """Return a user's environment below the demo's folder, and write the configuration that is found in it."""
    folders = {name: world.folder / name for name in ("home", "config", "state", "cache", "run")}
    for path in (*folders.values(), folders["config"] / "claude-bottle"):
        path.mkdir(mode=0o700)
    (folders["home"] / "diary.txt").write_text("for nobody else\n", encoding="utf-8")
    (folders["config"] / "claude-bottle/config.yaml").write_text(
        f"upstream:\n  ca: [{world.upstream.ca}]\n  hosts:\n"
        + "".join(f"    {name}: 127.0.0.1:{world.upstream.port}\n" for name in (ALLOWED, OTHER))
        + "block: [docker]\n",  # what else this user has running on an engine is no part of it
        encoding="utf-8",
    )
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(folders["home"]),
        "XDG_RUNTIME_DIR": str(folders["run"]),
        **{f"XDG_{name.upper()}_HOME": str(folders[name]) for name in ("config", "state", "cache")},
        CANARY: "for nobody either",
    }


def _play(stage: Stage, world: World) -> None:
    stage.title(
        "claude-bottle: a place for a coding agent, with one way out that is watched",
        f"A server on 127.0.0.1:{world.upstream.port} plays two hosts, {ALLOWED} and {OTHER}. The bottle may",
        "reach the first. The proxy trusts the server's CA by `upstream:` of config.yaml, as it would a company's.",
    )
    preflight(stage)
    if not start(stage):
        return
    allowed_host(stage, world)
    other_host(stage, world)
    credential(stage, world)
    around_the_proxy(stage, world)
    look_around(stage, world)
    record(stage)
    teardown(stage, world)


def request(stage: Stage, world: World, words: str, only: str) -> Answer:
    """Send a request from inside the bottle."""
    shown = " < fetch.py" if world.script else ""
    return stage.show(f"bottle exec demo -- {world.client} {words}", only, stdin=world.script, suffix=shown)


def preflight(stage: Stage) -> None:
    """Show the plan of a launch."""
    stage.step("The preflight: all that a launch will do, before anything is done")
    answer = stage.show("bottle start demo --dry-run", only=" : ")
    lines = (line.partition(" : ") for line in answer.text.splitlines())
    plan = {label.strip(): value for label, _, value in lines}
    expected = answer.code == 0 and plan.get("egress") == ALLOWED and "CA" in plan.get("tls intercept", "")
    stage.expect("shown, and nothing was made", answer, when=expected)


def start(stage: Stage) -> bool:
    """Start the bottle in the background; whether it runs."""
    stage.step("The launch: no program runs inside before its isolation is proved")
    begin = time.monotonic()
    answer = stage.show("bottle start demo --file bottle.yaml --yes --detach", only="^claude-bottle-demo$|CA SHA-256")
    took = time.monotonic() - begin
    up = answer.code == 0 and "claude-bottle-demo" in answer.text
    stage.expect(f"up and proved after {took:.1f} s", answer, when=up)
    return up


def allowed_host(stage: Stage, world: World) -> None:
    """Ask the allowed host."""
    stage.step("An allowed host answers, and the proxy reads along")
    answer = request(stage, world, f"https://{ALLOWED}/", only=r"issuer: |^< HTTP/[0-9.]+ 200 *(OK)?\s*$|^hello")
    issuers = [line for line in answer.text.splitlines() if "issuer: " in line]
    expected = answer.code == 0 and "claude-bottle demo" in "".join(issuers) and f"hello from {ALLOWED}" in answer.text
    stage.expect("200, under a certificate of this bottle's own CA, trusted without a flag", answer, when=expected)


def other_host(stage: Stage, world: World) -> None:
    """Ask a host that nobody allowed."""
    stage.step("Any other host is refused, and the refusal says what would allow it")
    answer = request(stage, world, f"https://{OTHER}/", only="^< HTTP|^< X-Bottle-(Reason|Fix)")
    expected = answer.code != 0 and " 403" in answer.text and f"bottle allow demo {OTHER}" in answer.text
    stage.expect("403, and nothing was sent to that host", answer, when=expected and _untouched(world, OTHER))


def credential(stage: Stage, world: World) -> None:
    """Post something shaped like a GitHub token to the allowed host."""
    stage.step("A credential does not leave, not even for an allowed host")
    token = "ghp_" + secrets.token_hex(18)
    answer = request(
        stage, world, f"-d token={token} https://{ALLOWED}/", only="^< HTTP/[0-9.]+ 403|^claude-bottle refused"
    )
    expected = " 403" in answer.text and "GitHub token" in answer.text
    stage.expect("403, and the server never saw it", answer, when=expected and _untouched(world, token))


def _untouched(world: World, text: str) -> bool:
    """Whether no request that reached the server has this text in it."""
    return not any(text in seen for seen in world.upstream.seen)


def around_the_proxy(stage: Stage, world: World) -> None:
    """Dial a listener on this machine from inside, with the same dial from outside as control."""
    stage.step("There is no way around the proxy")
    url = f"http://{world.upstream.plain}/"
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as control:
        answers_here = control.status == 200  # noqa: PLR2004 - HTTP's OK
    answer = request(stage, world, f"--noproxy '*' {url}", only=r"^curl: \(|[Ff]ailed to connect")
    stage.expect("no connection to what this machine itself can reach", answer, when=answers_here and answer.code != 0)


def look_around(stage: Stage, world: World) -> None:
    """Look for the host's users, files, variables and processes."""
    stage.step("Inside are this machine's programs, and nothing else of it")
    user = stage.show("bottle exec demo -- id")
    file = stage.show(f"bottle exec demo -- cat {world.folder}/home/diary.txt")
    variable = stage.show(f"bottle exec demo -- printenv {CANARY}")
    others = stage.show("bottle exec demo -- sh -c 'echo /proc/[0-9]*'")
    expected = (
        user.text.startswith("uid=1000(agent)")
        and file.code == variable.code == 1
        and f"/proc/{os.getpid()}" not in others.text.split()
    )
    stage.expect("a user, files, variables and processes of its own", others, when=expected)


def record(stage: Stage) -> None:
    """Read what the proxy decided."""
    stage.step("Every decision is on record")
    until = time.monotonic() + PATIENCE
    while stage.run("bottle logs demo").text.count("deny") < REFUSALS and time.monotonic() < until:
        time.sleep(0.1)
    answer = stage.show("bottle logs demo")
    verdicts = [line.split()[1] for line in answer.text.splitlines()]
    expected = verdicts == ["allow", "deny", "deny"] and "ghp_" not in answer.text
    stage.expect("one allowed, two refused, and no token among the lines", answer, when=expected)


def teardown(stage: Stage, world: World) -> None:
    """Stop the bottle, and look for its processes and its files."""
    stage.step("Nothing stays behind but that record")
    rows = json.loads(stage.run("bottle list --format json").text)["bottles"]
    processes = tree(rows[0]["pid"])
    answer = stage.show("bottle stop demo")
    listed = stage.show("bottle list")
    left = running(processes, PATIENCE)
    files = [path for path in (world.folder / "run").rglob("*") if not path.is_dir()]
    expected = "no bottle runs" in listed.text and len(processes) > 1 and not left and not files
    stage.expect(f"its {len(processes)} processes are gone, and so are its files", answer, when=expected)


sys.exit(main())
