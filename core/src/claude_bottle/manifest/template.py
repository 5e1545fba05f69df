"""The manifest that `bottle init` writes: the smallest one that works, with what to write next beside it."""

__all__ = ["TEMPLATE"]

TEMPLATE = """\
# Isolated bottles for coding agents. `bottle start shell --dry-run` shows what would happen,
# `bottle schema` has every key for your editor.
version: 1

bottles:
  dev:
    egress:
      # The only hosts that can be reached. "*.example.org" is any depth below, never example.org itself.
      allowlist:
        - example.com
      # dlp_action: block          # or warn: a credential on its way out is recorded, not refused
    env:
      LOG_LEVEL: info
      # API_URL: "${HOST_API_URL}/v2"            # from your environment
      # GITHUB_TOKEN: {secret: "GitHub token"}   # asked for at the terminal

agents:
  claude:                         # Claude Code: `bottle login claude`, then `bottle start claude --cwd`
    bottle: dev
    # prompt: You review changes.
    # skills: [pdf]               # from ~/.claude/skills
  shell:                          # for looking around
    bottle: dev
    agent: shell
"""
