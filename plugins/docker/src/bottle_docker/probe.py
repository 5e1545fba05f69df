"""What this machine's engine is, asked without the SDK, and the cure where it cannot be used."""

import os
from functools import cache
from typing import Any

from msgspec import DecodeError, json

from bottle_docker.address import Address, find_address
from bottle_docker.stream import connect
from claude_bottle.errors import UnavailableError
from claude_bottle.seam.probe import Finding, ProbeResult

__all__ = ["found_address", "host_of", "known_runtimes", "probe"]

PATIENCE = 5.0  # seconds for each answer
OLDEST = (1, 40)
MOST = 1 << 22  # bytes of an answer


def found_address() -> Address:
    """Return where the engine is; UnavailableError if there is none."""
    address = find_address()
    if address is None:
        raise UnavailableError("no docker engine is present here", "install one, or set DOCKER_HOST")
    return address


@cache
def probe() -> ProbeResult:
    """Say whether bottles can run here."""
    try:
        address = find_address()
    except UnavailableError as error:
        return broken("docker engine", error.message, error.hint)
    if address is None:
        cure = "install docker, or set DOCKER_HOST; a client alone is no engine"
        return ProbeResult(
            state="absent", findings=(Finding(what="docker engine", ok=False, detail="none", cure=cure),)
        )
    try:
        version, info = version_of(address), info_of(address)
    except UnavailableError as error:
        return broken("docker engine", f"{error.message} ({address.source})", cure_of(address, error))
    findings = tuple(judge(address, version, info))
    return ProbeResult(state="ready" if all(it.ok for it in findings) else "broken", findings=findings)


def judge(address: Address, version: dict[str, Any], info: dict[str, Any]) -> list[Finding]:
    """Return what an engine's own words say of it."""
    api = tuple(int(part) for part in str(version.get("ApiVersion", "0.0")).split("."))
    what = f"docker engine {version.get('Version', '?')} ({address.source})"
    here = info.get("Name") == os.uname().nodename
    secure = any("seccomp" in str(option) for option in info.get("SecurityOptions") or ())
    linux = version.get("Os") == "linux"
    return [
        Finding(
            what=what,
            ok=api >= OLDEST and linux,
            detail="" if api >= OLDEST and linux else "it is too old" if linux else "it runs no Linux containers",
            cure=None if api >= OLDEST and linux else "use Docker 19.03 or newer, with Linux containers",
        ),
        Finding(
            what="host of the engine",
            ok=True,
            detail="" if here else f"it is {info.get('Name', '?')}: isolation is proved from a container on it",
        ),
        Finding(
            what="seccomp of the engine",
            ok=secure,
            detail="" if secure else "it is off, and a bottle would not be isolated",
            cure=None if secure else "use an engine and a kernel with seccomp",
        ),
    ]


def host_of(address: Address) -> str:
    """Return the name of the machine that an engine runs on; UnavailableError if none answers."""
    return str(info_of(address).get("Name", ""))


@cache
def version_of(address: Address) -> dict[str, Any]:
    """Return which engine and which API answers, asked once."""
    return ask(address, "/version")


@cache
def info_of(address: Address) -> dict[str, Any]:
    """Return what an engine says of itself, asked once."""
    return ask(address, "/info")


def known_runtimes() -> tuple[str, ...] | None:
    """Return the names of the engine's OCI runtimes; None if no engine answers."""
    try:
        address = find_address()
        return tuple(sorted(info_of(address).get("Runtimes") or ())) if address else None
    except UnavailableError:
        return None


def bind_fault() -> str:
    """Return why the engine cannot bind a folder for this user; empty if it can, or no engine answers."""
    try:
        address = find_address()
        info = info_of(address) if address else {}
    except UnavailableError:
        return ""
    if info and info.get("Name") != os.uname().nodename:
        return f"the engine runs on {info.get('Name', '?')}"
    options = " ".join(map(str, info.get("SecurityOptions") or ()))
    return "the engine counts uids of its own" if "name=rootless" in options or "name=userns" in options else ""


def broken(what: str, detail: str, cure: str | None) -> ProbeResult:
    """Return what is said of an engine that is there but cannot be used."""
    return ProbeResult(state="broken", findings=(Finding(what=what, ok=False, detail=detail, cure=cure),))


def cure_of(address: Address, error: UnavailableError) -> str:
    """Return what to do about an engine that does not answer."""
    if error.hint:
        return error.hint
    if address.socket and "ermission" in error.message:
        return "join the group that owns the socket: `sudo usermod -aG docker $USER`, then log in again"
    return "start it (`systemctl start docker`)"


def ask(address: Address, path: str) -> dict[str, Any]:
    """Return the engine's answer to a question; UnavailableError if there is none."""
    try:
        with connect(address, PATIENCE) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
            answer = b""
            while len(answer) < MOST and (chunk := connection.recv(1 << 16)):
                answer += chunk
        head, _, body = answer.partition(b"\r\n\r\n")
        if b" 200 " not in head.partition(b"\r\n")[0] + b" ":
            raise UnavailableError(f"the engine at {address.url} refuses: {head.partition(b'|')[0][:80]!r}")
        return json.decode(body, type=dict[str, Any])
    except (OSError, DecodeError) as error:
        raise UnavailableError(f"the engine at {address.url} does not answer: {error}") from error
