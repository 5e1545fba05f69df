"""The bottle's environment: literals that a plan may show, and values that nobody may see."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from claude_bottle.errors import Problem, UnavailableError
from claude_bottle.manifest.environment import HostVariable, Text, parse_env
from claude_bottle.manifest.host import parse_host
from claude_bottle.manifest.types import Secret
from claude_bottle.plan.spec import BottleSpec
from claude_bottle.seam.part import HTTPS, Credential, Injection, Part
from claude_bottle.seam.secrets import Secrets, check_credential, check_value, unfit

__all__ = [
    "LOGINS",
    "EnvNames",
    "Login",
    "SecretSources",
    "env_names",
    "env_problems",
    "login_notes",
    "question_problems",
    "resolve_answers",
    "resolve_env",
]


class EnvNames(NamedTuple):
    """What a plan says of the environment: literal pairs; names of forwarded variables, sorted; injected credentials.

    `sources` are the name of each secret and where its value comes from; an entry that forwards text has none.
    """

    literals: tuple[tuple[str, str], ...]
    forwarded: tuple[str, ...]
    injected: tuple[Injection, ...] = ()
    sources: tuple[tuple[str, str], ...] = ()


LOGINS = "logins.json"
"""Below the state folder: which credentials of agents are stored. Where it is not, nothing is imported for them."""


class Login(NamedTuple):
    """A stored credential of an agent plugin: `where` in words, and how it is read when it is needed."""

    where: str
    read: Callable[[], str]


def no_keyring(entry: str) -> str:
    """Have no keyring."""
    raise UnavailableError(f"there is no keyring to read {entry} from")


class SecretSources(NamedTuple):
    """Where values come from, besides the manifest's own text.

    `ask` takes a question and is None where there is no terminal. `commands` are the user's own: the words and what
    runs them. `keyring` reads an entry SERVICE/NAME. `logins` are the stored credentials by variable.
    """

    environ: Mapping[str, str]
    files: Mapping[str, str]
    ask: Callable[[str], str] | None = None
    commands: Mapping[str, tuple[str, ...]] = {}
    run: Callable[[str, tuple[str, ...]], str] | None = None
    keyring: Callable[[str], str] = no_keyring
    logins: Mapping[str, Login] = {}

    def __repr__(self) -> str:
        return f"<SecretSources: {len(self.files)} files>"

    def origin(self, name: str, secret: Secret) -> str | None:
        """Say where the value of a secret comes from, None if it cannot be had.

        In this order: the command line, the user's configuration, the manifest's keyring entry, the terminal.
        """
        if name in self.files:
            return "--secret-file"
        if name in self.commands:
            return f"the command {self.commands[name][0]} in config.yaml"
        if secret.keyring:
            return f"keyring {secret.keyring}"
        return "asked for" if self.ask else None


def env_names(
    spec: BottleSpec, parts: Sequence[Part[Struct]], sources: SecretSources, *, injects: bool = False
) -> EnvNames:
    """Return literals, forwarded names and injected credentials; a plugin's own give way to the manifest's.

    A name that an agent plugin forwards counts only where the host has it set, or the manifest gives it. Of its
    credentials the first counts that the host has set, else the first that is stored; it is injected if the proxy
    can do that.
    """
    literals = {name: value for part in parts for name, value in part.env}
    forwarded = {name for part in parts for name in part.forward if sources.environ.get(name)}
    injected: dict[str, Injection] = {}
    origins: dict[str, str] = {}
    given = dict(spec.env)
    for credential, origin in _credentials(parts, given, sources):
        origins[credential.name] = origin
        if injects:
            injected[credential.name] = _injection_of(credential)
        else:
            forwarded.add(credential.name)
    for name, entry in spec.env:
        literals.pop(name, None)
        forwarded.discard(name)
        if (text := _literal(entry)) is not None:
            literals[name] = text
            continue
        if isinstance(entry, Secret):
            origins[name] = sources.origin(name, entry) or "nowhere"
            if (injection := injection_for(name, entry)) is not None:
                injected[name] = injection
                continue
        forwarded.add(name)
    return EnvNames(
        tuple(sorted(literals.items())),
        tuple(sorted(forwarded - injected.keys())),
        tuple(injected[name] for name in sorted(injected)),
        tuple(sorted(origins.items())),
    )


def injection_for(name: str, secret: Secret) -> Injection | None:
    """Return where the proxy is to put a secret, None if the agent gets it."""
    if secret.inject is None:
        return None
    pattern = parse_host(secret.inject.host)
    port, header = pattern.port or HTTPS, secret.inject.header
    return Injection(name=name, host=pattern.host, port=port, header=header, format=secret.inject.format)


def _injection_of(it: Credential) -> Injection:
    return Injection(name=it.name, host=it.host, port=it.port, header=it.header.lower(), format=it.format)


def _credentials(
    parts: Sequence[Part[Struct]], given: Mapping[str, object], sources: SecretSources
) -> list[tuple[Credential, str]]:
    """Return of each plugin's credentials the one that is used, and where it is; none if the manifest has one."""
    chosen: list[tuple[Credential, str]] = []
    for part in parts:
        if any(it.name in given for it in part.credentials):
            continue
        held = [(it, "the host's environment") for it in part.credentials if sources.environ.get(it.name)]
        held += [(it, sources.logins[it.name].where) for it in part.credentials if it.name in sources.logins]
        chosen += held[:1]
    return chosen


