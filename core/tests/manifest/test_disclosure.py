"""The disclosure: before a yes, everything that a stranger's manifest takes or loosens."""

from collections.abc import Callable

import msgspec

from claude_bottle.manifest.disclosure import Disclosed, Disclosure, disclose
from claude_bottle.manifest.load import LoadedManifest

Load = Callable[[str | bytes], LoadedManifest]

GREEDY = """\
version: 1
bottles:
  dev:
    backend: docker
    proxy: pipelock
    runtime: runsc
    egress:
      allowlist: [a.com, "b.com:443", "c.com:5432"]
      dlp_action: warn
      inspect: {a.com: block, "*.d.com": opaque, e.com: warn}
      private_addresses: [10.0.0.0/8]
    env:
      PLAIN: hunter2
      TWO: "${AWS_KEY}:${AWS_SECRET:-hunter2}"
      ASKED: {secret: Bank password}
      KEPT: {secret: Key, keyring: bank/me, inject: {host: evil.com, header: X-Key}}
    ssh: [{host: git.com, user: git, port: 2222, identity_file: ~/.ssh/id}]
    workspace: {mode: bind}
    docker: {mounts: [/etc, {from: /root}], empty: {}}
  quiet: {}
agents:
  reviewer: {bottle: dev, skills: [pdf]}
  other: {bottle: quiet, agent: shell}
"""


def test_a_greedy_manifest_shows_all_that_it_wants(load: Load) -> None:
    """F9, wish 25: each host path, variable, question and loosened default stands there with its key."""
    assert disclose(load(GREEDY).checked()) == Disclosure(
        paths=(
            Disclosed("bottles.dev.ssh[0].identity_file", "~/.ssh/id"),
            Disclosed("bottles.dev.env.KEPT.keyring", "the keyring's bank/me"),
            Disclosed("agents.reviewer.skills[0]", "~/.claude/skills/pdf"),
        ),
        variables=(Disclosed("bottles.dev.env.TWO", "AWS_KEY"), Disclosed("bottles.dev.env.TWO", "AWS_SECRET")),
        secrets=(
            Disclosed("bottles.dev.env.ASKED", "Bank password"),
            Disclosed("bottles.dev.env.KEPT", "Key, for evil.com alone"),
        ),
        loosened=(
            Disclosed("bottles.dev.runtime", "runsc"),
            Disclosed("bottles.dev.egress.allowlist[2]", "c.com:5432"),
            Disclosed("bottles.dev.egress.dlp_action", "warn"),
            Disclosed('bottles.dev.egress.inspect["*.d.com"]', "opaque"),
            Disclosed('bottles.dev.egress.inspect["e.com"]', "warn"),
            Disclosed("bottles.dev.egress.private_addresses[0]", "10.0.0.0/8"),
            Disclosed("bottles.dev.ssh[0].port", "2222"),
            Disclosed("bottles.dev.workspace.mode", "bind"),
        ),
        plugins=(
            Disclosed("bottles.dev.backend", "docker"),
            Disclosed("bottles.dev.proxy", "pipelock"),
            Disclosed("agents.reviewer.agent", "claude"),
            Disclosed("agents.other.agent", "shell"),
        ),
        sections=(
            Disclosed("bottles.dev.docker.mounts[0]", "/etc"),
            Disclosed("bottles.dev.docker.mounts[1].from", "/root"),
            Disclosed("bottles.dev.docker.empty", ""),
        ),
    )


def test_a_disclosure_shows_no_value_of_a_variable(load: Load) -> None:
    """S7: names alone, neither literals nor defaults."""
    assert "hunter2" not in repr(disclose(load(GREEDY).checked()))


def test_a_modest_manifest_shows_its_plugin_alone(load: Load) -> None:
    """For one agent there is only what concerns it, and a default is nothing to disclose."""
    found = msgspec.structs.asdict(disclose(load(GREEDY).checked(), "other"))
    assert found.pop("plugins") == (Disclosed("agents.other.agent", "shell"),)
    assert not any(found.values())
    assert disclose(load(GREEDY).checked(), "nobody") == disclose(load("version: 1\nbottles:\nagents:\n").checked())


def test_a_section_cannot_write_on_the_terminal(load: Load) -> None:
    """What a stranger wrote into a section is shown as escapes."""
    text = GREEDY.replace("/etc", '"\\e[2J"')
    (first, *_) = disclose(load(text).checked()).sections
    assert first.text.isprintable()
