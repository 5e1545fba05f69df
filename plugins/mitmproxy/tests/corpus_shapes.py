"""Credentials of every issuer in the table, made when the tests run: no file here holds one.

The shapes are those that the issuers publish, and that public rule sets look for (gitleaks, detect-secrets).
"""

import json
import random
import string

__all__ = ["ALNUM", "BASE64", "CASES", "EXAMPLES", "HEX", "WORD", "some"]

ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
WORD = ALNUM + "_-"
BASE64 = ALNUM + "/+"
UPPER = string.ascii_uppercase + string.digits


def some(alphabet: str, length: int, seed: int = 7) -> str:
    """Return a text that looks random and is the same every time."""
    generator = random.Random(f"{alphabet}{length}{seed}")
    return "".join(generator.choice(alphabet) for _ in range(length))


def pem(kind: str, head: str = "") -> str:
    """Return a key as PEM has it, of twelve lines."""
    lines = [some(BASE64, 64, seed) for seed in range(11)] + [some(ALNUM, 38) + "=="]
    return f"-----BEGIN {kind}-----\n{head}" + "\n".join(lines) + f"\n-----END {kind}-----\n"


EXAMPLES: dict[str, list[str]] = {
    "a GitHub token": [
        *(f"gh{kind}_{some(ALNUM, 36)}" for kind in "pousr"),
        f"github_pat_{some(ALNUM, 22)}_{some(ALNUM, 59)}",
    ],
    "a GitLab token": [
        f"glpat-{some(WORD, 19)}a",
        f"glrt-t1_{some(ALNUM, 20)}",
        f"glptt-{some(HEX, 40)}",
        f"GR1348941{some(ALNUM, 20)}",
    ],
    "an AWS access key": [
        f"AKIA{some('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', 16)}",
        f"ASIA{some('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', 16, 3)}",
        "A3TX0123456789ABCDEF",
    ],
    "a Slack token": [
        f"xoxb-123456789012-1234567890123-{some(ALNUM, 24)}",
        f"xoxp-1234567890-1234567890-1234567890-{some(HEX, 32)}",
        f"xoxc-{some(ALNUM, 60)}",
        f"xoxe.xoxp-1-{some(UPPER, 163)}",
        f"xoxe-1-{some(UPPER, 146)}",
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
        *(pem(f"{kind}PRIVATE KEY") for kind in ("", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED ")),
        pem("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n"),
        pem("PGP PRIVATE KEY BLOCK", "Version: GnuPG v2\n\n"),
        json.dumps({"type": "service_account", "private_key_id": some(HEX, 40), "private_key": pem("PRIVATE KEY")}),
        pem("PRIVATE KEY").replace("\n", "\r\n"),
        json.dumps({"lines": pem("PRIVATE KEY").splitlines()}, indent=1),
    ],
    "a PuTTY private key": [
        "PuTTY-User-Key-File-3: ssh-rsa\nPrivate-Lines: 8\n"
        + "\n".join(some(BASE64, 64, seed) for seed in range(8))
        + f"\nPrivate-MAC: {some(HEX, 64)}\n"
    ],
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
    "a Square token": [f"sq0csp-{some(ALNUM, 43)}", f"sq0atp-{some(ALNUM, 22)}", f"EAAA{some(WORD, 59)}a"],
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
    "a Grafana token": [f"glsa_{some(ALNUM, 32)}_{some(HEX, 8)}", f"glc_{some(ALNUM, 120)}"],
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
    "a Fly.io token": [f"fo1_{some(ALNUM, 43)}", f"fm2_{some(BASE64, 300)}"],
    "an Artifactory key": [f"AKCp{some(ALNUM, 69)}"],
    "an AWS secret key": [
        f"aws_secret_access_key = {some(BASE64, 40)}",
        f"AWS_SECRET_ACCESS_KEY={some(BASE64, 40)}",
        f'"SecretAccessKey": "{some(BASE64, 40)}"',
    ],
    "an Amazon Bedrock key": [f"ABSK{some(BASE64, 131)}="],
    "an Azure client secret": [f"{some(ALNUM, 3)}8Q~{some(ALNUM, 34)}"],
    "an Azure access key": [f"Endpoint=sb://x/;SharedAccessKeyName=n;SharedAccessKey={some(BASE64, 43)}="],
    "an Azure DevOps token": [f"{some(ALNUM, 75)}aAZDO{some(ALNUM, 4)}"],
    "a Google refresh token": [f"1//0{some(ALNUM, 60)}"],
    "a Cloudflare origin key": [f"v1.0-{some(HEX, 24)}-{some(HEX, 146)}"],
    "a Dropbox token": [f"sl.{some(WORD, 137)}a", f"sl.u.{some(WORD, 137)}a"],
    "a Bitbucket token": [f"ATBB{some(ALNUM, 24)}{some('0123456789ABCDEF', 8)}"],
    "an OpenRouter key": [f"sk-or-v1-{some(HEX, 64)}"],
    "a Pulumi token": [f"pul-{some(HEX, 40)}"],
    "a Prefect key": [f"pnu_{some(ALNUM, 36)}"],
    "an Airtable token": [f"pat{some(ALNUM, 14)}.{some(HEX, 64)}"],
    "a Brevo key": [f"xkeysib-{some(HEX, 64)}-{some(ALNUM, 16)}"],
    "a Shippo token": [f"shippo_live_{some(HEX, 40)}"],
    "a Netlify token": [f"nfp_{some(ALNUM, 36)}"],
    "a Dynatrace token": [f"dt0c01.{some(UPPER, 24)}.{some(UPPER, 64)}"],
    "an Alibaba Cloud key": [f"LTAI{some(ALNUM, 20)}"],
    "a Clojars token": [f"CLOJARS_{some(HEX, 60)}"],
    "a Sourcegraph token": [f"sgp_{some(HEX, 16)}_{some(HEX, 40)}"],
    "a LangSmith key": [f"lsv2_pt_{some(HEX, 32)}_{some(HEX, 10)}"],
    "a Buildkite token": [f"bkua_{some(HEX, 40)}"],
    "an OpenShift token": [f"sha256~{some(WORD, 42)}a"],
}

CASES = [(issuer, example) for issuer, examples in EXAMPLES.items() for example in examples]
