"""A bound folder: which are refused, that one bottle alone has it, what is kept empty in it, and the proof."""

import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from claude_bottle.errors import LaunchError, NameTakenError
from claude_bottle.launch import keeper
from claude_bottle.launch.bound import Bound, find_leftovers, forget_bound, prove_mounts
from claude_bottle.launch.mounts import mount_problems, refusal
from claude_bottle.seam.bottle import ExecResult
from claude_bottle.seam.part import Mount
from claude_bottle.testing.contract import load_target
from claude_bottle.testing.local import TARGET

OWN = ("CONFIG_HOME", "STATE_HOME", "CACHE_HOME")
LOCAL = load_target("backend", "local", TARGET)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """A user with folders of their own, all of them there."""
    run = Path(tempfile.mkdtemp(prefix="bound-"))  # short: one that is longer is not taken
    (run / "claude-bottle").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(run))
    for name in OWN:
        folder = tmp_path / "home" / "own" / name
        (folder / "claude-bottle").mkdir(parents=True, mode=0o700)
        monkeypatch.setenv(f"XDG_{name}", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    shutil.rmtree(run)


@pytest.fixture
def project(home: Path) -> Path:
    """A folder that may be bound."""
    (home / "project" / "sub").mkdir(parents=True)
    return home / "project"


def mounts_of(project: Path) -> list[Mount]:
    """Return its mounts: it, a folder and a file that are kept, and one that is read-only."""
    source, target = str(project), "/workspace"
    return [
        Mount(source=source, target=target, write=True),
        Mount(source=f"{source}/.tool", target=f"{target}/.tool", make="folder"),
        Mount(source=f"{source}/sub/file", target=f"{target}/sub/file", make="file", text=".\n"),
        Mount(source=f"{source}/sub", target=f"{target}/sub"),
    ]


def account_at(folder: Path) -> Callable[[int], SimpleNamespace]:
    """Return an account whose home is this folder, whatever its uid."""

    def find(uid: int) -> SimpleNamespace:
        """Answer as the table of accounts does."""
        return SimpleNamespace(pw_dir=str(folder))

    return find


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("/", "it holds your home"),
        ("{home}", "it is your home"),
        ("{home}/..", "it leads to"),
        ("{up}", "it holds your home"),
        ("{home}/own", "it holds a folder of claude-bottle's own"),
        ("{home}/own/CONFIG_HOME", "it holds a folder of claude-bottle's own"),
        *((f"{{home}}/own/{name}/claude-bottle", "it is a folder of claude-bottle's own") for name in OWN),
        ("{home}/own/STATE_HOME/claude-bottle/workspaces/x", "it lies in a folder of claude-bottle's own"),
        ("{home}/link", "it leads to"),
        ("{home}/link/sub", "it leads to"),
        ("/proc/self/cwd", "it leads to"),
        ("/etc", "it is a folder of the system"),
        ("/usr/share", "it lies in a folder of the system"),
        ("{run}/claude-bottle", "it is a folder of claude-bottle's own"),
        ("{run}", "it holds a folder of claude-bottle's own"),
        ("/sys", "it is a folder of the system"),
        ("relative", "it leads to"),
        ("{home}/new\nline", "cannot be printed"),
        ("{home}/\udcff", "cannot be printed"),
        ("{home}/project", ""),
        ("{home}/project/sub", ""),
        ("{home}/own/CONFIG_HOME/other", ""),
    ],
)  # fmt: skip
def test_what_holds_more_than_a_project_is_refused(home: Path, project: Path, where: str, why: str) -> None:
    """F7: `/`, a home, our own folders, the system's, what lies in or above them, and whatever a link leads to."""
    (home / "link").symlink_to(project)
    found = refusal(Path(where.format(home=home, up=home.parent, run=os.environ["XDG_RUNTIME_DIR"])), home)
    assert why in found
    assert bool(found) is bool(why)


