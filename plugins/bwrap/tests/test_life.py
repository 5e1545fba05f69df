"""A bottle's life: names, other terminals, the end of its launcher, and what is left then."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec
import pytest

from bottle_bwrap import site as module
from bottle_bwrap import uids
from bottle_bwrap.bottle import BwrapBottle
from bottle_bwrap.leftover import Leftover, Leftovers, find_bottles, find_leftovers, remove_leftovers
from bottle_bwrap.plugin import BwrapBackend
from bottle_bwrap.record import Record, claim_folder, read_record, records, remove_folder, sites_dir, write_record
from bottle_bwrap.section import BwrapSection
from bottle_bwrap.site import BwrapSite
from bottle_bwrap.trust import host_bundle
from claude_bottle.errors import LaunchError, UnavailableError
from claude_bottle.seam.bottle import Dial
from claude_bottle.seam.environ import BUNDLE, CA_FILE
from claude_bottle.seam.owner import Launch, Owner

Start = Callable[..., BwrapBottle]

# A launch in a process of its own: says when it is at the given step, then waits for its end.
LAUNCH = """
import sys, time
from bottle_bwrap.section import BwrapSection
from bottle_bwrap.site import open_site
from claude_bottle.seam.owner import Launch, Owner
from claude_bottle.seam.sidecar import SidecarSpec
slug, step = sys.argv[1:3]
site = open_site(slug, "dev", Launch(label=slug, owner=Owner.current()))
if step != "site":
    site.run(SidecarSpec(argv=("/bin/sh", "-c", "exec cat <&3")))
if step == "stubborn":
    site.run(SidecarSpec(argv=("/bin/sh", "-c", "exec sleep 4717")))
if step == "bottle":
    bottle = site.start(BwrapSection(), {"SECRET": "5e1f"})
    bottle.exec("sleep 4714 &")
