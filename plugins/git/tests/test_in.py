"""What goes in: a repository as its user sees it, whatever shape it has, and nothing that is the user's alone."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from git_harness import Repo, Stay, git

from bottle_git.settings import public_url
from claude_bottle.errors import BottleError, LaunchError

Enter = Callable[[Path], Stay]


def test_it_comes_as_the_user_sees_it(repo: Repo, enter: Enter) -> None:
    """Status, history, branches and tags are the same inside; what is ignored does not come."""
    repo.git("tag", "-m", "a tag", "v1")
    repo.git("branch", "side")
    repo.write(changed="mine\n", untracked="mine\n", staged="one\n", gone="x\n", **{".gitignore": "*.log\n"})
    repo.git("add", "gone", ".gitignore")
    repo.git("commit", "-qm", "second")
    repo.git("add", "staged")
    repo.write(staged="two\n", **{"x.log": "ignored\n"})
    (repo.path / "gone").unlink()
    stay = enter(repo.path)
    for words in ("status --porcelain=v2 --branch", "log --oneline --all", "tag", "branch", "diff", "diff --cached"):
        assert stay.sh(f"git {words}") == repo.git(*words.split())
    assert stay.sh("ls") == "changed\nkept\nstaged\nuntracked"
    assert stay.sh("git fsck --strict --no-dangling 2>&1; ls .git/bottle* .git/filtered 2>/dev/null || :") == ""


def test_the_user_s_own_ignores_hold(repo: Repo, enter: Enter, home: Path) -> None:
    """What git ignores for this user everywhere, or in this repository alone, does not come."""
    folder = home / "xdg_config_home" / "git"
    folder.mkdir(parents=True)
    (folder / "ignore").write_text("*.global\n")
    (repo.path / ".git/info").mkdir(exist_ok=True)
    (repo.path / ".git/info/exclude").write_text("*.own\n")
    repo.write(**{"a.global": "", "b.own": "", "c": ""})
    assert enter(repo.path).sh("ls") == "c\nchanged\nkept"


def test_names_modes_and_links(repo: Repo, enter: Enter) -> None:
    """Spaces, newlines, odd bytes, a leading dash; executable files, links that lead nowhere, empty and large files."""
    names = [b"a b", b"new\nline", b'"quo"te', b"\xff\xfe", b"-dash", "ümläut".encode(), b"tab\t", b"back\\slash"]
    for where in (b"tracked ", b"untracked "):
        for name in names:
            Path(os.fsdecode(os.fsencode(repo.path) + b"/" + where + name)).write_bytes(where + name)
        if where == b"tracked ":
            (repo.path / "run").write_text("#!/bin/sh\necho ran\n")
            (repo.path / "run").chmod(0o755)
            (repo.path / "nowhere").symlink_to("not/there")
            (repo.path / "empty").touch()
            repo.commit("names")
    (repo.path / "new link").symlink_to("run")
    (repo.path / "large").write_bytes(os.urandom(3 << 20))
    stay = enter(repo.path)
    assert stay.sh("git status --porcelain -z") == repo.git("status", "--porcelain", "-z")
    assert stay.sh("./run; readlink nowhere; cat 'new link' | head -1; wc -c <large; wc -c <empty") == (
        "ran\nnot/there\n#!/bin/sh\n3145728\n0"
    )
    assert stay.sh("cat ./*-dash") == "tracked -dashuntracked -dash"


def test_the_agent_owns_it(repo: Repo, enter: Enter) -> None:
    """Everything belongs to the agent's own user."""
    repo.write(untracked="")
    assert enter(repo.path).sh("find . ! -user $(id -u) -o ! -writable ! -path './.git/objects/*' ! -type l") == ""


