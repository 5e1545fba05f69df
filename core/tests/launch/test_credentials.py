"""Which of an agent's credentials a value is that somebody pastes."""

import pytest

from claude_bottle.errors import BottleError
from claude_bottle.launch.credentials import pick_credential
from claude_bottle.seam.part import Credential


def credential(name: str, prefix: str) -> Credential:
    """Return one that begins in a way."""
    return Credential(name=name, host="api.example.com", header="authorization", prefix=prefix)


LONG, SHORT, ANY = credential("LONG", "sk-oat-"), credential("SHORT", "sk-"), credential("ANY", "")


def test_it_is_the_one_whose_prefix_says_most() -> None:
    """Whatever their order; one without a prefix takes what no other does; a name settles it."""
    for known in ((LONG, SHORT, ANY), (ANY, SHORT, LONG)):
        assert pick_credential(known, "sk-oat-1", None) is LONG
        assert pick_credential(known, "sk-1", None) is SHORT
        assert pick_credential(known, "else", None) is ANY
        assert pick_credential(known, "sk-oat-1", "ANY") is ANY
    with pytest.raises(BottleError, match="begins with none of sk-oat-…, sk-…"):
        pick_credential((LONG, SHORT), "else", None)
