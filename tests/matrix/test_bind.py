"""A workspace that is the folder itself: what is done inside is here, and nothing that is executed here was touched."""

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_user import User, wait_until
from matrix_pair import Pair

plain = pytest.mark.skipif(os.getuid() == 0, reason="root binds nothing: run the tests as a plain user too")

FOLDERS = (
    ".claude",
    ".codex",
    ".devcontainer",
    ".vscode",
    ".git/hooks",
    ".git/modules",
    ".git/remotes",
    ".git/branches",
)
FILES = (".mcp.json", "bottle.yaml", ".git/config", ".git/config.worktree", ".git/commondir", ".git/info/attributes")

ATTACK = """
mv() { perl -e 'rename($ARGV[0], $ARGV[1]) or exit 1' "$1" "$2"; }  # which copies nothing where it cannot
state() { find "$1" -printf '%p %i %y %s %C@ ' 2>&1; }
attack() {
  before=$(state "$1")
  case $2 in
    write) if [ $3 = folder ]; then mkdir -p "$1"; echo evil >"$1/evil"; else echo evil >"$1"; fi ;;
    rename) mv "$1" aside && rm -rf aside ;;
    link) rm -rf "$1"; ln -sfn /tmp "$1" ;;
    above) case $1 in */*) mv "${1%/*}" aside && mkdir "${1%/*}" ;; esac ;;
  esac 2>/dev/null
  [ "$before" = "$(state "$1")" ] || echo "$1 $2"
}
each() {  # the place of an attack is fresh each time, where it is ours to lay
  for what in $3; do
    for path in $FOLDERS; do $1; cd $2; attack $path $what folder; cd ..; done
    for path in $FILES; do $1; cd $2; attack $path $what file; cd ..; done
  done
}
cd /tmp; git init -q --template= laid; cd laid; mkdir -p $FOLDERS .git/info; touch $FILES; cd ..
git init -q --template= bare; mkdir bare/.git/info
lay() { cd /workspace; rm -rf free; cp -a /tmp/laid free; }
bare() { cd /workspace; rm -rf free; cp -a /tmp/bare free; }
echo shut; each : /workspace 'write rename link above'
echo open; each lay free 'write rename link above'
echo empty; each bare free write
cd /workspace; rm -rf free
"""


@pytest.fixture
def user(pair: Pair) -> Iterator[User]:
    """Somebody who stands in a repository with one commit, and whose manifest, in it, binds it."""
    someone = pair.user()
    someone.manifest({"workspace": {"mode": "bind"}})
    (someone.home / ".gitconfig").write_text("[user]\n\tname = Ann\n\temail = ann@example.com\n")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "first")):
        git(someone, *words)
    yield someone
    someone.close()


def git(user: User, *words: str) -> str:
    """Run git as that user does."""
    done = subprocess.run(["git", *words], cwd=user.work, env=user.environment, capture_output=True, check=True)
    return done.stdout.decode().rstrip("\n")


def picture(folder: Path) -> dict[str, str]:
    """Return what lies in a folder: content, mode, owner."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        seen, data = path.lstat(), path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path.relative_to(folder))] = f"{seen.st_mode:o} {seen.st_uid} {hashlib.sha256(data).hexdigest()}"
    return found


def begin(user: User, script: str) -> subprocess.Popen[bytes]:
    """Start a bottle that runs a script, and wait until it has said `up`."""
    process = user.begin("start", "reviewer", "--file", "bottle.yaml", "--yes", "--", "sh", "-c", f"echo up; {script}")
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n", process.communicate()
    return process


@pytest.mark.skipif(os.getuid() != 0, reason="needs root: run the tests as root too")
def test_root_binds_nothing(user: User) -> None:
    """No agent has root's uid: it is a problem before anything starts, with its cure."""
    before = picture(user.work)
    done = user.start("true")
    assert (done.code, "bottles.dev.workspace: root cannot bind a folder" in done.err) == (125, True)
    assert "runuser -u NAME" in done.err
    assert picture(user.work) == before


