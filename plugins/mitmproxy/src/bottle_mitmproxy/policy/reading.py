"""What comes back, as whoever gets it will read it: one layer of escapes undone, and where each character stood."""

import re
from bisect import bisect_right

__all__ = ["UNFINISHED", "Reading"]

NAMES = {b"hex": rb"[0-9A-Fa-f]", b"base64": rb"[\w+/]"}
MARK = re.compile(
    rb"[%%\\&\r\n](?:"  # what a mark begins with stands first, alone: so regular expressions are fast
    rb"(?<=%%)(%(hex)s{2})"  # a URL
    rb"|(?<=\\)(?:u00(%(hex)s{2})|x(%(hex)s{2})|([/\"'\\]))"  # a string of JSON or of a program
    rb"|(?<=&)(?:#x(%(hex)s{2})|#([0-9]{2,3})|(amp|lt|gt|quot));"  # HTML
    rb"|(?:(?<=%(base64)s\n)|(?<=%(base64)s\r)\n?)[ \t]*(?=%(base64)s|\Z)"  # not an empty line: it ends an event
    rb"|(?<=%(base64)s\\)[nr](?=[\\\w+/]|\Z))" % NAMES
)
"""One character, written in another way; or the end of a line in base64, which is left out."""

UNFINISHED = re.compile(
    rb"(?:%%(?:%(hex)s)?|\\(?:u(?:0(?:0(?:%(hex)s)?)?)?|x(?:%(hex)s)?)?|&(?:#x?%(hex)s{0,3}|[a-z]{0,4}))\Z" % NAMES
)
"""The beginning of a mark that may go on in the next bytes."""

DECIMAL = 10
BASES = {1: 16, 2: 16, 3: 16, 5: 16, 6: DECIMAL}
"""The groups of a mark that hold a character's number, and in which base."""

NAMED = {b"amp": b"&", b"lt": b"<", b"gt": b">", b"quot": b'"'}


class Reading:
    """Bytes as they are read. `text` is shorter than `data` by what the marks take up."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._marks = list(MARK.finditer(data))
        self._at: list[int] = []
        text, done = bytearray(), 0
        for mark in self._marks:
            text += data[done : mark.start()]
            self._at.append(len(text))
            text += _meaning(mark)
            done = mark.end()
        text += data[done:]
        self.text = bytes(text)

    @property
    def ends_a_line(self) -> bool:
        """Tell whether nothing that is read follows the last end of a line."""
        return bool(self._marks) and self._marks[-1].end() == len(self.data) and not _meaning(self._marks[-1])

    def start(self, index: int) -> int:
        """Return where in `data` the character begins that is at an index of `text`."""
        return self._place(index)[0]

    def write(self, index: int, text: bytes, into: bytearray) -> None:
        """Write other characters in the place of those at an index, each in the way, and the bytes, of the old one."""
        for at, new in enumerate(text, index):
            if new != self.text[at]:
                start, mark = self._place(at)
                into[start : mark.end() if mark else start + 1] = _write(new, mark)

    def _place(self, index: int) -> tuple[int, "re.Match[bytes] | None"]:
        """Return where a character begins, and the mark that it is, if it is one."""
        last = bisect_right(self._at, index) - 1
        if last < 0:
            return index, None
        mark, behind = self._marks[last], index - self._at[last]
        size = len(_meaning(mark))
        return (mark.start(), mark) if behind < size else (mark.end() + behind - size, None)


def _meaning(mark: "re.Match[bytes]") -> bytes:
    group = mark.lastindex
    if group is None:
        return b""
    if group not in BASES:
        return NAMED.get(mark[group], mark[group])
    code = int(mark[group], BASES[group])
    return bytes([code]) if code < 1 << 8 else b"?"


def _write(new: int, mark: "re.Match[bytes] | None") -> bytes:
    """Return a character in the way of a mark, or that as it is where it would need more bytes, or fewer."""
    if mark is None:
        return bytes([new])
    group, start = mark.lastindex, mark.start()
    if group not in BASES:
        return mark[0]
    width = len(mark[group])
    number = (b"%0*d" if BASES[group] == DECIMAL else b"%0*x") % (width, new)
    before, after = mark[0][: mark.start(group) - start], mark[0][mark.end(group) - start :]
    return before + number + after if len(number) == width else mark[0]
