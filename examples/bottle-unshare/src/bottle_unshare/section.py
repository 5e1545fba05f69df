"""The manifest's section `unshare:`."""

from msgspec import Struct

__all__ = ["UnshareSection"]


class UnshareSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of this machine's memory the files of a bottle may take: `files` in MiB, for each place to write."""

    files: int = 2048
