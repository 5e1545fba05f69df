"""Credential patterns: every issuer's shape is found, and nothing else."""

import base64
import binascii
import importlib
import os
import random
import re
import string
import time
from collections.abc import Callable

import pytest
from egress_harness import TOKEN
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bottle_mitmproxy.policy.patterns import LONGEST, PATTERNS
from bottle_mitmproxy.policy.scanner import WINDOW, find_credential, find_in_url, hits, redact, redact_target

ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
WORD = ALNUM + "_-"


def some(alphabet: str, length: int, seed: int = 7) -> str:
    """Return a text that looks random and is the same every time."""
    generator = random.Random(f"{alphabet}{length}{seed}")
    return "".join(generator.choice(alphabet) for _ in range(length))


EXAMPLES = {
    "a GitHub token": [
        *(f"gh{kind}_{some(ALNUM, 36)}" for kind in "pousr"),
        f"github_pat_{some(ALNUM, 22)}_{some(ALNUM, 59)}",
        TOKEN,
    ],
    "a GitLab token": [
        f"glpat-{some(WORD, 19)}a",
        f"glrt-t1_{some(ALNUM, 20)}",
        f"glptt-{some(HEX, 40)}",
        f"GR1348941{some(ALNUM, 20)}",
    ],
    "an AWS access key": [
        f"AKIA{some('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', 16)}",
        "ASIAIOSFODNN7EXAMPLE",
        "A3TX0123456789ABCDEF",
    ],
    "a Slack token": [
        f"xoxb-123456789012-1234567890123-{some(ALNUM, 24)}",
        f"xoxp-1234567890-1234567890-1234567890-{some(HEX, 32)}",
        f"xoxc-{some(ALNUM, 60)}",
        f"xapp-1-A0123456789-1234567890123-{some(HEX, 64)}",
    ],
    "a Slack webhook": [f"https://hooks.slack.com/services/T0{some(ALNUM, 8)}/B0{some(ALNUM, 8)}/{some(ALNUM, 24)}"],
    "a Stripe key": [f"sk_live_{some(ALNUM, 24)}", f"rk_live_{some(ALNUM, 99)}", f"whsec_{some(ALNUM, 32)}"],
    "an Anthropic key": [f"sk-ant-api03-{some(WORD, 93)}AA", f"sk-ant-oat01-{some(WORD, 93)}AA"],
    "an OpenAI key": [
        f"sk-{some(ALNUM, 20)}T3BlbkFJ{some(ALNUM, 20)}",
        f"sk-proj-{some(WORD, 73)}aT3BlbkFJ{some(WORD, 73)}a",
        f"sk-svcacct-{some(WORD, 60)}a",
    ],
    "a Google API key": [f"AIza{some(ALNUM, 35)}"],
    "a Google client secret": [f"GOCSPX-{some(ALNUM, 28)}"],
    "a Google access token": [f"ya29.{some(WORD, 150)}a"],
    "an npm token": [f"npm_{some(ALNUM, 36)}", "//r.test/:_authToken=01234567-89ab-cdef-0123-456789abcdef"],
    "a PyPI token": [f"pypi-AgEIcHlwaS5vcmc{some(WORD, 150)}a"],
    "a private key": [
        f"-----BEGIN {kind}PRIVATE KEY-----\n{some(ALNUM, 64)}\n"
        for kind in ("", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED ")
    ]
    + [
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n" + some(ALNUM, 64),
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\n\n" + some(ALNUM, 64),
        '{"key": "-----BEGIN PRIVATE KEY-----\\n' + some(ALNUM, 64) + '\\n"}',
        "-----BEGIN PRIVATE KEY-----\r\n" + some(ALNUM, 64),
    ],
    "a PuTTY private key": [f"PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\n{some(ALNUM, 48)}\n"],
    "a Twilio key": [f"SK{some(HEX, 32)}"],
    "a SendGrid key": [f"SG.{some(ALNUM, 22)}.{some(ALNUM, 43)}"],
    "a Mailchimp key": [f"{some(HEX, 32)}-us12"],
    "a Mailgun key": [f"key-{some(HEX, 32)}"],
    "a DigitalOcean token": [f"dop_v1_{some(HEX, 64)}", f"dor_v1_{some(HEX, 64)}"],
    "a Hugging Face token": [f"hf_{some(ALNUM, 34)}", f"api_org_{some(ALNUM, 34)}"],
    "a Databricks token": [f"dapi{some(HEX, 32)}", f"dapi{some(HEX, 32)}-2"],
    "a Telegram bot token": [f"123456789:AA{some(ALNUM, 33)}", f"/bot1234567890:AA{some(ALNUM, 33)}/getMe"],
    "a Discord bot token": [f"M{some(ALNUM, 23)}.{some(ALNUM, 6)}.{some(ALNUM, 27)}"],
    "a Discord webhook": [f"https://discord.com/api/webhooks/123456789012345678/{some(ALNUM, 68)}"],
    "a Square token": [f"sq0csp-{some(ALNUM, 43)}", f"sq0atp-{some(ALNUM, 22)}"],
    "a Shopify token": [f"shpat_{some(HEX, 32)}"],
    "an Azure storage key": [f"AccountName=x;AccountKey={some(ALNUM, 86)}==;"],
    "a Heroku key": [f"HRKU-{some(ALNUM, 60)}"],
    "a Linear key": [f"lin_api_{some(ALNUM, 40)}"],
    "a Notion token": [f"ntn_{some(ALNUM, 46)}", f"secret_{some(ALNUM, 43)}"],
    "a Postman key": [f"PMAK-{some(HEX, 24)}-{some(HEX, 34)}"],
    "a Doppler token": [f"dp.pt.{some(ALNUM, 43)}", f"dp.st.dev.{some(ALNUM, 43)}"],
    "a Vault token": [f"hvs.{some(ALNUM, 24)}", f"hvb.{some(ALNUM, 138)}"],
    "a Terraform token": [f"{some(ALNUM, 14)}.atlasv1.{some(ALNUM, 67)}"],
    "an Atlassian token": [f"ATATT3{some(ALNUM, 180)}=0A1B2C3D"],
    "a Grafana token": [f"glsa_{some(ALNUM, 32)}_{some(HEX, 8)}"],
    "a New Relic key": [f"NRAK-{some(string.ascii_uppercase + string.digits, 27)}"],
    "a Sentry token": [f"sntryu_{some(HEX, 64)}", f"sntrys_eyJ{some(ALNUM, 120)}"],
    "a Figma token": [f"figd_{some(ALNUM, 40)}"],
    "a PlanetScale token": [f"pscale_tkn_{some(ALNUM, 43)}"],
    "a Supabase token": [f"sbp_{some(HEX, 40)}"],
    "a Docker Hub token": [f"dckr_pat_{some(ALNUM, 27)}"],
    "a RubyGems key": [f"rubygems_{some(HEX, 48)}"],
    "a Groq key": [f"gsk_{some(ALNUM, 52)}"],
    "an xAI key": [f"xai-{some(ALNUM, 80)}"],
    "a Perplexity key": [f"pplx-{some(ALNUM, 48)}"],
    "a Replicate token": [f"r8_{some(ALNUM, 37)}"],
    "a Tailscale key": [f"tskey-auth-{some(ALNUM, 12)}CNTRL-{some(ALNUM, 32)}"],
    "an age key": ["AGE-SECRET-KEY-1" + some("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58)],
    "a 1Password token": [f"ops_eyJ{some(ALNUM, 600)}"],
    "a Fly.io token": [f"fo1_{some(ALNUM, 43)}"],
    "an Artifactory key": [f"AKCp{some(ALNUM, 69)}"],
}
CASES = [(issuer, example) for issuer, examples in EXAMPLES.items() for example in examples]


def test_every_pattern_has_an_example() -> None:
    """No shape is in the table that no test has seen; at least 25 issuers are."""
    assert {pattern.issuer for pattern in PATTERNS} == set(EXAMPLES)
    assert len(EXAMPLES) >= 25
    found = {id(p) for p in PATTERNS for _, example in CASES if any(p.regex.finditer(example.encode()))}
    assert len(found) == len(PATTERNS)


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


@pytest.mark.parametrize(
    "data", [os.urandom(1 << 20), base64.b64encode(os.urandom(750_000)), b"a b-c. d_e f " * 80_000]
)
def test_a_megabyte_is_looked_through_in_a_blink(data: bytes) -> None:
    """A request of everyday size costs little: well under 0.1 s of CPU for 1 MB, on a slow machine too."""
    begin = time.process_time()
    find_credential(data)
    assert time.process_time() - begin < 0.1


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
    assert TOKEN[4:] not in redact_target(f"/a/%67hp_{TOKEN[4:]}?{TOKEN}={TOKEN}")


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
