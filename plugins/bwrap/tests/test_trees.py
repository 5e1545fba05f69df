"""What holds a tree on its way beside what every backend promises (`claude_bottle.testing`)."""

import io
import tarfile

import pytest

from bottle_bwrap.bottle import BwrapBottle
from bottle_bwrap.streams import Writer
from claude_bottle.errors import BottleError


def test_a_hostile_stream_cannot_leave_its_tree(bottle: BwrapBottle) -> None:
    """F6: what arrives inside is checked there again, however it was made."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("../escaped"))

    def feed(writer: Writer) -> None:
        writer.write(data.getvalue())

    request = {"call": "put", "dest": "/tmp/tree"}
    result = bottle._run("call", request, feed=feed)  # pyright: ignore[reportPrivateUsage] - core cannot say this
    assert result.returncode != 0
    assert bottle.exec("test -e /tmp/escaped").returncode == 1


def test_a_tree_without_end_is_cut_off(bottle: BwrapBottle, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that claims a terabyte and takes none cannot fill the memory of the launcher."""
    monkeypatch.setattr("bottle_bwrap.bottle.MOST", 1 << 20)
    top = bottle.exec("mktemp -d").stdout.decode().strip()
    bottle.exec(f"truncate -s 1T {top}/sparse")
    with pytest.raises(BottleError, match="larger than 1 MiB"):
        list(bottle.get(top))
