"""The loaded manifest: everything that it says, and everything that is wrong with it, in one pass."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import Any, cast

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claude_bottle.errors import ProblemsError
from claude_bottle.manifest.load import Claim, LoadedManifest, claims, decode_manifest, load_manifest
from claude_bottle.manifest.types import AgentSection, BottleSection, Egress, Manifest, Secret, Ssh, Workspace

HERE = Path(__file__).parent
Load = Callable[[str | bytes], LoadedManifest]

GOOD = """\
version: 1
bottles:
  dev: {}
agents:
  reviewer: {bottle: dev}
"""

BAD = """\
bottle.yaml:2: botles: unknown key (did you mean bottles?)
bottle.yaml:9: bottles.dev.egress.allowlist[1]: "api.example.com.": a host ends without a dot
bottle.yaml:10: bottles.dev.egress.dlp_action: expected block or warn, got "wran" (did you mean warn?)
bottle.yaml:11: bottles.dev.egress.inspect["*.b.io"]: expected block, warn or opaque, got "opaqe" (did you mean opaque?)
bottle.yaml:12: bottles.dev.egress.private_addresses[0]: "10.1.2.3/8": not a network in CIDR notation
bottle.yaml:14: bottles.dev.env.1ST: "1ST": a variable's name has letters, digits and _, and begins with no digit
bottle.yaml:15: bottles.dev.env.HOME_DIR: a $ at character 1 begins nothing
bottle.yaml:16: bottles.dev.env.TOKEN.keyring: "yes": an entry of a keyring is SERVICE/NAME
bottle.yaml:18: bottles.dev.ssh[0].port: expected a whole number, got "22:22"
bottle.yaml:19: bottles.dev.ssh[1]: the key identity_file is missing
bottle.yaml:20: bottles.dev.dockr: unknown key (did you mean docker?)
bottle.yaml:21: bottles.dev.dlp: unknown key
bottle.yaml:22: bottles.dev: duplicate key (first on line 4)
bottle.yaml:23: bottles.dev.runtime: expected text, got a list
bottle.yaml:26: agents.reviewer.bottle: there is no bottle "def" (did you mean dev?)
bottle.yaml:27: agents.reviewer.skills: expected a list, got "../../etc"
"""


def shown(loaded: LoadedManifest) -> list[str]:
    """Return the problems as they are shown."""
    return [str(problem) for problem in loaded.problems]


def test_the_full_manifest_is_read(load: Load, full: bytes) -> None:
    """Every key of a manifest has its type and value; a plugin's section stays as it is."""
    loaded = load(full)
    assert loaded.problems == ()
    manifest = loaded.checked()
    assert list(manifest.bottles["dev"].sections) == ["docker"]
    assert msgspec.structs.replace(manifest.bottles["dev"], sections={}) == BottleSection(
        backend="docker",
        proxy="pipelock",
        runtime="runsc",
        egress=Egress(
            allowlist=("api.example.com", "*.example.org"),
            inspect=MappingProxyType({"*.example.org": "opaque"}),
        ),
        env=MappingProxyType(
            {
                "LOG_LEVEL": "debug",
                "API_URL": "${HOST_API_URL}/v2",
                "GITHUB_TOKEN": Secret(secret="GitHub token"),
            },
        ),
        ssh=(Ssh(host="github.com", user="git", port=22, identity_file="~/.ssh/id_ed25519"),),
        workspace=Workspace(mode="copy"),
    )
    assert manifest.agents == {
        "reviewer": AgentSection(bottle="dev", prompt="You review changes.", skills=("pdf", "review")),
    }


def test_all_problems_are_shown_at_once_with_their_lines(load: Load) -> None:
    """A bad file is told everything in one go, in the order of its lines, each with file, line and key."""
    found = shown(load((HERE / "bad.yaml").read_bytes()))
    assert found == BAD.splitlines()


def test_a_bad_file_still_has_its_best_value(load: Load) -> None:
    """Later checks can add their problems to the same report: what is good is there."""
    manifest = load((HERE / "bad.yaml").read_bytes()).manifest
    assert manifest is not None
    dev = manifest.bottles["dev"]
    assert (dev.backend, dev.egress.allowlist, dev.egress.dlp_action) == ("docker", ("api.example.com",), "block")
    assert manifest.agents["reviewer"].bottle == "def"


def test_both_of_two_duplicates_are_checked_and_the_first_one_stands(load: Load) -> None:
    """A duplicate cannot overrule what stands above it, not even in the best value, and hides no mistake."""
    loaded = load(GOOD.replace("dev: {}", "dev: {backend: docker, backend: bwrap, env: {1: x}, env: {2: x}}"))
    assert loaded.manifest is not None
    assert loaded.manifest.bottles["dev"].backend == "docker"
    assert len(loaded.problems) == 4


