"""The contract with the installed mitmproxy: what is left out, what is overridden, what is asked of us."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bottle_mitmproxy.policy.vault import Vault
from bottle_mitmproxy.sidecar import lean

lean.install()

import mitmproxy.proxy  # noqa: E402 - lean comes first
from mitmproxy.proxy import commands, server_hooks  # noqa: E402 - as above
from mitmproxy.proxy.layers import http, tls, websocket  # noqa: E402 - as above
from mitmproxy.proxy.layers.http import HttpLayer, HttpStream  # noqa: E402 - as above
from mitmproxy.proxy.layers.http import _http1 as http1  # noqa: E402 # pyright: ignore[reportPrivateUsage] - as above
from mitmproxy.proxy.layers.http._http1 import Http1Client  # noqa: E402 - as above

from bottle_mitmproxy.sidecar import replies, stream  # noqa: E402 - as above
from bottle_mitmproxy.sidecar.handler import SILENT, Handler  # noqa: E402 - as above
from bottle_mitmproxy.sidecar.options import make_options  # noqa: E402 - as above

PROXY = Path(mitmproxy.proxy.__path__[0])
HEAVY = ("flask", "ldap3", "passlib", "pyparsing", "urwid", "tornado", "pyasn1", "service_identity", "ruamel.yaml.main")


def test_the_heavy_half_of_mitmproxy_is_not_imported() -> None:
    """The import of mitmproxy is most of a launch: what an HTTP proxy does not need stays out."""
    code = (
        "import sys; sys.argv = ['x']\n"
        "from bottle_mitmproxy.sidecar import lean; lean.install()\n"
        "import bottle_mitmproxy.sidecar.main\n"
        "print('\\n'.join(name for name, module in sys.modules.items() if getattr(module, '__file__', None)))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "mitmproxy.proxy.server" in loaded
    assert loaded & set(HEAVY) == set()
    assert [name for name in loaded if any(name == out or name.startswith(f"{out}.") for out in lean.LEFT_OUT)] == []
    assert "mitmproxy.master" not in loaded
    assert len(loaded) < 430


def test_what_is_left_out_refuses_to_be_used() -> None:
    """A name that is left out is a class of which nothing is an instance, and none can be made."""
    from mitmproxy.proxy.layers import quic  # noqa: PLC0415 - the module that is left out

    assert not isinstance(b"", quic.QuicStreamEvent)
    with pytest.raises(RuntimeError, match="left out"):
        quic.ClientQuicLayer()  # pyright: ignore[reportCallIssue] - the real one needs a context


def test_every_option_that_a_layer_reads_is_set() -> None:
    """A layer that asks for an option which is not there would crash in the middle of a request."""
    options = make_options("bundle.pem")
    used: set[str] = set()
    for path in PROXY.rglob("*.py"):
        if "quic" not in path.parts and path.name not in {"mode_servers.py", "_stream_layers.py"}:
            used |= set(re.findall(r"(?:context|ctx|self)\.options\.(\w+)", path.read_text()))
    assert used
    assert {name for name in used if name not in options} <= {"proxyauth"}  # SOCKS5 reads it, which is not offered


def test_options_are_set_where_a_second_lock_would_hide_it() -> None:
    """N12: raw bytes after a 101 would be closed by the unknown hook as well; the first lock is this."""
    options = make_options("bundle.pem")
    assert (options.rawtcp, options.ssl_insecure, options.upstream_cert, options.http3) == (False, False, False, False)
    assert options.ssl_verify_upstream_trusted_ca == "bundle.pem"


def hook_names() -> Iterator[str]:
    """Yield the names of all hooks that the layers in use can ask."""
    names = ("proxy.layer", "proxy.layers.http._hooks")
    modules = (server_hooks, tls, websocket, *(sys.modules[f"mitmproxy.{name}"] for name in names))
    for module in modules:
        for item in vars(module).values():
            if isinstance(item, type) and issubclass(item, commands.StartHook) and item is not commands.StartHook:
                yield item.name


def test_every_hook_that_can_be_asked_has_an_answer() -> None:
    """An unknown hook closes the connection: a new version must not bring one unnoticed."""
    answered = set(re.findall(r'"(\w+)": ', Path(sys.modules[Handler.__module__].__file__ or "").read_text())) | set(
        SILENT
    )
    assert set(hook_names()) - answered == set()


def test_what_is_overridden_is_there() -> None:
    """Our classes stand in for methods of theirs; a version without them would run unguarded."""
    for theirs, ours in (
        (HttpLayer, stream.Http),
        (HttpStream, stream.Stream),
        (websocket.WebsocketConnection.__mro__[-2], stream.CheckedWebsocket),
        (Http1Client, replies.Http1Upstream),
    ):
        overridden = {name for name in vars(ours) if callable(getattr(ours, name)) and not name.startswith("__")}
        private = {"_answer", "_carries", "_hold", "_is_no_head", "_is_over"}
        assert {name for name in overridden - private if not hasattr(theirs, name)} == set()
    stream.check_websockets(Vault())
    assert websocket.WebsocketConnection is stream.CheckedWebsocket
    source = (PROXY / "layers" / "websocket.py").read_text()
    assert source.count("= WebsocketConnection(") == 2
    replies.understand_replies()
    assert vars(http)["Http1Client"] is replies.Http1Upstream
    assert vars(http1)["ChunkedReader"] is replies.Chunks
    assert "Http1Client(" in (PROXY / "layers" / "http" / "__init__.py").read_text()
    assert "return ChunkedReader()" in (PROXY / "layers" / "http" / "_http1.py").read_text()
    assert "HttpStream(" in (PROXY / "layers" / "http" / "__init__.py").read_text()
