"""What of a folder is bound how, and which folders are not: as data, from what lies in it."""

import os
import socket
from pathlib import Path

import pytest
from git_harness import Repo, git

from bottle_git import bind
from bottle_git.bind import Bound, bind_folder
from claude_bottle.seam.part import Mount

SETTINGS = [".claude", ".codex", ".devcontainer", ".mcp.json", ".vscode", "bottle.yaml"]


def mounts(bound: Bound) -> dict[str, Mount]:
    """Return the mounts below the workspace, by path."""
    assert bound.problems == ()
    root, *others = bound.mounts
    assert (root.target, root.write) == ("/workspace", True)
    assert all(it.source.removeprefix(root.source) == it.target.removeprefix(root.target) for it in others)
    return {it.target.removeprefix("/workspace/"): it for it in others}


def access(bound: Bound) -> dict[str, str]:
    """Return what can be done to each path: `write`, `read`, or the kind of what is kept there."""
    return {path: it.make or ("write" if it.write else "read") for path, it in mounts(bound).items()}


def problem(folder: Path) -> str:
    """Return why a folder is not bound: one reason, with a cure."""
    [found] = bind_folder(folder, None).problems
    assert found.hint
    return found.message


def test_what_a_repository_executes_is_protected(repo: Repo) -> None:
    """F1, F2, F4, F5: what is there is read-only, what is not is kept from being made, and nothing above is renamed."""
    (repo.path / ".vscode").mkdir()
    (repo.path / ".mcp.json").write_text("{}")
    assert access(bind_folder(repo.path, None)) == {
        **dict.fromkeys((*SETTINGS, ".git/modules", ".git/remotes"), "folder"),
        **dict.fromkeys((".git/config.worktree", ".git/commondir", ".git/info/attributes"), "file"),
        **dict.fromkeys((".vscode", ".mcp.json", ".git/config", ".git/hooks", ".git/branches"), "read"),
        **dict.fromkeys((".git", ".git/info"), "write"),
    }


def test_mounts_come_before_what_is_in_them(repo: Repo) -> None:
    """A backend makes them in their order."""
    repo.git("submodule", "add", "-q", str(repo.path), "lib/inner")
    targets = [it.target for it in bind_folder(repo.path, None).mounts]
    assert all(str(Path(it).parent) not in targets[number:] for number, it in enumerate(targets))


def test_a_folder_without_a_repository_gets_none(tmp_path: Path) -> None:
    """A repository that the agent would make would be found by whatever the user calls there next."""
    assert access(bind_folder(tmp_path, None)) == dict.fromkeys([*SETTINGS, ".git", "HEAD"], "folder")


def test_the_manifest_is_protected_wherever_it_lies(repo: Repo) -> None:
    """F8: under any name, in the folder; elsewhere it is not seen."""
    (repo.path / "conf").mkdir()
    (repo.path / "conf" / "other.yaml").write_text("")
    found = access(bind_folder(repo.path, repo.path / "conf" / "other.yaml"))
    assert (found["conf"], found["conf/other.yaml"], found["bottle.yaml"]) == ("write", "read", "folder")
    assert "conf" not in access(bind_folder(repo.path, Path("/elsewhere/bottle.yaml")))
    (repo.path / "link.yaml").symlink_to("/elsewhere/bottle.yaml")
    [problem] = bind_folder(repo.path, repo.path / "link.yaml").problems
    assert "is a link" in problem.message


def test_submodules_are_protected_as_their_parent(repo: Repo) -> None:
    """F3: their configuration and hooks lie in `.git/modules`, to which no other can be added; their `.git` stays."""
    other = Repo(repo.path.with_name("other"))
    repo.git("submodule", "add", "-q", "--name", "with/slash", str(other.path), "lib/inner")
    found = access(bind_folder(repo.path, None))
    module = ".git/modules/with/slash"
    assert [found[it] for it in (".git/modules", module)] == ["read", "write"]
    assert [found[f"{module}/{it}"] for it in ("config", "hooks", "commondir", "modules")] == ["read"] * 2 + [
        "file",
        "folder",
    ]
    assert [found[it] for it in ("lib", "lib/inner", "lib/inner/.git")] == ["write", "write", "read"]


def test_repositories_within_are_protected_too(repo: Repo) -> None:
    """F3: each `.git` in the folder, however deep."""
    Repo(repo.path / "a" / "b")
    found = access(bind_folder(repo.path, None))
    assert [found[it] for it in ("a", "a/b", "a/b/.git", "a/b/.git/config", "a/b/.git/hooks")] == ["write"] * 3 + [
        "read"
    ] * 2
    assert found["a/b/.git/commondir"] == "file"


def test_worktrees_elsewhere_stay_as_they_are(repo: Repo) -> None:
    """A worktree of this repository is led by files in here to what it executes."""
    repo.git("worktree", "add", "-q", "../tree")
    assert access(bind_folder(repo.path, None))[".git/worktrees"] == "read"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"core.hooksPath": "tools/hooks"}, {"tools": "folder"}),
        ({"core.hooksPath": "run"}, {"run": "read"}),
        ({"include.path": "../run/file"}, {"run": "write", "run/file": "read"}),
        ({"include.path": "../more"}, {"more": "file"}),
        ({"includeIf.gitdir:/x/.path": "../more"}, {"more": "file"}),
        ({"core.fsmonitor": "run/file"}, {"run": "write", "run/file": "read"}),
        ({"filter.x.clean": "sh run/file %f"}, {"run": "write", "run/file": "read"}),
        ({"alias.x": "!run/file"}, {"run": "write", "run/file": "read"}),
        ({"remote.origin.url": "run/file"}, {}),
        ({"core.hooksPath": "/elsewhere"}, {}),
        ({"core.hooksPath": "../elsewhere"}, {}),
        ({"core.hooksPath": "."}, {}),
    ],
)
def test_what_a_configuration_names_is_protected(
    repo: Repo, settings: dict[str, str], expected: dict[str, str]
) -> None:
    """F2, F3: hooks elsewhere in the folder, files that are included, programs that are run."""
    (repo.path / "run").mkdir()
    (repo.path / "run" / "file").write_text("#!/bin/sh\n")
    before = access(bind_folder(repo.path, None))
    for key, value in settings.items():
        repo.git("config", key, value)
    found = access(bind_folder(repo.path, None))
    assert {path: found[path] for path in found.keys() - before.keys()} == expected


