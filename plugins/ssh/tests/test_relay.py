"""What the relay lets through, before a real ssh-agent that would do more."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ssh_keys import HOST, Home, blob_of

from bottle_ssh import wire
from bottle_ssh.agent import KeyAgent
from bottle_ssh.keys import Identity
from bottle_ssh.known import HostKeys
from bottle_ssh.provision import allow
from bottle_ssh.relay import Allowed, Destination, Relay
from bottle_ssh.wire import pack_string
from claude_bottle.errors import LaunchError
from claude_bottle.manifest.types import Ssh
from claude_bottle.seam.event import Event

SESSION = b"session" * 4
Ask = Callable[..., bytes]


class Line:
    """A client of a relay, and what was reported meanwhile."""

    def __init__(self, agent: KeyAgent, keys: dict[bytes, Allowed]) -> None:
        self.events: list[Event] = []
        self._ours, theirs = socket.socketpair()
        self._relay = Relay(agent, keys, self.events.append)
        self._thread = threading.Thread(target=self._serve, args=(theirs,), daemon=True)
        self._thread.start()

    def _serve(self, theirs: socket.socket) -> None:
        with theirs:
            self._relay.serve(theirs)

    def ask(self, *parts: bytes) -> bytes:
        """Send a message and return the answer."""
        return wire.ask(self._ours, b"".join(parts))

    def close(self) -> None:
        """Hang up."""
        self._ours.close()
        self._thread.join(10)
        assert not self._thread.is_alive()


def sign_with(agent: KeyAgent, key: Path, data: bytes) -> bytes:
    """Return a signature as the owner of an agent gets it, who is not held to anything."""
    with agent.connect() as connection:
        answer = wire.ask(connection, bytes([wire.SIGN]) + pack_string(blob_of(key)) + pack_string(data) + bytes(4))
    assert answer[0] == wire.SIGNED
    return wire.Reader(answer[1:]).string()


def login(key: Path, user: str = "git", session: bytes = SESSION, bound: bytes | None = None) -> bytes:
    """Return what ssh has signed to log in."""
    method = b"publickey" if bound is None else b"publickey-hostbound-v00@openssh.com"
    head = pack_string(session) + b"\x32" + pack_string(user.encode()) + pack_string(b"ssh-connection")
    rest = pack_string(method) + b"\x01" + pack_string(b"ssh-ed25519") + pack_string(blob_of(key))
    return head + rest + (pack_string(bound) if bound is not None else b"")


def signing(key: Path, data: bytes) -> bytes:
    """Return the request to sign."""
    return bytes([wire.SIGN]) + pack_string(blob_of(key)) + pack_string(data) + bytes(4)


class Stage:
    """A home with a key for HOST, a key that is not named, two hosts, and an agent that has all of them.

    `lent` is the user's own agent, which holds a key to nothing: then the key for HOST is there.
    """

    def __init__(self, home: Home, agent: KeyAgent, lent: KeyAgent | None) -> None:
        self.home, self.agent = home, agent
        self.host, self.foreign = home.know(), home.know("other.example.com", "other")
        self.key, self.stray = home.key("id"), home.key("stray")
        if lent is None:
            agent.add(self.key, [f"git@{HOST}"], home.known_hosts.read_text())
        else:
            add_freely(lent, self.key, self.stray)
        add_freely(agent, self.host, self.foreign, self.stray)  # without limits it plays the hosts, and is too free
        self.held = 4 if lent is None else 3
        owner = None if lent is None else Path(socket_of(lent))
        where = (Destination("git", HOST, 22, frozenset({blob_of(self.host)})),)
        self.line = Line(agent, {blob_of(self.key): Allowed("bottle-1", "id", where, owner)})

    def bind(
        self, host: Path, *, session: bytes = SESSION, forwarding: bool = False, signer: Path | None = None
    ) -> int:
        """Bind the line to a host, and return the kind of the answer."""
        signature = sign_with(self.agent, signer or host, session)
        head = bytes([wire.EXTENSION]) + pack_string(wire.SESSION_BIND) + pack_string(blob_of(host))
        return self.line.ask(head, pack_string(session), pack_string(signature), bytes([forwarding]))[0]

    def sign(self, data: bytes, key: Path | None = None) -> int:
        """Ask for a signature, and return the kind of the answer."""
        return self.line.ask(signing(key or self.key, data))[0]


@pytest.fixture(params=["held", "lent"])
def stage(request: pytest.FixtureRequest, home: Home, agent: KeyAgent) -> Iterator[Stage]:
    """It, with the key in the agent that is held to its host, and in one that signs whatever it is asked."""
    lent = KeyAgent() if request.param == "lent" else None
    try:
        if lent is not None:
            lent.await_start()
        made = Stage(home, agent, lent)
        yield made
        made.line.close()
    finally:
        if lent is not None:
            lent.close()


def socket_of(agent: KeyAgent) -> str:
    """Return where an agent listens."""
    with agent.connect() as connection:
        return str(connection.getpeername())


def add_freely(agent: KeyAgent, *keys: Path) -> None:
    """Load keys without any limit."""
    subprocess.run(["ssh-add", "-q", *keys], env={"SSH_AUTH_SOCK": socket_of(agent)}, check=True)


def test_a_login_to_the_named_host_is_signed(stage: Stage) -> None:
    """S26: bound to the host by its own signature, for the named user, by either method; and it is reported."""
    assert stage.bind(stage.host) == wire.SUCCESS
    assert stage.sign(login(stage.key)) == wire.SIGNED
    assert stage.sign(login(stage.key, bound=blob_of(stage.host))) == wire.SIGNED
    assert {(it.verdict, it.host, it.port, it.reason) for it in stage.line.events} == {
        ("allow", HOST, 22, f"signed with id for git@{HOST}:22")
    }


def test_nothing_is_signed_before_the_line_is_bound(stage: Stage) -> None:
    """S8: whose connection it is must be known first."""
    assert stage.sign(login(stage.key)) == wire.FAILURE
    assert [it.rule for it in stage.line.events] == ["ssh-destination"]


def test_another_host_gets_no_signature(stage: Stage) -> None:
    """S8: a host that the user knows, and the manifest names for another key."""
    assert stage.bind(stage.foreign) == wire.SUCCESS
    assert stage.sign(login(stage.key)) == wire.FAILURE
    assert wire.Reader(stage.line.ask(bytes([wire.LIST]))[1:]).number() == 0


def test_a_host_cannot_be_claimed(stage: Stage) -> None:
    """S8: without the host's own signature of the session the line is not bound."""
    assert stage.bind(stage.host, signer=stage.foreign) == wire.FAILURE
    assert stage.sign(login(stage.key)) == wire.FAILURE


