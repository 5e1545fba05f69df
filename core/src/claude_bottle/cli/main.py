"""The entry point of `bottle`: answers `--version` at once, and imports nothing but the command that is called."""

import os
import sys

from claude_bottle import __version__

__all__ = ["main"]

INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with its code; 130 after Ctrl-C, as every shell has it."""
    open_closed_streams()
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"bottle {__version__}\n")
        return
    try:
        from claude_bottle.cli.group import run  # noqa: PLC0415 - click alone is more than `--version` may cost

        code = run()
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def open_closed_streams() -> None:
    """Give a standard stream that we were started without to nobody: else the next socket would have its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nobody = os.open(os.devnull, os.O_RDWR)
            os.dup2(nobody, number)
            if nobody != number:
                os.close(nobody)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8", closefd=False))
