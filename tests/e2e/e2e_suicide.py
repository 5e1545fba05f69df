"""A launch that kills itself where a test wants it to."""

__all__ = ["PHASES", "SUICIDE"]

PHASES = ["site", "proxy", "images", "bottle", "proxy ready", "provision", "proof", "provision 2", "removing"]
SUICIDE = """
import os, signal, sys
from contextlib import contextmanager
from claude_bottle.cli.main import main
from claude_bottle.launch.phases import Phases

end, where = sys.argv.pop(1), sys.argv.pop(1)
counts, phase = {}, Phases.phase

@contextmanager
def deadly(self, name):
    counts[name] = counts.get(name, 0) + 1
    here = (name if counts[name] == 1 else f"{name} {counts[name]}") == where
    if here and end == "begin":
        os.kill(os.getpid(), signal.SIGKILL)
    with phase(self, name):
        yield
        if here and end == "end":
            os.kill(os.getpid(), signal.SIGKILL)

Phases.phase = deadly
main()
"""
"""`bottle`, which kills itself when a phase of the launch begins or when its work is done."""
