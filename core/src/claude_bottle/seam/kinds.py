"""The four kinds of plugins."""

from typing import Literal

__all__ = ["Kind"]

Kind = Literal["backend", "proxy", "provisioner", "agent"]
