"""Somebody whose agent has a login, and what is looked at around it."""

import json
import os
import secrets
import select
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from e2e_agent import give_agent
from e2e_keyring import give_keyring
from e2e_user import User

__all__ = ["give_coder", "holding", "preflight", "read_until", "token"]

AGENT = """
from claude_bottle.declare import NoSection, agent
from claude_bottle.hookspecs import hookimpl
from claude_bottle.seam.levels import HostWish
from claude_bottle.seam.part import Credential, Part

CREDENTIALS = (
    Credential(name="CODER_TOKEN", host="api.e2e.test", header="Authorization", format="Bearer {}",
               prefix="coder-oat-", what="a token", how="`coder setup-token` prints one"),
    Credential(name="CODER_KEY", host="api.e2e.test", header="x-api-key", prefix="coder-api-", what="an API key"),
)

class Coder:
    @hookimpl
    def resolve_plan(self, spec, draft):
        hosts = (HostWish(host="api.e2e.test"),)
        return Part(section=NoSection(), argv=("true",), hosts=hosts, credentials=CREDENTIALS)

    @hookimpl
    def provision_prompt(self, bottle, plan):
        return None

PLUGIN = agent(Coder(), section=NoSection)
"""


def give_coder(user: User, tmp_path: Path) -> User:
    """Give a user an agent plugin that has two credentials, and a real keyring, which is a file."""
    give_agent(user, tmp_path, "coder", AGENT)
    give_keyring(user)
    user.manifest({"egress": {"private_addresses": ["127.0.0.0/8"]}}, {"agent": "coder"})
    return user


def token(kind: str = "oat") -> str:
    """Return something that looks like one of its credentials."""
    return f"coder-{kind}-{secrets.token_hex(16)}"


def read_until(terminal: int, text: str) -> str:
    """Return what a terminal shows, up to a text."""
    shown = ""
    while text not in shown:
        assert select.select([terminal], [], [], 20)[0], shown
        shown += os.read(terminal, 4096).decode()
    return shown


def preflight(user: User, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return what a dry run shows."""
    done = user.bottle("start", "reviewer", "--dry-run", "--format=json", env=env)
    assert done.code == 0, done.err
    return json.loads(done.out)


def holding(user: User, value: str) -> set[str]:
    """Return the user's files that hold a value."""
    return {str(it) for it in user.folder.rglob("*") if it.is_file() and value in it.read_text("utf-8", "replace")}
