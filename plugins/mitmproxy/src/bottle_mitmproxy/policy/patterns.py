"""Credentials by their shape: issuer, prefix, length and alphabet, with a boundary on either side.

A pattern is in the table only if random base64, hexadecimal and everyday prose do not match it, so that
refusing can be the default. Checksums are not looked at: one that fails never lets a token pass.
A token whose secret part repeats a single character is a placeholder from documentation.
"""

import re
from typing import Literal, NamedTuple

__all__ = ["LONGEST", "PATTERNS", "SHORTEST", "Pattern"]

SHORTEST = 20
"""Bytes of the first run of letters, digits, `_` and `-` in a shape of the kind `word`."""

LONGEST = 4096
"""Bytes within which every shape ends."""

START, END = rb"(?<![A-Za-z0-9_-])", rb"(?![A-Za-z0-9_-])"
LINE = rb"(?:\s|\\[nr])+"  # in JSON a line break is two characters


class Pattern(NamedTuple):
    """One shape, and how to look for it; `regex` has a group `secret`.

    `literals` are bytes without which it cannot match. Of the kind `word` it begins with one of them at the
    beginning of a long word; `prefix`: anywhere; `inside`: they stand somewhere in it.
    """

    issuer: str
    literals: tuple[bytes, ...]
    regex: re.Pattern[bytes]
    kind: Literal["word", "prefix", "inside"]


def _token(issuer: str, prefixes: str, secret: bytes, end: bytes = END) -> Pattern:
    literals = tuple(prefix.encode() for prefix in prefixes.split())
    prefix = b"|".join(re.escape(literal) for literal in literals)
    return Pattern(
        issuer, literals, re.compile(START + b"(?:" + prefix + b")(?P<secret>" + secret + b")" + end), "word"
    )


def _broken(issuer: str, prefixes: str, secret: bytes) -> Pattern:
    """Return a token that other characters divide, so that it need not begin with a long word."""
    return _token(issuer, prefixes, secret)._replace(kind="prefix")


def _shape(issuer: str, literal: str, regex: bytes) -> Pattern:
    return Pattern(issuer, (literal.encode(),), re.compile(regex), "inside")


