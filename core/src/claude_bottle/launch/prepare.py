"""The first two steps of a launch: everything is checked, and a frozen plan is made, without side effects."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from claude_bottle.errors import BottleError, PluginError, Problem, ProblemsError
from claude_bottle.launch.choose import Chosen, choose_team, type_sections, with_others
from claude_bottle.launch.sources import Request, Sources, Surroundings, find_secrets, keyring_problems, read_sources
from claude_bottle.launch.team import (
    Team,
    ask,
    ask_maybe,
    loopback_problems,
    machine_problems,
    pair_faults,
    pairing_problems,
)
from claude_bottle.manifest.config import CONFIG_NAME
from claude_bottle.manifest.find import resolve_path
from claude_bottle.manifest.load import Claim, claims
from claude_bottle.manifest.names import nearest
from claude_bottle.manifest.types import AgentSection, BottleSection, Manifest, Secret, Ssh, Workspace
from claude_bottle.plan.environment import (
    EnvNames,
    SecretSources,
    env_names,
    env_problems,
    login_notes,
    question_problems,
)
from claude_bottle.plan.hosts import check_answer, inject_problems, inspect_problems, wanted_rules, way_problems
from claude_bottle.plan.plan import Plan, assemble_plan
from claude_bottle.plan.spec import BottleSpec, Choice, Draft, Upstream
from claude_bottle.plugins.load import Loaded
from claude_bottle.plugins.select import find_record
from claude_bottle.seam.names import slugify
from claude_bottle.seam.part import Part

__all__ = ["Prepared", "prepare"]

NO_MANIFEST = "none here: nothing but the agent's own hosts can be reached (`bottle init` writes one)"


class Prepared(NamedTuple):
    """A plan that can be launched, and what the launch needs beside it."""

    plan: Plan
    team: Team
    spec: BottleSpec
    names: EnvNames
    questions: tuple[tuple[str, str], ...]
    secret_sources: SecretSources
    sources: Sources
    not_checked: tuple[str, ...]


def prepare(request: Request, around: Surroundings, *, check_machine: bool) -> Prepared:
    """Return the plan; ProblemsError with all that is wrong, so that nobody is asked about what must fail.

    `check_machine` False is a dry run: what needs an engine or a namespace is named instead of tried.
    """
    sources = read_sources(request, around)
    problems = list(sources.manifest.problems)
    manifest = sources.manifest.manifest
    if manifest is None:
        raise ProblemsError(problems)
    upstream = _upstream(around, sources)
    secrets = find_secrets(request, around, sources.config, problems)
    problems += _upstream_problems(upstream)
    problems += _requirement_problems(manifest, sources)
    agent, bottle = _find_agent(request.agent, manifest, sources, problems)
    chosen = choose_team(request, around, sources, agent, bottle, _claims(request, sources))
    problems += chosen.problems
    sections, found = type_sections(chosen.loaded, bottle)
    problems += found
    spec = _spec(request, sources, agent, bottle, chosen, sections, upstream)
    ssh = tuple(_resolved(entry, around, sources) for entry in spec.ssh)
    spec = replace(spec, ssh=ssh, cwd=around.cwd, asks=request.asks, dry=not check_machine)
    found = [*env_problems(spec, secrets), *(keyring_problems(spec, secrets) if check_machine else ())]
    found += inject_problems(spec, chosen.proxy.name, _injects(chosen.loaded))
    problems += [_located(problem, sources) for problem in found]
    asking = any(it.record.kind == "provisioner" for it in chosen.loaded)  # what they ask is known later
    problems += () if asking else question_problems(spec, (), secrets)
    team, sound = chosen.team, [it for it in chosen.loaded if it.name in dict(sections)]
    if team:
        problems += [*pairing_problems(team.backend, team.proxy), *loopback_problems(team, upstream)]
    problems += _validate(sound, spec, sources)
    machine = [it for it in chosen.loaded if it.record.kind in {"backend", "proxy"}]
    problems += _machine_problems(machine, chosen, sources) if check_machine else ()
    if problems or team is None:
        raise ProblemsError(problems)
    not_checked = () if check_machine else _not_checked(machine, spec)
    draft = _resolve(team, spec, sources, around.state_dir)
    parts = [part for _, part in draft.parts]
    questions = tuple(question for part in parts for question in part.questions)
    names = env_names(spec, parts, secrets, injects=_injects([team.proxy]))
    rules = parts[-1].rules or ()
    found = [*question_problems(spec, questions, secrets), *way_problems(spec, names.injected, rules)]
    found += _mount_problems(spec, draft, team, around)
    if found:
        raise ProblemsError([_located(problem, sources) for problem in found])
    notes = [*_notes(team, spec, sources), *login_notes(spec, draft.parts, secrets)]
    plan = assemble_plan(spec, draft, rules, names, notes)
    if not plan.argv:
        raise BottleError(f"agent {team.agent.name} names no program", "give a command after --")
    return Prepared(plan, team, spec, names, questions, secrets, sources, not_checked)


def _machine_problems(machine: Iterable[Loaded], chosen: Chosen, sources: Sources) -> list[Problem]:
    """Return what this machine lacks for what was chosen."""
    team = chosen.team
    found = [*machine_problems(machine), *(pair_faults(team.backend, team.proxy) if team else ())]
    return with_others(found, chosen.backend, sources)


def _mount_problems(spec: BottleSpec, draft: Draft, team: Team, around: Surroundings) -> list[Problem]:
    """Return what is wrong with what plugins want mounted, each with the plugin's own key; most want nothing."""
    wanted = {name: part.mounts for name, part in draft.parts if part.mounts}
    if not wanted:
        return []
    from claude_bottle.launch.mounts import mount_problems  # noqa: PLC0415 - most launches mount nothing

    return [
        replace(problem, where=f"bottles.{spec.bottle}.{name}")
        for name, mounts in wanted.items()
        for problem in mount_problems(mounts, team.backend, around.home)
    ]


