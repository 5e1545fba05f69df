"""The amended manifest: `bottle allow --save` adds one host and touches nothing else."""

import stat
from pathlib import Path

import pytest

from claude_bottle.errors import BottleError
from claude_bottle.manifest.amend import add_allowed_host, amended

HEAD = "version: 1\nbottles:\n"
TAIL = "agents: {}\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "  dev:\n    egress:\n      allowlist:\n        - a  # why\n        - 'b.c'\n#\n",
            "  dev:\n    egress:\n      allowlist:\n        - a  # why\n        - 'b.c'\n        - \"x.com\"\n#\n",
        ),
        (
            "  dev:\n    egress:\n      allowlist:\n      - a.com # last\n",
            '  dev:\n    egress:\n      allowlist:\n      - a.com # last\n      - "x.com"\n',
        ),
        (
            '  dev:\n    egress:\n      allowlist: [a.com, "*.b.com"]  # two\n',
            '  dev:\n    egress:\n      allowlist: [a.com, "*.b.com", "x.com"]  # two\n',
        ),
        (
            "  dev:\n    egress:\n      allowlist: [\n        a.com,  # why\n      ]\n",
            '  dev:\n    egress:\n      allowlist: [\n        a.com, "x.com",  # why\n      ]\n',
        ),
        ("  dev: {egress: {allowlist: []}}\n", '  dev: {egress: {allowlist: ["x.com"]}}\n'),
        ("  dev: {}\n", '  dev: {egress: {allowlist: ["x.com"]}}\n'),
        ("  dev:\n", '  dev: {egress: {allowlist: ["x.com"]}}\n'),
        ("  dev:   # mine\n", '  dev: {egress: {allowlist: ["x.com"]}}   # mine\n'),
        (
            "  dev:\n    env: {A: b}\n",
            '  dev:\n    egress: {allowlist: ["x.com"]}\n    env: {A: b}\n',
        ),
        (
            "  dev:\n    egress:\n      dlp_action: warn\n",
            '  dev:\n    egress:\n      allowlist: ["x.com"]\n      dlp_action: warn\n',
        ),
        (
            "  dev:\n    egress:\n      allowlist:\n    env: {A: b}\n",
            '  dev:\n    egress:\n      allowlist: ["x.com"]\n    env: {A: b}\n',
        ),
        ("  dev:\n    egress: ~\n", '  dev:\n    egress: {allowlist: ["x.com"]}\n'),
        (
            "  öther: {}\n  dev: {egress: {allowlist: [ä.b, a.com]}}\n",
            '  öther: {}\n  dev: {egress: {allowlist: [ä.b, a.com, "x.com"]}}\n',
        ),
    ],
)
def test_a_host_is_added_and_all_else_stays(before: str, after: str) -> None:
    """Whatever the layout, comments, order and quotes are kept; what was empty or missing is made."""
    assert amended((HEAD + before + TAIL).encode(), "f", "dev", "x.com").decode() == HEAD + after + TAIL


def test_a_list_at_the_end_of_a_file_without_a_line_break() -> None:
    """The last line needs no end to get a sister."""
    text = "agents: {}\n" + HEAD + "  dev:\n    egress:\n      allowlist:\n      - a.com"
    assert amended(text.encode(), "f", "dev", "X.com").decode() == text + '\n      - "x.com"\n'


def test_a_host_that_stands_there_changes_nothing() -> None:
    """Saving twice is saving once."""
    data = (HEAD + "  dev: {egress: {allowlist: [x.com]}}\n" + TAIL).encode()
    assert amended(data, "f", "dev", "X.COM") == data


@pytest.mark.parametrize(
    "text",
    [
        "  other: {}\n",
        "  dev: &a {}\n",
        "  dev: {egress: [\n",
        "  dev: {egress: [a.com]}\n",
        "  dev: {egress: {allowlist: a.com}}\n",
        "  dev: {egress: {allowlist: {a: b}}}\n",
    ],
)
def test_what_cannot_be_edited_is_an_error(text: str) -> None:
    """A bottle that is not there, and a manifest that has problems, are left alone."""
    with pytest.raises(BottleError):
        amended((HEAD + text).encode(), "f", "dev", "x.com")


@pytest.mark.parametrize("host", ['x.com"], dlp_action: warn, inspect: ["', "x.com.", "*", "x.com/a", "x.com\n"])
def test_a_host_cannot_bring_anything_along(host: str) -> None:
    """The host is checked as strictly as one in a manifest, before anything is written."""
    with pytest.raises(BottleError):
        amended((HEAD + "  dev: {}\n").encode(), "f", "dev", host)


def test_the_file_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    """The file behind a link is replaced in one step, and nothing is left beside it."""
    real = tmp_path / "real.yaml"
    real.write_text(HEAD + "  dev: {}\n" + TAIL)
    real.chmod(0o640)
    link = tmp_path / "bottle.yaml"
    link.symlink_to(real)
    add_allowed_host(link, "dev", "x.com")
    assert link.is_symlink()
    assert 'allowlist: ["x.com"]' in real.read_text()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bottle.yaml", "real.yaml"]
