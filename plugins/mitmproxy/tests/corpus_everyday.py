"""Everyday traffic of coding agents, made when the tests run, always the same: nothing of it is a credential."""

import base64
import gzip
import json
import random
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping
from itertools import chain

from corpus_forms import FORM, JSON, TEXT, Sent, post
from corpus_shapes import ALNUM, BASE64, WORD, some
from corpus_texts import ENV_EXAMPLE, SECRETS_PAGE, SYSTEM

__all__ = ["EVERYDAY"]

dice = random.Random(20261128)
MB = 1 << 20


def b64(size: int) -> str:
    """Return random bytes in base64."""
    return base64.b64encode(dice.randbytes(size)).decode()


def sha(size: int = 20) -> str:
    """Return a hash."""
    return dice.randbytes(size).hex()


def uid() -> str:
    """Return a UUID."""
    return str(uuid.UUID(int=dice.getrandbits(128), version=4))


def lines(make: Callable[[int], str], count: int) -> str:
    """Return many lines."""
    return "\n".join(make(number) for number in range(count)) + "\n"


def claude(*blocks: object) -> Sent:
    """Return a request as Claude Code makes it, with what it has read."""
    tools = [
        {
            "name": name,
            "description": f"{name} a file. Usage: the path must be absolute.",
            "input_schema": {"type": "object"},
        }
        for name in ("Bash", "Edit", "Read", "Write", "Skill", "Agent")
    ]
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "<system-reminder>\nToday's date is 2026-11-28.\n"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Let me read it.", "signature": b64(600)},
                {
                    "type": "tool_use",
                    "id": f"toolu_01{some(ALNUM, 22)}",
                    "name": "Read",
                    "input": {"file_path": "/w/x"},
                },
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": f"toolu_01{some(ALNUM, 22)}", "content": blocks}],
        },
    ]
    user = f"user_{sha(32)}_account_{uid()}_session_{uid()}"
    return post(
        json.dumps(
            {
                "model": "claude-opus-4-8",
                "max_tokens": 64000,
                "stream": True,
                "system": [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}],
                "tools": tools,
                "messages": messages,
                "metadata": {"user_id": user},
            }
        ),
        JSON,
    )


def read(text: str) -> Sent:
    """Return a request with a file that was read, its lines numbered as the agent does."""
    return claude({"type": "text", "text": "".join(f"{n:>6}\t{line}\n" for n, line in enumerate(text.splitlines(), 1))})


def identifiers() -> str:
    """Return hashes and names of every sort that logs and answers are full of."""
    kinds: list[Callable[[], str]] = [
        sha,
        lambda: sha(32),
        lambda: sha(16),
        lambda: sha(64),
        uid,
        lambda: f"sha256:{sha(32)}",
        lambda: f"sha512-{b64(64)}",
        lambda: f"h1:{b64(32)}",
        lambda: f'W/"{sha(8)}-{sha(6)}"',
        lambda: f"00-{sha(16)}-{sha(8)}-01",
        lambda: f"chatcmpl-{some(ALNUM, 29, dice.getrandbits(30))}",
        lambda: f"msg_01{some(ALNUM, 22, dice.getrandbits(30))}",
        lambda: f"req_011{some(ALNUM, 21, dice.getrandbits(30))}",
        lambda: f"pi_{some(ALNUM, 24, dice.getrandbits(30))}_secret",
        lambda: f"pk_live_{some(ALNUM, 24, dice.getrandbits(30))}",
        lambda: f"i-{sha(8)} vpc-{sha(8)} arn:aws:iam::123456789012:role/{sha(4)}",
        lambda: f"AROA{some('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', 16, dice.getrandbits(30))}",
        lambda: f"T0{some('ABCDEFGHIJ0123456789', 8, dice.getrandbits(30))}/C0{some('ABCDEFGHIJ0123456789', 8)}",
        lambda: f"$2b$12${some(ALNUM + './', 53, dice.getrandbits(30))}",
        lambda: f"MDQ6VXNlcj{b64(9)}",
        lambda: f"01{some('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 24, dice.getrandbits(30))}",
        lambda: some(WORD, 21, dice.getrandbits(30)),
        lambda: some(WORD, 43, dice.getrandbits(30)),
        lambda: some(BASE64, 88, dice.getrandbits(30)),
    ]
    return lines(lambda number: kinds[number % len(kinds)](), 6000)


def jwt() -> str:
    """Return a JSON Web Token: who has one shows it to every page, and a session's is everyday."""
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": "1234567890", "name": "John Doe", "iat": 1516239022, "jti": uid()})
    body = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return f"{body}.{some(WORD, 43)}"