def _not_checked(machine: Iterable[Loaded], spec: BottleSpec) -> tuple[str, ...]:
    """Name what a dry run leaves alone."""
    keyring = any(isinstance(entry, Secret) and entry.keyring for _, entry in spec.env)
    return (*(f"{loaded.name} on this machine" for loaded in machine), *(("the keyring",) if keyring else ()))


def _requirement_problems(manifest: Manifest, sources: Sources) -> list[Problem]:
    """Return what the manifest requires and this machine has not, or not so that it may be used."""
    problems: list[Problem] = []
    for number, name in enumerate(manifest.plugins.require):
        rows = sources.inventory.of(name)
        if any(row.status == "available" for row in rows):
            continue
        where = sources.manifest.where("plugins", "require", number)
        if rows:
            problems.append(Problem(rows[0].refusal, rows[0].fix, where))
        else:
            problems.append(Problem(f"{name} is not installed", "install it with pip, from where you trust", where))
    return problems


def _find_agent(
    name: str, manifest: Manifest, sources: Sources, problems: list[Problem]
) -> tuple[AgentSection, BottleSection]:
    agent = manifest.agents.get(name)
    if agent is None:
        close = nearest(name, manifest.agents)
        known = ", ".join(sorted(manifest.agents)) or "none"
        hint = f"did you mean {close}?" if close else f"agents in it: {known}"
        raise ProblemsError([*problems, Problem(f"there is no agent {name} in {sources.manifest.file}", hint)])
    bottle = manifest.bottles.get(agent.bottle)
    if bottle is None:  # what runs it and with what is unknown; who would run in it is not
        try:
            find_record("agent", Choice(agent.agent, "manifest"), sources.inventory)
        except PluginError as error:
            problems.append(Problem(error.message, error.hint, sources.manifest.where("agents", name, "agent")))
        raise ProblemsError(problems)
    return agent, bottle


def _claims(request: Request, sources: Sources) -> Sequence[Claim]:
    found = claims(sources.manifest, request.agent)
    if request.workspace and all(claim.name != "workspace" for claim in found):
        return (*found, Claim("workspace", "--cwd"))
    return found


def _spec(
    request: Request,
    sources: Sources,
    agent: AgentSection,
    bottle: BottleSection,
    chosen: Chosen,
    sections: tuple[tuple[str, Struct], ...],
    upstream: Upstream,
) -> BottleSpec:
    return BottleSpec(
        agent=request.agent,
        slug=slugify(request.agent),
        bottle=agent.bottle,
        agent_plugin=agent.agent,
        backend=chosen.backend,
        backend_traits=chosen.team.backend.plugin.backend_traits if chosen.team else None,
        proxy=chosen.proxy,
        egress=bottle.egress,
        folder=sources.manifest.path.parent,
        file=sources.manifest.path,
        runtime=bottle.runtime,
        env=tuple(bottle.env.items()),
        ssh=bottle.ssh,
        skills=agent.skills,
        workspace=bottle.workspace or (Workspace() if request.workspace else None),
        prompt=agent.prompt,
        words=request.words,
        upstream=upstream,
        sections=sections,
    )


