"""`bottle plugins trust`: lets a third party's plugins be loaded."""

import click

from claude_bottle.cli.errors import FAILED, reported

__all__ = ["command"]

EPILOG = """\b
Examples:
  bottle plugins trust flyio             look at it, and let it be loaded as it stands
  bottle plugins trust --forget flyio    ask again
"""


@click.command("trust", epilog=EPILOG)
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--forget", is_flag=True, help="Take it back.")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@reported()
def command(name: str, *, yes: bool, forget: bool, debug: bool) -> int:
    """Show what the distribution of a plugin is, and note in plugins.lock that it may be loaded as it stands.

    By NAME, KIND/NAME or distribution. Nothing of it is imported before.
    """
    from claude_bottle.cli.trusting import forget_trust, trust_plugin  # noqa: PLC0415 - `plugins list` needs none of it

    del debug
    if forget:
        forget_trust(name)
        return 0
    return 0 if trust_plugin(name, yes=yes) else FAILED
