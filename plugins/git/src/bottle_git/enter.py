"""The way in: objects as one pack, the index as lines, and the bytes of what differs from it."""

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from bottle_git import inside, stay
from bottle_git.refs import Head, read_head, read_refs
from bottle_git.scratch import Scratch, kept_repository, open_scratch
from bottle_git.settings import read_identity, read_settings, user_excludes
from bottle_git.source import Repository, find_repository, open_repository, read_small
from bottle_git.stream import Tar, streamed
from claude_bottle.errors import BottleError, LaunchError
from claude_bottle.seam.bottle import Bottle, ExecResult

__all__ = ["bring_in", "introduce"]

BROUGHT = re.compile(r"refs/(heads|tags|remotes)/.")
"""What comes in: a stash or a note is nothing that a working tree shows."""

LINK_TO_COMMIT = b"160000"
DELETED, MODIFIED, ABSENT = b"R", b"C", b"S"
"""How `git ls-files -t` tags a line; one without the first two is of the index itself."""


class State(Struct, frozen=True):
    """The files of a working tree, by how each comes in. Paths are relative to it.

    `index`: lines as `git update-index --index-info` takes them. `clean`: as in the index. `raw`: as they lie there,
    those that a filter made (`filtered`) too. `absent`: not checked out.
    `links` are submodules, `nested` repositories that git does not track.
    `dirty`: something differs from the index.
    """

    index: bytes
    clean: tuple[bytes, ...] = ()
    raw: tuple[bytes, ...] = ()
    absent: tuple[bytes, ...] = ()
    filtered: tuple[bytes, ...] = ()
    links: tuple[bytes, ...] = ()
    nested: tuple[bytes, ...] = ()
    dirty: bool = False


def bring_in(bottle: Bottle, folder: Path) -> None:
    """Put a folder's repository at the workspace, or the folder itself where there is none."""
    stay.forget(bottle)
    done(bottle, bottle.exec(inside.CLEAR))
    repository = find_repository(folder)
    if repository is None:
        _copy_folder(bottle, folder)
    else:
        _bring(bottle, repository, "")


def introduce(bottle: Bottle, folder: Path) -> None:
    """Tell git in a bottle who the user is, whose folder it finds at the workspace."""
    repository = find_repository(folder)
    if repository is not None:
        name, mail = read_identity(repository)
        done(bottle, bottle.exec(inside.INTRODUCE, env={"BOTTLE_NAME": name, "BOTTLE_MAIL": mail}))


def _bring(bottle: Bottle, repository: Repository, at: str) -> None:
    """Bring one repository in, and those within it after it."""
    refs = read_refs(repository)
    head = read_head(repository, refs)
    brought = {name: found for name, found in refs.items() if BROUGHT.match(name)}
    with open_scratch(repository) as scratch:
        _borrow_index(scratch, repository)
        with ThreadPoolExecutor(1) as beside:  # the one is busy with objects, the other with files
            packing = beside.submit(_pack, scratch, [*brought.values(), *([head.commit] if head.commit else [])])
            state = read_state(scratch)
            objects = packing.result()
        name, mail = read_identity(repository)
        env = {"BOTTLE_AT": at, "BOTTLE_FORM": scratch.form, "BOTTLE_NAME": name, "BOTTLE_MAIL": mail}
        with streamed(lambda tar: _lay(tar, repository, state, head, objects, brought)) as stream:
            done(bottle, bottle.exec(inside.LAY, stdin=stream, env=env))
        dirty = state.dirty or not is_committed(scratch, head)
    tree = done(bottle, bottle.exec(inside.SNAPSHOT, env={"BOTTLE_AT": at})).stdout if dirty else b""
    stay.remember(bottle, at, stay.Part(repository, tree.decode().strip(), start=head.commit or ""))
    for path in (*state.links, *state.nested):
        place = os.fsdecode(path)
        if (nested := open_repository(repository.tree / place)) is not None:
            _bring(bottle, nested, f"{at}/{place}".lstrip("/"))


