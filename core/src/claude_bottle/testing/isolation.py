"""What no backend may lack: nobody inside gets out past the proxy, and nothing of the host is inside."""

import os
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from claude_bottle.plugins.load import Loaded
from claude_bottle.seam.bottle import Bottle, Dial
from claude_bottle.seam.environ import BUNDLE
from claude_bottle.seam.sidecar import Outpost
from claude_bottle.testing.commands import host_arguments
from claude_bottle.testing.ground import FORWARDED, Ground, Held

__all__ = ["IsolationContract"]

BOOT = "/proc/sys/kernel/random/boot_id"

DIALS = {
    "python3": "import socket, sys; print(socket.create_connection((sys.argv[1], int(sys.argv[2])), 2).recv(99))",
    "perl": "use IO::Socket::IP; my $s = IO::Socket::IP->new(PeerHost => $ARGV[0], PeerPort => $ARGV[1], Timeout => 2)"
    " or die; print <$s>",
    "bash": 'timeout 3 cat < "/dev/tcp/$0/$1"',
}
LISTENERS = {
    "python3": "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)\n"
    "while True:\n    c, _ = s.accept(); c.sendall(b'inside'); c.close()",
    "perl": "use IO::Socket::INET; $| = 1; my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5) or die;"
    " print $s->sockport, \"\\n\"; while (my $c = $s->accept) { print $c 'inside'; close $c }",
}
OPTIONS = {"python3": "-c", "perl": "-e", "bash": "-c"}


