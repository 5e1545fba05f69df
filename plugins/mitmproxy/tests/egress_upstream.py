"""Servers that the tests reach through the proxy: HTTP/1.1, HTTP/2 and WebSocket over real TLS, and plain HTTP."""

import asyncio
import base64
import gzip
import json
import ssl
import threading
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import h2.config  # pyright: ignore[reportMissingTypeStubs] - it has none
import h2.connection  # pyright: ignore[reportMissingTypeStubs] - as above
import h2.events  # pyright: ignore[reportMissingTypeStubs] - as above
import h11
import wsproto
import wsproto.events
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class TestAuthority:
    """A certificate authority of the tests' own, as files below a folder."""

    __test__ = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "upstream test authority")])
        key_usage = dict.fromkeys(
            ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "encipher_only", "decipher_only"), False,
        )  # fmt: skip
        certificate = (
            self._build(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **key_usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.bundle = folder / "authority.pem"
        self.bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _build(self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
        )

    def server_context(self, *names: str, alpn: tuple[str, ...] = ("h2", "http/1.1")) -> ssl.SSLContext:
        """Return a server's context with a certificate for these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        certificate = (
            self._build(subject, key.public_key())
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        path = self.folder / f"{names[0]}.pem"
        path.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        context.set_alpn_protocols(list(alpn))
        return context


@dataclass
class Seen:
    """A request that reached an upstream."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    version: str


PACKED = {
    "bomb": gzip.compress(bytes(64 << 20)),
    "zeros": gzip.compress(bytes(16 << 20)),
    "broken": b"this is not gzip",
    "br": b"\x0b\x02\x80abc\x03",
}


def whoami(who: str, how: str) -> tuple[int, list[tuple[str, str]], bytes]:
    """Answer with the credential that came: in the body as `how` says, or in a header."""
    kind = [("content-type", "text/plain")]
    plain = f"you are {who}, ".encode() * 500  # over the ends of many frames
    match how:
        case "gzip" | "deflate":
            data = gzip.compress(plain) if how == "gzip" else zlib.compress(plain)
            return 200, [*kind, ("content-encoding", how)], data
        case "bomb" | "zeros" | "broken" | "br":
            return 200, [*kind, ("content-encoding", "br" if how == "br" else "gzip")], PACKED[how]
        case "trailer":
            return 200, kind, b"the body"
        case "header":
            return 302, [*kind, ("location", f"https://other.test/?was={quote(who)}")], b""
        case "base64":
            return 200, kind, base64.b64encode(plain)
        case _:
            return 200, kind, plain


class ThreadServer:
    """A server on loopback, in a thread with an event loop of its own."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.port = 0
        self._context = context
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        raise NotImplementedError

    def start(self) -> Self:
        """Serve, from when this returns."""

        async def serve() -> asyncio.Server:
            return await asyncio.start_server(self.handle, "127.0.0.1", 0, ssl=self._context)

        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(serve(), self._loop).result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def stop(self) -> None:
        """End the thread, and every connection."""

        async def finish() -> None:
            self._server.close()
            rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(finish(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


class Upstream(ThreadServer):
    """HTTP in every version. `seen` are requests, `connections` counts all, `raw` is the beginning of what came in."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(context)
        self.connections = 0
        self.seen: list[Seen] = []
        self.messages: list[bytes] = []
        self.raw = bytearray()
        self.names: list[str | None] = []
        if context:
            context.sni_callback = lambda _tls, name, _context: self.names.append(name)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak what was negotiated."""
        self.connections += 1
        tls = writer.get_extra_info("ssl_object")
        try:
            if tls is not None and tls.selected_alpn_protocol() == "h2":
                await self._http2(reader, writer)
            else:
                await self._http1(reader, writer)
        except (OSError, h11.ProtocolError, EOFError):
            pass
        finally:
            writer.close()

    def answer(self, seen: Seen) -> tuple[int, list[tuple[str, str]], bytes]:
        """Answer with what was seen."""
        self.seen.append(seen)
        path, _, query = seen.target.partition("?")
        if path == "/whoami":
            return whoami(seen.headers.get("authorization", ""), query)
        if path == "/bytes":
            return 200, [("content-type", "application/octet-stream")], bytes(int(query))
        body = json.dumps(
            {
                "method": seen.method,
                "target": seen.target,
                "headers": dict(seen.headers),
                "length": len(seen.body),
                "version": seen.version,
            }
        ).encode()
        return 200, [("content-type", "application/json")], body

    async def _http1(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        request: h11.Request | None = None
        body = b""
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                data = await reader.read(65536)
                self.raw += data[:400]
                connection.receive_data(data)
            elif isinstance(event, h11.Request):
                request, body = event, b""
                if dict(event.headers).get(b"upgrade", b"").lower() == b"websocket":
                    await self._websocket(event, reader, writer)
                    return
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                headers = {name.decode(): value.decode("latin-1") for name, value in request.headers}
                seen = Seen(request.method.decode(), request.target.decode(), headers, body, "1.1")
                await self._respond(connection, reader, writer, seen)
                if connection.our_state is not h11.DONE:
                    return
                connection.start_next_cycle()
            elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                return

    async def _respond(
        self, connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Seen
    ) -> None:
        if seen.target == "/switch":
            await self._switch(reader, writer)
            return
        if seen.target == "/events":
            await self._events(connection, writer, seen)
            return
        status, fields, content = self.answer(seen)
        fields.append(("content-length", str(len(content))))
        writer.write(connection.send(h11.Response(status_code=status, headers=fields)) or b"")
        writer.write(connection.send(h11.Data(content)) or b"")
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        await writer.drain()

    async def _switch(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Switch protocols though nobody asked for it, and keep what comes then."""
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: raw\r\nConnection: Upgrade\r\n\r\n")
        while data := await reader.read(65536):
            self.messages.append(data)

    async def _events(self, connection: h11.Connection, writer: asyncio.StreamWriter, seen: Seen) -> None:
        writer.write(
            connection.send(h11.Response(status_code=200, headers=[("content-type", "text/event-stream")])) or b""
        )
        who = seen.headers.get("authorization", "")
        for number in range(5):
            half = len(who) * number // 5
            for part in (f"data: {number}{who[:half]}", f"{who[half:]}\n\n"):  # a value comes in two pieces
                writer.write(connection.send(h11.Data(part.encode())) or b"")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.write(connection.send(h11.EndOfMessage()) or b"")

    async def _websocket(
        self, request: h11.Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        socket = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
        socket.initiate_upgrade_connection(list(request.headers), request.target.decode())
        while True:
            for event in socket.events():
                if isinstance(event, wsproto.events.Request):
                    writer.write(socket.send(wsproto.events.AcceptConnection()))
                elif isinstance(event, wsproto.events.TextMessage | wsproto.events.BytesMessage):
                    data = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
                    self.messages.append(data)
                    writer.write(socket.send(wsproto.events.BytesMessage(data)))
                elif isinstance(event, wsproto.events.Ping):
                    self.messages.append(b"ping " + bytes(event.payload))
                    writer.write(socket.send(event.response()))
                elif isinstance(event, wsproto.events.CloseConnection):
                    self.messages.append(b"close " + (event.reason or "").encode())
                    return
            await writer.drain()
            data = await reader.read(65536)
            if not data:
                return
            socket.receive_data(data)

    async def _http2(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection: Any = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        requests: dict[int, tuple[dict[str, str], bytearray]] = {}
        waiting: dict[int, bytes] = {}
        while data := await reader.read(65536):
            arrived: list[Any] = connection.receive_data(data)
            for event in arrived:
                kind = event.__class__
                if kind is h2.events.RequestReceived:
                    requests[event.stream_id] = (dict(event.headers), bytearray())
                elif kind is h2.events.DataReceived:
                    requests[event.stream_id][1].extend(event.data)
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif kind is h2.events.StreamEnded:
                    headers, body = requests.pop(event.stream_id)
                    seen = Seen(headers[":method"], headers[":path"], headers, bytes(body), "2")
                    status, fields, content = self.answer(seen)
                    connection.send_headers(event.stream_id, [(":status", str(status)), *fields])
                    if seen.target == "/whoami?trailer":
                        connection.send_data(event.stream_id, content)
                        connection.send_headers(event.stream_id, [("x-who", seen.headers["authorization"])], True)
                        continue
                    waiting[event.stream_id] = content
            self._send(connection, waiting)
            writer.write(connection.data_to_send())
            await writer.drain()

    @staticmethod
    def _send(connection: Any, waiting: dict[int, bytes]) -> None:
        for stream, content in list(waiting.items()):
            rest = content
            while True:
                size = min(connection.local_flow_control_window(stream), connection.max_outbound_frame_size, len(rest))
                if rest and not size:
                    waiting[stream] = rest
                    break
                part, rest = rest[:size], rest[size:]
                connection.send_data(stream, part, end_stream=not rest)
                if not rest:
                    del waiting[stream]
                    break
