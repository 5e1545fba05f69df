"""A registry with one small image, for an engine of this machine: what of the distribution protocol a pull asks for."""

import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, NamedTuple

__all__ = ["Registry", "registry"]

DOCKER = "application/vnd.docker"
MANIFEST = f"{DOCKER}.distribution.manifest.v2+json"


class Registry(NamedTuple):
    """The image's name without a tag, its only tag, and the digest of its manifest."""

    name: str
    tag: str
    digest: str


class Handler(BaseHTTPRequestHandler):
    """Answers by the last part of a path; a subclass has the answers."""

    blobs: ClassVar[Mapping[str, bytes]]
    manifest: ClassVar[str]

    def do_GET(self) -> None:
        key = self.path.rpartition("/")[2]
        data = self.blobs.get(key, b"{}" if self.path == "/v2/" else None)
        self.send_response(404 if data is None else 200)
        self.send_header("Content-Length", str(len(data or b"")))
        if "/manifests/" in self.path:
            self.send_header("Content-Type", MANIFEST)
            self.send_header("Docker-Content-Digest", self.manifest)
        self.end_headers()
        if data and self.command == "GET":
            self.wfile.write(data)

    do_HEAD = do_GET  # noqa: N815 - the name that the standard library calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@contextmanager
def registry(label: str) -> Generator[Registry]:
    """Serve an image with a label `test`, at an address that engines ask without TLS."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w"):
        pass
    layer, plain = gzip.compress(buffer.getvalue()), digest_of(buffer.getvalue())
    image = {"architecture": "amd64", "os": "linux", "config": {"Labels": {"test": label}}}
    config = json.dumps({**image, "rootfs": {"type": "layers", "diff_ids": [plain]}}).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": described(f"{DOCKER}.container.image.v1+json", config),
            "layers": [described(f"{DOCKER}.image.rootfs.diff.tar.gzip", layer)],
        }
    ).encode()
    digest = digest_of(manifest)
    blobs = {digest_of(config): config, digest_of(layer): layer, digest: manifest, "1": manifest}
    handler = type("Answers", (Handler,), {"blobs": blobs, "manifest": digest})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield Registry(f"127.0.0.1:{server.server_port}/claude-bottle-test", "1", digest)
        server.shutdown()


def digest_of(data: bytes) -> str:
    """Return a digest as registries write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def described(kind: str, data: bytes) -> Mapping[str, object]:
    """Return what a manifest says of a blob."""
    return {"mediaType": kind, "size": len(data), "digest": digest_of(data)}