def _pack(scratch: Scratch, tips: Sequence[str]) -> Sequence[Path]:
    """Return the files of a pack with all that these have, and what is staged. Nobody need index it again inside."""
    folder = scratch.path / "in"
    folder.mkdir()
    words = ("--revs", "--indexed-objects", "-q", "--delta-base-offset", str(folder / "pack"))
    with scratch.file("tips", sorted(set(tips))) as stdin:
        scratch.run("pack-objects", *words, stdin=stdin)
    return sorted(folder.iterdir())


def done(bottle: Bottle, result: ExecResult) -> ExecResult:
    """Return what a script left; LaunchError with what it said if it failed."""
    if result.returncode == inside.NO_GIT:
        raise LaunchError(f"there is no git in {bottle.name}", "choose an image that has it")
    if result.returncode != 0:
        said = result.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2][:300]
        hint = "give the bottle more room for its workspace, see its backend's section" if "space" in said else None
        raise LaunchError(f"the workspace could not be brought into {bottle.name}: {said}", hint)
    return result


def _borrow_index(scratch: Scratch, repository: Repository) -> None:
    """Copy the index, with its time: by that git knows which files may have changed within the same moment."""
    for path in (repository.git / "index", *repository.git.glob("sharedindex.*")):
        with suppress(FileNotFoundError):
            found = path.lstat()
            if not stat.S_ISREG(found.st_mode):
                raise BottleError(f"{path} is no file of a repository")
            (scratch.git / path.name).write_bytes(read_small(path, 1 << 31))
            os.utime(scratch.git / path.name, ns=(found.st_atime_ns, found.st_mtime_ns))
    if (repository.common / "info" / "exclude").is_file():
        (scratch.git / "info" / "exclude").write_bytes(read_small(repository.common / "info" / "exclude", 1 << 20))


def read_state(scratch: Scratch) -> State:
    """Return how each file of the working tree that the scratch looks at comes in."""
    listed = names(scratch.run("ls-files", "-z", "-t", "--stage", "--deleted", "--modified"))
    tagged = [(it[:1], *it[2:].partition(b"\t")[::2]) for it in listed]
    rows = [row for row in tagged if row[0] not in {DELETED, MODIFIED}]
    links = {path for _, head, path in rows if head.startswith(LINK_TO_COMMIT)}
    absent = {path for tag, _, path in rows if tag == ABSENT} - links
    tracked = {path for _, _, path in rows} - links - absent
    gone = {path for tag, _, path in tagged if tag == DELETED} & tracked
    changed = {path for tag, _, path in tagged if tag == MODIFIED} & tracked - gone
    excludes = ("-c", f"core.excludesFile={user_excludes()}")
    others = names(scratch.run(*excludes, "ls-files", "-z", "--others", "--exclude-standard"))
    blobs = {path: head.split()[1] for _, head, path in rows}
    filtered = {path for path in filtered_paths(scratch, tracked) - gone if differs(scratch, path, blobs[path])}
    untracked = {path for path in others if not path.endswith(b"/")}
    raw = changed | filtered | untracked
    return State(
        index=b"".join(head + b"\t" + path + b"\0" for _, head, path in rows),
        clean=tuple(sorted(tracked - gone - raw)),
        raw=tuple(sorted(raw)),
        absent=tuple(sorted(absent)),
        filtered=tuple(sorted(filtered)),
        links=tuple(sorted(links)),
        nested=tuple(sorted(path.rstrip(b"/") for path in others if path.endswith(b"/"))),
        dirty=bool(changed or untracked or gone),
    )


def is_committed(scratch: Scratch, head: Head) -> bool:
    """Say whether the index has what the commit has that is checked out."""
    if head.commit is None:
        return not scratch.run("ls-files", "-z")
    return scratch.holds("diff-index", "--cached", "--quiet", "--ignore-submodules=all", head.commit)


