"""The default set: which plugins are ours, and in which order a backend is picked where nobody names one."""

from claude_bottle.plugins.defaults import Defaults, Pair, Reserved

__all__ = ["DEFAULTS"]

DEFAULTS = Defaults(
    preference=(Pair("docker", "pipelock"), Pair("bwrap", "mitmproxy")),
    reserved=(
        Reserved("backend", "bwrap", "bottle-bwrap"),
        Reserved("backend", "docker", "bottle-docker"),
        Reserved("proxy", "mitmproxy", "bottle-mitmproxy"),
        Reserved("proxy", "pipelock", "bottle-pipelock"),
        Reserved("provisioner", "skills", "bottle-skills"),
        Reserved("provisioner", "ssh", "bottle-ssh"),
        Reserved("provisioner", "workspace", "bottle-git"),
        Reserved("agent", "claude", "bottle-claude"),
        Reserved("agent", "codex", "bottle-codex"),
        Reserved("agent", "shell", "bottle-claude"),
    ),
)
