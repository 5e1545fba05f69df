"""The way out: bytes of a pack go into a repository of our own, are judged there, and then become branches."""

import os
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from bottle_git import inside, stay
from bottle_git.branches import HEAD, Found, make_branches
from bottle_git.judge import REPOSITORY, Barred, judge, leaving
from bottle_git.refs import read_head, read_refs
from bottle_git.review import review
from bottle_git.scratch import Scratch, open_scratch
from bottle_git.source import Repository, open_repository
from claude_bottle.errors import BottleError, NameTakenError, map_exceptions
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.printable import printable

__all__ = ["bring_out", "show"]

LINE = re.compile(rb"(?:(head|ref) ([0-9a-f]{40,64})(?: ([^\x00-\x20\x7f]+))?|(work) ([0-9a-f]{40,64}))")
MOST_REFS = 100
TRIES = 3
DEADLINE = 900.0
"""Seconds that the bottle may take to send: what runs there may be made to hang."""
GONE = f"0 {'0' * 40}"


class Sent(Struct, frozen=True):
    """What came from inside: the commit that is checked out there, other branches, and a commit of the working tree."""

    head: str
    refs: tuple[tuple[str, str], ...]
    work: str
    pack: bytes


def bring_out(bottle: Bottle, folder: Path) -> Sequence[str]:
    """Make branches of what was done, and return what there is to tell; BottleError if something cannot come out."""
    del folder
    lines: list[str] = []
    with map_exceptions({OSError: BottleError}, _again(bottle)):
        for at, part in list(stay.parts(bottle)):
            with _received(bottle, at, part) as (scratch, found):
                lines += _keep(bottle, at, scratch, found)
    return lines


def show(bottle: Bottle, folder: Path) -> bytes:
    """Return what is new as patches: commits one by one, then what is not committed."""
    del folder
    text = b""
    plain = ("--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=all", "-M")
    for at, part in list(stay.parts(bottle)):
        with _received(bottle, at, part) as (scratch, found):
            shas = [commit for _, commit in found.heads]
            if shas:
                text += scratch.run("log", "-p", "--reverse", "-m", "--first-parent", *plain, *shas, "--not", "--all")
            if found.tree:
                before = found.head or scratch.run("hash-object", "-t", "tree", "-w", "--stdin").decode().strip()
                text += b"\nnot committed:\n\n" + scratch.run("diff-tree", "-r", "-p", *plain, before, found.tree)
    return text


def _trees(found: Found) -> list[str]:
    return [*(commit for _, commit in found.heads), *([found.tree] if found.tree else [])]


def _is_part(bottle: Bottle, at: str, barred: Barred) -> bool:
    """Say whether a path is a repository that came in, and so comes out on its own."""
    place = f"{at}/{barred.path}".lstrip("/")
    return barred.why == REPOSITORY and any(other == place for other, _ in stay.parts(bottle))


def _still_there(part: stay.Part) -> Repository:
    """Return the repository if it is where it was; BottleError if it has moved."""
    repository = part.repository
    if part.plain and repository.objects.is_dir():
        return repository
    found = open_repository(repository.tree)
    if found is None or found.common != repository.common:
        hint = "put it back where it was, then bottle pull again"
        raise BottleError(f"there is no repository at {repository.tree} any more", hint)
    return found


@contextmanager
def _received(bottle: Bottle, at: str, part: stay.Part) -> Generator[tuple[Scratch, Found]]:
    repository = _still_there(part)
    refs = read_refs(repository)
    head = read_head(repository, refs)
    with open_scratch(repository) as scratch:
        scratch.know({*refs.values(), *([head.commit] if head.commit else [])})
        sent = _receive(bottle, at, scratch, part)
        if sent is None:
            yield scratch, Found(head="")
            return
        scratch.run("index-pack", "--strict", "--stdin", "--fix-thin", stdin=sent.pack, hint=_unsound(bottle))
        yield scratch, _find(scratch, sent, part)


def _again(bottle: Bottle) -> str:
    return f"nothing is lost: bottle pull {bottle.name} tries again"


def _unsound(bottle: Bottle) -> str:
    return f"what came is not sound: bottle exec {bottle.name} -- git fsck"