def names(output: bytes) -> list[bytes]:
    """Return what `-z` put apart."""
    return output.split(b"\0")[:-1]


def filtered_paths(scratch: Scratch, tracked: set[bytes]) -> set[bytes]:
    """Return the files that a filter of the user's makes, such as git-lfs; none is run for it."""
    if not any(path.rpartition(b"/")[2] == b".gitattributes" for path in tracked):
        return set()
    asked = b"".join(path + b"\0" for path in tracked)
    fields = names(scratch.run("check-attr", "-z", "--stdin", "filter", stdin=asked))
    triples = zip(fields[::3], fields[2::3], strict=True)
    return {path for path, value in triples if value not in {b"unspecified", b"unset"}}


def differs(scratch: Scratch, path: bytes, blob: bytes) -> bool:
    """Say whether a file is not, byte for byte, what the index has."""
    file = os.path.join(os.fsencode(scratch.tree), path)  # noqa: PTH118 - a name in bytes
    if not stat.S_ISREG(os.lstat(file).st_mode):
        return False
    with open(file, "rb") as data:  # noqa: PTH123 - as above
        return scratch.run("hash-object", "--no-filters", "--stdin", stdin=data).strip() != blob


def _lay(
    tar: Tar, repository: Repository, state: State, head: Head, objects: Sequence[Path], refs: Mapping[str, str]
) -> None:
    """Write what `inside.LAY` reads."""
    for path in objects:
        tar.take(path.parent, os.fsencode(path.name), ".git/objects/pack/")
    for name, paths in (("clean", state.clean), ("absent", state.absent), ("filtered", state.filtered)):
        tar.add(f".git/bottle/{name}", b"".join(path + b"\0" for path in paths))
    nested = b"".join(path + b"\0" for path in state.nested)
    if nested:
        tar.add(".git/bottle-within", nested)
    tar.add(".git/bottle/index", state.index)
    tar.add(".git/bottle/settings", read_settings(repository).encode("utf-8", "surrogateescape"))
    tar.add(".git/HEAD", os.fsencode(f"ref: {head.branch}\n" if head.branch else f"{head.commit}\n"))
    rows = "".join(f"{found} {name}\n" for name, found in sorted(refs.items()))
    tar.add(".git/packed-refs", os.fsencode(rows))
    for name in ("shallow", "info/exclude"):
        if (repository.common / name).is_file():
            tar.add(f".git/{name}", read_small(repository.common / name, 1 << 24))
    for path in state.raw:
        tar.take(repository.tree, path)


def _copy_folder(bottle: Bottle, folder: Path) -> None:
    """Put a folder that is no repository into the workspace; repositories below it come as such."""
    within: list[str] = []

    def write(tar: Tar) -> None:
        for path in walk(folder, within):
            tar.take(folder, path)

    with streamed(write) as stream:
        done(bottle, bottle.exec(inside.UNPACK, stdin=stream))
    nested = b"".join(os.fsencode(place) + b"\0" for place in within)
    env = {"BOTTLE_AT": "", "BOTTLE_DIR": stay.PLAIN}
    commit, tree = done(bottle, bottle.exec(inside.BEGIN, stdin=nested, env=env)).stdout.decode().split()
    stay.remember(bottle, "", stay.Part(kept_repository(folder), tree, start=commit, plain=True))
    for place in within:
        if (inner := open_repository(folder / place)) is not None:
            _bring(bottle, inner, place)


def walk(folder: Path, within: list[str]) -> Iterator[bytes]:
    """Yield what lies below a folder, relative to it, and note the repositories there instead of their files."""
    for place, folders, files in os.walk(folder):
        for name in list(folders):
            path = Path(place, name)
            if not path.is_symlink() and open_repository(path) is not None:
                within.append(path.relative_to(folder).as_posix())
                folders.remove(name)
        for name in (*folders, *files):
            yield os.fsencode(Path(place, name).relative_to(folder))
