"""The README's section on Docker, to the letter: the engine that is present is picked, and the proxy with it."""

import re
from pathlib import Path

import pytest
from e2e_user import User
from matrix_pair import CONTAINED, Pair

pytestmark = pytest.mark.parametrize("pair", CONTAINED, indirect=True)
"""tests/e2e/test_readme.py has the embedded set."""

README = Path(__file__).parents[2] / "README.md"
COMMAND = re.search(r"\*\*With Docker\.\*\*.*?```sh\n(bottle start reviewer)\n```", README.read_text(), re.DOTALL)


@pytest.fixture
def newcomer(user: User) -> User:
    """Somebody whose manifest chooses neither."""
    user.chosen = {}
    (user.config / "config.yaml").unlink()
    user.manifest({})
    return user


def test_the_section_on_docker_does_what_it_says(pair: Pair, newcomer: User) -> None:
    """With the proxy that goes with it where its image is here, else with the one that is built."""
    assert COMMAND is not None
    words = COMMAND[1].split()[1:]
    other = () if pair.proxy == "pipelock" else ("--proxy", pair.proxy)
    done = newcomer.bottle(*words, *other, "--yes", "--file", "bottle.yaml", "--", "id", "-un", timeout=110)
    assert (done.code, done.out) == (0, "agent\n"), done.err
    assert "backend       : docker (preference)\n" in done.err
    assert f"proxy         : {pair.proxy} ({'flag' if other else 'goes with docker'})\n" in done.err


def test_an_image_that_cannot_be_had_is_one_clear_error(pair: Pair, newcomer: User) -> None:
    """It names the image, and the flag that does without."""
    newcomer.manifest({"pipelock": {"image": "claude-bottle.invalid/pipelock:2.3.0"}})
    done = newcomer.bottle("start", "reviewer", "--yes", "--file", "bottle.yaml", "--", "true", timeout=110)
    assert done.code == 125
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.err
    assert "claude-bottle.invalid/pipelock:2.3.0 is not here and cannot be fetched" in errors[0]
    assert "--proxy mitmproxy" in done.err
    assert newcomer.listed() == []
