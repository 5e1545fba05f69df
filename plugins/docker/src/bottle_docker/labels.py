"""The labels on everything that is made: by them any terminal finds it, and the dead are told from the living."""

import os
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from claude_bottle.seam.owner import Launch, Owner

__all__ = ["BUILD", "BUILDER", "LAUNCH", "ROLE", "Mark", "Role", "builder"]

PREFIX = "claude-bottle."
LAUNCH = f"{PREFIX}launch"
ROLE = f"{PREFIX}role"
BUILD = f"{PREFIX}build"
"""On every layer of an image that we build: the hash of its inputs."""
BUILDER = f"{PREFIX}builder"
"""Beside it: whose build it is, since nobody else knows whether it is still under way."""

VERSION = "1"

Role = Literal["agent", "proxy", "network", "volume", "witness"]


def builder() -> str:
    """Return this user of this machine, as the label has them."""
    return f"{os.getuid()}.{Owner.current().machine}"


class Mark(Struct, frozen=True, kw_only=True):
    """What the labels of one launch say. `user` is the uid of whoever started it."""

    bottle: str
    slug: str
    launch: str
    owner: Owner
    detach: bool = False
    user: int = -1

    @classmethod
    def of(cls, launch: Launch, bottle: str, slug: str) -> "Mark":
        """Return the mark of a launch of this user."""
        return cls(
            bottle=bottle, slug=slug, launch=launch.label, owner=launch.owner, detach=launch.detach, user=os.getuid()
        )

    @property
    def ours(self) -> bool:
        """Whether it was started by this user of this machine."""
        return self.user == os.getuid() and self.owner.alive() is not None

    def labels(self, role: Role) -> dict[str, str]:
        """Return the labels of one object."""
        values = {
            "role": role,
            "version": VERSION,
            "bottle": self.bottle,
            "slug": self.slug,
            "launch": self.launch,
            "detach": "yes" if self.detach else "no",
            "user": str(self.user),
            "machine": self.owner.machine,
            "boot": self.owner.boot,
            "pid": str(self.owner.pid),
            "start": str(self.owner.start),
        }
        return {PREFIX + key: value for key, value in values.items()}

    @classmethod
    def read(cls, labels: Mapping[str, str] | None) -> "Mark | None":
        """Return what labels say; None if they are not ours, or of a version that we do not know."""
        found = {key.removeprefix(PREFIX): value for key, value in (labels or {}).items() if key.startswith(PREFIX)}
        if found.get("version") != VERSION:
            return None
        try:
            owner = Owner(found["machine"], found["boot"], int(found["pid"]), int(found["start"]))
            return cls(
                bottle=found["bottle"],
                slug=found["slug"],
                launch=found["launch"],
                owner=owner,
                detach=found["detach"] == "yes",
                user=int(found["user"]),
            )
        except (KeyError, ValueError):
            return None