@plain
def test_what_is_done_inside_is_here_at_once(user: User) -> None:
    """From preflight to the list at the end: bytes, owners, a commit; and nothing of ours stays in the folder."""
    shown = user.bottle("start", "reviewer", "--dry-run").out
    assert f"mount         : {user.work} at /workspace (write)\n" in shown
    assert f"workspace     : {user.work}, the folder itself; read-only: bottle.yaml, .git/hooks," in shown
    process = begin(
        user,
        "cd /workspace && mkdir new && echo x >new/file && ln -s file new/link && printf 'all:\\n' >Makefile && "
        'git add -A && git commit -qm files && [ -z "$(git status --short)" ] && '
        "git commit -qm inside --allow-empty && read -r line && cat new/file",
    )
    assert process.stdin is not None
    assert wait_until(lambda: git(user, "log", "-1", "--format=%an %s") == "Ann inside", 30)
    assert {(it.lstat().st_uid, it.lstat().st_gid) for it in user.work.rglob("*")} == {(os.getuid(), os.getgid())}
    (user.work / "new" / "file").write_text("from outside\n")
    out, err = process.communicate(b"\n")
    assert (process.returncode, out) == (0, b"from outside\n"), err.decode()
    assert b"look at these before you use it" in err
    assert b"changed: Makefile\n" in err
    assert b"as they were: bottle.yaml\n" in err
    assert sorted(it.name for it in user.work.iterdir()) == [".git", "Makefile", "bottle.yaml", "new"]
    assert not {"commondir", "config.worktree", "modules", "remotes"} & {
        it.name for it in (user.work / ".git").iterdir()
    }
    assert git(user, "status", "--short") == " M new/file"


@plain
def test_what_is_executed_here_cannot_be_changed(user: User) -> None:
    """F1 to F5, F8: neither what is there nor what is not; each attempt succeeds where nothing protects."""
    (user.work / ".vscode").mkdir()
    (user.work / ".vscode" / "tasks.json").write_text("{}")
    before = picture(user.work)
    script = f"FOLDERS='{' '.join(FOLDERS)}' FILES='{' '.join(FILES)}'\n{ATTACK}"
    done = user.start("sh", "-s", stdin=script)
    assert done.code == 0, done.err
    shut, _, rest = done.out.removeprefix("shut\n").partition("open\n")
    laid, _, empty = rest.partition("empty\n")
    assert shut == ""
    paths = {*FOLDERS, *FILES}
    above = {f"{path} above" for path in paths if "/" in path}
    assert (
        set(laid.splitlines()) >= {f"{path} {what}" for path in paths for what in ("write", "rename", "link")} | above
    )
    assert set(empty.splitlines()) == {f"{path} write" for path in paths}
    assert picture(user.work) == before


@plain
def test_a_killed_launcher_leaves_nothing(pair: Pair, user: User) -> None:
    """What stood in the way of the agent goes once the agent has, not before; `cleanup` removes it where nobody did."""
    before = picture(user.work)
    for also in (False,) if pair.contained else (False, True):  # of the second no backend knows
        process = begin(user, "cd /workspace; while :; do echo >>beat; sleep 0.02; done")
        assert (user.work / ".mcp.json").is_dir()
        second = user.start("true")
        assert (second.code, f"{user.work} is bound to another bottle" in second.err) == (125, True)
        [keeper] = keepers(process.pid)
        if also:
            os.kill(keeper, signal.SIGKILL)
        process.kill()
        process.communicate()
        assert also or wait_until(lambda: not (user.work / ".mcp.json").exists())
        assert wait_until(lambda: still(user.work / "beat"))
        (user.work / "beat").unlink()
        assert (picture(user.work) == before) is not also
        if also:
            assert f"{user.work}/.mcp.json" in user.bottle("cleanup", "--dry-run").out
        assert user.bottle("cleanup", "--yes").code == 0
        assert picture(user.work) == before
        assert list((user.state / "claude-bottle" / "bound").iterdir()) == []


def keepers(launcher: int) -> list[int]:
    """Return the processes of a launcher that keep places empty."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return [int(it) for it in children if b"keeper.py" in Path(f"/proc/{it}/cmdline").read_bytes()]


def still(path: Path) -> bool:
    """Say whether a file does not grow any more."""
    size = path.stat().st_size
    time.sleep(0.3)
    return path.stat().st_size == size
