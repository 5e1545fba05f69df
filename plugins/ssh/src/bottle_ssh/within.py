"""An ssh-agent inside, for a backend that can carry no socket: it is root's, so that the agent's user cannot read it.

The keys are taken by OpenSSH's own programs outside, as ever: what ssh-add says to an agent there, with all its limits,
is then said once more to the one inside.
"""

import socket
from importlib import resources
from pathlib import Path

from bottle_ssh import wire
from bottle_ssh.agent import KeyAgent
from claude_bottle.errors import LaunchError
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.listening import listen_at

__all__ = ["RecordingAgent", "begin_inside"]

KEEPER = "keeper.pl"
ADDING = {17, 25}
"""What adds a key to an agent, the second with limits (draft-ietf-sshm-ssh-agent)."""
SECONDS = 30.0

BEGIN = """set -e
place=$(mktemp -d /tmp/.ssh-XXXXXXXX)
mkdir -m 700 "$place/own"
chmod 711 "$place"
cat >"$place/own/keeper.pl" <<'END'
{keeper}END
perl "$place/own/keeper.pl" "$place" >"$place/own/said" 2>&1 || {{ cat "$place/own/said" >&2; exit 1; }}
echo "$place/socket"
"""


class RecordingAgent(KeyAgent):
    """An agent outside that also keeps the messages by which keys came to it: `added`, with the keys in them."""

    def __init__(self) -> None:
        super().__init__()
        self.added: list[bytes] = []
        self._listening = listen_at(self._folder / "recorder", _Recorder(self))

    def __repr__(self) -> str:
        return f"<RecordingAgent of {len(self.added)} keys>"

    @property
    def door(self) -> Path:
        """Where ssh-add finds it."""
        return self._folder / "recorder"

    def close(self) -> None:
        """End it, and forget the keys. Idempotent."""
        self._listening.close()
        self.added.clear()
        super().close()


class _Recorder:
    """Stands before the agent while ssh-add talks to it."""

    def __init__(self, agent: RecordingAgent) -> None:
        self._agent = agent

    def serve(self, connection: socket.socket) -> None:
        """See `seam.bottle.Service`."""
        with self._agent.connect() as own:
            while (message := wire.receive(connection)) is not None:
                answer = wire.ask(own, message)
                if message[0] in ADDING and answer[0] == wire.SUCCESS:
                    self._agent.added.append(message)
                wire.send(connection, answer)

    def close(self) -> None:
        """See `seam.bottle.Service`."""


def begin_inside(bottle: Bottle, agent: RecordingAgent) -> str:
    """Start an agent with the same keys inside, and return where its socket is there. It ends with the bottle."""
    keeper = resources.files(__package__ or "").joinpath(KEEPER).read_text(encoding="utf-8")
    keys = b"".join(wire.pack_string(message) for message in agent.added)
    done = bottle.exec(BEGIN.format(keeper=keeper), stdin=keys, root=True, timeout=SECONDS)
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2][:300]
        raise LaunchError(f"the ssh-agent in {bottle.name} could not be started: {said}")
    return done.stdout.decode("utf-8", "replace").strip()
