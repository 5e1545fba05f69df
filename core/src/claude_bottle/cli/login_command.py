"""`bottle login`: stores the credential of an agent's program once, for all its bottles."""

import sys
from pathlib import Path

import click

from claude_bottle.cli.errors import reported, say
from claude_bottle.cli.surroundings import ask_hidden, read_surroundings, stdin_is_terminal
from claude_bottle.errors import BottleError, UnavailableError
from claude_bottle.launch.cores import forbid_core_files
from claude_bottle.launch.credentials import agent_credentials, pick_credential
from claude_bottle.launch.fetch import keyring_trouble
from claude_bottle.launch.logins import Kept, Logins, Where
from claude_bottle.seam.part import Credential
from claude_bottle.seam.secrets import LONGEST, check_credential

__all__ = ["command"]

EPILOG = """\b
Examples:
  bottle login claude                        says how to make a token, and asks for it
  pass show claude | bottle login claude     from another store
  bottle login claude --file                 where there is no keyring
  bottle logout claude
"""


@click.command("login", epilog=EPILOG)
@click.argument("agent")
@click.option("--as", "name", metavar="VARIABLE", help="Which of its credentials this is, where it cannot be told.")
@click.option("--file", "file", is_flag=True, help="Keep it in a file of yours (0600), not in the keyring.")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(agent: str, name: str | None, *, file: bool, debug: bool) -> int:
    """Store a token or key of AGENT, an agent plugin such as claude, in the keyring.

    It is asked for without echo, or read from stdin. A proxy that can inject it keeps it from the agent.
    """
    del debug
    around = read_surroundings()
    known = agent_credentials(agent, around)
    forbid_core_files()
    value = _read(known)
    credential = pick_credential(known, value, name)
    check_credential(credential.name, value)
    logins = Logins(around.state_dir)
    path = logins.file(credential.name)
    where: Where = "file" if file or not _has_keyring(path) else "keyring"
    try:
        left = logins.keep(Kept(credential.name, agent, where), value)
    except UnavailableError as error:
        raise UnavailableError(error.message, f"{error.hint}; or add --file to keep it in {path}") from error
    place = "the keyring" if where == "keyring" else str(path)
    say(f"stored {credential.what} for {agent} in {place}, as {credential.name}")
    for it in left:
        say(f"warning: what was stored before is still there: {it}")
    for other in known:
        if around.environ.get(other.name):
            say(f"{other.name} is set here, and goes before it")
    return 0


def _read(known: tuple[Credential, ...]) -> str:
    if not stdin_is_terminal():
        value = sys.stdin.buffer.read(LONGEST + 1).decode("utf-8", "surrogateescape").strip()
        if not value:
            raise BottleError("there is nothing on stdin", "pipe the token in, or run it from a terminal")
        return value
    for it in known:
        say(f"{it.name}: {it.what}" + (f"; {it.how}" if it.how else ""))
    return ask_hidden("paste it here (it is not shown)").strip()


def _has_keyring(path: Path) -> bool:
    """Say whether there is a keyring; where there is none, only a yes of the user's makes it a file at `path`."""
    trouble = keyring_trouble()
    if trouble is None:
        return True
    if not stdin_is_terminal():
        raise BottleError(trouble.message, f"{trouble.hint}; or add --file to keep it in {path}")
    question = f"{trouble.message}. Keep it in {path}, which you alone can read?"
    if not click.confirm(question, default=False, err=True):
        raise BottleError("nothing was stored", trouble.hint)
    return False