PATTERNS: tuple[Pattern, ...] = (
    _token("a GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", rb"[A-Za-z0-9_]{36,255}"),
    _token("a GitHub token", "github_pat_", rb"[A-Za-z0-9_]{36,255}"),
    _token(
        "a GitLab token",
        "glpat- gldt- glrt- glft- glsoat- glptt- glagent- glcbt- glimt- gloas- glffct-",
        rb"[A-Za-z0-9_-]{20,1100}(?:\.[A-Za-z0-9_-]{2,}){0,2}",
    ),
    _token("a GitLab token", "GR1348941", rb"[A-Za-z0-9_-]{20,50}"),
    _token("an AWS access key", "AKIA ASIA ABIA ACCA", rb"[A-Z0-9]{16}", rb"(?![A-Za-z0-9_/+=-])"),
    _token("an AWS access key", "A3T", rb"[A-Z0-9]{17}", rb"(?![A-Za-z0-9_/+=-])"),
    _token("a Slack token", "xoxa- xoxb- xoxe- xoxo- xoxp- xoxr- xoxs-", rb"(?:[0-9]+-)+[A-Za-z0-9]+"),
    _broken("a Slack token", "xoxc- xoxd-", rb"[A-Za-z0-9%/+=-]{40,400}"),
    _token("a Slack token", "xapp-", rb"[0-9]-[A-Z0-9]{8,}-[0-9]{8,}-[A-Za-z0-9]{40,}"),
    _shape(
        "a Slack webhook", "hooks.slack.com/", rb"hooks\.slack\.com/(?:services|workflows)/(?P<secret>[TA-Z][\w/]{20,})"
    ),
    _token("a Stripe key", "sk_live_ rk_live_ whsec_", rb"[A-Za-z0-9]{24,255}"),
    _token("an Anthropic key", "sk-ant-", rb"[a-z0-9]{3,12}-[A-Za-z0-9_-]{24,300}"),
    _token("an OpenAI key", "sk-", rb"[A-Za-z0-9_-]{20,200}T3BlbkFJ[A-Za-z0-9_-]{20,200}"),
    _token("an OpenAI key", "sk-proj- sk-svcacct- sk-admin-", rb"[A-Za-z0-9_-]{40,300}"),
    _token("a Google API key", "AIza", rb"[A-Za-z0-9_-]{35}"),
    _token("a Google client secret", "GOCSPX-", rb"[A-Za-z0-9_-]{28}"),
    _broken("a Google access token", "ya29.", rb"[A-Za-z0-9_-]{40,1000}"),
    _token("an npm token", "npm_", rb"[A-Za-z0-9]{36}"),
    _shape("an npm token", ":_authToken=", rb":_authToken=\s*\"?(?P<secret>[A-Za-z0-9-]{36,200})" + END),
    _token("a PyPI token", "pypi-AgEIcHlwaS5vcmc pypi-AgENdGVzdC5weXBpLm9yZw", rb"[A-Za-z0-9_-]{50,1000}"),
    _shape(
        "a private key",
        "PRIVATE KEY",
        rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
        + LINE
        # an encrypted key or an armoured one has a few header lines before its body
        + rb"(?:[A-Za-z-]{1,40}: [^\r\n\\]{1,120}"
        + LINE
        + rb"){0,6}(?P<secret>[A-Za-z0-9+/=]{32,})",
    ),
    _shape(
        "a PuTTY private key",
        "Private-Lines:",
        rb"Private-Lines: [0-9]{1,4}" + LINE + rb"(?P<secret>[A-Za-z0-9+/=]{32,})",
    ),
    _token("a Twilio key", "SK", rb"[0-9a-f]{32}"),
    _broken("a SendGrid key", "SG.", rb"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    _shape("a Mailchimp key", "-us", rb"(?<![A-Za-z0-9])(?P<secret>[0-9a-f]{32})-us[0-9]{1,2}" + END),
    _token("a Mailgun key", "key-", rb"[0-9a-f]{32}"),
    _token("a DigitalOcean token", "dop_v1_ doo_v1_ dor_v1_", rb"[a-f0-9]{64}"),
    _token("a Hugging Face token", "hf_ api_org_", rb"[A-Za-z0-9]{34,40}"),
    _token("a Databricks token", "dapi", rb"[0-9a-f]{32}(?:-[0-9])?"),
    _shape(
        "a Telegram bot token", ":AA", rb"(?<![0-9A-Za-z])(?:bot)?[0-9]{8,10}:(?P<secret>AA[A-Za-z0-9_-]{33})" + END
    ),
    _token("a Discord bot token", "M N O", rb"[A-Za-z0-9_-]{23,25}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38}"),
    _shape(
        "a Discord webhook", "/api/webhooks/", rb"/api/webhooks/[0-9]{16,20}/(?P<secret>[A-Za-z0-9_-]{60,80})" + END
    ),
    _token("a Square token", "sq0atp- sq0csp- sq0idp-", rb"[A-Za-z0-9_-]{22,43}"),
    _token("a Shopify token", "shpat_ shpca_ shppa_ shpss_", rb"[A-Fa-f0-9]{32}"),
    _shape("an Azure storage key", "AccountKey=", rb"AccountKey=(?P<secret>[A-Za-z0-9+/=]{88})(?![A-Za-z0-9+/=])"),
    _token("a Heroku key", "HRKU-", rb"[A-Za-z0-9_-]{36,80}"),
    _token("a Linear key", "lin_api_ lin_oauth_", rb"[A-Za-z0-9]{32,64}"),
    _token("a Notion token", "ntn_ secret_", rb"[A-Za-z0-9]{43,50}"),
    _token("a Postman key", "PMAK-", rb"[a-f0-9]{24}-[a-f0-9]{34}"),
    _broken(
        "a Doppler token",
        "dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.",
        rb"(?:[a-z0-9_-]{2,35}\.)?[A-Za-z0-9]{40,44}",
    ),
    _broken("a Vault token", "hvs. hvb. hvr.", rb"[A-Za-z0-9_-]{24,300}"),
    _shape(
        "a Terraform token", ".atlasv1.", START + rb"(?P<secret>[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{60,70})" + END
    ),
    _token("an Atlassian token", "ATATT3 ATCTT3", rb"[A-Za-z0-9_=-]{100,300}"),
    _token("a Grafana token", "glsa_", rb"[A-Za-z0-9]{32}_[a-f0-9]{8}"),
    _token("a New Relic key", "NRAK-", rb"[A-Z0-9]{27}"),
    _token("a Sentry token", "sntryu_", rb"[a-f0-9]{64}"),
    _broken("a Sentry token", "sntrys_eyJ", rb"[A-Za-z0-9+/=_]{60,400}"),
    _token("a Figma token", "figd_", rb"[A-Za-z0-9_-]{40,60}"),
    _token("a PlanetScale token", "pscale_tkn_ pscale_pw_ pscale_oauth_", rb"[A-Za-z0-9_.-]{32,64}"),
    _token("a Supabase token", "sbp_", rb"[a-f0-9]{40}"),
    _token("a Docker Hub token", "dckr_pat_ dckr_oat_", rb"[A-Za-z0-9_-]{27,32}"),
    _token("a RubyGems key", "rubygems_", rb"[a-f0-9]{48}"),
    _token("a Groq key", "gsk_", rb"[A-Za-z0-9]{52}"),
    _token("an xAI key", "xai-", rb"[A-Za-z0-9]{80}"),
    _token("a Perplexity key", "pplx-", rb"[A-Za-z0-9]{48}"),
    _token("a Replicate token", "r8_", rb"[A-Za-z0-9]{37}"),
    _token("a Tailscale key", "tskey-auth- tskey-api- tskey-client-", rb"[A-Za-z0-9]{8,24}-[A-Za-z0-9]{20,40}"),
    _token("an age key", "AGE-SECRET-KEY-1", rb"[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
    _broken("a 1Password token", "ops_eyJ", rb"[A-Za-z0-9+/=_-]{200,2000}"),
    _token("a Fly.io token", "fo1_", rb"[A-Za-z0-9_-]{43}"),
    _token("an Artifactory key", "AKCp", rb"[A-Za-z0-9]{69}"),
)
