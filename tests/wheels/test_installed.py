"""The built wheels in fresh environments: core alone, core with one plugin, the whole set."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.wheels, pytest.mark.timeout(300)]

MakeEnvironment = Callable[..., Path]
PLUGINS = {"bwrap", "docker", "mitmproxy", "pipelock", "shell", "skills", "ssh", "workspace"}


def run(environment: Path, program: str, *arguments: str) -> str:
    """Standard output of an environment's program, which must succeed; home is empty, PATH the system's."""
    answer = subprocess.run(
        [environment / "bin" / program, *arguments],
        cwd=environment,
        env={"HOME": str(environment), "PATH": f"{environment}/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


@pytest.fixture(scope="module")
def core(make_environment: MakeEnvironment) -> Path:
    """An environment that has core and no plugin."""
    return make_environment("claude-bottle-core")


@pytest.mark.parametrize("program", ["bottle", "claude-bottle"])
def test_core_works_alone(core: Path, program: str) -> None:
    """Core needs no plugin to say what it is, what it can do, and that nothing is installed beside it."""
    assert "0.1.0" in run(core, program, "--version")
    assert "plugins" in run(core, program, "--help").split()
    assert PLUGINS & set(run(core, program, "plugins", "list").split()) == set()


def test_core_alone_brings_no_heavy_library(core: Path) -> None:
    """The CA's library comes with a proxy, an engine's client with its backend."""
    for name in ("cryptography", "docker", "mitmproxy", "requests"):
        absent = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({name!r}) is not None)"
        run(core, "python", "-c", absent)


@pytest.mark.parametrize(
    ("distribution", "plugin"),
    [
        ("bottle-bwrap", "bwrap"),
        ("bottle-claude", "shell"),
        ("bottle-docker", "docker"),
        ("bottle-git", "workspace"),
        ("bottle-mitmproxy", "mitmproxy"),
        ("bottle-pipelock", "pipelock"),
        ("bottle-skills", "skills"),
        ("bottle-ssh", "ssh"),
    ],
)
def test_one_plugin_is_listed_beside_core(make_environment: MakeEnvironment, distribution: str, plugin: str) -> None:
    """Installing a plugin's distribution is all it takes: core comes with it, and lists that one plugin."""
    listing = run(make_environment(distribution), "bottle", "plugins", "list")
    assert PLUGINS & set(listing.split()) == {plugin}


def test_the_whole_set_comes_with_one_name(make_environment: MakeEnvironment) -> None:
    """`pip install claude-bottle` brings a backend, a proxy and an agent."""
    listing = run(make_environment("claude-bottle"), "bottle", "plugins", "list")
    assert set(listing.split()) >= PLUGINS