def test_the_user_s_name_comes_and_no_credential(repo: Repo, enter: Enter, home: Path) -> None:
    """Name and e-mail, remotes without userinfo, and nothing else of any configuration."""
    with (home / ".gitconfig").open("a") as file:
        file.write("[alias]\n\tst = status\n[credential]\n\thelper = store\n")
    repo.git("remote", "add", "origin", "https://ann:hunter2@example.com/x.git?token=hunter2")
    repo.git("config", "http.https://example.com/.extraheader", "Authorization: hunter2")
    repo.git("config", "credential.helper", "!echo password=hunter2")
    repo.git("config", "core.sshCommand", "ssh -i hunter2")
    repo.git("config", "branch.main.remote", "origin")
    repo.git("config", "branch.main.merge", "refs/heads/main")
    stay = enter(repo.path)
    assert stay.sh("git config --get user.name; git config --get user.email") == "Ann Other\nann@example.com"
    assert (
        stay.sh("git remote get-url origin; git config branch.main.merge")
        == "https://example.com/x.git\nrefs/heads/main"
    )
    assert stay.sh("cat .git/config ~/.gitconfig; grep -r hunter2 . ~ || :").count("hunter2") == 0
    assert "alias" not in stay.sh("git config --list")


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://u:p@example.com:8443/x.git", "https://example.com:8443/x.git"),
        ("https://example.com/x?private_token=1#f", "https://example.com/x"),
        ("ssh://git:p@[2001:db8::1]:2222/x", "ssh://git@[2001:db8::1]:2222/x"),
        ("git@github.com:owner/x.git", "git@github.com:owner/x.git"),
        ("ext::sh -c true", ""),
        ("/home/ann/x.git", ""),
        ("file:///home/ann/x.git", ""),
        ("https://u:p@exa mple:port/x", ""),
    ],
)
def test_a_url_keeps_no_credential(url: str, kept: str) -> None:
    """Userinfo, query and fragment go; what is a path of this machine or runs a program goes whole."""
    assert public_url(url) == kept


def test_identity_of_the_repository_goes_first(repo: Repo, enter: Enter) -> None:
    """A name that the repository has of its own is the one that commits have inside."""
    repo.git("config", "user.email", "work@example.com")
    assert enter(repo.path).sh("git config user.email; git config user.name") == "work@example.com\nAnn Other"


def test_a_linked_worktree(repo: Repo, enter: Enter, tmp_path: Path) -> None:
    """It comes at its own commit with all history, and the branch goes into the repository that it belongs to."""
    repo.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    linked = tmp_path / "linked"
    (linked / "changed").write_text("linked\n")
    stay = enter(linked)
    assert (
        stay.sh("git branch --show-current; git status --porcelain; git log --oneline main | wc -l")
        == "side\n M changed\n1"
    )
    stay.sh("git commit -qam inside")
    assert stay.pull() == ["branch bottle/reviewer: 1 commit"]
    assert "bottle/reviewer" in repo.branches()
    assert git(linked, "status", "--porcelain") == " M changed"


def test_a_folder_of_a_repository(repo: Repo, enter: Enter) -> None:
    """The repository comes whole: a commit is one of the whole."""
    (repo.path / "sub").mkdir()
    repo.write(**{"sub/file": "x"})
    repo.commit("sub")
    assert enter(repo.path / "sub").sh("ls; git status --porcelain") == "changed\nkept\nsub"


def test_a_shallow_clone(repo: Repo, enter: Enter, tmp_path: Path) -> None:
    """It stays shallow, and what is committed on it comes back."""
    repo.commit("second")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{repo.path}", "shallow")
    stay = enter(tmp_path / "shallow")
    assert stay.sh("git log --format=%s; git rev-parse --is-shallow-repository; git fsck 2>&1") == "second\ntrue"
    stay.sh("git commit -q --allow-empty -m inside")
    assert stay.pull() == ["branch bottle/reviewer: 1 commit"]
    assert git(tmp_path / "shallow", "log", "--format=%s", "bottle/reviewer") == "inside\nsecond"


def test_a_clone_that_shares_objects(repo: Repo, enter: Enter, tmp_path: Path) -> None:
    """Inside it has all of its own; what comes back lies with it, not where it borrows."""
    git(tmp_path, "clone", "-q", "--shared", str(repo.path), "shared")
    stay = enter(tmp_path / "shared")
    assert stay.sh("git fsck 2>&1; git log --format=%s; ls .git/objects/info") == "first"
    stay.sh("git commit -q --allow-empty -m inside")
    assert stay.pull() == ["branch bottle/reviewer: 1 commit"]
    assert "bottle/reviewer" not in repo.branches()


def test_a_folder_s_name_is_no_list_of_others(enter: Enter, tmp_path: Path) -> None:
    """A newline in it names no second place to borrow objects from, and quotes and spaces are its own."""
    private = Repo(tmp_path / "private")
    private.write(secret="hunter2\n")
    commit = private.commit("secret")
    repo = Repo(Path(f'{tmp_path}/a "name"\n{private.path}/.git/objects\n/x'))
    (repo.path / ".git/refs/heads/stolen").write_text(f"{commit}\n")
    with pytest.raises(BottleError, match="pack-objects"):
        enter(repo.path)
    (repo.path / ".git/refs/heads/stolen").unlink()
    stay = enter(repo.path)
    assert stay.sh("git log --format=%s") == "first"
    stay.sh("git commit -q --allow-empty -m inside")
    assert stay.pull() == ["branch bottle/reviewer: 1 commit"]


