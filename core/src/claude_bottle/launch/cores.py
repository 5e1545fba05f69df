"""No core file of a process that holds secrets: it would be all of its memory on disk."""

import resource

__all__ = ["forbid_core_files"]


def forbid_core_files() -> None:
    """Forbid it for this process and all that it starts. One byte is none, and stops a kernel that pipes cores, too."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    limit = 1 if most == resource.RLIM_INFINITY else min(1, most)
    resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
