"""Texts that speak of secrets, and have none."""

from corpus_shapes import ALNUM, HEX, some

__all__ = ["ENV_EXAMPLE", "SECRETS_PAGE", "SYSTEM"]

SYSTEM = (
    """You are an agent for software. Never print secrets, keys, tokens or passwords; ask before you push.
abandon ability able about above absent absorb abstract absurd abuse access accident account accuse achieve acid
If a command needs a credential, tell the user to set ANTHROPIC_API_KEY or GITHUB_TOKEN; never echo "$GITHUB_TOKEN".
"""
    * 40
)

ENV_EXAMPLE = f"""# copy to .env
GITHUB_TOKEN=${{GITHUB_TOKEN}}
GITHUB_TOKEN=ghp_{"x" * 36}
GITLAB_TOKEN=glpat-{"x" * 20}
OPENAI_API_KEY=sk-...
OPENAI_API_KEY=sk-proj-your-key-here-and-nothing-else-in-this-place-at-all
ANTHROPIC_API_KEY=sk-ant-api03-your-api-key-here-000000000000
ANTHROPIC_API_KEY=sk-ant-...
AWS_ACCESS_KEY_ID=AKIA{"IOSFODNN7EXAMPLE"}
AWS_SECRET_ACCESS_KEY={"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
AWS_SECRET_ACCESS_KEY=<your secret access key>
STRIPE_SECRET_KEY=sk_test_{some(ALNUM, 24)}
STRIPE_WEBHOOK_SECRET=whsec_{"x" * 32}
SLACK_BOT_TOKEN=xoxb-your-token
SENDGRID_API_KEY=SG.{"x" * 22}.{"y" * 43}
DATABASE_URL=postgres://user:password@localhost:5432/app
SECRET_KEY_BASE={some(HEX, 128)}
JWT_SECRET=change-me
TWILIO_AUTH_TOKEN={"0" * 32}
TWILIO_ACCOUNT_SID=AC{some(HEX, 32)}
NPM_TOKEN=npm_{"X" * 36}
HF_TOKEN=hf_{"x" * 34}
GOOGLE_APPLICATION_CREDENTIALS=/secrets/service-account.json
AZURE_STORAGE_CONNECTION_STRING=DefaultEndpointsProtocol=https;AccountName=NAME;AccountKey=KEY;EndpointSuffix=core.windows.net
"""

SECRETS_PAGE = r"""# Keeping secrets out of git
GitHub's tokens begin with `ghp_`, `gho_`, `ghu_`, `ghs_` or `github_pat_`, Slack's with `xoxb-`,
Stripe's with `sk_live_`.
A rule for them: `\b(ghp|gho)_[A-Za-z0-9]{36}\b`, `AKIA[0-9A-Z]{16}`, `sk-ant-api03-[\w-]{93}AA`,
`AIza[0-9A-Za-z_-]{35}`,
`xox[baprs]-[0-9]{10,13}-[0-9]{10,13}[a-zA-Z0-9-]*`, `-----BEGIN (RSA|EC|OPENSSH) PRIVATE KEY-----`, `SK[0-9a-f]{32}`.
A key file begins with -----BEGIN PRIVATE KEY----- and ends with -----END PRIVATE KEY-----; never commit one.
`kubectl create secret generic db --from-literal=password=hunter2`, `vault kv get secret/app`,
`export VAULT_TOKEN=hvs....`
`curl -H "Authorization: Bearer $TOKEN" https://api.example.com/`, `git clone https://$USER:$TOKEN@github.com/o/r`
`//registry.example.com/:_authToken=${NPM_TOKEN}`, `pip config set global.index-url https://user:pass@host/simple`
`TOKEN = "ghp_" + "0" * 36  # not a real one`, `assert redact("sk_live_" + "a" * 24) == "[a Stripe key]"`
"""
