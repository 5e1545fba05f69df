"""The choice of the interpreter: the first one that can carry the workspace, or one clear message."""

import subprocess
import sys
from pathlib import Path

import pytest

FINDER = Path(__file__).parents[2] / "tools" / "python"
OLD = '#!/bin/sh\n[ "$1" = -c ] && echo 3.10\n'
WITHOUT_VENV = '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\necho 3.11\n'
BROKEN = "#!/bin/sh\necho 'not installed: choose a version first' >&2\nexit 127\n"
GOOD = f'#!/bin/sh\nexec {sys.executable} "$@"\n'


def choose(folder: Path, asked: str = "", **programs: str) -> subprocess.CompletedProcess[str]:
    """Run the finder with nothing on PATH but `programs`, and `asked` as the user's own choice."""
    for name, text in programs.items():
        path = folder / name.replace("_", ".")
        path.write_text(text)
        path.chmod(0o755)
    environment = {"PATH": str(folder), "PYTHON": asked}
    return subprocess.run(["/bin/sh", FINDER], env=environment, capture_output=True, check=False, text=True)


def test_the_first_python_is_taken_when_it_is_good(tmp_path: Path) -> None:
    """What the user calls python3 wins over other versions."""
    assert choose(tmp_path, python3=GOOD, python3_12=GOOD).stdout == f"{tmp_path}/python3\n"


@pytest.mark.parametrize("first", [OLD, WITHOUT_VENV, BROKEN])
def test_a_python_that_does_not_fit_is_passed_over(tmp_path: Path, first: str) -> None:
    """An old one, one without venv and a name that only complains do not hide a good one."""
    assert choose(tmp_path, python3=first, python3_11=GOOD).stdout == f"{tmp_path}/python3.11\n"


def test_the_user_may_name_one(tmp_path: Path) -> None:
    """PYTHON names the only candidate."""
    answer = choose(tmp_path, "python3.12", python3=GOOD, python3_12=OLD)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert choose(tmp_path, "python3.13", python3_13=GOOD).stdout == f"{tmp_path}/python3.13\n"


def test_without_a_good_one_the_message_says_what_was_found(tmp_path: Path) -> None:
    """One error with each candidate and what it lacks, and one hint."""
    answer = choose(tmp_path, python3=OLD, python3_11=WITHOUT_VENV)
    assert answer.returncode == 1
    error, hint = answer.stderr.splitlines()
    assert f"{tmp_path}/python3 (3.10, too old)" in error
    assert f"{tmp_path}/python3.11 (3.11, without venv: on Debian and Ubuntu apt install python3.11-venv)" in error
    assert hint.startswith("hint: ")
