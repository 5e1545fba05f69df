"""The proxy beside a bottle, as the backend under test runs it: the kit's own is described to its site."""

import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from secrets import token_hex

import pytest

from claude_bottle.seam.owner import Launch, Owner
from claude_bottle.seam.secrets import Secrets
from claude_bottle.seam.sidecar import File, SidecarSpec
from claude_bottle.testing.commands import host_arguments
from claude_bottle.testing.contract import load_target
from claude_bottle.testing.ground import Ground, say
from claude_bottle.testing.passage import PASSAGE
from claude_bottle.testing.policy import RECORD
from claude_bottle.testing.upstream import ALLOWED, OTHER, Upstream
from claude_bottle.testing.ways import HIDDEN, Way, make_plan, served

__all__ = ["SidecarContract"]

MEANT = f"meant-for-a-sidecar-{token_hex(8)}"


class SidecarContract:
    """What a site and a sidecar promise, with the kit's proxy as a process of this machine."""

    @pytest.fixture
    def way(self, ground: Ground) -> Generator[Way]:
        """A bottle of this backend behind the kit's proxy, for one test: others find a bottle that is alone."""
        traits = ground.loaded.plugin.backend_traits
        if traits is None or traits.runs != "process":
            pytest.skip("its sidecars run from images, and the kit has none: try a proxy with `--stage`")
        proxy = load_target("proxy", "passage", PASSAGE)
        with tempfile.TemporaryDirectory() as folder:
            upstream = Upstream(Path(folder), "127.0.0.1")
            try:
                with served(proxy, ground, upstream, make_plan(proxy, ground, {}, upstream)) as way:
                    yield way
            finally:
                upstream.close()

    def test_the_proxy_is_the_way_out(self, way: Way) -> None:
        """What it allows is reached through it, what it refuses is not: the proxy variables lead to it."""
        assert way.curl(f"https://{ALLOWED}/") == ("200", f"hello from {ALLOWED}\n")
        assert "403" in "".join(way.curl(f"https://{OTHER}/"))
        assert way.told(lambda event: event.host == OTHER and event.verdict == "deny")

    def test_a_sidecar_is_looked_into(self, way: Way) -> None:
        """The files that it wrote, and a command beside it."""
        [sidecar] = way.sidecars
        assert b"BEGIN CERTIFICATE" in sidecar.get(RECORD)["lines"]
        assert sidecar.get("nowhere") == {}
        result = sidecar.exec(["/bin/sh", "-c", "pwd; echo err >&2; exit 3"], 10)
        assert (result.returncode, result.stderr) == (3, b"err\n")
        assert sidecar.wait(0.1) is None

    def test_what_is_for_its_stdin_is_there(self, ground: Ground, way: Way) -> None:
        """Where credentials come to a proxy: on its standard input, in no file of its folder and no argument."""
        site = ground.hooks.open_site(plan=way.plan, launch=Launch(label=token_hex(4), owner=Owner.current()), say=say)
        assert site is not None
        try:
            echo = 'read -r line; echo "got ${#line}"; exec /bin/sleep 60'
            sidecar = site.run(SidecarSpec(argv=("/bin/sh", "-c", echo), stdin=f"{MEANT}\n".encode()))
            site.settle()
            ground.hooks.start_bottle(plan=way.plan, site=site, env={}, secrets=Secrets(HIDDEN))
            assert next(iter(sidecar.lines(10))).strip() == f"got {len(MEANT)}".encode()
            assert MEANT.encode() not in host_arguments()
            assert sidecar.exec(["/bin/sh", "-c", "grep -rl meant-for . || true"], 10).stdout == b""
        finally:
            site.close()

    def test_a_file_is_replaced_while_it_runs(self, way: Way) -> None:
        """`put` is in force at once, whole: no reader meets half a file."""
        [sidecar] = way.sidecars
        before = way.plan.egress.rules
        try:
            for _ in range(10):
                assert way.proxy.reload(before)
                assert way.curl(f"https://{ALLOWED}/")[0] == "200"
            assert way.proxy.reload(())
            assert "403" in "".join(way.curl(f"https://{ALLOWED}/"))
            sidecar.put([File("more", b"data", 0o400)])
        finally:
            way.proxy.reload(before)

    def test_the_end_of_the_proxy_is_the_end_of_the_way(self, ground: Ground, way: Way) -> None:
        """Fail closed: it is told, and nothing answers in its place."""
        proxy = load_target("proxy", "passage", PASSAGE)
        with served(proxy, ground, way.upstream, make_plan(proxy, ground, {}, way.upstream)) as other:
            assert other.curl(f"https://{ALLOWED}/")[0] == "200"
            [sidecar] = other.sidecars
            begin = time.monotonic()
            sidecar.stop()
            sidecar.stop()
            assert other.proxy.wait(10) is not None
            assert time.monotonic() - begin < 10
            assert b"BEGIN CERTIFICATE" in next(iter(sidecar.lines(10))), "what it said is gone with it"
            before = len(way.upstream.seen)
            assert other.curl(f"https://{ALLOWED}/")[0] != "200"
            assert len(way.upstream.seen) == before
            assert way.curl(f"https://{ALLOWED}/")[0] == "200"
