"""A skill's folder: what is read of it, and what keeps it from being copied."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skills_home import laid_skill, lay

from bottle_skills import folder
from bottle_skills.folder import Fault, Walk, find_faults, read_skill
from claude_bottle.errors import LaunchError
from claude_bottle.seam.tree import FileEntry, FolderEntry, LinkEntry

PARTS = st.lists(st.sampled_from(["a", "b", "..", ".", ""]), min_size=1, max_size=6).map("/".join)


def faults(skills: Path, name: str = "pdf") -> list[str]:
    """What is wrong with a skill, with paths from the folder of all."""
    return [fault.what.replace(str(skills), "~") for fault in find_faults(skills, name)]


def test_a_skill_is_read_with_its_modes_and_links(skills: Path) -> None:
    """S19: names are relative to the folder of all skills, parents come first, setuid and sticky bits stay behind."""
    laid_skill(skills)
    (skills / "pdf" / "scripts" / "run").chmod(0o4755)
    assert faults(skills) == []
    assert list(read_skill(skills, "pdf")) == [
        FolderEntry("pdf", 0o755),
        FileEntry("pdf/SKILL.md", b"# A skill\n", 0o600),
        LinkEntry("pdf/go", "scripts/run"),
        FolderEntry("pdf/scripts", 0o555),
        FileEntry("pdf/scripts/run", b"#!/bin/sh\n", 0o755),
        LinkEntry("pdf/scripts/up", "../SKILL.md"),
    ]


def test_a_missing_skill_is_told_with_those_that_are_there(skills: Path) -> None:
    """S19: the path is in the sentence, and the names that could have been meant in the cure."""
    laid_skill(skills, "pdf")
    laid_skill(skills, "review")
    assert find_faults(skills, "pdg") == [Fault(f"there is no skill {skills}/pdg", "skills there: pdf, review")]


def test_a_home_without_skills_is_no_crash(skills: Path) -> None:
    """A user who has none is told what one is."""
    skills.rmdir()
    assert find_faults(skills, "pdf") == [Fault(f"there is no skill {skills}/pdf", folder.A_SKILL)]


def test_a_file_is_no_skill(skills: Path) -> None:
    """A skill is a folder."""
    (skills / "pdf").write_text("text")
    assert faults(skills) == ["~/pdf is no folder"]


def test_everything_that_is_wrong_is_told_at_once(skills: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links that leave, special files: each with its path."""
    laid_skill(skills)
    links = {"abs": "->/etc/passwd", "up": "->../other/SKILL.md", "in/up": "->../../x", "in/fine": "->../SKILL.md"}
    lay(skills / "pdf", links)
    os.mkfifo(skills / "pdf" / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(skills / "pdf")  # the path of a socket is limited
        listener.bind("sock")
    assert faults(skills) == [
        "~/pdf/abs is a link that leaves the skill: /etc/passwd",
        "~/pdf/fifo is neither file, folder nor link",
        "~/pdf/in/up is a link that leaves the skill: ../../x",
        "~/pdf/sock is neither file, folder nor link",
        "~/pdf/up is a link that leaves the skill: ../other/SKILL.md",
    ]


@pytest.mark.parametrize("target", ["/etc", "../..", "pdf2/../../x", "."])
def test_a_skill_that_is_a_link_stays_in_its_folder(skills: Path, target: str) -> None:
    """One that leads elsewhere is refused, whatever is there."""
    lay(skills, {"pdf2/SKILL.md": "", "pdf": f"->{target}"})
    assert faults(skills) == [f"~/pdf is a link that leaves the folder of the skills: {target}"]


@pytest.mark.parametrize("target", ["pdf-2.0", "./pdf-2.0/", "more/pdf"])
def test_a_skill_may_be_a_link_to_its_neighbour(skills: Path, target: str) -> None:
    """It is copied under the name that the manifest has."""
    laid_skill(skills, target)
    lay(skills, {"pdf": f"->{target}"})
    assert faults(skills) == []
    assert FileEntry("pdf/SKILL.md", b"# A skill\n", 0o600) in list(read_skill(skills, "pdf"))


def test_a_link_to_a_link_is_not_followed(skills: Path) -> None:
    """What the first names is a folder itself, else nothing is read through it."""
    lay(skills, {"pdf": "->hop", "hop": "->/etc"})
    assert faults(skills) == ["~/pdf is no folder"]


@pytest.mark.user
def test_what_cannot_be_read_is_told(skills: Path) -> None:
    """An unreadable file and an unreadable folder, each with its path and the reason."""
    lay(skills / "pdf", {"SKILL.md": "", "closed/file": "", "secret": ""})
    (skills / "pdf" / "secret").chmod(0)
    (skills / "pdf" / "closed").chmod(0)
    found = faults(skills)
    (skills / "pdf" / "closed").chmod(0o700)
    assert found == [f"~/pdf/{name} cannot be read: Permission denied" for name in ("closed", "secret")]


def test_a_fault_forges_no_line(skills: Path) -> None:
    """A name with a line break or in no encoding is shown with escapes."""
    lay(skills / "pdf", {"SKILL.md": ""})
    os.mkfifo(os.fsencode(skills / "pdf") + b"/a\nerror: b\xff")
    assert faults(skills) == ["~/pdf/a\\nerror: b\\udcff is neither file, folder nor link"]
    lay(skills, {"out": "->/a\nerror: b", "far/SKILL.md": "", "far/link": "->/a\nerror: b", "x\nerror: y/SKILL.md": ""})
    assert faults(skills, "out") == ["~/out is a link that leaves the folder of the skills: /a\\nerror: b"]
    assert faults(skills, "far") == ["~/far/link is a link that leaves the skill: /a\\nerror: b"]
    assert [it.cure for it in find_faults(skills, "none")] == ["skills there: far, pdf, x\\nerror: y"]


@pytest.mark.parametrize(
    ("limit", "most", "what"),
    [
        ("MOST", 3, "~/pdf has more than 3 files or 256 MiB"),
        ("LARGEST", 18, "~/pdf has more than 20000 files or 0 MiB"),
        ("DEEPEST", 1, "~/pdf/scripts lies more than 1 folders deep"),
    ],
)
def test_a_skill_is_no_heap(skills: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, what: str) -> None:
    """Past a number of files, of bytes and of folders in folders a skill is refused, at the limit it is not."""
    laid_skill(skills)
    monkeypatch.setattr(folder, limit, most)
    assert faults(skills) == [what]
    monkeypatch.setattr(folder, limit, most + 2)
    assert faults(skills) == []


@pytest.mark.parametrize("victim", ["SKILL.md", "scripts"])
def test_what_is_exchanged_for_a_link_meanwhile_is_not_followed(skills: Path, tmp_path: Path, victim: str) -> None:
    """Between the look and the opening: nothing outside the skill is read, and the copy ends there."""
    outside = lay(tmp_path, {"secret/run": "outside", "file": "outside"})
    skill = laid_skill(skills)
    look = os.lstat

    def exchange(path: str, *, dir_fd: int) -> os.stat_result:
        found = look(path, dir_fd=dir_fd)
        if path == victim:
            (skill / victim).rename(tmp_path / "was")
            (skill / victim).symlink_to(outside / ("secret" if victim == "scripts" else "file"))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "lstat", exchange)
        with pytest.raises(LaunchError, match=f"/pdf/{victim} cannot be read: "):
            list(read_skill(skills, "pdf"))


