"""The configuration as the file that pipelock reads."""

from collections.abc import Mapping

import yaml

__all__ = ["CONFIG", "render"]

CONFIG = "pipelock.yaml"


def render(config: Mapping[str, object]) -> bytes:
    """Return the file's content; the same configuration is always the same bytes."""
    return yaml.safe_dump(dict(config), sort_keys=False, default_flow_style=False, width=1000).encode()