@pytest.mark.parametrize("what", ["user", "session", "bound", "key", "text", "rest"])
def test_only_the_login_itself_is_signed(stage: Stage, what: str) -> None:
    """S8: another user, session, host or key in what is signed, anything that is no login: refused."""
    assert stage.bind(stage.host) == wire.SUCCESS
    data = {
        "user": login(stage.key, user="root"),
        "session": login(stage.key, session=b"another" * 4),
        "bound": login(stage.key, bound=blob_of(stage.foreign)),
        "key": login(stage.stray),
        "text": b"SSHSIG" + pack_string(b"file"),
        "rest": login(stage.key) + b"more",
    }[what]
    assert stage.sign(data) == wire.FAILURE
    assert stage.sign(login(stage.key)) == wire.SIGNED


def test_a_line_is_bound_once_and_never_forwarded(stage: Stage) -> None:
    """S8: an agent that was carried on to another host would sign for whoever is there."""
    assert stage.bind(stage.host, forwarding=True) == wire.FAILURE
    assert stage.bind(stage.host) == wire.SUCCESS
    assert stage.bind(stage.foreign) == wire.FAILURE
    assert [it.reason for it in stage.line.events] == ["forward the agent"] * 2


def test_a_key_that_is_not_named_is_not_there(stage: Stage) -> None:
    """S8: the agent behind has it, and it is neither listed nor used."""
    with stage.agent.connect() as connection:
        assert blob_of(stage.stray) in wire.list_keys(connection)
    reader = wire.Reader(stage.line.ask(bytes([wire.LIST]))[1:])
    assert (reader.number(), reader.string(), reader.string()) == (1, blob_of(stage.key), b"bottle-1")
    reader.end()
    assert stage.bind(stage.host) == wire.SUCCESS
    assert stage.sign(login(stage.stray), stage.stray) == wire.FAILURE


@pytest.mark.parametrize("kind", [0, 1, 3, 9, 17, 18, 19, 20, 21, 22, 23, 25, 26, 255])
def test_no_other_request_reaches_the_agent(stage: Stage, kind: int) -> None:
    """S8: adding, removing, locking, tokens, the first version's, and what nobody knows: refused and reported."""
    assert stage.line.ask(bytes([kind]), pack_string(b"secret")) == bytes([wire.FAILURE])
    assert [it.rule for it in stage.line.events] == ["ssh-request"]
    with stage.agent.connect() as connection:
        assert len(wire.list_keys(connection)) == stage.held


