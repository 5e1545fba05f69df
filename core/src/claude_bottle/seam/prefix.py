"""Programs of agents on this machine: fetched with npm, checked, and kept for all bottles in one folder each."""

import base64
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

import msgspec

from claude_bottle.errors import LaunchError, Problem, UnavailableError
from claude_bottle.seam.folders import cache_dir
from claude_bottle.seam.part import Package, Program

__all__ = ["ensure", "find_package", "find_prefix", "npm", "prefix_problems", "programs_dir"]

MACHINE_WIDE = Path("/var/cache/claude-bottle")
HASH = "sha512"
ROOM = "see that there is room and that you may write there, or set XDG_CACHE_HOME to another folder"
CURE = "install npm (Debian: apt-get install npm), or choose a backend that makes its bottles of images"
VERSIONS = "see whether there is such a version: `npm view NAME versions`"
CODES = re.compile(r"npm (warn|notice|error (code|syscall|errno|path|dest|type)) ", re.IGNORECASE)
BLOCK = 1 << 20
QUERY = 60.0  # seconds that the registry may take to answer a question
PASSED = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
PREFIXES = ("npm_", "node_", "xdg_")


def programs_dir() -> Path:
    """Return where programs are kept (not made): the user's cache; as root a place that every uid can enter.

    Root's bottles run as uids of their own, which cannot reach anything below root's home.
    """
    own = cache_dir().with_name("claude-bottle-programs")
    if os.getuid() != 0 or _is_open(own.parent):
        return own
    return MACHINE_WIDE / "programs"


def _is_open(folder: Path) -> bool:
    """Say whether every uid can enter a folder, or could once it is made."""
    return all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents) if path.exists())


def find_package(program: Program) -> Package | None:
    """Return the package of a program for this kind of machine, None if there is none."""
    machine = os.uname().machine
    return next((it for it in program.packages if it.machine in ("", machine)), None)


def find_prefix(program: Program) -> Path | None:
    """Return the folder of a program that is here already, else None."""
    package = find_package(program)
    if package is None:
        return None
    place = _place(program, package)
    return place if place.is_dir() else None


def prefix_problems(programs: Iterable[Program]) -> list[Problem]:
    """Return why programs cannot be put into a bottle that runs on this machine's own tree."""
    problems: list[Problem] = []
    for program in programs:
        if program.host or find_prefix(program) is not None:
            continue
        if find_package(program) is None:
            known = ", ".join(package.machine for package in program.packages)
            problems.append(Problem(f"there is no {program.name} for this machine ({os.uname().machine}): {known}"))
        elif shutil.which("npm") is None:
            problems.append(Problem(f"npm is not on the PATH, and {program.name} comes from its registry", CURE))
    return problems


def ensure(program: Program, say: Callable[[str], None]) -> Path:
    """Return the folder of a program, which is fetched and checked where it is not here yet.

    Launches that want the same one wait for whoever was first. LaunchError or UnavailableError with the cure.
    """
    package = find_package(program)
    if package is None:
        raise UnavailableError(f"there is no {program.name} for this machine ({os.uname().machine})")
    place = _place(program, package)
    if not place.is_dir():
        _make_folder(place.parent)
        with _locked(place, say):
            if not place.is_dir():
                _install(program, package, place, say)
    return place


def _place(program: Program, package: Package) -> Path:
    """Return the folder, whose name changes with everything that is in it."""
    digest = hashlib.sha256(msgspec.json.encode(package)).hexdigest()[:12]
    return programs_dir() / f"{program.name}-{program.version}-{digest}"


