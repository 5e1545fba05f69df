"""`bottle start`: the preflight, the question, the launch."""

from pathlib import Path

import click

from claude_bottle.cli.errors import FAILED, LAUNCH_FAILED, fail, reported, say
from claude_bottle.cli.surroundings import read_surroundings, stdin_is_terminal
from claude_bottle.errors import BottleError, UsageError
from claude_bottle.launch.prepare import Prepared, prepare
from claude_bottle.launch.sources import Request, Surroundings
from claude_bottle.plan.view import render_json, render_text, view_plan
from claude_bottle.plugins.record import Outcome, Record

__all__ = ["command"]

EPILOG = """\b
Examples:
  bottle start reviewer                      show the plan, ask, hand over the terminal
  bottle start reviewer --dry-run            show the plan, do nothing
  bottle start shell --yes -- curl -sS https://example.com
  bottle start reviewer --cwd                with the repository of this folder at /workspace
  bottle start reviewer --detach             leave it running; then bottle attach reviewer
"""


def _split_secret_file(
    _context: click.Context, _option: click.Parameter, values: tuple[str, ...]
) -> list[tuple[str, Path]]:
    pairs = [value.partition("=") for value in values]
    for name, equals, path in pairs:
        if not (name and equals and path):
            raise click.BadParameter("write it as NAME=PATH")
    return [(name, Path(path)) for name, _, path in pairs]


@click.command("start", epilog=EPILOG, context_settings={"ignore_unknown_options": False})
@click.argument("agent")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.option("--file", "-f", type=click.Path(path_type=Path), help="The manifest; default: bottle.yaml here or above.")
@click.option("--cwd", "workspace", is_flag=True, help="Bring the repository of this folder to /workspace.")
@click.option("--backend", help="The backend that runs the bottle.")
@click.option("--proxy", help="The proxy that is its way out.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask; an unknown manifest must be named with --file.")
@click.option("--detach", "-d", is_flag=True, help="Leave the bottle running and return.")
@click.option("--dry-run", is_flag=True, help="Show the plan and do nothing.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="Of a dry run.")
@click.option(
    "--secret-file",
    "secret_files",
    multiple=True,
    metavar="NAME=PATH",
    callback=_split_secret_file,
    help="Read a secret from a file instead of asking.",
)
@click.option("--timings", is_flag=True, help="Say at the end how long each phase took.")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported(LAUNCH_FAILED)
def command(  # noqa: PLR0913 - one parameter for each option
    agent: str,
    words: tuple[str, ...],
    file: Path | None,
    backend: str | None,
    proxy: str | None,
    form: str,
    secret_files: list[tuple[str, Path]],
    *,
    workspace: bool,
    yes: bool,
    detach: bool,
    dry_run: bool,
    timings: bool,
    debug: bool,
) -> int:
    """Show what a launch will do, ask, and run AGENT in a bottle.

    After `--`: words that begin with - are the agent's own arguments, else a command that runs instead of it.
    """
    if form == "json" and not dry_run:
        raise UsageError("--format=json goes with --dry-run", "add --dry-run")
    del debug
    asks = dry_run or (not yes and stdin_is_terminal())
    request = Request(agent, file, backend, proxy, workspace, words, tuple(secret_files), asks)
    around = read_surroundings()
    if dry_run:
        return _dry_run(request, around, form)
    from claude_bottle.cli.starting import start  # noqa: PLC0415 - a dry run launches nothing

    if not yes and stdin_is_terminal():
        from claude_bottle.cli.trusting import offer_trust  # noqa: PLC0415 - where nobody can be asked, nobody is

        offer_trust(request)
    prepared = _prepare(request, around)
    return start(prepared, around, yes=yes, detach=detach, timings=timings)


def _prepare(request: Request, around: Surroundings) -> Prepared:
    """Make the plan of a launch, and keep what the plugins' loads found for `bottle plugins list`."""
    from claude_bottle.plugins.memory import Memory  # noqa: PLC0415 - a dry run keeps nothing

    found: dict[Record, Outcome] = {}
    try:
        return prepare(request, around._replace(note_load=found.__setitem__), check_machine=True)
    finally:
        Memory(around.state_dir).note(found)


def _dry_run(request: Request, around: Surroundings, form: str) -> int:
    """Print the preflight alone; a failure here is a dry run with problems."""
    try:
        prepared: Prepared = prepare(request, around, check_machine=False)
    except BottleError as error:
        fail(error, FAILED)
    view = view_plan(prepared.plan)
    click.echo(render_json(view) if form == "json" else render_text(view), nl=False)
    for what in prepared.not_checked:
        say(f"not checked: {what}")
    return 0