def armour(kind: str, size: int) -> str:
    """Return something public in PEM."""
    return f"-----BEGIN {kind}-----\n{base64.encodebytes(dice.randbytes(size)).decode()}-----END {kind}-----\n"


def package_lock() -> str:
    """Return npm's lock file, of a megabyte."""
    packages = {
        f"node_modules/@scope/pkg-{n}": {
            "version": f"1.{n}.0",
            "resolved": f"https://registry.example.com/@scope/pkg-{n}/-/pkg-{n}-1.{n}.0.tgz",
            "integrity": f"sha512-{b64(64)}",
            "engines": {"node": ">=18"},
        }
        for n in range(3500)
    }
    return json.dumps({"name": "x", "lockfileVersion": 3, "packages": packages}, indent=2)


def minified() -> str:
    """Return half a megabyte of minified code."""
    return "".join(
        f'var {some(ALNUM, 2, n)}=function(e,t){{return e.{some(ALNUM, 6, n)}("{some(WORD, 12, n)}",t[{n}]||"")}};'
        for n in range(7000)
    )


def pack() -> bytes:
    """Return objects of git, as a push sends them."""
    return b"PACK" + b"".join(
        zlib.compress(f"tree {sha()}\nparent {sha()}\n\n{some(ALNUM, 90, n)}".encode()) for n in range(4000)
    )