def test_a_manifest_with_problems_cannot_pass_for_good(load: Load) -> None:
    """Who wants a manifest to act on gets one without problems, or none."""
    with pytest.raises(ProblemsError) as caught:
        load(GOOD + "x: 1\n").checked()
    assert [problem.where for problem in caught.value.problems] == ["bottle.yaml:6: x"]
    with pytest.raises(ProblemsError):
        load("version: [\n").checked()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("dev: {}", "dev: {flyio: {size: 1}}", "bottle.yaml:3: bottles.dev.flyio: unknown key"),
        ("dev: {}", "dev: {dokcer: {}}", "bottle.yaml:3: bottles.dev.dokcer: unknown key (did you mean docker?)"),
        ("dev: {}", "dev: {sections: {a: b}}", "bottle.yaml:3: bottles.dev.sections: unknown key"),
        ("dev: {}", "dev: {egress: {upstream: {}}}", "bottle.yaml:3: bottles.dev.egress.upstream: unknown key"),
        ("bottle: dev", "bottle: dev, docker: {}", "bottle.yaml:5: agents.reviewer.docker: unknown key"),
        ("version: 1", "version: 1\nupstream: {ca: [x]}", "bottle.yaml:2: upstream: unknown key"),
        ("version: 1", "version: 2", 'bottle.yaml:1: version: this bottle reads version 1, not "2"'),
        ("version: 1\n", "", "bottle.yaml:1: the key version is missing"),
        ("  dev: {}", "  -dev: {}", 'bottle.yaml:3: bottles.-dev: "-dev": a name has at most 40 letters'),
    ],
)
def test_what_nobody_knows_is_never_ignored(load: Load, old: str, new: str, problem: str) -> None:
    """F8, wish 25: a policy that would silently vanish is an error, with the nearest name that is known."""
    assert any(each.startswith(problem) for each in shown(load(GOOD.replace(old, new))))


def test_a_credential_goes_to_one_host_in_one_header(load: Load) -> None:
    """S4: no wildcard, no header that leads a request elsewhere, nothing that is not understood."""
    inject = '{host: "*.x.io", header: Host, format: "{}{}", hosts: [y.io]}'
    found = shown(load(GOOD.replace("dev: {}", f"dev: {{env: {{T: {{secret: t, inject: {inject}}}}}}}")))
    keys = [each.partition("env.T.inject.")[2].partition(":")[0] for each in found]
    assert sorted(keys) == ["format", "header", "host", "hosts"]


def test_another_version_is_all_that_is_said(load: Load) -> None:
    """A file that is written for another bottle is not picked to pieces."""
    assert len(load("version: 2\nthings: [a]\nstuff: {}\n").problems) == 1


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~\n"])
def test_an_empty_manifest_is_told_so(load: Load, text: str) -> None:
    """The hint is how to get one that works."""
    (problem,) = load(text).problems
    assert problem.message == "the manifest is empty"
    assert problem.hint == "bottle init writes one that works"


def test_a_list_is_no_manifest(load: Load) -> None:
    """The whole file has a form as well."""
    assert shown(load("- a\n")) == ["bottle.yaml:1: expected a mapping, got a list"]


def test_a_bottle_that_is_bad_is_not_called_missing(load: Load) -> None:
    """One mistake is one problem."""
    text = GOOD.replace("dev: {}", "dev: [x]")
    assert shown(load(text)) == ["bottle.yaml:3: bottles.dev: expected a mapping, got a list"]


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("agents.a.b.skills.1", '7: agents["a.b"].skills[1]'),
        ("agents.a.b.skills.9", '6: agents["a.b"].skills.9'),
        ("agents.a.bottle", "8: agents.a.bottle"),
        ("bottles.dev.egress.inspect.*.x.io", '3: bottles.dev.egress.inspect["*.x.io"]'),
        ("bottles.dev.docker.memory", "3: bottles.dev.docker.memory"),
    ],
)
def test_a_part_is_found_by_its_path(load: Load, path: str, where: str) -> None:
    """What a plugin names with dots alone has its line, keys with dots and items of lists too."""
    agents = "\n  a.b:\n    skills: [x,\n      y]\n  a: {bottle: dev}\n"
    loaded = load('version: 1\nbottles:\n  dev: {egress: {inspect: {"*.x.io": warn}}}\nagents:' + agents)
    assert loaded.find(path) == f"bottle.yaml:{where}"


def test_claims_are_what_plugins_must_take(load: Load, full: bytes) -> None:
    """Each non-empty key of a provisioner and each section is listed with its line, for one agent."""
    assert claims(load(full), "reviewer") == (
        Claim("skills", "bottle.yaml:25: agents.reviewer.skills"),
        Claim("ssh", "bottle.yaml:16: bottles.dev.ssh"),
        Claim("workspace", "bottle.yaml:18: bottles.dev.workspace"),
        Claim("docker", "bottle.yaml:19: bottles.dev.docker"),
    )
    assert claims(load(full), "nobody") == ()


def test_empty_keys_claim_nothing_but_an_empty_section_does(load: Load) -> None:
    """`ssh: []` wants no plugin; `docker: {}` is a word to one."""
    text = GOOD.replace("dev: {}", "dev: {ssh: [], workspace: , docker: }").replace(
        "bottle: dev", "bottle: dev, skills: []"
    )
    loaded = load(text)
    assert loaded.problems == ()
    assert claims(loaded, "reviewer") == (Claim("docker", "bottle.yaml:3: bottles.dev.docker"),)


