"""An agent's program is fetched once, held to what was pinned, and there whole or not at all."""

import base64
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import json
from msgspec.structs import replace

from claude_bottle.errors import LaunchError, UnavailableError
from claude_bottle.seam.part import Package, Program
from claude_bottle.seam.prefix import MACHINE_WIDE, ensure, find_prefix, prefix_problems, programs_dir

# Stands in for npm: the registry is not ours to lean on here, the end-to-end tests fetch from the real one.
NPM = """#!/bin/sh
echo "$@" >>{folder}/calls; env >>{folder}/environment
while [ "$1" != --pack-destination ]; do shift; done
sleep {pause}; cp {folder}/package.tgz "$2/fetched.tgz"
"""


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the archive of a package, first on the PATH an npm that hands it out, and a cache of its own.

    Any uid can enter it: as root a cache that none can is passed over.
    """
    tmp_path = Path(tempfile.mkdtemp(prefix="prefix-"))
    tmp_path.chmod(0o755)
    script = b"#!/bin/sh\necho it runs\n"
    with tarfile.open(tmp_path / "package.tgz", "w:gz") as tar:
        info = tarfile.TarInfo("package/bin/tool")
        info.size, info.mode, info.uid = len(script), 0o755, 12345
        tar.addfile(info, io.BytesIO(script))
    write_npm(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary-51c0")
    yield tmp_path
    shutil.rmtree(tmp_path)


def write_npm(folder: Path, pause: float = 0) -> None:
    """Write the stand-in for npm, which takes its time."""
    (folder / "npm").write_text(NPM.format(folder=folder, pause=pause))
    (folder / "npm").chmod(0o755)


def program(registry: Path) -> Program:
    """Return a program whose package is pinned."""
    digest = base64.b64encode(hashlib.sha512((registry / "package.tgz").read_bytes()).digest()).decode()
    package = Package(
        name="@somebody/tool", version="1.2.3", integrity=f"sha512-{digest}", commands=(("tool", "bin/tool"),)
    )
    return Program(name="tool", version="1.2.3", packages=(package,), size=2_000_000)


def test_it_is_fetched_once_and_runs(registry: Path) -> None:
    """The first launch says what it fetches, the next finds it; npm is told to run nothing, and gets no login."""
    said: list[str] = []
    folder = ensure(program(registry), said.append)
    assert said == ["fetching tool 1.2.3 from npm (once, 2 MB)", "checking and unpacking tool"]
    assert subprocess.run([folder / "bin/tool"], capture_output=True, check=True).stdout == b"it runs\n"
    assert (folder / "bin/tool").stat().st_uid == os.getuid()  # whoever it was that packed it
    assert ensure(program(registry), said.append) == folder == find_prefix(program(registry))
    [call] = (registry / "calls").read_text().splitlines()
    assert call.startswith("pack @somebody/tool@1.2.3 --ignore-scripts ")
    assert "canary" not in (registry / "environment").read_text()
    assert sorted(it.name for it in programs_dir().iterdir()) == [folder.name, f"{folder.name}.lock"]


def test_another_archive_than_the_pinned_one_is_refused(registry: Path) -> None:
    """Nothing of it is kept, whatever the registry says of it."""
    wanted = program(registry)
    with (registry / "package.tgz").open("ab") as file:
        file.write(b"more")
    with pytest.raises(LaunchError, match=r"@somebody/tool@1.2.3 is not what it should be: sha512-") as caught:
        ensure(wanted, print)
    assert caught.value.hint
    assert [it.name for it in programs_dir().iterdir() if it.is_dir()] == []
    assert find_prefix(wanted) is None


def test_a_package_without_the_program_is_refused(registry: Path) -> None:
    """What is named as a command must be there and executable."""
    given = program(registry)
    other = replace(given, packages=(replace(given.packages[0], commands=(("other", "bin/other"),)),))
    with pytest.raises(LaunchError, match="has no program bin/other"):
        ensure(other, print)
    assert find_prefix(other) is None


def test_launches_at_once_fetch_it_together(registry: Path) -> None:
    """The second waits for the first, and says so."""
    write_npm(registry, 1.5)
    code = (
        "import sys; from msgspec import json; from claude_bottle.seam.part import Program;"
        "from claude_bottle.seam.prefix import ensure; print(ensure(json.decode(sys.argv[1], type=Program), print))"
    )
    argv = [sys.executable, "-c", code, json.encode(program(registry)).decode()]
    first = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    while not (registry / "calls").exists():
        time.sleep(0.02)
    second = subprocess.run(argv, capture_output=True, check=True, text=True)
    assert first.communicate()[0].splitlines()[-1] == second.stdout.splitlines()[-1]
    assert second.stdout.startswith("waiting for another launch, which installs tool-1.2.3")
    assert len((registry / "calls").read_text().splitlines()) == 1


def test_what_a_killed_launch_left_is_no_hindrance(registry: Path) -> None:
    """The lock goes with its process, and the half-made folder is made anew."""
    folder = ensure(program(registry), print)
    work = folder.with_name(f"{folder.name}.new")
    work.mkdir()
    folder.rename(work / "tree")
    (work / "older.tgz").touch()
    assert ensure(program(registry), print) == folder
    assert (folder / "bin/tool").is_file()
    assert not work.exists()


def test_a_machine_without_npm_is_a_problem_with_its_cure(registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anybody is asked; nothing is said of a program that is there already."""
    monkeypatch.setenv("PATH", "/nowhere")
    [problem] = prefix_problems([program(registry)])
    assert problem.message == "npm is not on the PATH, and tool comes from its registry"
    assert "apt-get install npm" in (problem.hint or "")
    with pytest.raises(UnavailableError):
        ensure(program(registry), print)


