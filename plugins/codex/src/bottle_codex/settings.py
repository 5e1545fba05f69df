"""What Codex finds in its home: the prompt, and settings with which it asks nothing and looks nothing up."""

import json

from claude_bottle.seam.bottle import Bottle
from claude_bottle.seam.tree import FileEntry, FolderEntry

__all__ = ["PROMPT_FILE", "furnish", "settings"]

HOME, FOLDER = "/home/agent", ".codex"
PROMPT_FILE = f"{HOME}/{FOLDER}/AGENTS.md"

# The bottle is the sandbox. The provider is OpenAI's own, with the key from the environment: a login would be a file.
SETTINGS = """\
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false
model_provider = "bottle"

[analytics]
enabled = false

[features]
in_app_updates = false
plugins = false
remote_plugin = false

[projects."/workspace"]
trust_level = "trusted"

[model_providers.bottle]
name = "OpenAI"
base_url = "https://api.openai.com/v1"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
"""


def furnish(bottle: Bottle, prompt: str, model: str | None) -> str | None:
    """Write both files, and return the prompt's path only if there is one."""
    bottle.put(
        [
            FolderEntry(FOLDER, 0o700),
            FileEntry(f"{FOLDER}/config.toml", settings(model).encode(), 0o600),
            FileEntry(f"{FOLDER}/AGENTS.md", prompt.encode(), 0o600),
        ],
        HOME,
    )
    return PROMPT_FILE if prompt.strip() else None


def settings(model: str | None) -> str:
    """Return `config.toml`; a string of JSON is one of TOML, too."""
    return SETTINGS if model is None else f"model = {json.dumps(model)}\n{SETTINGS}"
