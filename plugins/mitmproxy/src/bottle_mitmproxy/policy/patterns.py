"""Credentials by their shape: issuer, prefix, length and alphabet, with a boundary on either side.

A pattern is in the table only if random base64, hexadecimal and everyday prose do not match it, so that
refusing can be the default. Checksums are not looked at: one that fails never lets a token pass.
A token whose secret part has three different characters at most, or a word such as EXAMPLE, is a placeholder
of documentation.
"""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

__all__ = ["LONGEST", "PATTERNS", "SHORTEST", "Pattern"]

SHORTEST = 20
"""Bytes of the first run of letters, digits, `_` and `-` in a shape of the kind `word`."""

LONGEST = 4096
"""Bytes within which every shape ends."""

END = rb"(?![A-Za-z0-9_-])"
# Of a token that is hard to tell from base64: what goes on behind it, as a long run of that does, is none.
END_OF_RUN = rb"(?![A-Za-z0-9+/_-])"
# Behind an escape, of which the last character is a letter or digit, a word begins as well.
START = rb"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrtbf])|(?<=\\u[0-9A-Fa-f]{4})|(?<=%[0-9A-Fa-f]{2}))"
# A line break, in JSON two characters, in JSON in a string of JSON three; or lines are strings of an array.
LINE = rb"(?:\s|\\+[nr]|\\*\"(?:\s|\\+[nr])*,(?:\s|\\+[nr])*\\*\")+"
EQUALS = rb"\\?[\"']?\s{0,9}(?::|=|=>|:=)\s{0,9}\\?[\"']?"  # of a setting, also in JSON in a string of JSON

MADE_UP = 3
BY_HAND = re.compile(
    rb"example|placeholder|changeme|redacted|your[_-](?:\w+[_-])?(?:api|key|token|secret)", re.IGNORECASE
)
"""Words with which documentation fills a secret; a drawn one has such a word less than once in a million times."""


class Pattern(NamedTuple):
    """One shape, and how to look for it; `regex` has a group `secret`.

    `literals` are bytes without which it cannot match. Of the kind `word` it begins with one of them, and is tried
    at the beginning of a long word alone; else wherever one stands, from so many bytes before it as `before` has.
    """

    issuer: str
    literals: tuple[bytes, ...]
    regex: re.Pattern[bytes]
    kind: Literal["word", "anywhere"]
    before: Sequence[int] = (0,)


def is_placeholder(secret: bytes) -> bool:
    """Tell whether a secret was made up for a text: of three characters at most, or with a word that says so."""
    return len(set(secret)) <= MADE_UP or BY_HAND.search(secret) is not None


def _token(issuer: str, prefixes: str, secret: bytes, end: bytes = END) -> Pattern:
    literals = tuple(prefix.encode() for prefix in prefixes.split())
    prefix = b"|".join(re.escape(literal) for literal in literals)
    return Pattern(issuer, literals, re.compile(b"(?:" + prefix + b")(?P<secret>" + secret + b")" + end), "word")


def _broken(issuer: str, prefixes: str, secret: bytes, end: bytes = END) -> Pattern:
    """Return a token that other characters divide, so that it need not begin with a long word."""
    word = _token(issuer, prefixes, secret, end)
    return word._replace(regex=re.compile(START + word.regex.pattern), kind="anywhere")


