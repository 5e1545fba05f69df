"""The hooks of claude-bottle, and how a plugin declares what implements them.

Each hook is declared twice: in `Specs`, for pluggy, and in `Hooks`, for type checkers; a test holds the
two equal. pluggy refuses implementations of keyword-only specs, and only a keyword-only Protocol stops
positional calls. Every hook is called on one plugin at a time, so every answer has an owner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pluggy

if TYPE_CHECKING:  # a plugin that is only listed or planned with pays for none of these
    from collections.abc import Callable, Mapping, Sequence

    from msgspec import Struct

    from claude_bottle.errors import Problem
    from claude_bottle.plan.plan import Plan
    from claude_bottle.plan.spec import BottleSpec, Draft
    from claude_bottle.seam.bottle import Bottle
    from claude_bottle.seam.cleanup import CleanupPlan
    from claude_bottle.seam.event import Event
    from claude_bottle.seam.owner import Launch
    from claude_bottle.seam.part import Part
    from claude_bottle.seam.probe import Finding, ProbeResult
    from claude_bottle.seam.proxy import Proxy
    from claude_bottle.seam.secrets import Secrets
    from claude_bottle.seam.sidecar import Site, Warm
    from claude_bottle.seam.traits import BackendTraits, ProxyTraits

__all__ = ["PROJECT", "Going", "Hooks", "Specs", "hookimpl", "hookspec"]

PROJECT = "claude_bottle"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
first = hookspec(firstresult=True)


class Going(DeprecationWarning):
    """What marks a hook, or an argument of one, that goes in a version to come.

    `hookspec(firstresult=True, warn_on_impl=Going("0.4", "answer `probe`"))` or
    `warn_on_impl_args={"warm": Going(...)}`: pluggy warns a plugin's author, and core its users, by its name.
    """

    def __init__(self, version: str, instead: str) -> None:
        super().__init__(f"goes in claude-bottle-core {version}: {instead}")


class Specs:
    """The hooks as pluggy knows them; `Hooks` has the same as core calls them."""

    @first
    def validate(self, spec: BottleSpec) -> Sequence[Problem] | None:
        """All: return what is wrong with this launch. No side effects; a user's mistake is never raised."""

    @first
    def resolve_plan(self, spec: BottleSpec, draft: Draft) -> Part[Struct] | None:
        """All, the proxy last: return this plugin's share of the plan. No side effects.

        The proxy answers with `rules`, one for every host in `draft.wanted`: what it will really do.
        """

    @first
    def probe(self) -> ProbeResult | None:
        """Backend, proxy: return what is missing on this machine, and the cure. Cheap, no side effects."""

    @first
    def probe_pair(self, partner: BackendTraits | ProxyTraits) -> Sequence[Finding] | None:
        """Backend, proxy, optional: return what is missing on this machine for work with such a partner. As `probe`."""

    @first
    def warm_up(self, plan: Plan) -> Warm | None:
        """Proxy, optional: begin slow imports. No file is made; the process is ended if the answer is no."""

    @first
    def open_site(self, plan: Plan, launch: Launch, say: Callable[[str], None]) -> Site | None:
        """Backend: make one bottle's names, networks and folders, all labelled with the launch's label.

        `say` tells the user, in a line, of work that takes long; it may be called from any thread while it lives.
        """

    @first
    def start_proxy(self, plan: Plan, site: Site, secrets: Secrets, warm: Warm | None) -> Proxy | None:
        """Proxy: describe the sidecar to the site and return without waiting."""

    @first
    def start_bottle(self, plan: Plan, site: Site, env: Mapping[str, str], secrets: Secrets) -> Bottle | None:
        """Backend: start the bottle, whose only way out is `site.listen`; `env` and `secrets` are its environment."""

    @first
    def provision_ca(self, bottle: Bottle, plan: Plan, ca: bytes) -> bool | None:
        """Backend, else provisioners: make programs inside trust `ca` (PEM); True when it is done."""

    @first
    def provision_prompt(self, bottle: Bottle, plan: Plan) -> str | None:
        """Agent: write the prompt's file, always; return its path only if there is a prompt."""

    @first
    def provision_skills(self, bottle: Bottle, plan: Plan) -> None:
        """Provisioner: put the skills in."""

    @first
    def provision_ssh(self, bottle: Bottle, plan: Plan, answers: Secrets, report: Callable[[Event], None]) -> None:
        """Provisioner: let the agent use keys that it cannot read.

        `answers` are to the questions of its own part of the plan. `report` puts an event on the bottle's record;
        it may be called from any thread, and does nothing once the bottle is being taken down.
        """

    @first
    def provision_git(self, bottle: Bottle, plan: Plan) -> None:
        """Provisioner: put the workspace in."""

    @first
    def provision(self, bottle: Bottle, plan: Plan) -> None:
        """All: any other step."""

    @first
    def collect(self, bottle: Bottle, plan: Plan) -> Sequence[str] | None:
        """Provisioner, agent: bring work out, before teardown and whenever the user asks; returns lines to tell of it.

        What it raises keeps the bottle: nothing is removed until the user has tried again or given it up.
        """

    @first
    def compare(self, bottle: Bottle, plan: Plan) -> bytes | None:
        """Provisioner: return what `collect` would bring out, as a text of differences; nothing is changed."""

    @first
    def explain(self, bottle: Bottle, plan: Plan, code: int, events: Sequence[Event]) -> Sequence[Problem] | None:
        """Agent: its program ended with `code`; return what of that is ours or the user's to mend, with the cure.

        The bottle still runs and can be looked into. `events` are the proxy's decisions so far. What the program
        itself has said well needs no second word.
        """

    @first
    def list_bottles(self) -> Sequence[Bottle] | None:
        """Backend: return a handle for each bottle of this user that runs, whoever started it."""

    @first
    def plan_cleanup(self) -> CleanupPlan | None:
        """Backend, provisioner: return what crashed launches left; never what belongs to a live or a foreign owner."""

    @first
    def cleanup(self, plan: CleanupPlan) -> None:
        """Backend, provisioner: remove what `plan_cleanup` listed, and whatever of it is still there."""