def test_what_an_included_file_names_is_protected(repo: Repo) -> None:
    """Includes are followed as git follows them."""
    (repo.path / "conf").write_text("[core]\n\thooksPath = hooks\n[include]\n\tpath = conf\n")
    repo.git("config", "include.path", "../conf")
    assert access(bind_folder(repo.path, None))["hooks"] == "folder"


@pytest.mark.parametrize("name", [".claude", ".git/hooks", ".git/config", ".vscode", ".git/info"])
def test_a_link_in_the_place_of_what_is_protected_is_a_problem(repo: Repo, name: str) -> None:
    """F6: it could be exchanged, whatever it leads to."""
    place = repo.path / name
    if place.exists():
        place.rename(repo.path / "moved")
    else:
        (repo.path / "moved").mkdir()
    place.symlink_to(repo.path / "moved")
    assert "is a link" in problem(repo.path)


def test_a_file_with_a_second_name_is_a_problem(repo: Repo) -> None:
    """Through the other name it could be written."""
    os.link(repo.path / ".git" / "config", repo.path / "second")
    assert "several names" in problem(repo.path)


def test_what_is_answered_by_this_machine_is_a_problem(repo: Repo) -> None:
    """A socket or a pipe leads out of any network namespace, in `.git` too."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(repo.path / ".git" / "daemon.ipc"))
        assert "is a socket, pipe or device" in problem(repo.path)
        (repo.path / ".git" / "daemon.ipc").unlink()
    os.mkfifo(repo.path / "fifo")
    assert "is a socket, pipe or device" in problem(repo.path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("remote.origin.url", "https://ann:token@example.com/x"),
        ("remote.origin.pushurl", "https://token@example.com/x"),
        ("url.https://x@example.com/.insteadOf", "https://ann:token@example.com/"),
        ("http.https://example.com/.extraheader", "Authorization: Basic eA=="),
    ],
)
def test_a_credential_in_the_configuration_is_a_problem(repo: Repo, key: str, value: str) -> None:
    """The agent reads what is in the folder."""
    repo.git("config", key, value)
    assert "has a credential" in problem(repo.path)
    repo.git("config", "--unset", key)
    repo.git("config", "remote.origin.url", "ssh://git@example.com/x")
    repo.git("config", "remote.other.url", "https://example.com/a@b")
    assert bind_folder(repo.path, None).problems == ()


def test_a_part_of_a_repository_is_a_problem(repo: Repo) -> None:
    """A subfolder, a linked worktree, a submodule, borrowed objects: git would not work inside, or lead out."""
    (repo.path / "sub").mkdir()
    assert "is a part of the repository" in problem(repo.path / "sub")
    repo.git("worktree", "add", "-q", "../tree")
    assert "leads to" in problem(repo.path.with_name("tree"))
    repo.git("submodule", "add", "-q", str(repo.path), "lib")
    assert "leads to" in problem(repo.path / "lib")
    git(repo.path.parent, "clone", "-q", "--shared", repo.path.name, "borrower")
    assert "borrows objects" in problem(repo.path.with_name("borrower"))


def test_too_many_repositories_are_a_problem(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes a dozen mounts."""
    monkeypatch.setattr(bind, "MOST", 20)
    Repo(repo.path / "one")
    assert "too many repositories" in problem(repo.path)


def test_a_folder_that_cannot_be_looked_into_is_a_problem(repo: Repo) -> None:
    """There may be a repository in it."""
    if os.getuid() == 0:
        pytest.skip("root can look everywhere: run the tests as a plain user too")
    (repo.path / "shut").mkdir(mode=0)
    assert "cannot be looked into" in problem(repo.path)
    (repo.path / "shut").chmod(0o700)


def test_what_keeps_commondir_away_changes_nothing_for_git(repo: Repo) -> None:
    """With all that is kept there for the time of a bottle, git works here as ever, in submodules and worktrees too."""
    Repo(repo.path.with_name("other"))
    repo.git("submodule", "add", "-q", "../other", "lib")
    repo.git("submodule", "absorbgitdirs")
    repo.git("worktree", "add", "-q", "../tree")
    commands = [("status", "--short"), ("log", "--format=%s"), ("submodule", "status"), ("worktree", "list"), ("fsck",)]
    commands += [("rev-parse", "--path-format=absolute", "--git-common-dir"), ("config", "--list"), ("stash", "list")]
    commands += [("-C", "lib", "status"), ("-C", "../tree", "status"), ("-C", "../tree", "log", "--format=%s")]
    before = [repo.git(*words) for words in commands]
    for mount in bind_folder(repo.path, None).mounts:
        if mount.make == "folder":
            Path(mount.source).mkdir()
        elif mount.make:
            Path(mount.source).write_text(mount.text)
    assert [repo.git(*words) for words in commands] == before
    assert repo.git("worktree", "add", "-q", "../second", check=False) == ""
    assert repo.commit("second") == repo.git("rev-parse", "main")
