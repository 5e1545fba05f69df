"""What a launch is made from: the command line and its surroundings, manifest, configuration and plugins."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from claude_bottle.errors import NotFoundError, Problem
from claude_bottle.manifest.config import CONFIG_NAME, UserConfig, load_config
from claude_bottle.manifest.find import MANIFEST_NAME, Found, find_manifest
from claude_bottle.manifest.load import LoadedManifest, decode_manifest, load_manifest
from claude_bottle.manifest.types import Secret
from claude_bottle.plan.environment import LOGINS, Login, SecretSources
from claude_bottle.plan.spec import BottleSpec
from claude_bottle.plugins.inventory import Inventory, read_inventory
from claude_bottle.plugins.record import Outcome, Record
from claude_bottle.plugins.trust import read_rules
from claude_bottle.seam.secrets import LARGEST, unfit

__all__ = ["Request", "Sources", "Surroundings", "find_secrets", "keyring_problems", "read_sources"]

NO_FILE = "no manifest"
"""What stands for the file's name where there is none."""


class Request(NamedTuple):
    """The words of `bottle start`. `secret_files` are name and path; `words` stand after `--`.

    `asks`: the launch is asked about before it begins, or would be where this is a dry run.
    """

    agent: str
    file: Path | None = None
    backend: str | None = None
    proxy: str | None = None
    workspace: bool = False
    words: tuple[str, ...] = ()
    secret_files: tuple[tuple[str, Path], ...] = ()
    asks: bool = True


def forget(_record: Record, _outcome: Outcome) -> None:
    """Keep nothing."""


class Surroundings(NamedTuple):
    """Where the command runs: all that it reads of the outside, so that it can be given another one.

    `ask` puts a question without echo, and is None where there is no terminal. `note_load` is told what the load of
    each plugin found.
    """

    environ: Mapping[str, str]
    cwd: Path
    home: Path
    config_dir: Path
    state_dir: Path
    ask: Callable[[str], str] | None = None
    note_load: Callable[[Record, Outcome], None] = forget

    def __repr__(self) -> str:
        return f"<Surroundings: {self.cwd}>"


class Sources(NamedTuple):
    """All that is read before anything is decided."""

    found: Found
    manifest: LoadedManifest
    config: UserConfig
    inventory: Inventory


def read_sources(request: Request, around: Surroundings) -> Sources:
    """Read manifest, configuration and metadata; a manifest's own mistakes are in it, not raised."""
    config = load_config(around.config_dir)
    inventory = read_inventory(read_rules(config, around.config_dir, around.environ))
    try:
        found = find_manifest(request.file, around.environ, around.cwd, around.config_dir)
        loaded = load_manifest(found.path, inventory.section_names(), around.cwd)
    except NotFoundError:
        if not inventory.named("agent", request.agent):
            raise
        found = Found(around.cwd / MANIFEST_NAME, "nowhere")
        loaded = decode_manifest(plain_manifest(request.agent), found.path, inventory.section_names(), NO_FILE)
    blocked = loaded.manifest.plugins.block if loaded.manifest else ()
    return Sources(found, loaded, config, inventory.without(blocked, loaded.file))


def plain_manifest(agent: str) -> bytes:
    """Return the manifest that holds where nobody has written one: an agent plugin, in a bottle of its own hosts."""
    return (
        f"version: 1\nbottles: {{{agent}: {{}}}}\nagents: {{{agent}: {{bottle: {agent}, agent: {agent}}}}}\n".encode()
    )


def find_secrets(request: Request, around: Surroundings, config: UserConfig, problems: list[Problem]) -> SecretSources:
    """Return where secrets come from. Files are read; keyring and commands are left alone until values are needed."""
    commands = {name: entry.command for name, entry in config.secrets.items()}
    problems += _command_problems(commands, around)
    return SecretSources(
        environ=around.environ,
        files=_secret_files(request, problems),
        ask=around.ask,
        commands=commands,
        run=partial(_run, environ=around.environ),
        keyring=_from_keyring,
        logins=_logins(around.state_dir),
    )


def keyring_problems(spec: BottleSpec, secrets: SecretSources) -> list[Problem]:
    """Return a problem for each value that the keyring cannot give, as far as it says so without asking anybody."""
    wanted = [
        (f"bottles.{spec.bottle}.env.{name}.keyring", entry.keyring)
        for name, entry in spec.env
        if isinstance(entry, Secret) and entry.keyring and secrets.origin(name, entry) == f"keyring {entry.keyring}"
    ]
    if not wanted:
        return []
    from claude_bottle.launch.fetch import entry_trouble  # noqa: PLC0415 - as below

    troubles = [(where, entry_trouble(entry)) for where, entry in wanted]
    return [Problem(trouble.message, trouble.hint, where) for where, trouble in troubles if trouble]


def _from_keyring(entry: str) -> str:
    from claude_bottle.launch.fetch import keyring_value  # noqa: PLC0415 - most launches have neither this nor a command

    return keyring_value(entry)


def _run(name: str, words: tuple[str, ...], environ: Mapping[str, str]) -> str:
    from claude_bottle.launch.fetch import run_command  # noqa: PLC0415 - as above

    return run_command(name, words, environ)


def _command_problems(commands: Mapping[str, tuple[str, ...]], around: Surroundings) -> list[Problem]:
    if not commands:
        return []
    import shutil  # noqa: PLC0415 - most users have no such command

    path = around.environ.get("PATH")
    return [
        Problem(
            f"{CONFIG_NAME}: secrets.{name}.command: there is no program {words[0]}", "install it, or name its path"
        )
        for name, words in commands.items()
        if shutil.which(words[0], path=path) is None
    ]


def _logins(state_dir: Path) -> dict[str, Login]:
    """Return the stored credentials by variable, none of which is read here."""
    if not (state_dir / LOGINS).exists():
        return {}
    from claude_bottle.launch.logins import Logins  # noqa: PLC0415 - nobody who has not logged in needs it

    logins = Logins(state_dir)
    return {
        it.name: Login(
            "keyring" if it.where == "keyring" else str(logins.file(it.name)), lambda it=it: logins.value(it)
        )
        for it in logins.kept()
    }


def _secret_files(request: Request, problems: list[Problem]) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, path in request.secret_files:
        values[name] = ""  # what is wrong with its file is the one problem with it
        try:
            with path.open("rb") as file:
                data = file.read(LARGEST + 4)
            cut = len(data) > LARGEST  # perhaps within a character
            values[name] = data.decode("utf-8", "ignore" if cut else "strict").removesuffix("\n")
        except OSError as error:
            problems.append(Problem(f"--secret-file {name}: {path} cannot be read: {error.strerror}"))
        except UnicodeDecodeError:
            problems.append(Problem(f"--secret-file {name}: {path} cannot be read: not UTF-8"))
        else:
            if not values[name]:
                problems.append(Problem(f"--secret-file {name}: {path} is empty"))
            elif why := unfit(name, values[name]):
                problems.append(Problem(*why, f"--secret-file {name}: {path}"))
    return values
