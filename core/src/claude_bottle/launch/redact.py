"""The values that a launch forwards, taken out of what its proxy reports: an agent may send them anywhere."""

import re
from urllib.parse import quote

from msgspec.structs import replace

from claude_bottle.seam.event import Event
from claude_bottle.seam.secrets import Secrets

__all__ = ["SHORTEST", "Redactor"]

SHORTEST = 8
"""Characters of a value that is looked for: a shorter one is found everywhere, and hides nothing."""


class Redactor:
    """Puts `[NAME]` where a value of that variable stands, in whatever case, also percent-encoded."""

    def __init__(self, secrets: Secrets) -> None:
        forms = {
            form: name
            for name, value in secrets.items()
            if len(value) >= SHORTEST
            for form in (value, quote(value), quote(value, safe=""))
        }
        longest_first = sorted(forms, key=len, reverse=True)
        self._names = [forms[form] for form in longest_first]
        self._pattern = re.compile("|".join(f"({re.escape(form)})" for form in longest_first), re.IGNORECASE)

    def text(self, text: str) -> str:
        """Return a text without any of the values."""
        if not self._names:
            return text
        return self._pattern.sub(lambda found: f"[{self._names[(found.lastindex or 1) - 1]}]", text)

    def event(self, event: Event) -> Event:
        """Return an event without any of the values."""
        texts = ("host", "method", "path", "reason", "fix")
        return replace(event, **{field: self.text(getattr(event, field)) for field in texts})
