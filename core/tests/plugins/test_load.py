"""Loading: a selected plugin is imported and judged, and what is wrong with it is told with its name."""

import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from claude_bottle.declare import API
from claude_bottle.errors import PluginError
from claude_bottle.plugins.load import Loaded, load
from claude_bottle.plugins.record import Record
from claude_bottle.seam.kinds import Kind

Try = Callable[..., Loaded]

HEAD = """
from claude_bottle.declare import NoSection, Plugin, backend, proxy, agent, provisioner
from claude_bottle.hookspecs import hookimpl
from claude_bottle.seam.probe import ProbeResult
from claude_bottle.seam.traits import BackendTraits

def declare(impl, **more):
    return Plugin("backend", impl, NoSection, backend_traits=BackendTraits(runs="process"), **more)
"""


@pytest.fixture
def attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Try:
    """Return what loads a plugin from its source."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    count = 0

    def one(source: str, target: str = "PLUGIN", kind: Kind = "backend") -> Loaded:
        nonlocal count
        count += 1
        module = f"load_{abs(hash(request.node.nodeid))}_{count}"
        (tmp_path / f"{module}.py").write_text(HEAD + dedent(source))
        record = Record(
            name="box",
            kind=kind,
            distribution="some-box",
            version="1.0",
            target=f"{module}:{target}",
            origin="wheel",
            location=str(tmp_path),
        )
        return load(record)

    return one


def test_a_plugin_is_loaded_and_called(attempt: Try) -> None:
    """What a plugin implements is called by keyword, what it does not implement answers None."""
    loaded = attempt(
        """
        class Box:
            @hookimpl
            def probe(self):
                return ProbeResult(state="ready")
        PLUGIN = declare(Box())
        """
    )
    result = loaded.hooks.probe()
    assert result is not None
    assert result.state == "ready"
    assert loaded.hooks.list_bottles() is None
    assert loaded.name == "box"


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import no_such_module", "its import failed with ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit(0)", "its import failed with SystemExit: 0"),
        ("def (", "its import failed with SyntaxError"),
        ("raise RuntimeError('at import')", "its import failed with RuntimeError: at import"),
        ("OTHER = 1", "its import failed with AttributeError"),
        ("PLUGIN = object()", "is a object, not a declared plugin"),
        ("class Box: pass\nPLUGIN = Box", "is a type, not a declared plugin"),
        ("PLUGIN = provisioner(object(), section=NoSection)", "declared as provisioner, installed as backend"),
        ("PLUGIN = declare(object(), api=99)", f"written for hooks of generation 99, here is {API}"),
    ],
)
def test_what_is_no_plugin_is_told_with_its_distribution(attempt: Try, source: str, what: str) -> None:
    """Whatever an import does short of ending the process, the error names plugin, distribution, version and cure."""
    with pytest.raises(PluginError) as refusal:
        attempt(source)
    assert refusal.value.message.startswith("backend box (some-box 1.0): ")
    assert what in refusal.value.message
    assert refusal.value.hint == "pip install --upgrade some-box, or select another backend"
    assert "\n" not in refusal.value.message


@pytest.mark.parametrize(
    ("method", "what"),
    [
        ("@hookimpl\n    def prove(self): ...", "there is no hook prove"),
        ("@hookimpl\n    def start_proxy(self, plan): ...", "a backend does not have the hook start_proxy"),
        ("@hookimpl\n    def validate(self, specification): ...", "validate has no parameter specification"),
        ("@hookimpl\n    def provision(self, bottle):\n        yield", "provision must be a plain function"),
        ("@hookimpl\n    async def provision(self, bottle): ...", "provision must be a plain function"),
        ("@hookimpl\n    def validate(self, *, spec): ...", "the parameter spec of validate must be a plain one"),
        ("@hookimpl\n    def validate(self, *spec): ...", "the parameter spec of validate must be a plain one"),
        ("@hookimpl\n    def validate(self, **kwargs): ...", "the parameter kwargs of validate must be a plain one"),
        ("def probe(self): ...", "probe is not marked with @hookimpl"),
        ("@staticmethod\n    def probe(): ...", "probe is not marked with @hookimpl"),
        ("@hookimpl(wrapper=True)\n    def probe(self):\n        yield", "probe must be a plain function"),
    ],
)
def test_a_hook_that_core_would_never_call_is_refused(attempt: Try, method: str, what: str) -> None:
    """Unknown, foreign, unmarked, wrongly named and keyword-only hooks are named problems, never silence."""
    with pytest.raises(PluginError) as refusal:
        attempt(f"class Box:\n    {method}\nPLUGIN = declare(Box())")
    assert what in refusal.value.message
    assert "\n" not in refusal.value.message


@pytest.mark.parametrize("error", ["SystemExit(0)", "RuntimeError('not here\\nnor there')"])
def test_an_object_that_cannot_be_looked_at_is_refused(attempt: Try, error: str) -> None:
    """What a stranger's object does when its hooks are looked for is a named problem, as at its import."""
    with pytest.raises(PluginError, match=r"backend box \(some-box 1.0\): its hooks cannot be read: ") as refusal:
        attempt(f"class Box:\n    def __dir__(self): raise {error}\nPLUGIN = declare(Box())")
    assert "\n" not in refusal.value.message


def test_a_class_in_the_place_of_its_instance_is_refused(attempt: Try) -> None:
    """A class that nobody made an instance of would be called without itself."""
    with pytest.raises(PluginError, match="validate has no parameter self"):
        attempt("class Box:\n    @hookimpl\n    def validate(self, spec): ...\nPLUGIN = declare(Box)")


def test_a_hook_may_leave_parameters_out(attempt: Try) -> None:
    """Old plugins go on working when a hook grows: an implementation takes what it needs."""
    loaded = attempt(
        """
        class Box:
            @hookimpl
            def validate(self):
                return []
            def helper(self):
                return 1
        PLUGIN = declare(Box())
        """
    )
    assert loaded.hooks.validate(spec=None) == []  # pyright: ignore[reportArgumentType] - it is not looked at


def test_plugins_do_not_see_one_another(attempt: Try) -> None:
    """Each plugin has a manager of its own, so that no stranger answers in another's place."""
    first = attempt('class A:\n    @hookimpl\n    def probe(self): return "first"\nPLUGIN = declare(A())')
    second = attempt("class B: pass\nPLUGIN = declare(B())")
    assert second.hooks.probe() is None
    assert first.hooks is not second.hooks
