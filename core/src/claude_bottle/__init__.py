"""claude-bottle: an isolated place for a coding agent, with one inspected way out.

What plugin authors need is re-exported here; everything else is private to core.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
