"""Our distributions, built once, and fresh environments that have a chosen few of them."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MEMBERS = sorted(path.parent for pattern in ("*", "plugins/*") for path in ROOT.glob(f"{pattern}/pyproject.toml"))


Pip = Callable[..., None]
MakeEnvironment = Callable[..., Path]
Build = Callable[[Path, str, Path], None]


@pytest.fixture(scope="session")
def members() -> list[Path]:
    """The folders of the distributions."""
    return MEMBERS


@pytest.fixture(scope="session")
def build() -> Build:
    """Builds `wheel` or `sdist` of a project into a folder, with the installed backend and no isolation."""

    def call(project: Path, target: str, into: Path) -> None:
        command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(into)]
        answer = subprocess.run(command, cwd=project, capture_output=True, check=False, text=True)
        assert answer.returncode == 0, answer.stdout + answer.stderr

    return call


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, build: Build) -> Path:
    """A folder with the wheel and the sdist of every member."""
    folder = tmp_path_factory.mktemp("built")
    for member in MEMBERS:
        build(member, "wheel", folder)
        build(member, "sdist", folder)
    return folder


@pytest.fixture(scope="session")
def pip(tmp_path_factory: pytest.TempPathFactory) -> Pip:
    """A pip of its own, in an environment that has the pinned build tools."""
    venv = tmp_path_factory.mktemp("pip")
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)

    def call(*arguments: str | Path, online: bool = False) -> None:
        # Offline, nothing that the user configured may add another place to find packages in.
        env = {k: v for k, v in os.environ.items() if online or not k.startswith("PIP_")}
        if not online:
            env["PIP_CONFIG_FILE"] = os.devnull
        command = [venv / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
        answer = subprocess.run(command, env=env, capture_output=True, check=False, text=True)
        assert answer.returncode == 0, answer.stdout + answer.stderr

    tools = ROOT / "constraints-build.txt"
    call("install", "--require-hashes", "--only-binary", ":all:", "-r", tools, online=True)
    return call


@pytest.fixture(scope="session")
def wheelhouse(pip: Pip) -> Path:
    """A folder with what the constraints pin for a run, hashes checked; kept until they change."""
    constraints = ROOT / "constraints-run.txt"
    key = hashlib.sha256(f"{sys.version}\n{constraints.read_text()}".encode()).hexdigest()[:16]
    folder = ROOT / ".work" / "wheelhouse" / key
    if not folder.exists():
        fresh = folder.with_name(f"{key}.{os.getpid()}")
        how = ["--no-deps", "--require-hashes", "--no-build-isolation", "--use-pep517"]
        pip("wheel", *how, "-r", constraints, "-w", fresh, online=True)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    return folder


@pytest.fixture(scope="session")
def make_environment(
    tmp_path_factory: pytest.TempPathFactory, pip: Pip, built: Path, wheelhouse: Path
) -> Iterator[MakeEnvironment]:
    """Makes an environment that has the named distributions of ours and what these ask for, nothing else."""
    parent = tmp_path_factory.mktemp("environments")

    def make(*names: str, called: str = "") -> Path:
        folder = parent / (called or "-".join(names))
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        target = ["--python", folder / "bin" / "python"]
        links = ["--no-index", "--only-binary", ":all:", "--find-links", built, "--find-links", wheelhouse]
        pip(*target, "install", "--no-compile", *links, *names)
        pip(*target, "check")
        return folder

    yield make
    shutil.rmtree(parent)  # pytest keeps the folders of three runs, and these are big