def login_notes(
    spec: BottleSpec, parts: Sequence[tuple[str, Part[Struct]]], sources: SecretSources
) -> list[tuple[str, str]]:
    """Return a line of the preflight for each plugin that takes a login and is given none, nor what it forwards."""
    given = dict(spec.env)
    held = given.keys() | {name for name, value in sources.environ.items() if value} | sources.logins.keys()
    without = [
        (name, [it.name for it in part.credentials])
        for name, part in parts
        if part.credentials and not held & {*part.forward, *(it.name for it in part.credentials)}
    ]
    return [("login", f"none for {name} (`bottle login {name}`, or set {' or '.join(it)})") for name, it in without]


def env_problems(spec: BottleSpec, sources: SecretSources) -> list[Problem]:
    """Return a problem for each value that cannot be had; no value is read from a terminal here."""
    problems: list[Problem] = []
    for name, entry in spec.env:
        if isinstance(entry, Secret):
            if sources.origin(name, entry) is None:
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
            if not missing and (why := unfit(name, _text(entry, sources.environ))):
                problems.append(Problem(*why, f"bottles.{spec.bottle}.env.{name}"))
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
    """Return the value of each forwarded and injected variable; each question is asked once."""
    entries = dict(spec.env)
    answers: dict[str, str] = {}
    values: dict[str, str] = {}
    for name in (*names.forwarded, *(it.name for it in names.injected)):
        entry = entries.get(name)
        if isinstance(entry, Secret):
            values[name] = _secret(name, entry, sources, answers)
        elif entry is None:
            values[name] = sources.environ.get(name) or sources.logins[name].read()
        else:
            values[name] = _text(entry, sources.environ)
        check_value(name, values[name])
    for it in names.injected:
        check_credential(it.name, values[it.name])
    return Secrets(values)


def resolve_answers(questions: Sequence[tuple[str, str]], sources: SecretSources) -> Secrets:
    """Return the answer to each plugin's question, by its name; asked before the secrets of the environment."""
    answers: dict[str, str] = {}
    return Secrets({name: _secret(name, Secret(secret=question), sources, answers) for name, question in questions})


def _secret(name: str, entry: Secret, sources: SecretSources, answers: dict[str, str]) -> str:
    if name in sources.files:
        return sources.files[name]
    if name in sources.commands and sources.run is not None:
        return sources.run(name, sources.commands[name])
    if entry.keyring:
        return sources.keyring(entry.keyring)
    if sources.ask is None:
        raise UnavailableError(f"the secret {name} cannot be asked for without a terminal")
    if entry.secret not in answers:
        answers[entry.secret] = sources.ask(entry.secret)
    return answers[entry.secret]


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


def _text(entry: str, environ: Mapping[str, str]) -> str:
    return "".join(part.text if isinstance(part, Text) else _value(part, environ) for part in parse_env(entry))


def _value(variable: HostVariable, environ: Mapping[str, str]) -> str:
    return environ.get(variable.name) or variable.default or ""