def test_another_kind_of_machine_has_no_program(registry: Path) -> None:
    """A package is for a machine, and no other one is tried."""
    given = program(registry)
    other = replace(given, packages=(replace(given.packages[0], machine="s390x-of-old"),))
    [problem] = prefix_problems([other])
    assert problem.message.startswith("there is no tool for this machine")
    with pytest.raises(UnavailableError):
        ensure(other, print)


def test_root_keeps_them_where_its_bottles_can_enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They run as uids of their own; everybody else has a cache of their own, whatever its mode."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tmp_path.chmod(0o700)
    for uid, folder in ((0, MACHINE_WIDE / "programs"), (1000, tmp_path / "claude-bottle-programs")):
        monkeypatch.setattr(os, "getuid", lambda uid=uid: uid)
        assert programs_dir() == folder


def test_a_folder_that_others_write_in_is_refused(registry: Path) -> None:
    """What is run in every bottle is written by this user alone."""
    programs_dir().mkdir(parents=True)
    programs_dir().chmod(0o777)
    with pytest.raises(LaunchError, match="you alone can write in"):
        ensure(program(registry), print)


@pytest.mark.parametrize(
    ("code", "cure"),
    [("ENOSPC", "set XDG_CACHE_HOME"), ("E404", "npm view"), ("ETARGET", "npm view"), ("ENOTFOUND", "the network")],
)
def test_a_failed_download_has_the_cure_of_its_cause(registry: Path, code: str, cure: str) -> None:
    """A full disk is none of the network's; npm's words are the first that tell something."""
    words = ("warn old", f"error code {code}", "error errno -1", "error the cause", "error A complete log is in")
    lines = "".join(f"echo 'npm {it}' >&2\n" for it in words)
    (registry / "npm").write_text(f"#!/bin/sh\n{lines}exit 1\n")
    with pytest.raises(LaunchError, match=r"`npm pack @somebody/tool@1.2.3` failed: npm error the cause$") as caught:
        ensure(program(registry), print)
    assert cure in (caught.value.hint or "")


def test_an_archive_that_cannot_be_unpacked_says_why(registry: Path) -> None:
    """By tar's first word, not by its last: that there were errors."""
    (registry / "package.tgz").write_bytes(b"no archive")
    with pytest.raises(LaunchError, match=r"cannot be unpacked in .*: .*not in gzip format"):
        ensure(program(registry), print)


def test_an_npm_that_outlives_its_launch_writes_into_no_other_one_s_folder(registry: Path) -> None:
    """Each attempt has a folder of its own, so that what was checked is what is unpacked."""
    for _ in range(2):
        (registry / "npm").write_text(f'#!/bin/sh\necho "$@" >>{registry}/calls; exit 1\n')
        with pytest.raises(LaunchError):
            ensure(program(registry), print)
    first, second = (line.split()[-1] for line in (registry / "calls").read_text().splitlines())
    assert first != second


def test_a_cache_that_cannot_be_written_says_where_another_may_be(registry: Path) -> None:
    """The folder is named, and what moves it."""
    folder = programs_dir()
    folder.parent.mkdir(parents=True, mode=0o755)
    folder.write_text("a file")
    folder.chmod(0o755)
    with pytest.raises(LaunchError, match="cannot be made") as caught:
        ensure(program(registry), print)
    assert "set XDG_CACHE_HOME" in (caught.value.hint or "")


def test_an_archive_that_cannot_be_unpacked_is_told_in_tar_s_words(registry: Path) -> None:
    """Most often for want of room: the cure is another folder, and nothing half-made stays."""
    given = program(registry)
    (registry / "package.tgz").write_bytes(b"no archive")
    unpinned = replace(given, packages=(replace(given.packages[0], integrity=""),))
    with pytest.raises(LaunchError, match=r"fetched\.tgz cannot be unpacked in ") as caught:
        ensure(unpinned, print)
    assert "set XDG_CACHE_HOME" in (caught.value.hint or "")
    assert [it.name for it in programs_dir().iterdir() if it.is_dir()] == []


def test_a_cache_that_fills_up_meanwhile_says_where_another_may_be(
    registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the system does not let us write on the way: the program and the folder are named."""
    folder = ensure(program(registry), print)
    shutil.rmtree(folder)
    monkeypatch.setattr(os, "urandom", bytes)  # noughts: it writes into a folder of a random name
    folder.with_name(f"{folder.name}.new-00000000").write_text("stands in the way")
    with pytest.raises(LaunchError, match=f"tool could not be installed in {programs_dir()}: ") as caught:
        ensure(program(registry), print)
    assert "set XDG_CACHE_HOME" in (caught.value.hint or "")