def _shape(issuer: str, literals: str, regex: bytes, before: Sequence[int] = (0,)) -> Pattern:
    found = tuple(literal.encode() for literal in literals.split())
    return Pattern(issuer, found, re.compile(regex), "anywhere", before)


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
    _token("a Slack token", "xoxe-", rb"[0-9]-[A-Z0-9]{100,200}"),
    _broken("a Slack token", "xoxe.xoxp- xoxe.xoxb-", rb"[0-9]-[A-Z0-9]{100,200}"),
    _token("a Slack token", "xapp-", rb"[0-9]-[A-Z0-9]{8,}-[0-9]{8,}-[A-Za-z0-9]{40,}"),
    _shape(
        "a Slack webhook",
        "hooks.slack.com/",
        rb"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>[TA-Z][\w/]{20,})",
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
        "-----BEGIN",
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
    _shape("a Mailchimp key", "-us", START + rb"(?P<secret>[0-9a-f]{32})-us[0-9]{1,2}" + END, (32,)),
    _token("a Mailgun key", "key-", rb"[0-9a-f]{32}"),
    _token("a DigitalOcean token", "dop_v1_ doo_v1_ dor_v1_", rb"[a-f0-9]{64}"),
    _token("a Hugging Face token", "hf_ api_org_", rb"[A-Za-z0-9]{34,40}"),
    _token("a Databricks token", "dapi", rb"[0-9a-f]{32}(?:-[0-9])?"),
    _shape(
        "a Telegram bot token",
        ":AA",
        START + rb"(?:bot)?[0-9]{8,10}:(?P<secret>AA[A-Za-z0-9_-]{33})" + END,
        range(8, 14),
    ),
    _token("a Discord bot token", "M N O", rb"[A-Za-z0-9_-]{23,25}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38}"),
    _shape(
        "a Discord webhook", "/api/webhooks/", rb"/api/webhooks/[0-9]{16,20}/(?P<secret>[A-Za-z0-9_-]{60,80})" + END
    ),
    _token("a Square token", "sq0atp- sq0csp- sq0idp-", rb"[A-Za-z0-9_-]{22,43}"),
    _token("a Square token", "EAAA", rb"[A-Za-z0-9_-]{60}"),
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
        "a Terraform token",
        ".atlasv1.",
        START + rb"(?P<secret>[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{60,70})" + END,
        (14,),
    ),
    _token("an Atlassian token", "ATATT3 ATCTT3", rb"[A-Za-z0-9_=-]{100,300}"),
    _broken("a Grafana token", "glc_", rb"[A-Za-z0-9+/]{32,400}"),
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
    _broken("a Fly.io token", "fm1a_ fm1r_ fm2_", rb"[A-Za-z0-9+/]{100,2000}"),
    _token("an Artifactory key", "AKCp", rb"[A-Za-z0-9]{69}"),
    _shape(
        "an AWS secret key",
        "secret_access_key SECRET_ACCESS_KEY ecretAccessKey",
        rb"(?:secret_access_key|SECRET_ACCESS_KEY|ecretAccessKey)"
        + EQUALS
        + rb"(?P<secret>[A-Za-z0-9/+]{40})(?![\w/+=-])",
    ),
    _broken("an Amazon Bedrock key", "ABSK", rb"[A-Za-z0-9+/]{109,269}", END_OF_RUN),
    _shape(
        "an Azure client secret",
        "0Q~ 1Q~ 2Q~ 3Q~ 4Q~ 5Q~ 6Q~ 7Q~ 8Q~ 9Q~",
        rb"(?<![~.])" + START + rb"(?P<secret>[\w~.]{3}[0-9]Q~[\w~.-]{31,34})(?![\w~.-])",
        (3,),
    ),
    _shape(
        "an Azure access key", "SharedAccessKey=", rb"SharedAccessKey=(?P<secret>[A-Za-z0-9+/]{43}=)(?![A-Za-z0-9+/=])"
    ),
    _shape("an Azure DevOps token", "AZDO", START + rb"(?P<secret>[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4})" + END, (76,)),
    _broken("a Google refresh token", "1//0", rb"[A-Za-z0-9_-]{40,200}", END_OF_RUN),
    _broken("a Cloudflare origin key", "v1.0-", rb"[0-9a-f]{24}-[0-9a-f]{146}"),
    _broken("a Dropbox token", "sl.", rb"(?:u\.)?[A-Za-z0-9_-]{120,1500}"),
    _token("a Bitbucket token", "ATBB", rb"[A-Za-z0-9]{24}[0-9A-F]{8}"),
    _token("an OpenRouter key", "sk-or-v1-", rb"[0-9a-f]{64}"),
    _token("a Pulumi token", "pul-", rb"[0-9a-f]{40}"),
    _token("a Prefect key", "pnu_ pnb_", rb"[A-Za-z0-9]{36}"),
    _broken("an Airtable token", "pat", rb"[A-Za-z0-9]{14}\.[0-9a-f]{64}"),
    _token("a Brevo key", "xkeysib- xsmtpsib-", rb"[0-9a-f]{64}-[A-Za-z0-9]{16}"),
    _token("a Shippo token", "shippo_live_", rb"[0-9a-fA-F]{40}"),
    _token("a Netlify token", "nfp_", rb"[A-Za-z0-9]{36,40}"),
    _broken("a Dynatrace token", "dt0c01. dt0s01. dt0s02.", rb"[A-Z0-9]{24}\.[A-Z0-9]{64}"),
    _token("an Alibaba Cloud key", "LTAI", rb"[A-Za-z0-9]{20}"),
    _token("a Clojars token", "CLOJARS_", rb"[0-9a-f]{60}"),
    _token("a Sourcegraph token", "sgp_", rb"(?:(?:[0-9a-fA-F]{16}|local)_)?[0-9a-fA-F]{40}"),
    _token("a LangSmith key", "lsv2_pt_ lsv2_sk_", rb"[0-9a-f]{32}_[0-9a-f]{10}"),
    _token("a Buildkite token", "bkua_", rb"[0-9a-f]{40}"),
    _shape("an OpenShift token", "sha256~", rb"sha256~(?P<secret>[A-Za-z0-9_-]{43})" + END),
)