print(step, flush=True)
sys.stdin.read()
site.close()
"""


@pytest.fixture
def launch(runtime: Path) -> Generator[Callable[[str, str], subprocess.Popen[str]]]:
    """Launch in another process: `launch(slug, step)` with site, sidecar, stubborn or bottle."""
    with ExitStack() as stack:

        def begin(slug: str, step: str) -> subprocess.Popen[str]:
            argv = [sys.executable, "-c", LAUNCH, slug, step]
            piped = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            process = stack.enter_context(piped)
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline().strip() == step
            return process

        yield begin
    remove_leftovers(find_leftovers())


def mentions(words: str) -> list[str]:
    """Return the processes of this machine whose command line has these words."""
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            if words in line and LAUNCH[:20] not in line:
                found.append(line)
    return found


def gone(words: str) -> bool:
    """Say whether every process with these words has gone, within two seconds."""
    for _ in range(100):
        if not mentions(words):
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("step", ["site", "sidecar", "bottle"])
def test_killing_the_launcher_leaves_no_process(launch: Callable[[str, str], subprocess.Popen[str]], step: str) -> None:
    """S30: after SIGKILL all that ran is gone by itself; `cleanup` lists what lies there, and removes it."""
    process = launch("killed", step)
    folder = sites_dir() / "claude-bottle-killed"
    groups = [Path(group) for group in (read_record(folder) or pytest.fail("no record")).cgroups]
    assert find_leftovers().lines() == []  # it lives
    process.kill()
    process.wait()
    assert gone("4714")
    assert gone("exec cat <&3")
    assert folder.exists()
    assert [handle.name for handle in find_bottles()] == []
    leftovers = find_leftovers()
    assert f"folder {folder}" in leftovers.lines()
    remove_leftovers(leftovers)
    assert not folder.exists()
    assert not any(group.exists() for group in groups)
    assert find_leftovers().lines() == []
    remove_leftovers(leftovers)  # and again, which finds nothing


def test_a_process_that_stays_is_listed_and_killed(launch: Callable[[str, str], subprocess.Popen[str]]) -> None:
    """S30: a sidecar that does not end with its launcher is found by its record, and only it is killed."""
    process = launch("stays", "stubborn")
    process.kill()
    process.wait()
    assert mentions("4717")
    assert [line.split()[0] for line in find_leftovers().lines()].count("process") == 1
    remove_leftovers(find_leftovers())
    assert not mentions("4717")


def test_stop_from_another_terminal(launch: Callable[[str, str], subprocess.Popen[str]]) -> None:
    """The launch is asked to end and what it does not remove is swept; twice is no error."""
    process = launch("far", "bottle")
    (bottle,) = find_bottles()
    assert (bottle.name, bottle.slug, bottle.launch, bottle.state) == ("claude-bottle-far", "far", "far", "running")
    assert bottle.exec("echo $SECRET").stdout == b"5e1f\n"
    bottle.stop()
    assert process.wait(5) == -signal.SIGTERM
    assert bottle.state == "stopped"
    assert gone("4714")
    assert list(records()) == []
    bottle.stop()
    with pytest.raises(UnavailableError, match="has ended"):
        bottle.exec("true")


def test_a_live_launch_is_never_cleaned_up(launch: Callable[[str, str], subprocess.Popen[str]]) -> None:
    """S30: even a plan that names it does not touch it: whether it is dead is looked at again."""
    launch("alive", "bottle")
    ((folder, record),) = records()
    remove_leftovers(Leftovers((Leftover(folder=folder, record=record),)))
    (bottle,) = find_bottles()
    assert bottle.exec("echo alive").stdout == b"alive\n"


@pytest.mark.parametrize("owner", ["other machine", "other boot", "reused pid"])
def test_the_dead_are_told_from_the_living_by_more_than_a_pid(runtime: Path, owner: str) -> None:
    """S30: a launch of another machine is not ours to judge; one before a reboot or with a reused pid is dead."""
    mine = Owner.current()
    owners = {
        "other machine": Owner("another", mine.boot, mine.pid, mine.start),
        "other boot": Owner(mine.machine, "another", mine.pid, mine.start),
        "reused pid": Owner(mine.machine, mine.boot, mine.pid, mine.start - 1),
    }
    folder, record = claim_folder("owned", "dev", Launch(label="x", owner=mine))
    write_record(folder, msgspec.structs.replace(record, launch=Launch(label="x", owner=owners[owner])))
    listed = find_leftovers().lines()
    assert listed == ([] if owner == "other machine" else [f"folder {folder}"])
    remove_folder(folder)


def test_a_folder_that_is_being_made_is_left_alone(runtime: Path) -> None:
    """A half-made or half-removed folder says which process is at it; it is a leftover once that is gone."""
    top = sites_dir()
    top.mkdir(parents=True, exist_ok=True, mode=0o700)
    ours = top / f".{os.getpid()}-{Owner.current().start}-00aa"
    theirs = top / f".{os.getpid()}-1-00aa"
    for folder in (ours, theirs):
        folder.mkdir()
    assert find_leftovers().lines() == [f"folder {theirs}"]
    remove_leftovers(find_leftovers())
    assert (ours.exists(), theirs.exists()) == (True, False)
    ours.rmdir()


def test_names_move_on_when_they_are_taken(start: Start) -> None:
    """S11, S21: the first free candidate is claimed, and a freed one is used again."""
    first, second = start(slug="twin"), start(slug="twin")
    assert (first.name, second.name) == ("claude-bottle-twin", "claude-bottle-twin-2")
    first.stop()
    assert start(slug="twin").name == "claude-bottle-twin"


def test_past_the_last_name_there_is_one_clear_error(runtime: Path) -> None:
    """S11: the message names the cap."""
    launch = Launch(label="x", owner=Owner.current())
    folders = [claim_folder("many", "dev", launch)[0] for _ in range(99)]
    assert folders[-1].name == "claude-bottle-many-99"
    with pytest.raises(LaunchError, match="claude-bottle-many to claude-bottle-many-99"):
        claim_folder("many", "dev", launch)
    for folder in folders:
        remove_folder(folder)


def test_one_name_is_claimed_by_one_launch(runtime: Path) -> None:
    """S11: many at the same moment get as many names."""
    launch = Launch(label="x", owner=Owner.current())
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(claim_folder("race", "dev", launch)[0])) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({folder.name for folder in found}) == 12
    for folder in found:
        remove_folder(folder)


LISTEN = """
import socket, time
port, name = socket.create_server(("127.0.0.1", 8099)), socket.socket(1)
name.bind(b"\\0name")
name.listen()
time.sleep(30)
"""
CONNECT = 'import socket; print(socket.socket(1).connect_ex(b"\\0name"))'


def test_two_bottles_do_not_see_each_other(start: Start, python: str) -> None:
    """N17: no process, file, listener or socket name of one exists in the other."""
    one, other = start(slug="one"), start(slug="other")
    one.exec("echo mine > /tmp/file; echo mine > /dev/shm/file; sleep 4715 &")
    assert other.exec("cat /tmp/file /dev/shm/file /workspace/file").stdout == b""
    assert b"4715" not in other.exec("cat /proc/[0-9]*/cmdline").stdout
    one.exec(f"{python} -I -c '{LISTEN}' & sleep 0.3")
    assert one.look([Dial("127.0.0.1", 8099)], []).answers == (b"",)
    assert other.look([Dial("127.0.0.1", 8099)], []).answers == (None,)
    assert one.exec(f"{python} -I -c '{CONNECT}'").stdout == b"0\n"
    assert other.exec(f"{python} -I -c '{CONNECT}'").stdout == b"111\n"


@pytest.mark.root
def test_two_bottles_of_root_have_four_uids(start: Start) -> None:
    """K1: sandbox and proxy of each bottle have uids of their own, which nobody else has meanwhile."""
    start(slug="one")
    start(slug="other")
    held = sorted(path.name for path in uids.FOLDERS.iterdir())
    assert len(held) >= 4
    for name in held:
        assert not uids.is_named(int(name))


def test_the_folder_is_for_its_user_alone(start: Start) -> None:
    """S2: records and sockets are private, and hold no secret."""
    bottle = start(hidden={"TOKEN": "5e1f-secret"})
    folder = sites_dir() / bottle.name
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "launch.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "control").stat().st_mode) == 0o600
    record = json.loads((folder / "launch.json").read_bytes())
    assert record["slug"] == "test"
    assert record["launch"]["owner"]["pid"] == os.getpid()
    assert "secret" not in (folder / "launch.json").read_text()


def test_a_long_path_is_no_obstacle(start: Start) -> None:
    """A socket's path holds 107 bytes; a bottle's name may be longer."""
    bottle = start(slug="long-" * 30 + "name")
    (found,) = find_bottles()
    assert found.exec("echo here").stdout == b"here\n"
    assert len(bottle.name) > 150


def test_a_bottle_belongs_to_the_main_thread(runtime: Path) -> None:
    """The kernel would end it with the thread that started it, so it is refused elsewhere."""
    raised: list[str] = []

    def begin() -> None:
        site = module.open_site("thread", "dev", Launch(label="x", owner=Owner.current()))
        try:
            site.start(BwrapSection(), {})
        except LaunchError as error:
            raised.append(error.message)
        finally:
            site.close()

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    assert raised == ["a bottle can be started from the main thread alone"]


def fail(*_: object) -> None:
    """Fail in a way that nobody foresaw."""
    raise ZeroDivisionError


def test_a_failure_half_way_is_swept(open_site: Callable[..., BwrapSite], monkeypatch: pytest.MonkeyPatch) -> None:
    """S14: what was started before a failure is ended by closing the site, in any state of it."""
    site = open_site("half")
    monkeypatch.setattr(module, "Relay", fail)
    with pytest.raises(ZeroDivisionError):
        site.start(BwrapSection(), {})
    assert mentions("/.bottle")
    site.close()
    assert not site.folder.exists()
    site.close()


def test_the_ca_is_filled_in_where_programs_look(start: Start) -> None:
    """S2: the bundle is the host's and the CA, the CA lies beside it, both read-only inside."""
    bottle = start()
    assert bottle.exec(f"wc -c < {BUNDLE}").stdout == b"0\n"
    ca = b"-----BEGIN CERTIFICATE-----\nours\n-----END CERTIFICATE-----\n"
    assert BwrapBackend().provision_ca(bottle, None, ca) is True  # pyright: ignore[reportArgumentType] - not looked at
    assert bottle.exec(f"cat {BUNDLE}").stdout == host_bundle() + b"\n" + ca
    assert bottle.exec("cat $SSL_CERT_FILE").stdout.endswith(ca)
    if Path(CA_FILE).parent.is_dir():
        assert bottle.exec(f"cat {CA_FILE}").stdout == ca
    assert bottle.exec(f"echo >> {BUNDLE}").returncode != 0
    assert bottle.exec(f"rm {CA_FILE}").returncode != 0


