"""`bottle plugins conform`: runs the conformance kit against an installed plugin."""

import click

from claude_bottle.cli.errors import FAILED, reported

__all__ = ["command"]

EPILOG = """\b
Examples:
  bottle plugins conform flyio                     of a backend
  bottle plugins conform theirs --stage flyio      a proxy that runs from an image, on a backend that has images
  bottle plugins conform flyio -- -k isolation     words after -- are pytest's
"""


@click.command("conform", epilog=EPILOG)
@click.argument("name")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.option("--stage", help="The backend on which what is no backend is tried; default: see below.")
@click.option("--section", default="{}", metavar="JSON", help="What a manifest would say in the plugin's section.")
@click.option(
    "--lack", "lacks", multiple=True, metavar="WORD=REASON", help="What the kit lets it lack; the reason is shown."
)
@click.option("--port", type=click.IntRange(1, 65535), help="Where a proxy's upstream listens, if it dials no other.")
@click.option("--address", default="", help="An address of this machine that the proxy reaches, for that upstream.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(  # noqa: PLR0913, PLR0917 - one parameter for each option
    name: str,
    words: tuple[str, ...],
    stage: str | None,
    section: str,
    lacks: tuple[str, ...],
    port: int | None,
    address: str,
    form: str,
    *,
    debug: bool,
) -> int:
    """Run the contracts of its kind against a plugin, by NAME or KIND/NAME. Exit 1 if it breaks one.

    It needs what `claude-bottle-core[testing]` installs. What this machine cannot try is skipped, with the reason.
    Without --stage a proxy is tried on the backend that it goes with by default, and whatever goes with none on
    the kit's own, which confines nothing.
    """
    from claude_bottle.cli.conforming import Trial, conform  # noqa: PLC0415 - `plugins list` needs none of it

    del debug
    return 0 if conform(name, words, Trial(stage, section, lacks, address, port or 0), form) else FAILED