class IsolationContract:
    """Security: none of it can be declared away."""

    @pytest.mark.usefixtures("walls")
    def test_the_host_cannot_be_dialled(self, held: Held) -> None:
        """Listeners that answer the host itself are out of reach, by the backend's own look and by ours."""
        with held.site.witness() as found:
            if isinstance(found, Outpost):
                seen = found.look([Dial(*it, b"control") for it in found.addresses], [])
                assert seen.answers == (b"control",) * len(found.addresses), "a witness does not answer its own host"
            witnesses = found.here if isinstance(found, Outpost) else found
            assert witnesses, "witness() listens nowhere"
            dial = dialler(held.bottle)
            for host, port in witnesses:
                control = subprocess.run(dial(host, port), capture_output=True, check=False, timeout=20)
                with socket.create_connection((host, port), 2) as peer:
                    token = peer.recv(99)
                assert token, "the witness does not answer"
                assert token in control.stdout, f"the control does not reach the witness: {control.stderr!r}"
                inside = held.bottle.exec("", argv=dial(host, port), timeout=20)
                assert token not in inside.stdout
                assert inside.returncode != 0
            everywhere = [*witnesses, *(found.addresses if isinstance(found, Outpost) else ())]
            seen = held.bottle.look([Dial(host, port) for host, port in everywhere], [])
            assert seen.answers == (None,) * len(everywhere)

    def test_look_sees_what_is_there(self, held: Held) -> None:
        """The control of the proof: a listener inside is seen by `look`, so that seeing nothing means something."""
        program = next((it for it in LISTENERS if held.bottle.exec(f"command -v {it}").returncode == 0), None)
        if program is None:
            pytest.skip(f"needs one of {', '.join(LISTENERS)} in the bottle, to listen with")
        run = f'{program} {OPTIONS[program]} "$SCRIPT" > "$HOME/port" 2>/dev/null'
        ready = 'until [ -s "$HOME/port" ]; do sleep 0.05; done; cat "$HOME/port"'
        words = {"SCRIPT": LISTENERS[program]}
        begun = held.bottle.exec(f'rm -f "$HOME/port"; {run} & {ready}; echo $!', env=words, timeout=10)
        port, pid = begun.stdout.decode().split()
        seen = held.bottle.look([Dial("127.0.0.1", int(port))], [])
        held.bottle.exec(f"kill {pid}")
        assert seen.answers == (b"inside",)

    @pytest.mark.usefixtures("walls")
    def test_no_name_resolves(self, held: Held) -> None:
        """A name that this machine resolves at this moment is not known inside, nor by asking for it again."""
        name = os.uname().nodename
        try:
            socket.getaddrinfo(name, None)
        except OSError:
            pytest.skip(f"this machine does not resolve its own name, {name}: add it to /etc/hosts")
        assert held.bottle.look([], [name]).resolved == (False,)
        assert held.bottle.exec('getent ahosts "$NAME"', env={"NAME": name}).returncode != 0

    @pytest.mark.usefixtures("walls")
    def test_nothing_of_our_environment_is_inside(self, ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
        """Only what the plan says: neither a variable of the launcher's, nor one of the launcher's own proxy."""
        canary = "canary-" + os.urandom(6).hex()
        monkeypatch.setenv("CONFORMANCE_CANARY", canary)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", canary)
        with ground.start(f"environment-{os.getpid()}") as held:
            everything = held.bottle.exec("cat /proc/[0-9]*/environ 2>/dev/null; env").stdout
        assert b"LITERAL=plain" in everything
        assert canary.encode() not in everything

    @pytest.mark.usefixtures("walls")
    def test_nothing_of_our_home_is_inside(self, bottle: Bottle, tmp_path: Path) -> None:
        """Neither the home of the user nor a temporary file; the control reads both on the host."""
        home = Path.home() / f".conformance-{os.getpid()}"
        try:
            for path in (home, tmp_path / "file"):
                path.write_text("canary")
                path.chmod(0o644)
                assert subprocess.run(["cat", path], capture_output=True, check=True).stdout == b"canary"
                assert bottle.exec("", argv=["cat", str(path)]).returncode != 0
        finally:
            home.unlink(missing_ok=True)

    def test_a_forwarded_value_is_in_no_argument(self, held: Held) -> None:
        """Neither here nor inside: arguments are everybody's to read."""
        secret = FORWARDED["FORWARDED"].encode()
        assert held.bottle.exec('printf %s "$FORWARDED"').stdout == secret
        assert secret not in host_arguments()
        assert secret not in held.bottle.exec("cat /proc/[0-9]*/cmdline").stdout

    def test_a_forwarded_value_is_in_no_file_of_ours(self, ground: Ground, held: Held) -> None:
        """What a backend writes down of its bottles holds no secret."""
        secret = FORWARDED["FORWARDED"].encode()
        assert held.bottle.name
        files = [path for path in ground.folder.rglob("*") if path.is_file()]
        assert [path for path in files if secret in path.read_bytes()] == []
        assert secret.decode() not in repr(held.bottle) + repr(held.site)

    @pytest.mark.usefixtures("walls")
    def test_the_agent_is_nobody_in_particular(self, bottle: Bottle) -> None:
        """Not root, and without a capability."""
        seen = dict(line.split(":\t", 1) for line in bottle.exec("cat /proc/self/status").stdout.decode().splitlines())
        assert seen["Uid"].split()[0] != "0"
        assert (int(seen["CapEff"], 16), int(seen["CapPrm"], 16)) == (0, 0)

    @pytest.mark.usefixtures("walls")
    def test_the_kernel_is_filtered_or_its_own(self, loaded: Loaded, bottle: Bottle) -> None:
        """A filter hides what no bottle needs of this machine's kernel, and nobody gains rights; or it is another one.

        Its boot has an id of its own then, which the control reads here.
        """
        traits = loaded.plugin.backend_traits
        assert traits is not None
        if traits.kernel == "own":
            ours = Path(BOOT).read_bytes()
            theirs = bottle.exec(f"cat {BOOT}").stdout
            assert len(theirs) == len(ours) > 0
            assert theirs != ours, "the kernel inside is this machine's"
            return
        seen = dict(line.split(":\t", 1) for line in bottle.exec("cat /proc/self/status").stdout.decode().splitlines())
        assert (seen["NoNewPrivs"], seen["Seccomp"]) == ("1", "2")

    def test_the_authority_is_trusted_and_its_key_is_not_inside(self, ground: Ground, held: Held) -> None:
        """`provision_ca` gets the public part: it ends up in the bundle of programs, beside the others."""
        ca = ssl.DER_cert_to_PEM_cert(os.urandom(64)).encode()
        if not ground.hooks.provision_ca(bottle=held.bottle, plan=held.plan, ca=ca):
            pytest.skip("this backend leaves the authority to a provisioner")
        bundle = held.bottle.exec(f"cat {BUNDLE}").stdout
        assert ca.split(b"\n")[1] in bundle
        assert bundle.count(b"BEGIN CERTIFICATE") > 1
        assert b"PRIVATE KEY" not in bundle


def dialler(bottle: Bottle) -> Callable[[str, int], list[str]]:
    """Return what dials from inside, and as well on the host: the first program that both have."""
    for program, script in DIALS.items():
        inside = bottle.exec("", argv=["/bin/sh", "-c", f"command -v {program}"]).returncode == 0
        if (
            inside
            and subprocess.run(["/bin/sh", "-c", f"command -v {program}"], capture_output=True, check=False).returncode
            == 0
        ):
            return lambda host, port: [program, OPTIONS[program], script, host, str(port)]
    pytest.skip(f"needs one of {', '.join(DIALS)} in the bottle and on this machine, to dial with")
