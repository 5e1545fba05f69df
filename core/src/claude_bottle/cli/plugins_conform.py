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
@click.option("--stage", help="The backend on which what is no backend is tried; default: the kit's own.")
@click.option("--section", default="{}", metavar="JSON", help="What a manifest would say in the plugin's section.")
@click.option(
    "--lack", "lacks", multiple=True, metavar="WORD=REASON", help="What the kit lets it lack; the reason is shown."
)
@click.option("--port", type=click.IntRange(1, 65535), help="Where a proxy's upstream listens, if it dials no other.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(  # noqa: PLR0913 - one parameter for each option
    name: str,
    words: tuple[str, ...],
    stage: str | None,
    section: str,
    lacks: tuple[str, ...],
    port: int | None,
    form: str,
    *,
    debug: bool,
) -> int:
    """Run the contracts of its kind against a plugin, by NAME or KIND/NAME. Exit 1 if it breaks one.

    It needs what `claude-bottle-core[testing]` installs. What this machine cannot try is skipped, with the reason.
    """
    from claude_bottle.cli.conforming import Trial, conform  # noqa: PLC0415 - `plugins list` needs none of it

    del debug
    return 0 if conform(name, words, Trial(stage, section, lacks, port), form) else FAILED
