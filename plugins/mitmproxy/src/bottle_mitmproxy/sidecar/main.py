"""The order of a start: imports, the message, the files, the authority, the drop of privileges, connections."""

import argparse
import asyncio
import concurrent.futures.thread
import encodings.idna
import socket
import sys
from collections.abc import Sequence

from bottle_mitmproxy.settings import BUNDLE, POLICY, read_settings
from bottle_mitmproxy.sidecar.arrival import Arrival, end_with, receive
from bottle_mitmproxy.sidecar.authority import make_authority
from bottle_mitmproxy.sidecar.dial import GuardedLoop
from bottle_mitmproxy.sidecar.exchange import read_vault
from bottle_mitmproxy.sidecar.office import Office
from bottle_mitmproxy.sidecar.options import make_options
from bottle_mitmproxy.sidecar.privileges import drop
from bottle_mitmproxy.sidecar.replies import understand_replies
from bottle_mitmproxy.sidecar.report import Reporter, complain
from bottle_mitmproxy.sidecar.serve import Folder, serve
from bottle_mitmproxy.sidecar.stream import check_websockets
from bottle_mitmproxy.sidecar.tls import Tls

__all__ = ["main"]

AT_HAND = (concurrent.futures.thread, encodings.idna)
"""What the standard library imports at first use: after the drop its files may be out of reach."""


def main(argv: Sequence[str]) -> int:
    """Serve; returns the exit code: 0 at the end, 1 if it could not begin."""
    arguments = parse_arguments(argv)
    reports = Reporter()
    try:
        arrival = arrive(arguments, reports)
        if arrival is not None:
            run(arrival, reports)
    except (OSError, ValueError) as error:
        reports.send({"error": str(error)})
        complain(str(error))
        return 1
    finally:
        reports.close()
    return 0


def arrive(arguments: argparse.Namespace, reports: Reporter) -> Arrival | None:
    """Learn where to listen; None if whoever started this process is gone."""
    if arguments.fd is None:
        return listen(arguments.listen, arguments.root, arguments.uid, arguments.gid)
    channel = socket.socket(fileno=arguments.fd)
    arrival = receive(channel)
    end_with(channel, reports.close)
    return arrival


def run(arrival: Arrival, reports: Reporter) -> None:
    """Take over the files, drop privileges, serve."""
    folder = Folder(arrival.root)
    settings = read_settings(folder.read(POLICY))
    authority = make_authority(settings.bottle)
    options = make_options(BUNDLE)
    drop(arrival.uid, arrival.gid)
    vault = read_vault(settings.injections, sys.stdin.buffer)  # after the drop, from when on no core file is made
    office = Office(settings, options, Tls(authority, options), reports, vault)
    check_websockets(vault)
    understand_replies()
    with asyncio.Runner(loop_factory=GuardedLoop) as runner:
        runner.run(serve(arrival.listener, office, folder, reports, authority.pem))


def listen(address: str, root: str, uid: int | None, gid: int | None) -> Arrival:
    """Listen at `HOST:PORT`."""
    host, _, port = address.rpartition(":")
    return Arrival(socket.create_server((host, int(port))), root, uid, gid)


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bottle_mitmproxy.sidecar", description=__doc__)
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--fd", type=int, help="a SEQPACKET socket on which a listening socket arrives")
    way.add_argument("--listen", metavar="HOST:PORT")
    parser.add_argument("--root", default=".", metavar="DIR", help="where policy.json is")
    parser.add_argument("--uid", type=int, help="who to become")
    parser.add_argument("--gid", type=int)
    return parser.parse_args(argv)