def test_the_account_inside_is_the_agents(start: Start) -> None:
    """Its name, home and folder are the same on every host."""
    said = start().exec("id -un; id -u; echo ~; pwd; hostname; getent passwd agent | cut -d : -f 6").stdout
    assert said == b"agent\n1000\n/home/agent\n/workspace\nbottle\n/home/agent\n"


def test_teardown_is_quick_and_idempotent(start: Start) -> None:
    """A bottle without a proxy is gone in some ten milliseconds, processes and all."""
    bottle = start()
    bottle.exec("for i in 1 2 3 4 5; do sleep 4716 & done")
    begin = time.monotonic()
    bottle.stop()
    assert time.monotonic() - begin < 0.5
    assert not mentions("4716")
    bottle.stop()


def test_a_record_of_something_else_is_not_ours(runtime: Path) -> None:
    """What cannot be read is neither listed nor removed."""
    folder = sites_dir() / "claude-bottle-odd"
    folder.mkdir(parents=True)
    (folder / "launch.json").write_text("{}", encoding="ascii")
    assert find_leftovers().lines() == []
    assert find_bottles() == []
    (folder / "launch.json").unlink()
    folder.rmdir()


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    """The format is the one thing that two versions of this program share."""
    record = Record(name="n", slug="s", bottle="b", launch=Launch(label="l", owner=Owner.current()), cgroups=("/x",))
    write_record(tmp_path, record)
    assert read_record(tmp_path) == record
    assert re.fullmatch(r"-rw-------", stat.filemode((tmp_path / "launch.json").stat().st_mode))
