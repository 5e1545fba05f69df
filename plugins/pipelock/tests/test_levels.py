"""The levels that are answered: pipelock has one action for everything that it opens."""

from hypothesis import given
from hypothesis import strategies as st

from bottle_pipelock.levels import answer, one_action
from claude_bottle.plan.hosts import check_answer
from claude_bottle.seam.levels import DlpAction, HostRule, Level

NAMES = ("a.test", "b.a.test", "c.b.a.test", "d.test", "*.a.test", "*.b.a.test", "*.d.test", "192.0.2.1")


def wanted(host: str, level: Level, plain: DlpAction = "block", why: str = "dlp_action", *, ssh: bool = False):
    """Return a rule as core asks for it."""
    return HostRule(host=host, level=level, plain=plain, why=why, raw_ports=(22,) if ssh else ())


rules = st.lists(
    st.builds(
        wanted,
        st.sampled_from(NAMES),
        st.sampled_from(("block", "warn", "opaque")),
        st.sampled_from(("block", "warn")),
        st.sampled_from(("manifest", "claude", "dlp_action")),
        ssh=st.booleans(),
    ),
    unique_by=lambda rule: rule.host,
)
actions = st.sampled_from(("block", "warn"))


def test_warn_under_block_is_not_opened_and_says_so() -> None:
    """The model's host, which must not be blocked, becomes opaque; its plain HTTP is still scanned."""
    model, other = answer([wanted("api.test", "warn", why="claude"), wanted("b.test", "block")], "block")
    assert (model.level, model.plain) == ("opaque", "block")
    assert model.why == "claude asks for warn; pipelock cannot for one host"
    assert (other.level, other.why) == ("block", "dlp_action")


def test_all_warn_stays_warn() -> None:
    """Where nothing is to be blocked, everything is opened and nothing is refused."""
    assert [
        it.level for it in answer([wanted("a.test", "warn", "warn"), wanted("d.test", "warn", "warn")], "warn")
    ] == [
        "warn",
        "warn",
    ]


def test_a_host_of_ssh_is_never_opened() -> None:
    """Pipelock cannot open one port of a host and leave another, so whoever says SSH gets all of it unopened."""
    (rule,) = answer([wanted("git.test", "block", why="manifest", ssh=True)], "block")
    assert (rule.level, rule.why) == ("opaque", "manifest asks for block; pipelock cannot for one port")


def test_what_lies_below_an_opaque_wildcard_is_opaque_too() -> None:
    """Pipelock has no exception from a wildcard that it passes through; the longest one is named."""
    found = answer(
        [wanted("*.a.test", "opaque"), wanted("*.b.a.test", "opaque"), wanted("c.b.a.test", "block")], "block"
    )
    assert (found[2].level, found[2].why) == (
        "opaque",
        "dlp_action asks for block; pipelock cannot for one host below *.b.a.test",
    )


def test_the_apex_of_an_opaque_wildcard_is_opened() -> None:
    """`*.x` says nothing of x."""
    assert [it.level for it in answer([wanted("*.a.test", "opaque"), wanted("a.test", "block")], "block")] == [
        "opaque",
        "block",
    ]


@given(rules, actions)
def test_an_answer_has_one_action_and_never_opens_what_was_to_stay_closed(
    asked: list[HostRule], action: DlpAction
) -> None:
    """Every host is answered for; what is opened has the one action, which is never weaker than any that was asked."""
    given_ = answer(asked, action)
    assert check_answer(asked, given_) is None
    one = one_action(asked, action)
    assert {it.level for it in given_} <= {"opaque", one}
    assert {it.plain for it in given_} <= {one}
    assert one == "block" or all("block" not in {it.level, it.plain} for it in asked)
    assert all(it.level == "opaque" for it, was in zip(given_, asked, strict=True) if was.level == "opaque")


@given(rules, actions)
def test_an_answer_is_its_own_answer(asked: list[HostRule], action: DlpAction) -> None:
    """A reload begins from what was answered before, and changes nothing of it."""
    assert answer(answer(asked, action), action) == answer(asked, action)
