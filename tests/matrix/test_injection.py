"""A credential that the agent never holds, on every pair: put in by the proxy, nowhere else on this machine."""

import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from e2e_upstream import ALLOWED, OTHER, Internet
from e2e_user import Bottle, User
from matrix_pair import Pair

from bottle_docker.labels import LAUNCH
from bottle_docker.plugin import open_engine

INJECT = {"host": ALLOWED, "header": "Authorization", "format": "Bearer {}"}


class Held(NamedTuple):
    """A bottle, the credential that it holds a placeholder of, the user's file with that, and a secret that it sees."""

    bottle: Bottle
    value: str
    file: Path
    seen: str


def manifest(user: User, internet: Internet) -> None:
    """Write a manifest with a credential to inject, and one that the agent gets."""
    env = {"TOKEN": {"secret": "a token", "inject": INJECT}, "SEEN": {"secret": "another"}}
    egress = {"allowlist": [ALLOWED, OTHER], "private_addresses": [internet.private]}
    user.manifest({"egress": egress, "env": env})


@pytest.fixture(scope="module")
def held(pair: Pair, internet: Internet) -> Iterator[Held]:
    """Start it once; every test looks at the same."""
    pair.holds("inject")
    someone = pair.user(internet)
    manifest(someone, internet)
    value, file = f"canary-{secrets.token_hex(20)}", someone.home / "token"
    file.write_text(f"{value}\n")
    seen = f"in-the-open-{secrets.token_hex(20)}"
    (someone.home / "seen").write_text(seen)
    options = ("--secret-file", f"TOKEN={file}", "--secret-file", f"SEEN={someone.home / 'seen'}")
    yield Held(someone.detached(*options), value, file, seen)
    someone.close()


def test_a_proxy_that_cannot_inject_is_a_problem(pair: Pair, user: User, internet: Internet) -> None:
    """S4: the key is named before anything starts; no agent ever gets what was to be kept from it."""
    manifest(user, internet)
    (user.home / "token").write_text("a-token-of-some-length")
    files = [word for name in ("TOKEN", "SEEN") for word in ("--secret-file", f"{name}={user.home / 'token'}")]
    done = user.bottle("start", "reviewer", "--dry-run", "--format=json", *files)
    if pair.proxy == "pipelock":
        assert done.code == 1
        assert "bottles.dev.env.TOKEN.inject: TOKEN is to be injected, which the proxy pipelock cannot do" in done.err
        return
    shown = json.loads(done.out)
    assert shown["injected"] == {"TOKEN": {"host": ALLOWED, "port": 443, "header": "authorization"}}
    assert shown["env"] == {"literal": [], "forwarded": ["SEEN"], "agent": []}


def test_the_upstream_gets_it_and_the_agent_does_not(held: Held, internet: Internet) -> None:
    """S4: the agent sends what it holds, the host that it is for gets the credential, another host gets nothing."""
    internet.seen.clear()
    holds = held.bottle.sh('printf %s "$TOKEN"').out
    assert (len(holds), holds[:7], holds == held.value) == (len(held.value), "canary-", False)
    script = 'curl -sS -o /dev/null -w "%{http_code} " -H "Authorization: Bearer $TOKEN" '
    done = held.bottle.sh(f"{script} https://{ALLOWED}/; {script} https://{OTHER}/")
    assert done.out.split() == ["200", "403"]
    (seen,) = internet.seen
    assert f"Bearer {held.value}" in seen.headers
    assert held.bottle.sh('printf %s "$SEEN"').out == held.seen


def test_it_is_nowhere_inside(held: Held) -> None:
    """S3: not in the environment, memory files or tables of any process that the agent can look at."""
    script = f"""
    for file in /proc/[0-9]*/environ /proc/[0-9]*/cmdline; do cat $file 2>/dev/null; done | tr '\\0' '\\n' >/tmp/all
    grep -c '^TOKEN=' /tmp/all; grep -c {held.value} /tmp/all; grep -rlF {held.value} /tmp /run /home /etc 2>/dev/null
    """
    planted, found, *files = held.bottle.sh(
        script.replace(held.value, f"{held.value[:20]}''{held.value[20:]}")
    ).out.split()
    assert int(planted) > 0
    assert (found, files) == ("0", [])


def test_it_is_in_no_argument_environment_or_file_of_ours(held: Held) -> None:
    """S1, S2, S3: in nobody's command line or environment, in no file of the user's but the one where it was put."""
    value, user = held.value.encode(), held.bottle.user
    processes = [path for path in Path("/proc").iterdir() if path.name.isdigit()]
    assert [path for path in processes for file in ("cmdline", "environ") if value in read(path / file)] == []
    tops = (user.folder, Path("/run/claude-bottle"), Path("/run/claude-bottle-uids"), Path("/dev/shm"))
    assert [it for top in tops for it in top.rglob("*") if it.is_file() and value in read(it)] == [held.file]


def test_it_is_on_no_record_of_the_engine_s(pair: Pair, held: Held) -> None:
    """S2, S7: neither is in what `docker inspect` shows of containers and commands, nor in the engine's folder."""
    if not pair.contained:
        pytest.skip("no engine takes part")
    engine = open_engine()
    client: Any = engine._client  # pyright: ignore[reportPrivateUsage] - white box
    (label,) = {(it.labels or {})[LAUNCH] for it in engine.containers(LAUNCH) if it.name == held.bottle.name}
    records: list[Any] = [client.inspect_container(it.id) for it in engine.containers(f"{LAUNCH}={label}")]
    assert len(records) == 2
    records += [client.exec_inspect(exec_id) for it in records for exec_id in it["ExecIDs"] or ()]
    assert held.bottle.name in json.dumps(records)
    assert [it for it in (held.value, held.seen) if it in json.dumps(records)] == []
    volumes = [mount["Source"] for it in records if "Mounts" in it for mount in it["Mounts"]]
    root = Path(client.info()["DockerRootDir"])
    if not root.is_dir() or subprocess.run(["ls", root], capture_output=True, check=False).returncode:
        pytest.skip("needs root, to look into the engine's folder")
    places = [str(root / "containers"), *volumes]
    assert grep(held.bottle.name, places)
    assert (grep(held.value, places), grep(held.seen, places)) == ([], [])


def grep(text: str, places: list[str]) -> list[str]:
    """Return the files that hold a text, which crosses no command line."""
    done = subprocess.run(["grep", "-rlaFf", "-", *places], input=text.encode(), capture_output=True, check=False)
    return done.stdout.decode().split()


def read(path: Path) -> bytes:
    """Return what can be read of a file now."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