def test_where_names_the_nearest_line_that_is_written(load: Load, full: bytes) -> None:
    """A later check can name any key, also one that has only a default."""
    loaded = load(full)
    assert loaded.where("bottles", "dev", "ssh", 0, "port") == "bottle.yaml:17: bottles.dev.ssh[0].port"
    assert loaded.where("agents", "reviewer", "model") == "bottle.yaml:21: agents.reviewer.model"
    assert loaded.where("nothing") == "bottle.yaml:1: nothing"
    assert loaded.where() == "bottle.yaml:1"


def test_the_hash_is_that_of_the_bytes_that_were_read(tmp_path: Path) -> None:
    """What is approved is what was shown; the file is named as it is seen from the current folder."""
    path = tmp_path / "sub" / "bottle.yaml"
    path.parent.mkdir()
    path.write_text(GOOD + "x: 1\n")
    loaded = load_manifest(path, (), tmp_path)
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert loaded.path == path
    assert shown(loaded) == ["sub/bottle.yaml:6: x: unknown key"]
    assert load_manifest(path, (), tmp_path / "else").file == str(path)


def test_a_megabyte_of_mistakes_is_answered_in_time(load: Load) -> None:
    """A file of nothing but unknown keys costs seconds at worst, not minutes."""
    text = GOOD + "".join(f"bottels{n}: 1\n" for n in range(2000))
    begin = perf_counter()
    assert len(load(text).problems) == 2000
    assert perf_counter() - begin < 5


NAMES = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_-]{0,8}", fullmatch=True)
HOSTS = st.sampled_from(["a.example.com", "*.example.org", "example.net:8443", "192.0.2.1", "2001:db8::1"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)
LINES = st.sampled_from(["Token", "GitHub token?", "yes", "8080", "*x", "&x", "!x", "~"])
EGRESS = st.builds(
    Egress,
    allowlist=st.lists(HOSTS).map(tuple),
    dlp_action=st.sampled_from(["block", "warn"]),
    inspect=st.dictionaries(HOSTS, st.sampled_from(["block", "warn", "opaque"])).map(MappingProxyType),
    private_addresses=st.lists(st.ip_addresses(network="10.0.0.0/8").map("{}/32".format)).map(tuple),
)
SSH = st.builds(
    Ssh,
    host=st.sampled_from(["github.com", "192.0.2.7"]),
    user=NAMES,
    port=st.integers(1, 65535),
    identity_file=st.sampled_from(["~/.ssh/id", "keys/id", "/k"]),
)
BOTTLES = st.builds(
    BottleSection,
    backend=st.none() | st.sampled_from(["docker", "null-backend"]),
    proxy=st.none() | st.just("pipelock"),
    runtime=st.none() | st.just("runsc"),
    egress=EGRESS,
    env=st.dictionaries(
        st.from_regex(r"[A-Z_][A-Z0-9_]{0,6}", fullmatch=True),
        TEXTS.map(lambda text: text.replace("$", "$$")) | st.builds(Secret, secret=LINES),
    ).map(MappingProxyType),
    ssh=st.lists(SSH, max_size=2).map(tuple),
    workspace=st.none() | st.builds(Workspace, mode=st.sampled_from(["copy", "bind"])),
)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """Draw a manifest whose agents run in bottles that are there."""
    bottles = draw(st.dictionaries(NAMES, BOTTLES, min_size=1, max_size=3))
    agent = st.builds(
        AgentSection,
        bottle=st.sampled_from(sorted(bottles)),
        agent=st.sampled_from(["claude", "shell"]),
        prompt=TEXTS,
        skills=st.lists(NAMES, max_size=3).map(tuple),
    )
    agents = draw(st.dictionaries(NAMES, agent, max_size=3))
    return Manifest(version=1, bottles=MappingProxyType(bottles), agents=MappingProxyType(agents))


def plain(value: Any) -> Any:
    """Return a manifest as the mappings and lists that a YAML library writes."""
    match value:
        case msgspec.Struct():
            fields = {name: getattr(value, name) for name in value.__struct_fields__ if name != "sections"}
            return {name: plain(each) for name, each in fields.items() if each is not None}
        case MappingProxyType():
            return {key: plain(each) for key, each in cast("Mapping[str, Any]", value).items()}
        case tuple():
            return [plain(each) for each in cast("tuple[Any, ...]", value)]
        case _:
            return value


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(manifests())
def test_a_manifest_that_is_written_is_read_as_it_was(manifest: Manifest) -> None:
    """Manifest to YAML to manifest is the identity, whatever the texts in it look like to YAML."""
    text = yaml.safe_dump(plain(manifest), allow_unicode=True)
    loaded = decode_manifest(text.encode(), Path("/bottle.yaml"), (), "bottle.yaml")
    assert shown(loaded) == []
    assert loaded.checked() == manifest
