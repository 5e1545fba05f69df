"""Plugins as strangers get them wrong: the source of each, and what is said of it once it is loaded."""

from core_harness import User

__all__ = ["BROKEN", "FINE", "HEAD", "vouch"]

HEAD = """
from claude_bottle.declare import NoSection, Plugin, backend, proxy
from claude_bottle.hookspecs import hookimpl
from claude_bottle.seam.probe import Finding, ProbeResult
from claude_bottle.seam.traits import BackendTraits
def declare(impl, **more):
    return Plugin("backend", impl, NoSection, backend_traits=BackendTraits(runs="process"), **more)
"""


def _with(method: str) -> str:
    return f"{HEAD}\nclass Box:\n    @hookimpl\n    {method}\nPLUGIN = declare(Box())\n"


FINE = _with('def probe(self): return ProbeResult(state="ready")')

BROKEN = {
    "import error": ("import no_such_module", "its import failed with ModuleNotFoundError: No module named"),
    "exits": ("raise SystemExit(3)", "its import failed with SystemExit: 3"),
    "exits at once": ("import os; os._exit(0)", "it ends the interpreter with exit code 0"),
    "syntax": ("def (", "its import failed with SyntaxError"),
    "hangs": ("import time; time.sleep(300)", "its import did not end within"),
    "crashes": ("import os; os.abort()", "it ends the interpreter with SIGABRT"),
    "prints": ("print('noise'); raise RuntimeError('noise')", "its import failed with RuntimeError: noise"),
    "raises an empty line": ("raise RuntimeError('a\\nb')", "its import failed with RuntimeError: a"),
    "not a plugin": ("PLUGIN = 1", "is a int, not a declared plugin"),
    "no attribute": ("OTHER = 1", "its import failed with AttributeError"),
    "another kind": (
        f"{HEAD}\nPLUGIN = declare(object())._replace(kind='agent')",
        "declared as agent, installed as backend",
    ),
    "another generation": (f"{HEAD}\nPLUGIN = declare(object(), api=99)", "written for hooks of generation 99"),
    "unknown hook": (_with("def prove(self): ..."), "there is no hook prove"),
    "wrong parameter": (_with("def validate(self, specification): ..."), "validate has no parameter specification"),
    "keyword-only": (_with("def validate(self, *, spec): ..."), "the parameter spec of validate must be a plain one"),
    "one parameter too many": (_with("def probe(self, plan): ..."), "probe has no parameter plan"),
}
"""By what is wrong: the module's source, and what a load says."""


def vouch(user: User, *distributions: str, more: str = "") -> None:
    """Let a user's environment trust distributions as they come, and `config.yaml` say more."""
    user.environ["CLAUDE_BOTTLE_TRUST"] = ",".join(distributions)
    (user.config / "config.yaml").write_text(f"block: [docker]\n{more}")