def test_submodules_and_repositories_within(repo: Repo, enter: Enter, tmp_path: Path) -> None:
    """Each comes as a repository of its own, and its work goes back into its own."""
    other = Repo(tmp_path / "other")
    repo.git("submodule", "add", "-q", str(other.path), "sub module")
    repo.commit("with a submodule")
    nested = Repo(repo.path / "deep" / "nested")
    nested.write(changed="mine\n")
    stay = enter(repo.path)
    assert stay.sh("git status --porcelain") == repo.git("status", "--porcelain") == "?? deep/"
    assert stay.sh("git -C deep/nested status --porcelain; git -C 'sub module' log --format=%s") == " M changed\nfirst"
    stay.sh("cd 'sub module'; git checkout -q --detach; git commit -q --allow-empty -m 'in sub'")
    stay.sh("cd deep/nested; echo x >x")
    assert sorted(stay.pull()) == [
        "branch bottle/reviewer-wip: 1 file not committed",
        "deep/nested: branch bottle/reviewer-wip: 2 files not committed",
        "sub module: branch bottle/reviewer: 1 commit",
    ]
    assert git(repo.path / "sub module", "log", "-1", "--format=%s", "bottle/reviewer") == "in sub"
    assert list(other.branches()) == ["main"]


def test_before_the_first_commit_and_detached(repo: Repo, enter: Enter, tmp_path: Path) -> None:
    """A repository without a commit, and one at a commit that no branch has, are what they are inside."""
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q", "-b", "trunk")
    (empty / "new").write_text("x")
    stay = enter(empty)
    assert stay.sh("git status --porcelain --branch") == "## No commits yet on trunk\n?? new"
    stay.sh("git add new; git commit -qm inside")
    assert stay.pull() == ["branch bottle/reviewer: 1 commit"]


def test_a_detached_head(repo: Repo, enter: Enter) -> None:
    """At a commit that no branch has, the work starts from there."""
    repo.git("checkout", "-q", "--detach")
    commit = repo.commit("detached")
    stay = enter(repo.path)
    assert stay.sh("git rev-parse HEAD; git branch --show-current") == commit
    stay.sh("git commit -q --allow-empty -m inside")
    assert stay.pull() == ["branch bottle/reviewer: 1 commit"]


def test_what_a_filter_made_comes_as_it_lies_there(repo: Repo, enter: Enter) -> None:
    """LFS: the agent sees the file, no commit of it takes content for pointer, and what it changes is work."""
    repo.git("config", "filter.lfs.clean", "echo pointer; cat >/dev/null")
    repo.git("config", "filter.lfs.smudge", "cat")
    repo.write(**{".gitattributes": "*.bin filter=lfs\n", "a.bin": "content\n", "b.bin": "content\n"})
    repo.commit("with lfs")
    stay = enter(repo.path)
    assert stay.sh("cat a.bin; git status --porcelain; git show HEAD:a.bin") == "content\npointer"
    assert stay.pull() == []
    stay.sh("echo other >b.bin; echo x >x; git add -A; git commit -qm inside")
    assert stay.pull() == ["branch bottle/reviewer: 1 commit", "branch bottle/reviewer-wip: 1 file not committed"]
    assert repo.git("show", "bottle/reviewer:a.bin") == "pointer"
    assert repo.git("show", "bottle/reviewer-wip:b.bin") == "other"


def test_pointers_that_no_filter_touched_stay_pointers(repo: Repo, enter: Enter) -> None:
    """Where git-lfs has fetched nothing, a pointer is a file like any other, and can be changed and committed."""
    repo.write(**{".gitattributes": "*.bin filter=lfs\n", "a.bin": "version https://git-lfs.github.com/spec/v1\n"})
    repo.commit("with lfs")
    stay = enter(repo.path)
    stay.sh("echo other >a.bin; git commit -qam inside")
    assert stay.pull() == ["branch bottle/reviewer: 1 commit"]


def test_a_conflict_comes_as_it_is(repo: Repo, enter: Enter) -> None:
    """Unmerged paths are unmerged inside, with the markers in the file."""
    repo.git("checkout", "-qb", "side")
    repo.write(changed="side\n")
    repo.commit("side")
    repo.git("checkout", "-q", "main")
    repo.write(changed="main\n")
    repo.commit("main")
    repo.git("merge", "side", check=False)
    assert enter(repo.path).sh("git status --porcelain; grep -c '<<<' changed") == "UU changed\n1"


