"""What is put into a bottle that runs, in core's order: the CA first, then prompt, skills, ssh, git, anything else."""

import hashlib
import ssl
from collections.abc import Callable, Iterable
from functools import partial

from claude_bottle.errors import LaunchError
from claude_bottle.hookspecs import Hooks
from claude_bottle.launch.prepare import Prepared
from claude_bottle.launch.team import ask_maybe
from claude_bottle.plugins.load import Loaded
from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.event import Event
from claude_bottle.seam.secrets import Secrets

__all__ = ["provision", "provision_ca"]


def provision_ca(prepared: Prepared, bottle: Bottle, ca: bytes, say: Callable[[str], None]) -> None:
    """Make programs inside trust the CA: the backend if it knows better, else the first provisioner that can."""
    plan, team = prepared.plan, prepared.team
    for loaded in (team.backend, *team.provisioners):
        if ask_maybe(loaded, lambda loaded=loaded: loaded.hooks.provision_ca(bottle=bottle, plan=plan, ca=ca)):
            say(f"tls intercept: CA SHA-256 {fingerprint(ca)}")
            return


def fingerprint(ca: bytes) -> str:
    """Return the SHA-256 of a PEM certificate's DER form, in hex; LaunchError if it is none."""
    try:
        der = ssl.PEM_cert_to_DER_cert(ca.decode("ascii"))
    except ValueError as error:
        raise LaunchError("the proxy gave no certificate as its CA") from error
    return hashlib.sha256(der).hexdigest()


def provision(prepared: Prepared, bottle: Bottle, answers: Secrets, report: Callable[[Event], None]) -> str | None:
    """Run the other steps in their order: prompt, skills, ssh, git, then anything else."""
    plan, team = prepared.plan, prepared.team
    agent = team.agent
    prompt = ask_maybe(agent, lambda: agent.hooks.provision_prompt(bottle=bottle, plan=plan))
    _each(team.provisioners, lambda it: it.provision_skills(bottle=bottle, plan=plan))
    _each(team.provisioners, lambda it: it.provision_ssh(bottle=bottle, plan=plan, answers=answers, report=report))
    _each(team.provisioners, lambda it: it.provision_git(bottle=bottle, plan=plan))
    _each(team.everyone, lambda it: it.provision(bottle=bottle, plan=plan))
    return prompt


def _each(members: Iterable[Loaded], step: Callable[[Hooks], object]) -> None:
    """Take one step with each of them."""
    for loaded in members:
        ask_maybe(loaded, partial(step, loaded.hooks))
