"""`bottle allow`: opens a host for a running bottle, and writes it down when asked to."""

from pathlib import Path

import click

from claude_bottle.cli.errors import reported, say
from claude_bottle.cli.running import proved_bottle
from claude_bottle.launch.control import AllowRequest, ask_launcher
from claude_bottle.manifest.amend import add_allowed_host
from claude_bottle.manifest.host import canonical_host

__all__ = ["command"]

EPILOG = """\b
Examples:
  bottle allow reviewer api.example.com
  bottle allow reviewer "*.example.org" --save     also in the manifest, for the next launch
"""


@click.command("allow", epilog=EPILOG)
@click.argument("name")
@click.argument("host")
@click.option("--save", is_flag=True, help="Write the line into the manifest as well.")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(name: str, host: str, *, save: bool, debug: bool) -> None:
    """Open HOST for the running bottle NAME, at the level of its dlp_action; no restart is needed."""
    del debug
    host = canonical_host(host)
    bottle, record = proved_bottle(name)
    ask_launcher(record.socket, AllowRequest(host))
    say(f"{bottle.name} may reach {host}")
    if save:
        path = Path(record.manifest)
        add_allowed_host(path, record.bottle_section, host)
        say(f"written to bottles.{record.bottle_section}.egress.allowlist of {path}; its approval is asked for again")