def _resolved(entry: Ssh, around: Surroundings, sources: Sources) -> Ssh:
    """Return an entry with the path of its key as it is on this machine."""
    return replace(entry, identity_file=str(resolve_path(sources.manifest.path, entry.identity_file, around.home)))


def _upstream(around: Surroundings, sources: Sources) -> Upstream:
    given, file = sources.config.upstream, around.config_dir / CONFIG_NAME
    return Upstream(
        ca=tuple(str(resolve_path(file, path, around.home)) for path in given.ca),
        hosts=tuple(sorted(given.hosts.items())),
        proxy=around.environ.get("HTTPS_PROXY") or around.environ.get("https_proxy") or None,
    )


def _upstream_problems(upstream: Upstream) -> list[Problem]:
    problems = [
        Problem(f"{CONFIG_NAME}: upstream.ca: there is no file {path}")
        for path in upstream.ca
        if not Path(path).is_file()
    ]
    if upstream.proxy and "@" in upstream.proxy:
        hint = "set HTTPS_PROXY to a proxy that asks for none, such as one of your own on this machine"
        problems.append(Problem("the host's upstream proxy is given with a password, which a plan cannot hold", hint))
    return problems


def _validate(plugins: Iterable[Loaded], spec: BottleSpec, sources: Sources) -> list[Problem]:
    """Ask each plugin whose own section could be typed."""
    problems: list[Problem] = []
    for loaded in plugins:
        problems += ask_maybe(loaded, lambda loaded=loaded: loaded.hooks.validate(spec=spec)) or ()
    return [_located(problem, sources) for problem in problems]


def _located(problem: Problem, sources: Sources) -> Problem:
    """Return a plugin's problem with file and line: it names the key alone, `bottles.dev.NAME.memory`."""
    if not problem.where or ":" in problem.where:
        return problem
    return replace(problem, where=sources.manifest.find(problem.where))


def _injects(plugins: Iterable[Loaded]) -> bool:
    """Say whether the proxy can inject; one that could not be loaded is a problem already."""
    traits = next((it.plugin.proxy_traits for it in plugins if it.record.kind == "proxy"), None)
    return traits is None or traits.inject


def _resolve(team: Team, spec: BottleSpec, sources: Sources, state: Path) -> Draft:
    """Return every plugin's part, the proxy's last."""
    draft = Draft()
    for loaded in team.before_proxy:
        draft = _extend(draft, loaded, spec)
        if loaded is team.agent and draft.parts[-1][1].programs:
            from claude_bottle.launch.programs import settle_programs  # noqa: PLC0415 - not every agent brings one

            part = settle_programs(draft.parts[-1][1], team.backend, state)
            draft = Draft(parts=((loaded.name, part),))
    wanted = wanted_rules(spec, [wish for _, part in draft.parts for wish in part.hosts])
    where = sources.manifest.where("bottles", spec.bottle, "egress", "inspect")
    if problems := inspect_problems(spec, wanted, where):
        raise ProblemsError(problems)
    draft = _extend(replace(draft, wanted=wanted), team.proxy, spec)
    rules = draft.parts[-1][1].rules or ()
    if (fault := check_answer(wanted, rules)) is not None:
        raise PluginError(team.proxy.name, f"proxy {team.proxy.name}: {fault}")
    return draft


def _notes(team: Team, spec: BottleSpec, sources: Sources) -> list[tuple[str, str]]:
    """Return what the preflight must not leave out: what the proxy lacks, and which sections do nothing now."""
    traits, manifest = team.proxy.plugin.proxy_traits, sources.manifest.manifest
    written: Collection[str] = manifest.bottles[spec.bottle].sections if manifest else ()
    idle = sorted(set(written) - {loaded.name for loaded in team.everyone})
    notes = [("manifest", NO_MANIFEST)] if sources.found.how == "nowhere" else []
    notes += [("proxy lacks", sentence) for sentence in (traits.lacks if traits else ())]
    records = [loaded.record for loaded in team.everyone if not loaded.record.first_party]
    strangers = {f"{it.distribution} {it.version} (trusted by {it.trusted_by})" for it in records}
    notes += [("third party", stranger) for stranger in sorted(strangers)]
    notes += [
        ("outdated", f"{it.name} ({it.record.distribution}): {going}") for it in team.everyone for going in it.going
    ]
    return notes + ([("not selected", f"{', '.join(idle)} (their sections do nothing now)")] if idle else [])


def _extend(draft: Draft, loaded: Loaded, spec: BottleSpec) -> Draft:
    part: Part[Struct] = ask(loaded, lambda: loaded.hooks.resolve_plan(spec=spec, draft=draft))
    return replace(draft, parts=(*draft.parts, (loaded.name, part)))
