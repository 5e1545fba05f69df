"""The main job: everyday programs inside reach an allowed host through a proxy that opens TLS, without any flag."""

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_repository import make_repository
from e2e_upstream import ALLOWED, AUTHORITY, OTHER, Internet
from e2e_user import INSIDE, Bottle, User
from matrix_pair import Pair

URL = f"https://{ALLOWED}/"
HELLO = f"hello from {ALLOWED}"

URLLIB = f"import urllib.request; print(urllib.request.urlopen({URL!r}).read().decode())"
REQUESTS = f"""
try:
    import requests
except ImportError:
    from pip._vendor import requests  # the same library, as pip carries it
print(requests.get({URL!r}).text)
"""
NODE = f"fetch('{URL}').then(it => it.text()).then(console.log)"
NODE_CONNECT = f"""
const http = require('http'), tls = require('tls'), proxy = new URL(process.env.https_proxy);
const to = {{host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: '{ALLOWED}:443'}};
http.request(to).on('connect', (answer, socket) => {{
  const secure = tls.connect({{socket, servername: '{ALLOWED}'}});
  secure.write('GET / HTTP/1.1\\r\\nHost: {ALLOWED}\\r\\nConnection: close\\r\\n\\r\\n');
  secure.on('data', data => process.stdout.write(data));
}}).end();
"""
"""A tunnel by hand: not every version of node has a fetch that reads the proxy's variables."""


def test_curl(bottle: Bottle, internet: Internet) -> None:
    """S5: an allowed host answers 200, and curl trusts the CA of the bottle by the system's bundle alone."""
    done = bottle.sh(f"unset CURL_CA_BUNDLE SSL_CERT_FILE; curl -sS -w '%{{http_code}}' {URL}")
    assert (done.code, done.out) == (0, f"{HELLO}\n200"), done.err
    assert internet.seen[-1].host == ALLOWED


def test_tls_is_opened(bottle: Bottle) -> None:
    """S1: the certificate that a client sees is of this bottle's own CA, not of the upstream's."""
    done = bottle.sh(f"curl -sv {URL} 2>&1 | grep issuer:")
    assert "claude-bottle" in done.out
    assert AUTHORITY not in done.out


def test_python(bottle: Bottle) -> None:
    """S2: Python's urllib trusts the CA by SSL_CERT_FILE."""
    done = bottle.exec("python3", "-c", URLLIB)
    assert HELLO in done.out, done.err


def test_python_requests(bottle: Bottle) -> None:
    """S2: requests, which brings certificates of its own, trusts the CA by REQUESTS_CA_BUNDLE."""
    done = bottle.exec("python3", "-c", REQUESTS)
    if "No module named" in done.err:
        pytest.skip("this machine's /usr/bin/python3 has no requests: apt-get install python3-requests")
    assert HELLO in done.out, done.err


def test_node(pair: Pair, bottle: Bottle, needs: Callable[[str], None]) -> None:
    """S2: node, which has its own list of authorities, trusts the CA by NODE_EXTRA_CA_CERTS."""
    needs("node")
    done = bottle.exec("node", "-e", NODE_CONNECT)
    assert HELLO in done.out, done.err
    if pair.contained:
        return  # Debian's node believes the system's bundle by itself
    without = bottle.sh(f'NODE_EXTRA_CA_CERTS= node -e "$(cat <<"END"\n{NODE_CONNECT}\nEND\n)"')
    assert HELLO not in without.out


def test_node_fetch(bottle: Bottle, needs: Callable[[str], None]) -> None:
    """A node whose fetch reads NODE_USE_ENV_PROXY finds the proxy by itself."""
    needs("node")
    version = bottle.exec("node", "-p", "process.versions.node").out.strip().split(".")
    if tuple(map(int, version[:2])) < (24, 0):
        pytest.skip(f"node {'.'.join(version)}: only from 24 on does its fetch know a proxy")
    done = bottle.exec("node", "-e", NODE)
    assert HELLO in done.out, done.err


def test_git(bottle: Bottle, internet: Internet, needs: Callable[[str], None]) -> None:
    """Git lists, clones, pushes and fetches over HTTPS."""
    needs("git")
    commit = make_repository(internet.folder / "team" / "clients.git", file="content\n")
    url = f"{URL}team/clients.git"
    listed = bottle.exec("git", "ls-remote", url)
    assert listed.out.split()[0] == commit, listed.err
    cloned = bottle.sh(
        f"cd /tmp && git clone -q {url} one && git clone -q {url} two && cd one && git config user.name Agent"
        " && git config user.email agent@bottle && git commit -q --allow-empty -m 'From inside' && git push -q"
        " && cd ../two && git fetch -q && cat file && git log --format=%s origin/main"
    )
    assert cloned.out == "content\nFrom inside\nfirst\n", cloned.err


