"""What the matrix leaves out is on a list, and stands in the proxy's page."""

import subprocess
import sys
from pathlib import Path

import pytest
from matrix_pair import LACKS

HERE = Path(__file__).parent
PAGES = HERE.parents[1] / "docs"
SKIPS = """
import pytest

@pytest.mark.parametrize("reason", [
    "pipelock: Ports are not held (docs/pipelock.md)", "mitmproxy: Ports are not held (docs/pipelock.md)", "no time",
])
def test_it(reason):
    pytest.skip(reason)
"""


def test_a_skip_that_is_not_listed_fails_the_run(tmp_path: Path) -> None:
    """One that is passes as a skip; another proxy's, or one for any other reason, is a failure that says so."""
    (tmp_path / "conftest.py").write_text((HERE / "conftest.py").read_text().replace("__file__", repr(f"{HERE}/it")))
    (tmp_path / "test_it.py").write_text(SKIPS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "2 failed, 1 skipped" in done.stdout, done.stdout
    assert "no list of tests/matrix/matrix_pair.py has this skip: Skipped: no time" in done.stdout
    assert done.returncode == 1


@pytest.mark.parametrize(("proxy", "row"), [(proxy, row) for proxy, rows in LACKS.items() for row in rows.values()])
def test_what_a_proxy_lacks_is_a_row_of_its_page(proxy: str, row: str) -> None:
    """Whoever reads the skip finds there what follows from it."""
    assert f"| **{row}" in (PAGES / f"{proxy}.md").read_text()


def test_the_embedded_proxy_lacks_nothing() -> None:
    """Its list is empty."""
    assert LACKS["mitmproxy"] == {}
