"""The bottle's environment: literals that a plan may show, and forwarded values that nobody may see."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from claude_bottle.errors import Problem, UnavailableError
from claude_bottle.manifest.environment import HostVariable, Text, parse_env
from claude_bottle.manifest.types import Secret
from claude_bottle.plan.spec import BottleSpec
from claude_bottle.seam.part import Part
from claude_bottle.seam.secrets import Secrets

__all__ = [
    "EnvNames",
    "SecretSources",
    "env_names",
    "env_problems",
    "question_problems",
    "resolve_answers",
    "resolve_env",
]


class EnvNames(NamedTuple):
    """What a plan says of the environment: literal pairs, and the names of forwarded variables, sorted."""

    literals: tuple[tuple[str, str], ...]
    forwarded: tuple[str, ...]


class SecretSources(NamedTuple):
    """Where forwarded values come from. `ask` takes a question and is None where there is no terminal."""

    environ: Mapping[str, str]
    files: Mapping[str, str]
    ask: Callable[[str], str] | None = None

    def __repr__(self) -> str:
        return f"<SecretSources: {len(self.files)} files>"


def env_names(spec: BottleSpec, parts: Sequence[Part[Struct]], environ: Mapping[str, str]) -> EnvNames:
    """Return literals and forwarded names; a plugin's own literals give way to the manifest's.

    A name that an agent plugin forwards counts only where the host has it set, or the manifest gives it.
    """
    literals = {name: value for part in parts for name, value in part.env}
    forwarded = {name for part in parts for name in part.forward if environ.get(name)}
    for name, entry in spec.env:
        literals.pop(name, None)
        forwarded.discard(name)
        if (text := _literal(entry)) is not None:
            literals[name] = text
        else:
            forwarded.add(name)
    return EnvNames(tuple(sorted(literals.items())), tuple(sorted(forwarded)))


def env_problems(spec: BottleSpec, sources: SecretSources) -> list[Problem]:
    """Return a problem for each value that cannot be had; no value is read from a terminal here."""
    problems: list[Problem] = []
    for name, entry in spec.env:
        if isinstance(entry, Secret):
            if name not in sources.files and sources.ask is None:
                hint = f"start it from a terminal, or give --secret-file {name}=PATH"
                message = f"the secret {name} cannot be asked for without a terminal"
                problems.append(Problem(message, hint, f"bottles.{spec.bottle}.env.{name}"))
        else:
            missing = [variable.name for variable in _variables(entry) if not _has(variable, sources.environ)]
            problems += [
                Problem(
                    f"{name} needs the host's variable {variable}, which is not set",
                    f"export {variable}=…",
                    f"bottles.{spec.bottle}.env.{name}",
                )
                for variable in missing
            ]
    return problems


def question_problems(spec: BottleSpec, questions: Sequence[tuple[str, str]], sources: SecretSources) -> list[Problem]:
    """Return a problem for each question of a plugin that nobody can be asked, and for each answer to none at all."""
    problems: list[Problem] = []
    if sources.ask is None:
        problems += [
            Problem(
                f"{name}: {question} cannot be asked for without a terminal",
                f"start it from a terminal, or give --secret-file {name}=PATH",
            )
            for name, question in questions
            if name not in sources.files
        ]
    known = {name for name, entry in spec.env if isinstance(entry, Secret)} | {name for name, _ in questions}
    problems += [
        Problem(f"--secret-file {name}: the manifest has no secret of this name", "check the name")
        for name in sources.files
        if name not in known
    ]
    return problems


def resolve_env(spec: BottleSpec, names: EnvNames, sources: SecretSources) -> Secrets:
    """Return the value of each forwarded variable; this is the one place where questions are asked."""
    entries = dict(spec.env)
    values: dict[str, str] = {}
    for name in names.forwarded:
        entry = entries.get(name)
        if isinstance(entry, Secret):
            values[name] = sources.files[name] if name in sources.files else _ask(name, entry.secret, sources)
        elif entry is None:
            values[name] = sources.environ[name]
        else:
            values[name] = "".join(
                part.text if isinstance(part, Text) else _value(part, sources.environ) for part in parse_env(entry)
            )
    return Secrets(values)


def resolve_answers(questions: Sequence[tuple[str, str]], sources: SecretSources) -> Secrets:
    """Return the answer to each plugin's question, by its name; asked after those of the environment."""
    return Secrets(
        {
            name: sources.files[name] if name in sources.files else _ask(name, question, sources)
            for name, question in questions
        }
    )


def _ask(name: str, question: str, sources: SecretSources) -> str:
    if sources.ask is None:
        raise UnavailableError(f"the secret {name} cannot be asked for without a terminal")
    return sources.ask(question)


def _literal(entry: str | Secret) -> str | None:
    if isinstance(entry, Secret):
        return None
    parts = parse_env(entry)
    if any(isinstance(part, HostVariable) for part in parts):
        return None
    return "".join(part.text for part in parts if isinstance(part, Text))


def _variables(entry: str) -> list[HostVariable]:
    return [part for part in parse_env(entry) if isinstance(part, HostVariable)]


def _has(variable: HostVariable, environ: Mapping[str, str]) -> bool:
    return variable.default is not None or variable.name in environ


def _value(variable: HostVariable, environ: Mapping[str, str]) -> str:
    return environ.get(variable.name) or variable.default or ""