def test_pip(bottle: Bottle, internet: Internet) -> None:
    """pip, which brings certificates of its own, downloads from an index over HTTPS by PIP_CERT."""
    if bottle.exec("python3", "-m", "pip", "--version").code:
        pytest.skip("this machine's /usr/bin/python3 has no pip: apt-get install python3-pip")
    make_index(internet.folder / "simple")
    words = ("--disable-pip-version-check", "download", "--no-deps", "-d", "/tmp", "--index-url", f"{URL}simple/")
    done = bottle.exec("python3", "-m", "pip", *words, "parcel")
    assert done.code == 0, done.err
    assert bottle.sh("ls /tmp/parcel*").out == "/tmp/parcel-1.0-py3-none-any.whl\n"


def make_index(folder: Path) -> None:
    """Make a package index with one wheel."""
    (folder / "parcel").mkdir(parents=True)
    wheel = folder / "parcel" / "parcel-1.0-py3-none-any.whl"
    info = "parcel-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("parcel.py", "")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: parcel\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (folder / "parcel" / "index.html").write_text(f'<a href="{wheel.name}#sha256={digest}">{wheel.name}</a>')


STREAM = f"""
import time, urllib.request
answer = urllib.request.urlopen("{URL}events")
first, begin = answer.readline(), time.time()
rest = answer.read()
print(first.decode().strip(), rest.count(b"data:"), time.time() - begin > 0.8)
"""


def test_a_stream_of_events_comes_as_it_is_sent(bottle: Bottle) -> None:
    """An answer that takes its time (SSE) is not held back until it is whole."""
    done = bottle.python(STREAM)
    assert done.out == "data: 0 2 True\n", done.err


ECHO = f"""
import os, socket, ssl, urllib.parse
proxy = urllib.parse.urlsplit(os.environ["HTTPS_PROXY"])
raw = socket.create_connection((proxy.hostname, proxy.port), 10)
raw.sendall(b"CONNECT {ALLOWED}:443 HTTP/1.1\\r\\nHost: {ALLOWED}:443\\r\\n\\r\\n")
raw.recv(4096)
to = ssl.create_default_context().wrap_socket(raw, server_hostname="{ALLOWED}")
to.sendall(b"GET /echo HTTP/1.1\\r\\nHost: {ALLOWED}\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
    b"Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\\r\\n\\r\\n")
head = b""
while b"\\r\\n\\r\\n" not in head:
    head += to.recv(1)
to.sendall(bytes([0x81, 0x85, 0, 0, 0, 0]) + b"hello")
print(head.split(b" ")[1].decode(), to.recv(100)[2:].decode())
"""


def test_a_websocket_passes(bottle: Bottle, holds: Callable[[str], None]) -> None:
    """Opened like any request, and messages go both ways."""
    holds("websocket")
    done = bottle.python(ECHO)
    assert done.out == "101 hello\n", done.err


def test_another_host_is_refused(bottle: Bottle, internet: Internet) -> None:
    """S5: CONNECT to a host that nobody allowed is answered 403 by the proxy."""
    done = bottle.sh(f"curl -sv https://{OTHER}/ 2>&1")
    assert done.code == 56
    assert "< HTTP/1.1 403" in done.out
    assert not any(seen.host == OTHER for seen in internet.seen)


def test_a_refusal_explains_itself(bottle: Bottle, holds: Callable[[str], None]) -> None:
    """S5: it names the line that would allow the host."""
    holds("explain")
    done = bottle.sh(f"curl -sv https://{OTHER}/ 2>&1")
    assert f"X-Bottle-Fix: bottle allow reviewer {OTHER}" in done.out


def test_the_ca_lies_where_the_system_keeps_such(bottle: Bottle) -> None:
    """S2: the CA is a file of the system's folder for them, and is part of the system's bundle."""
    file = "/usr/local/share/ca-certificates/claude-bottle.crt"
    done = bottle.sh(f"head -1 {file}; tail -n +2 {file} | head -1 | grep -cFf - /etc/ssl/certs/ca-certificates.crt")
    if "No such file" in done.err and not Path(file).parent.is_dir():
        pytest.skip(f"this machine has no {Path(file).parent}: apt-get install ca-certificates")
    assert done.out == "-----BEGIN CERTIFICATE-----\n1\n", done.err


def test_the_fingerprint_that_is_shown_is_that_of_the_ca(user: User) -> None:
    """S1: a real launch prints the SHA-256 of the CA that is inside as one line on stderr; a dry run has none."""
    done = user.start("cat", "/usr/local/share/ca-certificates/claude-bottle.crt")
    if "No such file" in done.err:
        pytest.skip("this machine has no /usr/local/share/ca-certificates: apt-get install ca-certificates")
    script = "import hashlib, ssl, sys; print(hashlib.sha256(ssl.PEM_cert_to_DER_cert(sys.stdin.read())).hexdigest())"
    digest = subprocess.run([sys.executable, "-c", script], input=done.raw, capture_output=True, check=True)
    assert done.err.count("CA SHA-256") == 1
    assert f"tls intercept: CA SHA-256 {digest.stdout.decode().strip()}\n" in done.err
    assert "SHA-256" not in user.bottle("start", "reviewer", "--dry-run").err


def test_programs_are_looked_for_where_the_system_has_them(bottle: Bottle) -> None:
    """A bottle looks for programs in its own /usr, and nowhere else."""
    assert bottle.exec("printenv", "PATH").out.strip() == INSIDE
