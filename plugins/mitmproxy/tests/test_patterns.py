"""Credential patterns: every issuer's shape is found, and nothing else."""

import base64
import binascii
import importlib
import os
import random
import re
import time
from collections.abc import Callable

import pytest
from corpus_shapes import ALNUM, CASES, EXAMPLES, some
from egress_harness import TOKEN
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bottle_mitmproxy.policy.patterns import LONGEST, PATTERNS
from bottle_mitmproxy.policy.scanner import WINDOW, find_credential, find_in_url, hits, redact, redact_target


def test_every_pattern_has_an_example() -> None:
    """No shape is in the table that no test has seen; at least 25 issuers are."""
    assert {pattern.issuer for pattern in PATTERNS} == set(EXAMPLES)
    assert len(EXAMPLES) >= 25
    assert [p for p in PATTERNS if not any(p.regex.search(example.encode()) for _, example in CASES)] == []


@pytest.mark.parametrize(("issuer", "example"), CASES)
@pytest.mark.parametrize("around", ["{}", '{{"token": "{}"}}', "export TOKEN={}\n", "Bearer {}", "a b\n{},c"])
def test_an_issuers_shape_is_found_wherever_it_stands(issuer: str, example: str, around: str) -> None:
    """S4: in JSON, in a shell line, in a header, in text."""
    assert find_credential(around.format(example).encode()) == issuer