def _make_folder(folder: Path) -> None:
    """Make the folder of all programs; LaunchError if it is not ours, for what is in it will be run."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        found = folder.lstat()
    except OSError as error:
        raise LaunchError(f"{folder} cannot be made: {error.strerror}", ROOM) from error
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise LaunchError(f"{folder} is not a folder that you alone can write in", "remove it, or set XDG_CACHE_HOME")


@contextmanager
def _locked(place: Path, say: Callable[[str], None]) -> Generator[None]:
    """Hold the lock of one program; it goes with the process."""
    lock = place.with_name(f"{place.name}.lock")
    try:
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LaunchError(f"{lock} cannot be made: {error.strerror}", ROOM) from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another launch, which installs {place.name}")
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _install(program: Program, package: Package, place: Path, say: Callable[[str], None]) -> None:
    """Fetch, check and unpack; what a launch that was ended left is removed first."""
    for old in place.parent.glob(f"{place.name}.new*"):
        shutil.rmtree(old, ignore_errors=True)
    # Of its own name: npm may outlive a launch that was killed, and must not write where this one has looked.
    work = place.with_name(f"{place.name}.new-{os.urandom(4).hex()}")
    about = f", {program.size // 1_000_000} MB" if program.size else ""
    try:
        tree = work / "tree"
        tree.mkdir(parents=True)
        say(f"fetching {program.name} {program.version} from npm (once{about})")
        archive = _fetch(package, work)
        say(f"checking and unpacking {program.name}")
        _check(archive, package)
        _unpack(archive, tree)
        tree.chmod(0o755)
        for _, file in package.commands:
            if not os.access(tree / file, os.X_OK):
                raise LaunchError(f"{package.name} {package.version} has no program {file}")
        tree.rename(place)
    except OSError as error:
        raise LaunchError(f"{program.name} could not be installed in {place.parent}: {error.strerror}", ROOM) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _fetch(package: Package, folder: Path) -> Path:
    """Download an archive. npm does it, which knows the user's registry; it runs nothing of what it downloads."""
    npm("pack", f"{package.name}@{package.version}", "--ignore-scripts", "--pack-destination", str(folder), cwd=folder)
    archives = list(folder.glob("*.tgz"))
    if len(archives) != 1:
        raise LaunchError(f"npm did not leave one archive of {package.name}@{package.version}")
    return archives[0]


def _check(archive: Path, package: Package) -> None:
    """LaunchError unless an archive is the pinned one; without a pin npm has held it to what the registry says."""
    if not package.integrity:
        return
    digest = hashlib.new(HASH)
    with archive.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    found = f"{HASH}-{base64.b64encode(digest.digest()).decode()}"
    if found != package.integrity:
        message = f"{package.name}@{package.version} is not what it should be: {found} instead of {package.integrity}"
        raise LaunchError(message, "nothing was installed; ask who runs the registry that npm is set to")


def _unpack(archive: Path, folder: Path) -> None:
    argv = ["tar", "-xzf", str(archive), "-C", str(folder), "--strip-components=1", "--no-same-owner"]
    done = subprocess.run(argv, capture_output=True, check=False)
    if done.returncode != 0:
        raise LaunchError(f"{archive.name} cannot be unpacked in {folder}: {_first_line(done.stderr)}", ROOM)


def npm(*words: str, cwd: Path, timeout: float | None = None) -> str:
    """Run npm and return what it printed; LaunchError with its own words, UnavailableError where there is none."""
    program = shutil.which("npm")
    if program is None:
        raise UnavailableError("npm is not on the PATH", CURE)
    environment = {name: value for name, value in os.environ.items() if _is_passed(name)}
    environment |= {"npm_config_update_notifier": "false", "npm_config_fund": "false", "npm_config_audit": "false"}
    try:
        done = subprocess.run(
            [program, *words],
            cwd=cwd,  # where no project's own configuration is
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as error:
        raise LaunchError("the npm registry does not answer", "check the network, and `npm ping`") from error
    if done.returncode != 0:
        cures = {b"ENOSPC": ROOM, b"ETARGET": VERSIONS, b"E404": VERSIONS}
        cure = next((cure for code, cure in cures.items() if code in done.stderr), "check the network, and `npm ping`")
        raise LaunchError(f"`npm {words[0]} {words[1]}` failed: {_first_line(done.stderr)}", cure)
    return done.stdout.decode("utf-8", "replace")


def _is_passed(name: str) -> bool:
    """Say whether npm gets a variable: what it needs to find its registry, and no login of an agent."""
    return name in PASSED or name.lower() in PROXIES or name.lower().startswith(PREFIXES)


def _first_line(stderr: bytes) -> str:
    """Return what a program said first of its failure, after the codes that npm begins with and warnings."""
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    telling = [line for line in lines if not CODES.match(line)]
    return (telling or lines or ["it said nothing"])[0][:300]
