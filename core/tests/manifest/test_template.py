"""The manifest of `bottle init`: it works as it is, and what is commented out works too."""

import re
from collections.abc import Callable

from claude_bottle.manifest.load import LoadedManifest, claims
from claude_bottle.manifest.template import TEMPLATE
from claude_bottle.manifest.types import Secret

Load = Callable[[str | bytes], LoadedManifest]


def test_the_template_has_no_problems_and_needs_no_plugin_but_the_agent(load: Load) -> None:
    """One bottle, one agent, nothing that must be installed first."""
    loaded = load(TEMPLATE)
    manifest = loaded.checked()
    assert manifest.agents["shell"].agent == "shell"
    assert manifest.bottles["dev"].egress.allowlist == ("example.com",)
    assert claims(loaded, "shell") == ()


def test_the_lines_that_are_commented_out_work(load: Load) -> None:
    """Who removes a `#` has a manifest that works."""
    text, count = re.subn(r"(?m)^( +)# (\w+: )", r"\1\2", TEMPLATE)
    assert count == 5
    manifest = load(text).checked()
    dev, claude = manifest.bottles["dev"], manifest.agents["claude"]
    assert (claude.prompt, claude.skills) == ("You review changes.", ("pdf",))
    assert dev.env["API_URL"] == "${HOST_API_URL}/v2"
    assert dev.env["GITHUB_TOKEN"] == Secret(secret="GitHub token")
