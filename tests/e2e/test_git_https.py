"""git over HTTPS with a token that the agent never holds: its password is a placeholder, put right on the way."""

import base64
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_githost import GIT_HOST, GitHost
from e2e_user import Bottle, User

VALUE = f"glpat-{secrets.token_hex(12)}"
URL = f"https://oauth2:$TOKEN@{GIT_HOST}/project.git"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GitHost]:
    """A host with an empty repository."""
    server = GitHost(tmp_path, "oauth2", VALUE)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", server.root / "project.git"], check=True)
    yield server
    server.close()


@pytest.fixture
def bottle(host: GitHost) -> Iterator[Bottle]:
    """A bottle whose git has a placeholder for its password."""
    user = User(host.config())
    inject = {"host": GIT_HOST, "header": "Authorization", "format": "Basic oauth2:{}"}
    egress = {"allowlist": [GIT_HOST], "private_addresses": ["127.0.0.0/8"]}
    user.manifest({"egress": egress, "env": {"TOKEN": {"secret": "a token", "inject": inject}}})
    (user.home / "token").write_text(VALUE)
    yield user.detached("--secret-file", f"TOKEN={user.home / 'token'}")
    user.close()


def test_a_push_goes_through_with_a_placeholder_for_its_password(bottle: Bottle, host: GitHost) -> None:
    """S4: git sends user and placeholder in base64, the host gets the token, and what was pushed is there."""
    script = f"""set -e
    cd /workspace && git init -q -b main && git config user.name A && git config user.email a@example.com
    head -c 100000 /dev/urandom >file && git add file && git commit -qm pushed
    git push -q "{URL}" main
    git clone -q "{URL}" again && git -C again log --format=%s
    printf %s "$TOKEN"
    """
    done = bottle.sh(script)
    subject, _, held = done.out.partition("\n")
    assert (done.code, subject) == (0, "pushed"), done.err
    assert (len(held), held == VALUE) == (len(VALUE), False)
    log = ["git", "-C", host.root / "project.git", "log", "--format=%s"]
    assert subprocess.run(log, check=True, capture_output=True, text=True).stdout == "pushed\n"
    assert set(host.seen) == {"", "Basic " + base64.b64encode(f"oauth2:{VALUE}".encode()).decode()}


def test_another_user_s_name_is_not_what_was_agreed(bottle: Bottle, host: GitHost) -> None:
    """The whole form is the manifest's: with another user before it the placeholder is refused, and says which."""
    done = bottle.sh(f'git ls-remote "{URL.replace("oauth2", "root")}"')
    assert done.code
    assert "403" in done.err
    assert set(host.seen) == {""}
    (refusal,) = [event for event in bottle.user.events() if event["verdict"] == "deny"]
    assert "as `authorization: Basic oauth2:$TOKEN`" in refusal["reason"]
