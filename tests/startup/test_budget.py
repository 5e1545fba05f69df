"""The start-up budget: how much of Python each command loads before it does its work."""

from pathlib import Path

from startup_modules import BARE, BUDGETS, COMMAND, HEAVY, NEWER, loaded

MANIFEST = """\
version: 1
bottles:
  dev:
    backend: bwrap
    proxy: mitmproxy
    egress:
      allowlist: [api.example.com]
agents:
  shell:
    bottle: dev
    agent: shell
"""


@BUDGETS
def test_a_command_loads_no_more_than_its_budget(tmp_path: Path, budget: int, arguments: list[str]) -> None:
    """Modules over the bare count of the same interpreter stay within the budget, no heavy one among them."""
    (tmp_path / "bottle.yaml").write_text(MANIFEST)
    extra = loaded(COMMAND, arguments, tmp_path) - loaded(BARE, [], tmp_path)
    assert {name for name in extra if name.partition(".")[0] in HEAVY} == set()
    assert len(extra) <= budget + NEWER, ", ".join(sorted(extra))
