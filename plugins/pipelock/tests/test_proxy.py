"""The proxy's side of the seam, against a sidecar that does what the test says."""

import hashlib
import json
import queue
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest
from pipelock_site import rule
from test_journal import receipt

import bottle_pipelock.proxy
from bottle_pipelock.config import Settings
from bottle_pipelock.proxy import PipelockProxy
from claude_bottle.errors import DeadlineError, LaunchError, UnavailableError
from claude_bottle.seam.bottle import ExecResult
from claude_bottle.seam.sidecar import File


class Scripted:
    """A sidecar whose log, health and receipts the test writes."""

    def __init__(self) -> None:
        self.log: queue.Queue[bytes | None] = queue.Queue()
        self.health: Callable[[], ExecResult] = lambda: ExecResult(0)
        self.code: int | None = None
        self.evidence: Callable[[], Mapping[str, bytes]] = dict
        self.written: list[File] = []
        self.answer: Callable[[File], Mapping[str, str] | None] = lambda _file: None
        self.asked: list[Sequence[str]] = []
        self.stops = 0

    def lines(self, timeout: float | None = None) -> Iterator[bytes]:
        """Yield until None is written."""
        return iter(self.log.get, None)

    @property
    def last_words(self) -> str:
        """Nothing was said on stderr."""
        return ""

    def exec(self, argv: Sequence[str], timeout: float) -> ExecResult:
        """Answer for the health command."""
        self.asked.append(argv)
        return self.health()

    def wait(self, timeout: float | None = None) -> int | None:
        """Return what was set."""
        return self.code

    def put(self, files: Sequence[File]) -> None:
        """Keep the files, and say what pipelock says then."""
        for file in files:
            self.written.append(file)
            if said := self.answer(file):
                self.log.put(json.dumps(said).encode())

    def get(self, name: str) -> Mapping[str, bytes]:
        """Return the receipts."""
        assert name == "evidence"
        return self.evidence()

    def stop(self) -> None:
        """End the log."""
        self.stops += 1
        self.log.put(None)