def test_a_sparse_checkout(repo: Repo, enter: Enter) -> None:
    """What is not checked out is not inside either, and is not taken for deleted."""
    (repo.path / "far").mkdir()
    repo.write(**{"far/file": "x"})
    repo.commit("far")
    repo.git("sparse-checkout", "set", "--no-cone", "/*", "!/far/")
    stay = enter(repo.path)
    assert stay.sh("ls; git status --porcelain") == "changed\nkept"
    stay.sh("echo x >x")
    stay.pull()
    assert repo.git("show", "bottle/reviewer-wip:far/file") == "x"


def test_a_git_file_that_points_elsewhere_is_refused(repo: Repo, enter: Enter, tmp_path: Path) -> None:
    """F3, F6: a folder cannot claim another repository as its own: the other must point back."""
    private = Repo(tmp_path / "private")
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / ".git").write_text(f"gitdir: {private.path}/.git\n")
    assert git(stranger, "log", "--format=%s") == "first"  # git itself follows it
    with pytest.raises(BottleError, match="does not point back"):
        enter(stranger)
    (stranger / ".git").unlink()
    (stranger / ".git").symlink_to(private.path / ".git")
    with pytest.raises(BottleError, match="neither a folder nor a file"):
        enter(stranger)


def test_a_file_that_cannot_be_read_is_an_error(repo: Repo, enter: Enter) -> None:
    """It is named, with what to do."""
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    repo.write(secret="x")
    (repo.path / "secret").chmod(0)
    with pytest.raises(BottleError, match="secret' cannot be read"):
        enter(repo.path)


def test_a_damaged_repository_is_an_error(repo: Repo, enter: Enter) -> None:
    """An object that is missing here is told before anything starts inside."""
    blob = repo.git("rev-parse", "HEAD:kept")
    (repo.path / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises((BottleError, LaunchError), match=r"pack-objects|workspace could not"):
        enter(repo.path)


def test_a_plain_folder_is_copied(tmp_path: Path, enter: Enter, home: Path) -> None:
    """Without a repository the files come as they are, one below it as such; work comes out beside, not over them."""
    folder = tmp_path / "plain"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "run").write_text("#!/bin/sh\n")
    (folder / "sub" / "run").chmod(0o755)
    (folder / "link").symlink_to("sub/run")
    Repo(folder / "nested")
    stay = enter(folder)
    assert (
        stay.sh("ls; readlink link; test -x sub/run; git -C nested log --format=%s")
        == "link\nnested\nsub\nsub/run\nfirst"
    )
    assert stay.pull() == []
    stay.sh("echo x >sub/new; rm sub/run; echo y >nested/y; git init -q .")
    kept = next((home / "xdg_state_home").rglob("workspaces/*.git"))
    assert stay.pull() == [
        "branch bottle/reviewer: 1 commit",
        "branch bottle/reviewer-wip: 2 files not committed",
        f"in {kept}",
        "nested: branch bottle/reviewer-wip: 1 file not committed",
    ]
    assert git(kept, "diff", "--name-status", "bottle/reviewer", "bottle/reviewer-wip") == "A\tsub/new\nD\tsub/run"
    assert sorted(it.name for it in folder.iterdir()) == ["link", "nested", "sub"]


def test_a_repository_made_inside_comes_out_as_files(repo: Repo, enter: Enter) -> None:
    """Also one without a commit; what git ignores there stays."""
    stay = enter(repo.path)
    stay.sh("git init -q made; echo x >made/x; git init -q other; cd other; echo y >y; git add y; git commit -qm y")
    assert stay.pull() == ["branch bottle/reviewer-wip: 2 files not committed"]
    assert repo.git("show", "bottle/reviewer-wip:other/y") == "y"


def test_a_repository_within_that_is_removed_holds_nothing_back(repo: Repo, enter: Enter) -> None:
    """The rest comes out."""
    Repo(repo.path / "nested")
    stay = enter(repo.path)
    stay.sh("rm -rf nested; echo x >x")
    assert stay.pull() == ["branch bottle/reviewer-wip: 1 file not committed"]


def test_a_file_that_cannot_be_read_inside_is_an_error(repo: Repo, enter: Enter) -> None:
    """Nothing is left behind in silence."""
    stay = enter(repo.path)
    stay.sh("echo x >x; chmod 0 x")
    with pytest.raises(BottleError, match=r"could not be read.*x"):
        stay.pull()
    stay.sh("chmod 600 x")
    assert stay.pull() == ["branch bottle/reviewer-wip: 1 file not committed"]
