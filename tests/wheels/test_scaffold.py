"""A plugin of each kind as `bottle plugins new` writes it: built, installed beside wheels of core, and selected."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.wheels, pytest.mark.timeout(300)]

KINDS = ("backend", "proxy", "provisioner", "agent")
TRUSTED = ",".join(f"bottle-my-{kind}" for kind in KINDS)

MANIFEST = """\
version: 1
bottles:
  dev:
    egress:
      allowlist: [api.example.com]
    my-provisioner:
      path: /tmp/elsewhere
agents:
  reviewer:
    bottle: dev
    agent: my-agent
"""


def run(environment: Path, *words: str, trusted: str = "", program: tuple[str, ...] = ("bottle",)) -> str:
    """What `bottle` of an environment says on both streams; it must succeed."""
    env = {"HOME": str(environment), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "CLAUDE_BOTTLE_TRUST": trusted}
    done = subprocess.run(
        [environment / "bin" / program[0], *program[1:], *words],
        cwd=environment,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def environment(
    make_environment: Callable[..., Path],
    pip: Callable[..., None],
    build: Callable[[Path, str, Path], None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Core's wheel, and the wheels of projects that were written by it and by nobody else."""
    projects, wheels = tmp_path_factory.mktemp("projects"), tmp_path_factory.mktemp("scaffolds")
    folder = make_environment("claude-bottle-core", called="scaffolds")
    for kind in KINDS:
        run(folder, "plugins", "new", f"my-{kind}", "--kind", kind, "--into", str(projects))
        build(projects / f"bottle-my-{kind}", "wheel", wheels)
    target = ["--python", folder / "bin" / "python"]
    links = ["--no-index", "--find-links", wheels]
    pip(*target, "install", "--no-compile", *links, *(f"bottle-my-{kind}" for kind in KINDS))
    pip(*target, "check")
    (folder / "bottle.yaml").write_text(MANIFEST)
    return folder


def test_scaffolds_are_listed_with_what_is_to_be_done(environment: Path) -> None:
    """A row each, of a wheel, with the range that was written; untrusted, until somebody says otherwise."""
    rows = json.loads(run(environment, "plugins", "list", "--format", "json"))["plugins"]
    keys = ("kind", "name", "distribution", "origin", "requires", "status")
    expected = [(kind, f"my-{kind}", f"bottle-my-{kind}", "wheel", "<0.2,>=0.1", "untrusted") for kind in sorted(KINDS)]
    assert [tuple(row[key] for key in keys) for row in rows] == expected


def test_scaffolds_are_selected_and_planned_with(environment: Path) -> None:
    """A launch of nothing but scaffolds beside core: each is loaded, and its part is in the plan."""
    words = ("--backend", "my-backend", "--proxy", "my-proxy", "--dry-run")
    shown = run(environment, "start", "reviewer", *words, trusted=TRUSTED)
    lines = dict(line.split(":", 1) for line in shown.splitlines() if ":" in line)
    plan = {key.strip(): text.strip() for key, text in lines.items()}
    assert plan["backend"] == "my-backend (flag)"
    assert plan["proxy"] == "my-proxy (flag)"
    assert plan["agent"] == "reviewer (my-agent)"
    assert plan["egress"] == "api.example.com"
    assert plan["my-provisioner"] == "/tmp/elsewhere"


@pytest.mark.parametrize("kind", KINDS)
def test_scaffolds_are_checked(environment: Path, kind: str) -> None:
    """Each loads as it is installed: `bottle plugins check` finds nothing wrong."""
    assert f"my-{kind}" in run(environment, "plugins", "check", f"my-{kind}", trusted=TRUSTED)


MARK = """
import sys
from claude_bottle.hookspecs import Going, Specs
Specs.provision_prompt.claude_bottle_spec["warn_on_impl"] = Going("0.4", "answer `provision`")
Specs.start_proxy.claude_bottle_spec["warn_on_impl_args"] = {"warm": Going("0.5", "adopt nothing")}
from claude_bottle.cli.main import main
main()
"""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("start", "reviewer", "--backend", "my-backend", "--proxy", "my-proxy", "--dry-run"), "outdated      : {0}"),
        (("plugins", "check", "my-agent", "my-proxy"), "my-agent (bottle-my-agent 0.1.0): outdated: {1}"),
    ],
)
def test_what_goes_is_said_by_the_name_of_the_plugin_that_has_it(
    environment: Path, words: tuple[str, ...], said: str
) -> None:
    """A hook or an argument that a version to come will not have is named, with that version and what to do.

    It still works, and of a plugin without it nothing is said.
    """
    hook = "the hook provision_prompt goes in claude-bottle-core 0.4: answer `provision`"
    argument = "the argument warm of the hook start_proxy goes in claude-bottle-core 0.5: adopt nothing"
    shown = run(environment, *words, trusted=TRUSTED, program=("python", "-c", MARK))
    assert said.format(f"my-agent (bottle-my-agent): {hook}", hook) in shown
    assert argument in shown
    assert "my-backend (bottle-my-backend): the" not in shown
    assert "outdated" not in run(environment, *words, trusted=TRUSTED)