@pytest.mark.timeout(20)
def test_what_is_exchanged_for_a_pipe_meanwhile_is_not_waited_for(
    skills: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is it taken for an empty file."""
    skill, look = laid_skill(skills), os.lstat

    def exchange(path: str, *, dir_fd: int) -> os.stat_result:
        found = look(path, dir_fd=dir_fd)
        if path == "SKILL.md":
            (skill / path).unlink()
            os.mkfifo(skill / path)
        return found

    monkeypatch.setattr(os, "lstat", exchange)
    with pytest.raises(LaunchError, match=r"/pdf/SKILL\.md is neither file, folder nor link"):
        list(read_skill(skills, "pdf"))


def test_a_file_that_grows_has_an_end(skills: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read counts, not what was said before."""
    laid_skill(skills)
    monkeypatch.setattr(folder, "LARGEST", 100)
    grown = list(Walk(skills, "pdf", lambda _: b"x" * 101).run())
    assert isinstance(grown[-1], Fault)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(target=PARTS.filter(bool), above=st.sampled_from(["", "a/", "a/b/"]))
def test_a_link_is_kept_just_when_it_stays_inside(
    target: str, above: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A property: of a tree without links, where the path that it names lies decides."""
    skills = tmp_path_factory.mktemp("skills")
    lay(skills / "pdf", {"a/b/c": "", f"{above}link": f"->{target}"})
    ends = Path(os.path.normpath(skills / "pdf" / above / target))
    stays = not target.startswith("/") and ends.is_relative_to(skills / "pdf")
    assert (faults(skills) == []) == stays