@pytest.mark.parametrize(("issuer", "example"), CASES)
def test_a_credential_across_two_windows_is_found(issuer: str, example: str) -> None:
    """N12: a large body is searched in parts, and no credential falls between two."""
    assert len(example) < LONGEST
    for before in (WINDOW - len(example), WINDOW - len(example) // 2, WINDOW - 1, WINDOW, WINDOW + 1):
        assert find_credential(b"." * (before - 1) + b" " + example.encode() + b" " + b"." * 9000) == issuer


def test_a_github_token_with_a_wrong_checksum_is_one() -> None:
    """S4: a checksum that fails never lets a token pass."""
    assert find_credential(b"ghp_" + b"0123456789abcdefghijABCDEFGHIJ" + b"zzzzzz") == "a GitHub token"


@given(st.sampled_from(ALNUM), st.sampled_from(["ghp_", "npm_", "AKIA", "hf_", "gsk_", "sk_live_"]))
def test_a_placeholder_of_one_repeated_character_is_none(character: str, prefix: str) -> None:
    """Documentation writes `ghp_xxxx…`, and an agent must be able to read it."""
    for length in (16, 24, 34, 36, 52):
        assert find_credential(f"{prefix}{character * length}".encode()) is None


@pytest.mark.parametrize("before", [*ALNUM[::9], "_", "-"])
def test_a_shape_inside_a_longer_word_is_none(before: str) -> None:
    """Without a boundary, random text would be full of tokens."""
    assert find_credential(f"{before}AIza{some(ALNUM, 35)}".encode()) is None
    assert find_credential(f"AIza{some(ALNUM, 35)}{before}".encode()) is None


HARMLESS = """
Use `ghp_` or `github_pat_`; see -----BEGIN PRIVATE KEY----- in PEM files. AKIA, sk-ant-api03-..., SK, key-value
git commit 9fceb02d0ae598e95dc970b74767f19372d61af8, GITHUB_TOKEN=${GITHUB_TOKEN}, OPENAI_API_KEY=sk-..., disk-usage
sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 uuid 123e4567-e89b-12d3-a456-426614174000
a JWT is everyday: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U
integrity sha512-v2kDEe57lecTulaDIuNTPy3Ry4gLGJ6Z1O3vE1krgXZNrsQ+LFTGHVxVjcXPs17LhbZVGedAJv8XZ1tvj5FvSg==
https://example.us-east-1.amazonaws.com/?X-Amz-Algorithm=AWS4-HMAC-SHA256 bucket-us1 d41d8cd98f00b204e9800998ecf8427e-us
"""


def test_everyday_text_has_no_credential() -> None:
    """Hashes, UUIDs, JWTs, names of variables, prefixes in prose."""
    assert [hit.issuer for hit in hits(HARMLESS.encode())] == []


@pytest.mark.parametrize(
    "encode",
    [
        base64.b64encode,
        base64.urlsafe_b64encode,
        base64.encodebytes,
        base64.b85encode,
        binascii.hexlify,
        bytes,
    ],
    ids=["base64", "base64url", "base64 lines", "base85", "hex", "bytes"],
)
def test_random_data_has_no_credential(encode: Callable[[bytes], bytes]) -> None:
    """Images, archives and hashes in a request are no leak: megabytes of each encoding."""
    for _ in range(3):
        assert list(hits(encode(os.urandom(1_000_000)))) == []


SHORT = sorted(it for p in PATTERNS for it in p.literals if re.fullmatch(rb"[A-Za-z0-9+/]{1,5}", it))


@pytest.mark.parametrize("literal", SHORT)
def test_a_prefix_in_random_data_is_no_credential(literal: bytes) -> None:
    """In a gigabyte of base64 each short prefix stands by chance, and what follows it is hardly ever a token."""
    dice, rounds, found = random.Random(literal), 200, 0
    for _ in range(rounds):
        data = base64.b64encode(dice.randbytes(1200))
        data = data[:400] + b"/" + literal + data[401 + len(literal) :]
        found += any(hit.start <= 401 < hit.end for hit in hits(data))
    chance = 2 * (1 << 30) / 64 ** (1 + len(literal))  # that it stands there, behind one of the two that are no letters
    assert chance * found / rounds < 0.1


@pytest.mark.parametrize(
    "data", [os.urandom(1 << 20), base64.b64encode(os.urandom(750_000)), b"a b-c. d_e f " * 80_000]
)
def test_a_megabyte_is_looked_through_in_a_blink(data: bytes) -> None:
    """A request of everyday size costs little: well under a quarter of a second of CPU for 1 MB, all forms undone."""
    begin = time.process_time()
    find_credential(data)
    assert time.process_time() - begin < 0.25


@pytest.mark.parametrize("literal", sorted({literal for pattern in PATTERNS for literal in pattern.literals}))
def test_no_repetition_of_a_prefix_makes_it_slow(literal: bytes) -> None:
    """A hostile body cannot hold the proxy up: no pattern backtracks beyond its own bounded length."""
    begin = time.process_time()
    for filler in (b"", b" ", b"a", b"0", b"-", b"AA", b"PRIVATE KEY-----\n"):
        find_credential((literal + filler) * (50_000 // len(literal + filler)))
    assert time.process_time() - begin < 1


@given(st.text(max_size=50), st.text(max_size=50))
def test_redaction_leaves_no_credential(before: str, after: str) -> None:
    """S6: what is written down holds the issuer's name in the credential's place."""
    text = redact(f"{before} {TOKEN} {after}")
    assert TOKEN not in text
    assert "[a GitHub token]" in text


def test_a_target_is_written_down_without_values() -> None:
    """S6: of a query the names alone, of a path no credential, however it is encoded."""
    assert redact_target(f"/a/{TOKEN}/b?x=1&y=2&flag") == "/a/[a GitHub token]/b?x=…&y=…&…"
    assert redact_target(f"/a/%67hp_{TOKEN[4:]}?{TOKEN}={TOKEN}") == "/a/[a GitHub token]?[a GitHub token]=…"
    assert redact_target("/\x1b[2J\u202e") == "/%1B[2J%E2%80%AE"  # what a terminal would obey


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode, binascii.hexlify])
def test_a_target_is_written_down_without_encoded_values(encode: Callable[[bytes], bytes]) -> None:
    """S6: where a path or a name has a credential in another form, nothing of it is kept."""
    coded = encode(TOKEN.encode()).decode()
    assert redact_target(f"/raw/{coded}?x=1") == "[a GitHub token]?x=…"
    assert redact_target(f"/raw?{coded}=1") == "/raw?[a GitHub token]"


def test_a_url_is_looked_at_with_its_encoding_undone() -> None:
    """S4: `%67hp_…` is a GitHub token to whoever receives it."""
    assert find_in_url(b"/?q=%67hp_" + TOKEN[4:].encode()) == "a GitHub token"
    assert find_in_url(b"/?q=token%3A" + TOKEN.encode()) == "a GitHub token"


# What detect-secrets' provider plugins deny, and why ours do not.
EXCEPTIONS = {
    ("AWSKeyDetector", 1): "a 40 character word behind `aws…key`: nothing tells it from a hash",
    ("ArtifactoryDetector", 0): "`AKC` and ten characters: ours asks for the length of a real one",
    ("ArtifactoryDetector", 1): "`AP` and nine characters: matches prose",
    ("NpmDetector", 0): "any text behind `npm_`: ours asks for the length of a real one",
    ("PrivateKeyDetector", None): "a bare header is how programs name the format: ours asks for a body",
    ("TelegramBotTokenDetector", 0): "any 35 characters: ours asks for `AA`, with which Telegram's begin",
    ("TwilioKeyDetector", 0): "an account's public identifier",
    ("TwilioKeyDetector", 1): "any lower-case word of the length: ours asks for hexadecimal",
    ("MailchimpDetector", 0): "any lower-case word of the length: ours asks for hexadecimal",
    ("SquareOAuthDetector", 0): "backslashes inside",
    ("SlackDetector", 1): "a webhook of any length: ours asks for the length of a real one",
    ("SlackDetector", 0): "case-blind: ours takes the prefix as Slack writes it",
}
DETECTORS = {
    "AWSKeyDetector": "aws",
    "ArtifactoryDetector": "artifactory",
    "AzureStorageKeyDetector": "azure_storage_key",
    "DiscordBotTokenDetector": "discord",
    "GitHubTokenDetector": "github_token",
    "GitLabTokenDetector": "gitlab_token",
    "MailchimpDetector": "mailchimp",
    "NpmDetector": "npm",
    "OpenAIDetector": "openai",
    "PrivateKeyDetector": "private_key",
    "PypiTokenDetector": "pypi_token",
    "SendGridDetector": "sendgrid",
    "SlackDetector": "slack",
    "SquareOAuthDetector": "square_oauth",
    "StripeDetector": "stripe",
    "TelegramBotTokenDetector": "telegram_token",
    "TwilioKeyDetector": "twilio",
}


def denied(name: str) -> list[re.Pattern[str]]:
    """Return what a provider plugin of detect-secrets denies."""
    pytest.importorskip("detect_secrets", reason="pip install detect-secrets (dependency group dev)")
    return list(getattr(importlib.import_module(f"detect_secrets.plugins.{DETECTORS[name]}"), name).denylist)


def is_exception(name: str, number: int) -> bool:
    """Tell whether one of them is left out on purpose."""
    return (name, number) in EXCEPTIONS or (name, None) in EXCEPTIONS


def examples(pattern: re.Pattern[str]) -> st.SearchStrategy[str]:
    """Return texts that it denies, but placeholders."""
    ascii_only = re.compile(pattern.pattern, (pattern.flags & ~re.UNICODE) | re.ASCII)
    return st.from_regex(ascii_only, fullmatch=True).filter(lambda text: len(set(text[-10:])) > 1)


@pytest.mark.parametrize("name", DETECTORS)
def test_what_detect_secrets_denies_is_found_here_too(name: str) -> None:
    """Each provider pattern of detect-secrets is covered by ours, or its exception has a reason above."""
    for number, pattern in enumerate(denied(name)):

        @settings(max_examples=15, deadline=None, database=None, phases=[Phase.generate], derandomize=True)
        @given(examples(pattern))
        def look(example: str) -> None:
            assert find_credential(f" {example} ".encode()), example

        if is_exception(name, number):
            with pytest.raises(AssertionError):  # an exception that is none any more goes
                look()
        else:
            look()