def _receive(bottle: Bottle, at: str, scratch: Scratch, part: stay.Part) -> Sent | None:
    """Have the bottle send what is new; None where a repository within was removed. Nothing of it is believed yet."""
    known = "".join(f"{it}\n" for it in scratch.known()).encode()
    env = {"BOTTLE_AT": at, "BOTTLE_DIR": stay.PLAIN if part.plain else ""}
    result = bottle.exec(inside.SEND, stdin=known, env=env, timeout=DEADLINE)
    if result.returncode == inside.NO_REPOSITORY and at:
        return None
    if result.returncode != 0:
        said = result.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2][:300]
        if result.returncode == inside.NO_REPOSITORY:
            said = f"/workspace/{at} is no repository any more"
        raise BottleError(f"the work in {bottle.name} could not be read: {said}", f"bottle exec {bottle.name}")
    head, _, pack = result.stdout.partition(b"\n\n")
    return _read_lines(head.splitlines(), scratch.form, pack)


def _read_lines(lines: Sequence[bytes], form: str, pack: bytes) -> Sent:
    size = 64 if form == "sha256" else 40
    head, work, refs = "", "", list[tuple[str, str]]()
    for line in lines:
        found = LINE.fullmatch(line)
        if found is None or len(found[2] or found[5]) != size or len(refs) > MOST_REFS:
            raise BottleError("what came out of the bottle is not what was asked for")
        if found[4]:
            work = found[5].decode()
        elif found[1] == b"head":
            head = found[2].decode()
        else:
            refs.append((found[3].decode("utf-8", "replace") if found[3] else "", found[2].decode()))
    if not work:
        raise BottleError("what came out of the bottle is not what was asked for")
    return Sent(head, tuple(refs), work, pack)


def _find(scratch: Scratch, sent: Sent, part: stay.Part) -> Found:
    """Judge what came and return what of it is new."""
    tips: list[str] = sorted({commit for commit in (sent.head, *(commit for _, commit in sent.refs)) if commit})
    for tip in (*tips, sent.work):
        if scratch.run("cat-file", "-t", tip).strip() != b"commit":
            raise BottleError(f"{tip} in the bottle is no commit")
    scratch.run("rev-list", "--objects", "--quiet", *tips, sent.work, "--not", "--all")
    judge(scratch, tips)
    heads = [(HEAD, sent.head), *((name, commit) for name, commit in sent.refs if commit != sent.head)]
    new: list[tuple[str, str]] = []
    for name, commit in heads:
        others = [other for _, other in new]
        if commit and scratch.run("rev-list", "-1", commit, "--not", "--all", *others):
            new.append((name, commit))
    tree, dropped = _working_tree(scratch, sent)
    base = f"{sent.head}^{{tree}}" if sent.head else ""
    committed = scratch.lines("rev-parse", base)[0] if base else ""
    untouched = (
        tree in {committed, part.seen}
        or (tree == part.tree and sent.head == part.start)
        or _is_empty(scratch, tree, base)
    )
    if untouched:  # a plain folder begins with a commit that is not known here
        new = [(name, commit) for name, commit in new if commit != part.start]
    return Found(sent.head, tuple(new), "" if untouched else tree, dropped)


def _is_empty(scratch: Scratch, tree: str, base: str) -> bool:
    return not base and not scratch.run("ls-tree", tree)


def _working_tree(scratch: Scratch, sent: Sent) -> tuple[str, tuple[Barred, ...]]:
    """Return the working tree, without links and repositories that may not come out, and these."""
    dropped = tuple(leaving(scratch, sent.work, sent.head))
    tree = scratch.lines("rev-parse", f"{sent.work}^{{tree}}")[0]
    if dropped:
        scratch.run("read-tree", tree)
        rows = (f"{' '.join(it.before) if it.before else GONE}\t{it.path}\0" for it in dropped)
        scratch.run("update-index", "-z", "--index-info", stdin=os.fsencode("".join(rows)))
        tree = scratch.lines("write-tree")[0]
    return tree, dropped


def _keep(bottle: Bottle, at: str, scratch: Scratch, found: Found) -> list[str]:
    """Put what was found into the user's repository, as branches of this bottle; the user's own stay as they are."""
    for left in reversed(range(TRIES)):
        part = dict(stay.parts(bottle))[at]
        try:
            made = make_branches(scratch, part, found, bottle.slug)
        except NameTakenError:  # somebody was quicker; what is taken is seen at the next look
            if not left:
                raise
        except OSError as error:
            what = f"{part.repository.common} cannot be written: {error.strerror or error}"
            raise BottleError(what, _again(bottle)) from error
        else:
            stay.remember(bottle, at, made.part)
            lines = [
                *made.lines,
                *(review(scratch, part.start, _trees(found)) if made.lines else []),
                *([f"in {part.repository.git}"] if part.plain and made.lines else []),
                *(f"left out: {it.path} ({it.why})" for it in found.dropped if not _is_part(bottle, at, it)),
            ]
            return [printable(f"{at}: {line}" if at else line) for line in lines]
    return []