def test_the_home_of_the_account_is_a_home_too(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Whatever `HOME` says."""
    (home / "account").mkdir()
    monkeypatch.setattr(pwd, "getpwuid", account_at(home / "account"))
    assert refusal(home / "account", home) == "it is your home"


def test_a_backend_that_cannot_bind_is_a_problem(project: Path) -> None:
    """Its traits say so; most backends of strangers do not have the trait."""
    [problem] = mount_problems(mounts_of(project), LOCAL, project.parent)
    assert problem.message == "backend local cannot bind a folder of this machine"
    assert mount_problems([], LOCAL, project.parent) == []


def binding(uid: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a backend that can, asked by a user."""
    traits = LOCAL.plugin.backend_traits
    assert traits is not None
    monkeypatch.setattr(os, "getuid", lambda: uid)
    able = LOCAL.plugin._replace(backend_traits=type(traits)(runs="process", bind=True, confines=False))
    return LOCAL._replace(plugin=able)


def test_root_binds_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No agent has root's uid; the cure names how to be somebody else."""
    [problem] = mount_problems(mounts_of(project), binding(0, monkeypatch), project.parent)
    assert ("root cannot bind" in problem.message, "runuser" in str(problem.hint)) == (True, True)


def test_one_problem_for_one_folder(home: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in a folder that is refused is not told once more."""
    backend = binding(os.getuid() or 1, monkeypatch)
    monkeypatch.setattr(pwd, "getpwuid", account_at(home))
    assert mount_problems(mounts_of(project), backend, home) == []
    assert [it.message for it in mount_problems(mounts_of(home), backend, home)] == [
        f"{home} cannot be bound: it is your home"
    ]


def test_what_is_kept_stands_there_as_long_as_the_launch(project: Path) -> None:
    """A folder and a file of that text, and a record; nothing of it afterwards."""
    bound = Bound(mounts_of(project), "one")
    bound.hold()
    assert (project / ".tool").is_dir()
    assert (project / "sub" / "file").read_text() == ".\n"
    assert list(find_leftovers()) == []
    bound.release()
    assert sorted(project.rglob("*")) == [project / "sub"]
    assert not list((project.parent / "own" / "STATE_HOME" / "claude-bottle" / "bound").iterdir())


def test_what_is_there_already_stays(project: Path) -> None:
    """What was made between the plan and the launch is the user's, and is mounted as it is."""
    (project / ".tool").mkdir()
    (project / "sub" / "file").write_text("mine")
    bound = Bound(mounts_of(project), "one")
    bound.hold()
    bound.release()
    assert (project / ".tool").is_dir()
    assert (project / "sub" / "file").read_text() == "mine"


def test_what_somebody_put_there_meanwhile_stays(project: Path) -> None:
    """A folder that is not empty any more, a file with another text, a link."""
    bound = Bound(mounts_of(project), "one")
    bound.hold()
    (project / ".tool" / "x").touch()
    (project / "sub" / "file").write_text("mine")
    bound.release()
    assert (project / ".tool" / "x").exists()
    assert (project / "sub" / "file").read_text() == "mine"
    (project / "sub" / "file").unlink()
    (project / "dots").write_text(".\n")
    (project / "sub" / "file").symlink_to("../dots")
    keeper.remove([(str(project / "sub" / "file"), "file", ".\n")])
    assert (project / "sub" / "file").is_symlink()


@pytest.mark.parametrize("moved", ["link", "gone"])
def test_what_moved_since_the_plan_is_an_error(project: Path, moved: str) -> None:
    """F6: a path is looked at again; nothing stays of what was made for it."""
    bound = Bound(mounts_of(project), "one")
    (project / "sub").rename(project.parent / "elsewhere")
    if moved == "link":
        (project / "sub").symlink_to(project.parent / "elsewhere")
    with pytest.raises(LaunchError):
        bound.hold()
    bound.release()
    assert [it.name for it in project.iterdir()] == (["sub"] if moved == "link" else [])
    assert list((project.parent / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(("mine", "theirs"), [("", ""), ("", "sub"), ("sub", "")])
def test_a_folder_is_bound_once(project: Path, mine: str, theirs: str) -> None:
    """Neither it, nor what lies in it or above it: from another bottle what is kept there could be taken away."""
    first = Bound([Mount(source=str(project / mine), target="/workspace", write=True)], "one")
    first.hold()
    second = Bound([Mount(source=str(project / theirs), target="/workspace", write=True)], "two")
    with pytest.raises(NameTakenError, match="is bound to another bottle"):
        second.hold()
    beside = Bound([Mount(source=f"{project}-2", target="/workspace", write=True)], "three")
    Path(f"{project}-2").mkdir()
    beside.hold()
    beside.release()
    first.release()
    third = Bound([Mount(source=str(project / theirs), target="/workspace", write=True)], "two")
    third.hold()
    third.release()


LAUNCH = """
import sys
from claude_bottle.launch.bound import Bound
from claude_bottle.seam.part import Mount
folder, pid = sys.argv[1], int(sys.argv[2])
members = dict.fromkeys(("attach", "exec", "get", "launch", "look", "name", "put", "slug", "state", "stop"), print)
kept = Mount(source=f"{folder}/kept", target="/w/kept", make="folder")
bound = Bound([Mount(source=folder, target="/w", write=True), kept], "one")
bound.hold()
bound.follow(type("Bottle", (), {**members, "pid": pid})())
print("up", flush=True)
sys.stdin.read()
"""


class Lives:
    """A launcher and the process of its bottle."""

    def __init__(self, project: Path) -> None:
        self.bottle = subprocess.Popen(["sleep", "60"])
        argv = [sys.executable, "-c", LAUNCH, str(project), str(self.bottle.pid)]
        self.launcher = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.launcher.stdout is not None
        assert self.launcher.stdout.readline() == b"up\n"

    @property
    def keeper(self) -> int:
        """The launcher's one child."""
        return int(Path(f"/proc/{self.launcher.pid}/task/{self.launcher.pid}/children").read_text())

    def kill_launcher(self) -> None:
        """Kill it outright."""
        self.launcher.kill()
        self.launcher.communicate()

    def end_bottle(self) -> None:
        """End it."""
        self.bottle.kill()
        self.bottle.wait()


def test_a_killed_launcher_leaves_nothing_once_its_bottle_ends(project: Path) -> None:
    """While the bottle's process runs it is kept, whatever became of the launcher."""
    lives = Lives(project)
    lives.kill_launcher()
    time.sleep(0.5)
    assert (project / "kept").is_dir()
    with pytest.raises(NameTakenError):
        Bound([Mount(source=str(project), target="/w", write=True)], "two").hold()
    lives.end_bottle()
    gone = ["sh", "-c", 'until [ ! -e "$0" ]; do sleep 0.05; done', project / "kept"]
    assert subprocess.run(gone, timeout=10, check=False).returncode == 0
    assert list(find_leftovers()) == []


def test_what_nobody_keeps_any_more_is_found(project: Path) -> None:
    """Where the keeper was killed too `cleanup` finds it, removes it, and leaves what somebody else made there."""
    lives = Lives(project)
    keeper = os.pidfd_open(lives.keeper)
    signal.pidfd_send_signal(keeper, signal.SIGKILL)
    lives.kill_launcher()
    select.select([keeper], [], [])
    os.close(keeper)
    lives.end_bottle()
    [(found, path)] = list(find_leftovers())
    assert found.lines() == [str(project / "kept")]
    forget_bound(path)
    assert list(project.iterdir()) == [project / "sub"]
    assert list(find_leftovers()) == []


class Inside:
    """A bottle with these mounts, in the words of its kernel."""

    name = "it"

    def __init__(self, rows: dict[str, str], inode: int) -> None:
        self.rows, self.inode = rows, inode

    def exec(self, script: str, *, argv: object = None) -> ExecResult:
        """Answer the two questions of the proof."""
        if argv is not None:
            return ExecResult(0, f"{self.inode}\n".encode())
        lines = (f"1 2 3:4 / {place} {how},nosuid - ext4 /dev/x rw" for place, how in self.rows.items())
        return ExecResult(0, "".join(f"{line}\n" for line in lines).encode())


def prove(project: Path, rows: dict[str, str], inode: int | None = None) -> None:
    """Prove the mounts of a folder."""
    found = project.stat().st_ino if inode is None else inode
    prove_mounts(mounts_of(project), cast("Any", Inside(rows, found)))


def test_mounts_are_proved(project: Path) -> None:
    """Each is there, as the plan has it, and the folder is this machine's."""
    rows = {"/workspace": "rw", "/workspace/.tool": "ro", "/workspace/sub": "ro", "/workspace/sub/file": "ro"}
    prove(project, rows)
    for place, how in rows.items():
        with pytest.raises(LaunchError, match="not mounted as the plan has it"):
            prove(project, {key: it for key, it in rows.items() if key != place})
        with pytest.raises(LaunchError, match="not mounted as the plan has it"):
            prove(project, {**rows, place: "ro" if how == "rw" else "rw"})
    with pytest.raises(LaunchError, match="another machine's folder"):
        prove(project, rows, inode=1)


def test_a_place_with_odd_bytes_is_proved(project: Path) -> None:
    """The kernel writes blanks as octal digits."""
    place = Mount(source=str(project), target="/workspace/a b\\c", write=True)
    prove_mounts([place], cast("Any", Inside({r"/workspace/a\040b\134c": "rw"}, project.stat().st_ino)))


def test_a_bottle_that_names_no_process_is_not_bound(project: Path) -> None:
    """A backend that says it can bind, and does not, ends the launch."""
    bound = Bound(mounts_of(project), "one")
    bound.hold()
    with pytest.raises(LaunchError, match="is not bound to anything"):
        bound.follow(cast("Any", Inside({}, 0)))
    bound.release()


def test_a_folder_that_cannot_be_written_is_an_error(project: Path) -> None:
    """What cannot be kept empty cannot be protected."""
    if os.getuid() == 0:
        pytest.skip("root can write everywhere: run the tests as a plain user too")
    project.chmod(0o500)
    bound = Bound(mounts_of(project), "one")
    with pytest.raises(LaunchError, match="Permission denied"):
        bound.hold()
    bound.release()
    project.chmod(0o700)