@pytest.fixture
def sidecar(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    """Return a sidecar; its log ends with the test."""
    monkeypatch.setattr(bottle_pipelock.proxy, "LOOK", 0.05)
    scripted = Scripted()
    yield scripted
    scripted.log.put(None)


@pytest.fixture
def proxy(sidecar: Scripted) -> PipelockProxy:
    """Return a proxy on it that allows one host."""
    return make_proxy(sidecar)


def make_proxy(sidecar: Scripted) -> PipelockProxy:
    """Return a proxy on a sidecar."""
    settings = Settings(name="demo", root="/etc/pipelock", port=8888, rules=(rule("a.test"),))
    return PipelockProxy(sidecar, settings, "dev", b"PEM", ("/pipelock", "healthcheck"))


def refusal(host: str) -> bytes:
    """Return a line of the log."""
    line = {"event": "blocked", "method": "CONNECT", "target": f"{host}:443", "scanner": "allowlist", "reason": "r"}
    return json.dumps(line).encode()


def reloaded(file: File) -> Mapping[str, str]:
    """Say that a file is in force."""
    return {"event": "config_reload", "status": "success", "config_hash": hashlib.sha256(file.data).hexdigest()}


def test_it_is_ready_when_its_health_command_says_so(sidecar: Scripted, proxy: PipelockProxy) -> None:
    """Asked until it succeeds, also while the container is not there yet; the answer is the authority."""
    results = iter([UnavailableError("not yet"), ExecResult(1), ExecResult(0)])

    def health() -> ExecResult:
        result = next(results)
        if isinstance(result, ExecResult):
            return result
        raise result

    sidecar.health = health
    assert proxy.ready(10) == b"PEM"
    assert sidecar.asked == [("/pipelock", "healthcheck")] * 3
    assert dict(proxy.env) == {}


def test_an_end_before_it_serves_has_its_last_words(sidecar: Scripted, proxy: PipelockProxy) -> None:
    """What it printed last that is no record, and its exit code."""
    sidecar.health, sidecar.code = (lambda: ExecResult(1)), 1
    for text in (b'{"event":"startup"}', b"Error: load TLS CA: parse CA key", None):
        sidecar.log.put(text)
    with pytest.raises(LaunchError, match="exit code 1: Error: load TLS CA: parse CA key"):
        proxy.ready(10)


def test_a_deadline_is_held(sidecar: Scripted, proxy: PipelockProxy) -> None:
    """It never serves, and does not end either."""
    sidecar.health = lambda: ExecResult(1)
    with pytest.raises(DeadlineError, match="not ready"):
        proxy.ready(0.2)


def test_stop_before_it_was_ready_asks_the_sidecar_for_nothing_else(sidecar: Scripted, proxy: PipelockProxy) -> None:
    """Until a bottle runs, only `stop` may be called."""
    sidecar.evidence = lambda: pytest.fail("the receipts were read")
    proxy.stop()
    proxy.stop()
    assert sidecar.stops == 2


def test_what_is_in_the_receipts_at_the_end_is_reported(sidecar: Scripted, proxy: PipelockProxy) -> None:
    """They are read before the sidecar ends, and not again when it has gone."""
    proxy.ready(5)
    sidecar.evidence = lambda: {"evidence-proxy-0.jsonl": receipt("https://a.test/last")}
    proxy.stop()
    sidecar.evidence = lambda: pytest.fail("the receipts were read after the end")
    assert [event.path for event in proxy.events()] == ["/last"]


def test_what_is_left_of_one_that_died_is_reported(
    sidecar: Scripted, proxy: PipelockProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody told it to stop, and the next look at the receipts was far away; its folder may still be there."""
    monkeypatch.setattr(bottle_pipelock.proxy, "LOOK", 60)
    proxy.ready(5)
    events = proxy.events()
    for host in ("first.test", "second.test"):  # a look lies between them
        sidecar.log.put(refusal(host))
        assert next(events).host == host
    sidecar.evidence = lambda: {"evidence-proxy-0.jsonl": receipt("https://a.test/last")}
    sidecar.log.put(None)
    assert [event.path for event in events] == ["/last"]


def test_receipts_are_looked_for_while_it_runs(sidecar: Scripted, proxy: PipelockProxy) -> None:
    """What passes in opened tunnels is reported without any line of the log."""
    proxy.ready(5)
    events = proxy.events()
    sidecar.evidence = lambda: {"evidence-proxy-0.jsonl": receipt("https://a.test/now")}
    assert next(events).path == "/now"


def test_receipts_that_cannot_be_read_are_said_once(sidecar: Scripted, proxy: PipelockProxy) -> None:
    """A record with a hole says so, and the refusals go on."""

    def fail() -> Mapping[str, bytes]:
        raise UnavailableError("the engine is gone")

    proxy.ready(5)
    sidecar.evidence = fail
    events = proxy.events()
    first = next(events)
    assert (first.verdict, first.rule, first.host) == ("warn", "log", "")
    assert "the engine is gone" in first.reason
    sidecar.log.put(refusal("evil.test"))
    assert next(events).host == "evil.test"
    sidecar.log.put(None)
    assert list(events) == []


def test_new_rules_are_in_force_when_it_says_so(sidecar: Scripted, proxy: PipelockProxy) -> None:
    """The file is put once, and its own hash is waited for; the same rules again are no work."""
    proxy.ready(5)
    sidecar.answer = reloaded
    assert proxy.reload([rule("a.test"), rule("b.test")])
    (file,) = sidecar.written
    assert (file.name, file.mode, b"b.test" in file.data) == ("pipelock.yaml", 0o600, True)
    assert proxy.reload([rule("a.test"), rule("b.test")])
    assert len(sidecar.written) == 1


def test_rules_that_need_a_restart_change_nothing(sidecar: Scripted, proxy: PipelockProxy) -> None:
    """The whole file is refused, so the old one is put back, and a later change is measured against it."""
    proxy.ready(5)
    sidecar.answer = lambda file: {
        "event": "error", "method": "CONFIG_RELOAD", "error": "rejected: security downgrade from strict mode",
    } if b"opaque.test" in file.data else reloaded(file)  # fmt: skip
    assert not proxy.reload([rule("a.test"), rule("opaque.test", "opaque")])
    assert [b"opaque.test" in file.data for file in sidecar.written] == [True, False]
    assert proxy.reload([rule("a.test"), rule("b.test")])
    assert b"opaque.test" not in sidecar.written[-1].data


def test_silence_after_new_rules_is_an_error(
    sidecar: Scripted, proxy: PipelockProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody may believe that they are in force; the old file is put back."""
    monkeypatch.setattr(bottle_pipelock.proxy, "RELOAD", 0.1)
    proxy.ready(5)
    with pytest.raises(DeadlineError, match="not in force"):
        proxy.reload([rule("a.test"), rule("b.test")])
    assert b"b.test" not in sidecar.written[-1].data
