"""The manifest's section `maker:`."""

from msgspec import Struct

__all__ = ["MakerSection"]


class MakerSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which targets are made, and how many jobs run at once."""

    targets: tuple[str, ...] = ("all",)
    jobs: int = 1