def large() -> Iterator[tuple[str, Sent]]:
    """Yield what is large."""
    png = "iVBORw0KGgo" + b64(MB * 3 // 4)
    image = {"type": "base64", "media_type": "image/png", "data": png}
    yield "an image of 1 MB in base64, as the agent sends it", claude({"type": "image", "source": image})
    yield "the same as a data URL", post(json.dumps({"url": f"data:image/png;base64,{png}"}), JSON)
    yield "a document of 1 MB in base64, in lines", post(base64.encodebytes(dice.randbytes(MB * 3 // 4)), TEXT)
    yield "an archive of 5 MB", post(dice.randbytes(5 * MB), "application/gzip")


def locks() -> Iterator[tuple[str, Sent]]:
    """Yield files that pin what is installed."""
    yield "package-lock.json", read(package_lock())
    yield (
        "yarn.lock",
        read(
            lines(
                lambda n: f'"p{n}@^1":\n  resolved "https://r.example.com/p#{sha()}"\n  integrity sha512-{b64(64)}', 900
            )
        ),
    )
    yield (
        "pnpm-lock.yaml",
        read(lines(lambda n: f"  /p{n}@1.0.{n}:\n    resolution: {{integrity: sha512-{b64(64)}}}", 900)),
    )
    yield "poetry.lock", read(lines(lambda n: f'    {{file = "p-{n}.whl", hash = "sha256:{sha(32)}"}},', 1500))
    yield "requirements.txt with hashes", read(lines(lambda n: f"p{n}==1.{n} \\\n    --hash=sha256:{sha(32)}", 1500))
    yield "Cargo.lock", read(lines(lambda n: f'[[package]]\nname = "c{n}"\nchecksum = "{sha(32)}"\n', 900))
    yield (
        "go.sum",
        read(
            lines(
                lambda n: f"github.com/o/m{n} v1.2.{n} h1:{b64(32)}\ngithub.com/o/m{n} v1.2.{n}/go.mod h1:{b64(32)}",
                900,
            )
        ),
    )
    yield "Gemfile.lock", read(lines(lambda n: f"  gem{n} (1.0.{n}) sha256={sha(32)}", 900))
    yield (
        "flake.lock",
        read(json.dumps({f"i{n}": {"narHash": f"sha256-{b64(32)}", "rev": sha()} for n in range(300)}, indent=1)),
    )


def code() -> Iterator[tuple[str, Sent]]:
    """Yield code, and what git says of it."""
    yield "minified code", read(minified())
    yield (
        "a source map",
        post(
            json.dumps(
                {
                    "version": 3,
                    "mappings": some(BASE64 + ",;", 300_000),
                    "names": [some(ALNUM, 8, n) for n in range(3000)],
                }
            ),
            JSON,
        ),
    )
    yield (
        "a style sheet with fonts in it",
        read("\n".join(f"@font-face{{src:url(data:font/woff2;base64,{b64(9000)})}}" for _ in range(20))),
    )
    yield (
        "a log of git with hashes",
        read(lines(lambda n: f"commit {sha()}\nAuthor: A <a@example.com>\n\n    fix {sha(4)[:7]}", 2000)),
    )
    yield (
        "a diff of git",
        read(
            lines(
                lambda n: f"diff --git a/x{n} b/x{n}\nindex {sha()[:10]}..{sha()[:10]} 100644\n+{some(ALNUM, 40, n)}",
                900,
            )
        ),
    )
    yield "objects of git that are pushed", post(pack(), "application/x-git-receive-pack-request")
    yield "hashes, UUIDs and other identifiers", read(identifiers())
    yield (
        "arrays of hashes",
        post(json.dumps({"md5": [sha(16) for _ in range(4000)], "sha": [sha() for _ in range(4000)]}), JSON),
    )
    yield "arrays of words", post(json.dumps([some(ALNUM, 8 + n % 40, n) for n in range(20_000)]), JSON)


def texts() -> Iterator[tuple[str, Sent]]:
    """Yield texts that speak of secrets, and what is public of them."""
    yield ".env.example", read(ENV_EXAMPLE)
    yield "a page about secrets", read(SECRETS_PAGE)
    yield "JSON Web Tokens", read(lines(lambda _: jwt(), 200))
    yield (
        "certificates and public keys",
        read(
            "".join(
                armour(k, 900)
                for k in (
                    "CERTIFICATE",
                    "PUBLIC KEY",
                    "RSA PUBLIC KEY",
                    "PGP PUBLIC KEY BLOCK",
                    "PGP SIGNATURE",
                    "SSH SIGNATURE",
                )
            )
            * 9
        ),
    )
    yield (
        "authorized_keys and known_hosts",
        read(lines(lambda n: f"h{n}.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{b64(33)} a@b", 300)),
    )
    yield (
        "tests with fake keys",
        read(
            lines(
                lambda n: (
                    f'TOKEN = "{p}{c * k}"'
                    if (p := ("ghp_", "npm_", "hf_", "AKIA", "sk_live_")[n % 5])
                    and (c := "xX0A"[n % 4])
                    and (k := (36, 36, 34, 16, 24)[n % 5])
                    else ""
                ),
                60,
            )
        ),
    )


def outputs() -> Iterator[tuple[str, Sent]]:
    """Yield what programs print, and what is made for them."""
    yield (
        "embeddings",
        post(
            json.dumps({"data": [{"embedding": [dice.uniform(-1, 1) for _ in range(1536)]} for _ in range(20)]}), JSON
        ),
    )
    yield "a list of container images", read(lines(lambda n: f"docker.io/library/x:{n}@sha256:{sha(32)}", 900))
    yield (
        "a manifest of Kubernetes with base64",
        read(lines(lambda n: f"  file{n}: {base64.b64encode(ENV_EXAMPLE.encode()).decode()}", 30)),
    )
    yield (
        "a log of CI with colours",
        read(lines(lambda n: f"\x1b[32mok\x1b[0m {n} {sha(4)} {dice.random():.3f}s", 3000)),
    )


def requests() -> Iterator[tuple[str, Sent]]:
    """Yield requests that are no JSON."""
    yield (
        "an upload of several files",
        post(
            b"--b\r\nContent-Disposition: form-data; name=f; filename=a.zip\r\n\r\n"
            + dice.randbytes(300_000)
            + b"\r\n--b--",
            "multipart/form-data; boundary=b",
        ),
    )
    yield "a body in gzip", post(gzip.compress(package_lock().encode(), mtime=0), JSON, ("content-encoding", "gzip"))
    yield "a form", post("&".join(f"f{n}={sha()}" for n in range(300)) + "&client_id=" + uid(), FORM)
    yield (
        "a login with PKCE",
        Sent(f"/authorize?client_id={uid()}&code_challenge={some(WORD, 43)}&state={some(WORD, 43, 3)}&nonce={sha()}"),
    )
    yield (
        "a page of results",
        Sent(f"/v1/items?after={base64.urlsafe_b64encode(f'cursor:{uid()}'.encode()).decode()}&limit=100&sha={sha()}"),
    )
    yield (
        "a signed link",
        Sent(
            f"/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20261128T000000Z&X-Amz-Expires=900&X-Amz-Signature={sha(32)}"
        ),
    )
    yield (
        "cookies and tags of a session",
        Sent(
            "/",
            (
                ("cookie", f"sid={sha(32)}; csrf={some(WORD, 43)}; jwt={jwt()}"),
                ("if-none-match", f'"{sha()}"'),
                ("traceparent", f"00-{sha(16)}-{sha(8)}-01"),
            ),
        ),
    )
    yield "a path of hashes", Sent(f"/{sha()}/blob/{sha(32)}/packages/{some(ALNUM, 30)}/{uid()}/file-{sha(4)}.tar.gz")


EVERYDAY: Mapping[str, Sent] = dict(chain(large(), locks(), code(), texts(), outputs(), requests()))
