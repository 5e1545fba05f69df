"""`bottle plugins new`: a project that is sound as it is written, and whose tests name what is missing."""

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree as ET

import pytest
from core_harness import User, write_distribution

from claude_bottle.errors import BottleError
from claude_bottle.scaffold.project import write_project
from claude_bottle.seam.kinds import Kind
from claude_bottle.testing.contract import Contract

KINDS: tuple[Kind, ...] = get_args(Kind)
LOADING = {name for name in vars(Contract) if name.startswith("test_")}
"""The contracts of loading and planning, which are those of every kind."""

COUNTED = {"test_a_failure_at_every_call_leaves_nothing"}
"""What fails because nothing was called at all."""

LONGEST = "x" * 40


@pytest.fixture(scope="session", params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of plugins."""
    return request.param


@pytest.fixture(scope="session")
def project(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of each kind, which nobody has touched."""
    return write_project("some-box", kind, tmp_path_factory.mktemp(kind))


def tool(project: Path, module: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a tool of this environment on a project, with the project's own settings."""
    command = [sys.executable, "-m", module, *words]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=120)


def outcomes(project: Path, report: Path) -> Mapping[str, str]:
    """Run the project's tests as its README says, and return what became of each: why it failed, or nothing."""
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(project / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    words = ["-p", "no:cacheprovider", "--junit-xml", str(report)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=project,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 1, done.stdout
    cases = ET.parse(report).iter("testcase")
    return {case.attrib["name"]: "\n".join(f"{part.tag}: {part.text or '?'}" for part in case) for case in cases}


def test_it_passes_ruff(project: Path) -> None:
    """Every rule of its own strict settings holds, and the formatter would change nothing."""
    for words in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        done = tool(project, "ruff", *words)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_longest_name_passes_ruff_too(kind: Kind, tmp_path: Path) -> None:
    """No name makes a line too long, or lets the formatter break it."""
    project = write_project(LONGEST, kind, tmp_path)
    for words in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        done = tool(project, "ruff", *words)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_it_passes_pyright(project: Path) -> None:
    """A strict type checker holds its hooks, its options and its declaration together."""
    done = tool(project, "pyright", "--pythonpath", sys.executable)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_it_loads_and_plans_and_the_rest_fails_by_name(project: Path, tmp_path: Path) -> None:
    """The contracts of loading and planning hold at once; each other one is a line of the list of what to write."""
    found = outcomes(project, tmp_path / "report.xml")
    assert {name: found.get(name, "not run") for name in LOADING if found.get(name, "not run")} == {}
    failed = {name: why for name, why in found.items() if why and not why.startswith("skipped")}  # traits it has not
    assert failed
    assert {name for name, why in failed.items() if "is not written yet" not in why} <= COUNTED


def test_its_files_are_those_of_a_project(kind: Kind, project: Path) -> None:
    """A project, its package, the kit's subclass, and what a forge runs; no placeholder is left in any."""
    files = {str(path.relative_to(project)): path.read_text() for path in project.rglob("*") if path.is_file()}
    package = [f"src/bottle_some_box/{name}" for name in ("__init__.py", "plugin.py", "py.typed", "section.py")]
    others = [".github/workflows/ci.yml", ".gitignore", "README.md", "pyproject.toml", "tests/test_conformance.py"]
    assert sorted(files) == sorted([*package, *others])
    assert "class TestSomeBox(" + kind.title() + "Contract):" in files["tests/test_conformance.py"]
    assert 'some-box = "bottle_some_box.plugin:PLUGIN"' in files["pyproject.toml"]
    assert '"claude-bottle-core>=0.1,<0.2"' in files["pyproject.toml"]
    assert "python-version: ${{ matrix.python }}" in files[".github/workflows/ci.yml"]
    assert [name for name, text in files.items() if "$" in text.replace("${{", "")] == []


def test_the_command_says_where_it_is(user: User) -> None:
    """The current folder by default, another one with `--into`."""
    (user.project / "sub").mkdir()
    for words, where in ([], "bottle-box"), (["--into", "sub"], "sub/bottle-box"):
        done = user.run("plugins", "new", "box", "--kind", "backend", *words)
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr == f"{where} is written; its README.md says what comes next\n"
        assert (user.project / where / "pyproject.toml").exists()


@pytest.mark.parametrize(
    ("name", "kind", "what"),
    [
        ("Box", "backend", "the name of a plugin has lower-case letters"),
        ("../box", "backend", "the name of a plugin has lower-case letters"),
        ("x" * 41, "backend", "the name of a plugin has lower-case letters"),
        ("9p", "backend", "9p: no Python module can be named after it"),
        ("fly.io", "backend", "fly.io: no Python module can be named after it"),
        ("box-", "backend", "box-: no Python module can be named after it"),
        ("egress", "provisioner", "egress is a key of bottle.yaml itself"),
        ("ssh", "backend", "ssh is a key of bottle.yaml itself"),
        ("skills", "agent", "skills is a key of bottle.yaml itself"),
        ("stage", "proxy", "stage is taken: backend stage of stage-plugins is installed"),
        ("some_box", "proxy", "some_box is taken: agent other of bottle-some-box is installed"),
        ("claude", "agent", "the name claude belongs to bottle-claude"),
        ("ssh", "provisioner", "the name ssh belongs to bottle-ssh"),
        ("shell", "proxy", "the name shell belongs to bottle-claude"),
    ],
)
def test_a_name_that_could_not_be_used_is_refused(user: User, tmp_path: Path, name: str, kind: Kind, what: str) -> None:
    """By its rule, as a module's name, as a key of the manifest, as one that is installed or belongs to somebody."""
    points = {"claude_bottle.agent": {"other": "other:PLUGIN"}}
    user.path.append(write_distribution(tmp_path / "installed", "bottle-some-box", points=points))
    done = user.run("plugins", "new", name, "--kind", kind)
    assert (done.returncode, done.stdout) == (1, "")
    assert what in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert [path.name for path in user.project.iterdir()] == ["bottle.yaml"]


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")])  # pyright: ignore[reportUnknownLambdaType, reportUnknownMemberType, reportUnknownArgumentType]
def test_what_is_there_is_never_touched(user: User, make: Callable[[Path], None]) -> None:
    """An empty folder, a file and a link that leads nowhere alike: one error, and what to do."""
    make(user.project / "bottle-box")
    done = user.run("plugins", "new", "box", "--kind", "agent")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: bottle-box is there already",
        " hint: choose another name, or another folder with --into",
    ]
    assert sorted(path.name for path in user.project.iterdir()) == ["bottle-box", "bottle.yaml"]
    assert list((user.project / "bottle-box").glob("*")) == []


def test_a_folder_that_is_not_there_is_an_error(user: User) -> None:
    """No folder is made but the project's own."""
    done = user.run("plugins", "new", "box", "--kind", "agent", "--into", "no/where")
    assert (done.returncode, done.stderr) == (
        1,
        "error: no/where is no folder\n hint: mkdir -p no/where\n",
    )


@pytest.mark.parametrize("how", ["interrupted", "full"])
def test_what_ends_early_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Ctrl-C half way and a disk that is full take back what was written."""
    real, written = Path.write_text, list[Path]()

    def write_text(path: Path, data: str, encoding: str | None = None) -> int:
        if len(written) == 4:
            if how == "full":
                raise OSError(28, "No space left on device")
            signal.raise_signal(signal.SIGINT)
        written.append(path)
        return real(path, data, encoding)

    monkeypatch.setattr(Path, "write_text", write_text)
    with pytest.raises(KeyboardInterrupt if how == "interrupted" else BottleError) as stop:
        write_project("box", "backend", tmp_path)
    assert len(written) == 4
    assert list(tmp_path.iterdir()) == []
    if how == "full":
        assert str(stop.value) == f"{tmp_path}/bottle-box cannot be written: No space left on device"