@pytest.mark.parametrize("message", [b"\x0d", b"\x0d\xff\xff\xff\xff", b"\x1b", b"\x1b\x00\x00\x00\x01x", b"\x0b"])
def test_a_message_that_is_cut_is_refused(stage: Stage, message: bytes) -> None:
    """Whoever writes nonsense gets a refusal, and the line goes on."""
    stage.line.ask(message)
    assert stage.bind(stage.host) == wire.SUCCESS
    assert stage.sign(login(stage.key)) == wire.SIGNED


def test_the_agent_itself_holds_a_key_to_its_host(home: Home, agent: KeyAgent) -> None:
    """S8: also without the relay: ssh-agent refuses a key that was loaded for another destination."""
    host, key = home.know(), home.key("id")
    agent.add(key, [f"git@{HOST}"], home.known_hosts.read_text())
    with agent.connect() as connection:
        assert wire.ask(connection, signing(key, login(key)))[0] == wire.FAILURE
    assert host.exists()


def test_a_passphrase_reaches_ssh_add_alone(home: Home, agent: KeyAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    """The right one loads the key; a wrong one, or none, is an error that says so, and nothing waits for a terminal."""
    home.know()
    key, known = home.key("id", "correct horse"), home.known_hosts.read_text()
    for wrong in ("wrong", None):
        with pytest.raises(LaunchError, match="could not be loaded"):
            agent.add(key, [f"git@{HOST}"], known, wrong)
    seen = home.folder / "seen"
    program = home.folder / "ssh-add"
    program.write_text(
        f'#!/bin/sh\ncat /proc/$$/environ /proc/$$/cmdline > {seen}\nexec {shutil.which("ssh-add")} "$@"\n'
    )
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{home.folder}:{os.environ['PATH']}")
    assert agent.add(key, [f"git@{HOST}"], known, "correct horse") == {blob_of(key)}
    assert b"SSH_ASKPASS" in seen.read_bytes()
    assert b"correct horse" not in seen.read_bytes()


def test_a_certificate_comes_with_its_key(home: Home, agent: KeyAgent) -> None:
    """Both are there: the key, and the certificate beside its file."""
    home.know()
    key, authority = home.key("id"), home.key("authority")
    sign = ["ssh-keygen", "-q", "-s", authority, "-I", "me", "-n", "git", key.with_name("id.pub")]
    subprocess.run(sign, check=True, capture_output=True)
    blobs = agent.add(key, [f"git@{HOST}"], home.known_hosts.read_text())
    assert len(blobs) == 2
    assert blob_of(key) in blobs


def test_a_key_without_a_destination_is_not_loaded(home: Home, agent: KeyAgent) -> None:
    """To ssh-add no limit would mean none at all."""
    with pytest.raises(ValueError, match="destination"):
        agent.add(home.key("id"), [], "")
    with agent.connect() as connection:
        assert wire.list_keys(connection) == []


def test_one_key_by_two_paths_is_an_error(home: Home, agent: KeyAgent) -> None:
    """The second would take the first one's limits away."""
    home.know()
    key, known = home.key("id"), home.known_hosts.read_text()
    copy = home.ssh / "copy"
    copy.write_bytes(key.read_bytes())
    copy.chmod(0o600)
    agent.add(key, [f"git@{HOST}"], known)
    with pytest.raises(LaunchError, match="by another path"):
        agent.add(copy, [f"git@{HOST}"], known)


def test_the_agent_ends_and_leaves_nothing(home: Home) -> None:
    """Its folder, and with it its socket, is gone; closing twice is no error."""
    agent = KeyAgent()
    agent.await_start()
    folders = list((home.folder / "claude-bottle").iterdir())
    assert len(folders) == 1
    with agent.connect() as connection:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    process = Path("/proc", str(int.from_bytes(credentials[:4], sys.byteorder)))
    assert process.joinpath("comm").read_text() == "ssh-agent\n"
    agent.close()
    assert not process.exists()
    agent.close()
    assert list((home.folder / "claude-bottle").iterdir()) == []
    with pytest.raises(OSError, match=r"."):
        agent.connect()


def test_a_certificate_of_a_host_is_enough_where_its_authority_is_held_to_alone() -> None:
    """Whose it is ssh-agent judges, by the destinations of its key; a key in the user's own agent has none."""
    entry = Ssh(host=HOST, user="git", port=22, identity_file="/id")
    hosts = HostKeys((), frozenset({b"key"}), frozenset({b"authority"}))
    held, lent = Identity(Path("/id")), Identity(Path("/id.pub"), public=frozenset({b"mine"}))
    assert [allow("x", it, [(entry, hosts)]).destinations[0].certified for it in (held, lent)] == [True, False]
