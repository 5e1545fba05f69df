"""The group of all commands: each is a module that is imported when its command is called."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click

from claude_bottle import __version__

__all__ = ["Lazy", "LazyGroup", "cli", "run"]


class Lazy(NamedTuple):
    """A command that has not been imported: the module of this package that has it, and its summary."""

    module: str
    summary: str


class LazyGroup(click.Group):
    """A group that knows its commands' summaries without importing them."""

    def __init__(self, *args: Any, lazy: Mapping[str, Lazy], **more: Any) -> None:
        super().__init__(*args, **more)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which a user meets them."""
        del ctx
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        del ctx
        if cmd_name not in self.lazy:
            return None
        module = import_module(f"claude_bottle.cli.{self.lazy[cmd_name].module}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, and suggest the nearest one for a word that is none."""
        if args and args[0] not in self.lazy and not args[0].startswith("-"):
            from difflib import get_close_matches  # noqa: PLC0415 - needed for a mistake alone

            close = get_close_matches(args[0], self.lazy, n=1)
            ctx.fail(f"there is no command {args[0]!r}" + (f", did you mean {close[0]!r}?" if close else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.summary) for name, lazy in self.lazy.items()])


COMMANDS = {
    "start": Lazy("start_command", "Show the plan, ask, and run an agent in a bottle."),
    "exec": Lazy("exec_command", "Run a command, or the script on stdin, in a running bottle."),
    "attach": Lazy("attach_command", "Run the agent of a running bottle in this terminal."),
    "list": Lazy("list_command", "Show the bottles that run."),
    "logs": Lazy("logs_command", "Show what a bottle's proxy allowed and refused."),
    "allow": Lazy("allow_command", "Open a host for a running bottle."),
    "pull": Lazy("pull_command", "Bring out what was done in a bottle."),
    "diff": Lazy("diff_command", "Show what was done in a bottle."),
    "stop": Lazy("stop_command", "End a bottle and remove it."),
    "cleanup": Lazy("cleanup_command", "Remove what crashed launches left."),
    "login": Lazy("login_command", "Store an agent's token or key, once for all bottles."),
    "logout": Lazy("logout_command", "Remove a stored token or key."),
    "doctor": Lazy("doctor_command", "Check this machine, and say what to do."),
    "plugins": Lazy("plugins_command", "Show the plugins that are installed, and what is wrong with them."),
    "agents": Lazy("agents_command", "Update the agents' programs, which nothing else does."),
    "init": Lazy("init_command", "Write a bottle.yaml to begin with."),
    "schema": Lazy("schema_command", "Print the JSON Schema of bottle.yaml."),
    "trust": Lazy("trust_command", "Approve a manifest, so that --yes accepts it."),
    "completions": Lazy("completions_command", "Print the completions for a shell."),
}


@click.command(
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with: bottle init, then bottle start shell. Every command has --help with examples.",
)
@click.version_option(__version__, prog_name="bottle", message="%(prog)s %(version)s")
def cli() -> None:
    """Put a coding agent into a bottle: an isolated place with one inspected way out."""


def run() -> int:
    """Run the command line and return its exit code; KeyboardInterrupt passes, the end of input is a no."""
    try:
        code: int | None = cli(prog_name="bottle", standalone_mode=False)
    except click.ClickException as error:
        from claude_bottle.cli.errors import show_mistake  # noqa: PLC0415 - needed for a mistake alone

        show_mistake(error)
        return error.exit_code
    except click.Abort as error:
        click.echo(err=True)
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        return 1
    return code or 0
