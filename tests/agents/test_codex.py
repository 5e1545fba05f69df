"""A second agent, of another vendor: the same seam, backends and proxies, against a stand-in for its own API."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from agents_user import KEY, OTHER, Company, open_company
from matrix_pair import Pair
from model_codex import CodexModel

pytestmark = pytest.mark.timeout(600)  # as in test_claude


@pytest.fixture(scope="module")
def codex(pair: Pair, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company[CodexModel]]:
    """Somebody with a key of the stand-in for OpenAI's API."""
    with open_company(pair, cache, tmp_path_factory.mktemp("codex"), CodexModel) as company:
        yield company


def test_it_answers_a_prompt(codex: Company[CodexModel]) -> None:
    """The answer is on stdout; prompt and key are in the request; no host is contacted that was not shown."""
    codex.manifest({}, {"agent": "codex", "prompt": "PROMPT-MARK"})
    login = {"OPENAI_API_KEY": KEY}
    done = codex.start("codex", "exec", "--skip-git-repo-check", "say hi", env=login)
    assert (done.code, done.out) == (0, "MOCK-HELLO\n"), done.err
    [request] = codex.model.responses()
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert "PROMPT-MARK" in json.dumps(request.body["input"])
    shown = json.loads(codex.user.bottle("start", "reviewer", "--dry-run", "--format", "json").out)
    assert shown["egress"]["hosts"] == ["api.openai.com", OTHER]
    assert {event["host"] for event in codex.user.events()} == {"api.openai.com"}
