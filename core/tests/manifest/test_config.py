"""The user's configuration: the same care as for a manifest."""

from pathlib import Path

import pytest

from claude_bottle.errors import BottleError, ProblemsError
from claude_bottle.manifest.config import Upstream, UserConfig, load_config


def problems(folder: Path, text: str) -> list[str]:
    """Return what is wrong with a configuration, without its folder."""
    (folder / "config.yaml").write_text(text)
    with pytest.raises(ProblemsError) as caught:
        load_config(folder)
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


@pytest.mark.parametrize("text", [None, "", "# nothing yet\n", "upstream:\n"])
def test_no_configuration_is_the_empty_one(tmp_path: Path, text: str | None) -> None:
    """A file that is missing or says nothing changes nothing."""
    if text is not None:
        (tmp_path / "config.yaml").write_text(text)
    assert load_config(tmp_path) == UserConfig()


def test_all_keys_are_read(tmp_path: Path) -> None:
    """Preferences, upstreams and trust have their types, hosts their one form."""
    (tmp_path / "config.yaml").write_text(
        "backend: docker\nproxy: pipelock\nblock: [docker]\npin: {flyio: bottle-flyio}\n"
        "upstream:\n  ca: [corp.pem]\n  hosts: {API.example.com: 127.0.0.1:8443, b.example: '[::1]:443'}\n",
    )
    assert load_config(tmp_path) == UserConfig(
        backend="docker",
        proxy="pipelock",
        upstream=Upstream(
            ca=("corp.pem",),
            hosts={"api.example.com": "127.0.0.1:8443", "b.example": "[::1]:443"},
        ),
        block=("docker",),
        pin={"flyio": "bottle-flyio"},
    )


def test_all_mistakes_are_shown_with_their_lines(tmp_path: Path) -> None:
    """Fail closed: an unknown key is an error, a wildcard is no upstream, a name is no address."""
    assert problems(
        tmp_path,
        "bakend: x\nupstream:\n  hosts:\n    '*.a.com': 127.0.0.1:1\n    b.com: c.com:443\n  verify: no\n",
    ) == [
        "config.yaml:1: bakend: unknown key (did you mean backend?)",
        'config.yaml:4: upstream.hosts["*.a.com"]: "*.a.com": a wildcard cannot stand here',
        'config.yaml:5: upstream.hosts["b.com"]: "c.com:443": not an address with a port',
        "config.yaml:6: upstream.verify: unknown key",
    ]
    assert problems(tmp_path, "secrets:\n  A: {command: []}\n  B: {command: [cat, x], shell: yes}\n") == [
        "config.yaml:2: secrets.A.command: expected a length >= 1, got 0",
        "config.yaml:3: secrets.B.shell: unknown key",
    ]
    assert problems(tmp_path, "backend: [\n") == [
        "config.yaml:2:1: not YAML: while parsing a flow node, did not find expected node content",
    ]


def test_a_configuration_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """Preferences never vanish in silence, and a link to nowhere is no empty configuration."""
    (tmp_path / "config.yaml").mkdir()
    with pytest.raises(BottleError, match="cannot be read"):
        load_config(tmp_path)
    (tmp_path / "config.yaml").rmdir()
    (tmp_path / "config.yaml").symlink_to("nowhere")
    with pytest.raises(BottleError, match="cannot be read"):
        load_config(tmp_path)