class Hooks(Protocol):
    """The same hooks as core calls them, by keyword, on one plugin. None: the plugin does not have the hook."""

    def validate(self, *, spec: BottleSpec) -> Sequence[Problem] | None: ...  # noqa: D102 - documented in Specs
    def resolve_plan(self, *, spec: BottleSpec, draft: Draft) -> Part[Struct] | None: ...  # noqa: D102 - as above
    def probe(self) -> ProbeResult | None: ...  # noqa: D102 - as above
    def probe_pair(self, *, partner: BackendTraits | ProxyTraits) -> Sequence[Finding] | None: ...  # noqa: D102 - as above
    def warm_up(self, *, plan: Plan) -> Warm | None: ...  # noqa: D102 - as above
    def open_site(self, *, plan: Plan, launch: Launch, say: Callable[[str], None]) -> Site | None: ...  # noqa: D102 - as above
    def start_proxy(self, *, plan: Plan, site: Site, secrets: Secrets, warm: Warm | None) -> Proxy | None: ...  # noqa: D102 - as above
    def start_bottle(  # noqa: D102 - as above
        self, *, plan: Plan, site: Site, env: Mapping[str, str], secrets: Secrets
    ) -> Bottle | None: ...
    def provision_ca(self, *, bottle: Bottle, plan: Plan, ca: bytes) -> bool | None: ...  # noqa: D102 - as above
    def provision_prompt(self, *, bottle: Bottle, plan: Plan) -> str | None: ...  # noqa: D102 - as above
    def provision_skills(self, *, bottle: Bottle, plan: Plan) -> None: ...  # noqa: D102 - as above
    def provision_ssh(  # noqa: D102 - as above
        self, *, bottle: Bottle, plan: Plan, answers: Secrets, report: Callable[[Event], None]
    ) -> None: ...
    def provision_git(self, *, bottle: Bottle, plan: Plan) -> None: ...  # noqa: D102 - as above
    def provision(self, *, bottle: Bottle, plan: Plan) -> None: ...  # noqa: D102 - as above
    def collect(self, *, bottle: Bottle, plan: Plan) -> Sequence[str] | None: ...  # noqa: D102 - as above
    def compare(self, *, bottle: Bottle, plan: Plan) -> bytes | None: ...  # noqa: D102 - as above
    def explain(  # noqa: D102 - as above
        self, *, bottle: Bottle, plan: Plan, code: int, events: Sequence[Event]
    ) -> Sequence[Problem] | None: ...
    def list_bottles(self) -> Sequence[Bottle] | None: ...  # noqa: D102 - as above
    def plan_cleanup(self) -> CleanupPlan | None: ...  # noqa: D102 - as above
    def cleanup(self, *, plan: CleanupPlan) -> None: ...  # noqa: D102 - as above
