"""Everyday programs at work under the filter."""

from __future__ import annotations

import platform

import pytest

from claude_bottle.seam.seccomp import program
from claude_bottle.seam.seccomp.numbers import MACHINES

from .sandbox import Sandbox, tool

MACHINE = platform.machine()

pytestmark = pytest.mark.skipif(
    MACHINE not in MACHINES, reason=f"no filter for {MACHINE}: run on {' or '.join(MACHINES)}"
)

PYTHON_AT_WORK = r"""
import asyncio, multiprocessing, os, pty, socket, subprocess, sys, threading

threads = [threading.Thread(target=os.getpid) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert subprocess.run(["/bin/sh", "-c", "exit 7"]).returncode == 7
assert os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)[1] == 0
assert multiprocessing.get_context("fork").Pool(2).map(abs, [-1, -2]) == [1, 2]
assert [name for _, name in socket.if_nameindex()] == ["lo"]
assert socket.getaddrinfo("127.0.0.1", 80)
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as netlink: netlink.bind((0, 0))
left, right = socket.socketpair()
left.send(b"x"); assert right.recv(1) == b"x"

async def echo():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    reader, _ = await asyncio.open_connection(*server.sockets[0].getsockname())
    assert await reader.read() == b""
asyncio.run(echo())
assert pty.spawn(["/bin/sh", "-c", "tty >/dev/null"], lambda fd: os.read(fd, 1024)) == 0
print("done")
"""

TRACER_AT_WORK = r"""
import ctypes, os, signal
PTRACE_TRACEME, PTRACE_CONT = 0, 7
libc = ctypes.CDLL(None)
child = os.fork()
if child == 0:
    libc.ptrace(PTRACE_TRACEME, 0, None, None)
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(5)
assert os.WIFSTOPPED(os.waitpid(child, 0)[1])
assert libc.ptrace(PTRACE_CONT, child, None, None) == 0
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
print("done")
"""

GIT_AT_WORK = """
set -e
git init -q repository && cd repository && echo text >file && git add file
git -c user.name=n -c user.email=n@example.com commit -q -m message
git gc -q && git clone -q . ../copy && git -C ../copy fsck && test -f ../copy/file && echo done
"""

NODE_AT_WORK = """
const { Worker } = require("worker_threads");
const { execFileSync } = require("child_process");
const http = require("http");
const work = "require('worker_threads').parentPort.postMessage(6 * 7)";
new Worker(work, { eval: true }).on("message", (answer) => {
  const echoed = execFileSync("/bin/echo", [String(answer)]).toString().trim();
  const server = http.createServer((request, response) => response.end(echoed)).listen(0, "127.0.0.1", () =>
    http.get({ port: server.address().port, host: "127.0.0.1", agent: false }, (response) =>
      response.on("data", (body) => { console.log(body == "42" ? "done" : body); server.close(); })));
});
"""


@pytest.mark.parametrize(
    ("program_", "options", "script"),
    [
        ("python3", ["-I", "-c"], PYTHON_AT_WORK),
        ("python3", ["-I", "-c"], TRACER_AT_WORK),
        ("git", [], GIT_AT_WORK),
        ("node", ["-e"], NODE_AT_WORK),
    ],
    ids=["python", "tracer", "git", "node"],
)
def test_everyday_programs_work(sandbox: Sandbox, program_: str, options: list[str], script: str):
    """Threads, processes, pipes, terminals, loopback sockets, ptrace, git: nothing is in the way."""
    path = tool(program_)
    argv = [path, *options, script] if options else [tool("sh"), "-c", script]
    done = sandbox.run(argv, program(MACHINE))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1:] == ["done"]
