"""What ssh inside is told, and what a bottle must have for it."""

from collections.abc import Iterator

import pytest

from bottle_ssh.inside import Surroundings, client_config, look_around
from claude_bottle.errors import LaunchError
from claude_bottle.manifest.types import Ssh
from claude_bottle.testing.bottle import LocalBottle
from claude_bottle.testing.contract import load_target
from claude_bottle.testing.ground import Held, ground_of
from claude_bottle.testing.local import TARGET

AROUND = Surroundings("/home/agent/.ssh", "proxy:3128", "/home/agent/.ssh/agent.sock")


@pytest.fixture(scope="module")
def held() -> Iterator[Held]:
    """A bottle of this machine's own programs."""
    with ground_of(load_target("backend", "local", TARGET), {}) as ground, ground.start("inside") as held:
        yield held


def test_what_a_bottle_lacks_is_said(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image may have neither ssh nor perl: the launch ends with both named, and where to put them."""
    assert look_around(held.bottle).proxy.startswith("127.0.0.1:")
    assert isinstance(held.bottle, LocalBottle)
    monkeypatch.setitem(held.bottle._env, "PATH", "/nonexistent")  # pyright: ignore[reportPrivateUsage] - white box
    with pytest.raises(LaunchError, match="no ssh and no perl") as caught:
        look_around(held.bottle)
    assert "in the bottle's image" in str(caught.value.hint)


def test_entries_of_one_host_share_a_block() -> None:
    """The first says user and port, each brings its key; every block holds ssh to the host's key and to the proxy."""
    entries = [
        Ssh(host="one.example", user="git", identity_file="/a"),
        Ssh(host="two.example", user="me", port=2222, identity_file="/b"),
        Ssh(host="one.example", user="root", port=23, identity_file="/b"),
    ]
    names = {"/a": {"bottle-1.pub": b""}, "/b": {"bottle-2.pub": b"", "bottle-2-cert.pub": b""}}
    first, second = client_config(AROUND, entries, names).split("Host ")[1:]
    assert first.startswith("one.example\n    User git\n    Port 22\n    IdentityFile /home/agent/.ssh/bottle-1.pub\n")
    assert "CertificateFile /home/agent/.ssh/bottle-2-cert.pub" in first
    assert second.startswith("two.example\n    User me\n    Port 2222\n")
    assert "bottle-1" not in second
    for block in (first, second):
        assert "StrictHostKeyChecking yes" in block
        assert "ProxyCommand perl /home/agent/.ssh/connect.pl proxy:3128 %h %p" in block
