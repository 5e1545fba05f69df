"""Trees into and out of a bottle: names, bytes, modes and links, and no way around them."""

import pytest

from claude_bottle.errors import BottleError, NotFoundError
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.tree import Entry, FileEntry, FolderEntry, LinkEntry

__all__ = ["TreeContract"]

NAMES = [
    "plain",
    " ",
    "-rf",
    "a b",
    "new\nline",
    "\r",
    "'\"`$(id)",
    "\\",
    "*",
    "..x",
    ".hidden",
    "\u00e9\u4e2d\U0001f37e",
    "x" * 199,
]
MODES = [0o400, 0o444, 0o600, 0o644, 0o700, 0o755]


def fresh(bottle: Bottle) -> str:
    """Return a new folder inside."""
    return bottle.exec("mktemp -d").stdout.decode().strip()


def processes(bottle: Bottle) -> int:
    """Return how many processes there are inside."""
    return len(bottle.exec("ls -d /proc/[0-9]*").stdout.split())


class TreeContract:
    """What `put` and `get` promise."""

    def test_what_is_put_is_what_is_got(self, bottle: Bottle) -> None:
        """Names, contents, modes and links come back as they went in, in a read-only folder too."""
        entries: list[Entry] = [FolderEntry(".", 0o755), FolderEntry("sub", 0o555)]
        for number, name in enumerate(NAMES):
            mode = MODES[number % len(MODES)]
            entries.append(FileEntry(f"sub/{name}", name.encode() * number, mode))
            entries.append(LinkEntry(f"sub/to {name}", name))
        top = fresh(bottle)
        bottle.put(entries, f"{top}/tree")
        assert sorted(bottle.get(f"{top}/tree"), key=repr) == sorted(entries, key=repr)

    def test_a_single_file_has_its_own_name(self, bottle: Bottle) -> None:
        """`get` of a file yields that file."""
        top = fresh(bottle)
        bottle.put([FileEntry("deep/er/name", b"data", 0o640)], top)
        assert list(bottle.get(f"{top}/deep/er/name")) == [FileEntry("name", b"data", 0o640)]

    def test_what_is_there_is_replaced_and_the_rest_stays(self, bottle: Bottle) -> None:
        """S27: a file takes the place of a file, whatever its mode was."""
        top = fresh(bottle)
        bottle.put([FileEntry("a", b"old", 0o400), FileEntry("b", b"kept")], top)
        bottle.put([FileEntry("a", b"new", 0o755)], top)
        assert list(bottle.get(top))[1:] == [FileEntry("a", b"new", 0o755), FileEntry("b", b"kept", 0o644)]

    @pytest.mark.parametrize("link", ["tree", "tree/sub", "tree/sub/file"])
    def test_a_link_in_the_way_is_replaced_never_followed(self, bottle: Bottle, link: str) -> None:
        """F6: wherever the agent puts a link, nothing is written through it."""
        top = fresh(bottle)
        make = "mkdir -p victim/sub tree/sub; echo precious > victim/file; cp victim/file victim/sub"
        bottle.exec(f"cd {top}; {make}")
        bottle.exec(f"rm -rf {top}/{link}; ln -s {top}/victim{'/file' if link.endswith('file') else ''} {top}/{link}")
        bottle.put([FileEntry("sub/file", b"written")], f"{top}/tree")
        assert bottle.exec(f"cat {top}/victim/file {top}/victim/sub/file").stdout == b"precious\nprecious\n"
        assert bottle.exec(f"cat {top}/tree/sub/file").stdout == b"written"

    def test_links_are_got_as_links(self, bottle: Bottle) -> None:
        """F6: a link to somewhere else brings its target's name, not what lies there."""
        top = fresh(bottle)
        bottle.exec(f"ln -s /etc/passwd {top}/file; ln -s /etc {top}/folder; ln {top}/file {top}/hard")
        expected = [
            FolderEntry(".", 0o700),
            LinkEntry("file", "/etc/passwd"),
            LinkEntry("folder", "/etc"),
            LinkEntry("hard", "/etc/passwd"),
        ]
        assert sorted(bottle.get(top), key=lambda entry: entry.name) == expected
        assert list(bottle.get(f"{top}/folder")) == [LinkEntry("folder", "/etc")]

    def test_what_is_neither_file_folder_nor_link_is_passed_over(self, bottle: Bottle) -> None:
        """F6: a FIFO cannot hang the launcher; setuid bits and sockets do not come out."""
        top = fresh(bottle)
        bottle.exec(f"mkfifo {top}/fifo; cp /bin/true {top}/program; chmod 6755 {top}/program")
        bottle.exec(
            f"perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => \"{top}/socket\", Listen => 1) or die'"
        )
        _, program = bottle.get(top)
        assert isinstance(program, FileEntry)
        assert (program.name, program.mode) == ("program", 0o755)

    @pytest.mark.parametrize("path", ["/nowhere", "/etc/passwd/x", "/tmp/no/such/place"])
    def test_what_is_not_there_is_not_found(self, bottle: Bottle, path: str) -> None:
        """NotFoundError, not an empty tree."""
        with pytest.raises(NotFoundError):
            list(bottle.get(path))

    @pytest.mark.usefixtures("walls")
    def test_what_cannot_be_read_is_an_error(self, bottle: Bottle) -> None:
        """A tree that comes out is whole, or an error."""
        top = fresh(bottle)
        bottle.exec(f"echo > {top}/file; chmod 0 {top}/file")
        with pytest.raises(BottleError):
            list(bottle.get(top))

    @pytest.mark.parametrize("path", ["relative", "/a/../b", "", "/a\0b"])
    def test_a_path_that_is_not_absolute_and_plain_is_refused(self, bottle: Bottle, path: str) -> None:
        """Both ways, before anything is asked of the bottle."""
        with pytest.raises(BottleError):
            bottle.put([], path)
        with pytest.raises(BottleError):
            bottle.get(path)

    @pytest.mark.usefixtures("walls")
    def test_a_place_that_cannot_be_written_is_an_error(self, bottle: Bottle) -> None:
        """The read-only tree says so itself."""
        with pytest.raises(BottleError, match="Read-only file system"):
            bottle.put([FileEntry("x", b"")], "/usr/local")

    def test_a_failing_source_of_entries_is_the_callers_error(self, bottle: Bottle) -> None:
        """F6: a name that leaves the tree is refused before it is sent."""
        with pytest.raises(BottleError, match="leaves its tree"):
            bottle.put([FileEntry("../x", b"")], "/tmp/tree")

    @pytest.mark.usefixtures("walls")
    def test_a_tree_that_is_not_read_to_its_end_leaves_nothing(self, bottle: Bottle) -> None:
        """Whoever stops iterating ends the child inside."""
        top = fresh(bottle)
        bottle.exec(f"for i in 1 2 3; do head -c 3000000 /dev/zero > {top}/$i; done")
        before = processes(bottle)
        found = bottle.get(top)
        next(found)
        del found
        assert processes(bottle) <= before
