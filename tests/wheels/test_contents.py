"""What is in a wheel and in an sdist, and what is not."""

import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

pytestmark = [pytest.mark.wheels, pytest.mark.timeout(300)]


def names(wheel: Path) -> list[str]:
    """The files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return sorted(archive.namelist())


def test_every_member_has_a_wheel_and_an_sdist(built: Path, members: list[Path]) -> None:
    """No distribution is left behind, and none depends on the machine that built it."""
    assert len(list(built.glob("*-py3-none-any.whl"))) == len(members)
    assert len(list(built.glob("*.tar.gz"))) == len(members)


def test_a_wheel_is_one_typed_package_without_tests(built: Path, members: list[Path]) -> None:
    """A wheel holds its sources, all of them, with py.typed, and nothing beside them but metadata."""
    found: dict[str, list[str]] = {}
    for wheel in built.glob("*.whl"):
        files = [name for name in names(wheel) if ".dist-info/" not in name]
        (package,) = {PurePosixPath(name).parts[0] for name in files}
        found[package] = files
    expected = {
        package.name: sorted(
            str(path.relative_to(package.parent))
            for path in package.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        )
        for member in members
        for package in (member / "src").iterdir()
        if package.is_dir()
    }
    assert found == expected
    assert all(f"{package}/py.typed" in files for package, files in found.items())
    assert [name for files in found.values() for name in files if "tests" in PurePosixPath(name).parts] == []


def test_an_sdist_builds_the_same_wheel(built: Path, tmp_path: Path, build: Callable[[Path, str, Path], None]) -> None:
    """Who starts from the source distribution gets the files that we built."""
    for sdist in built.glob("*.tar.gz"):
        subprocess.run(["tar", "-xzf", sdist, "-C", tmp_path], check=True)
        folder = tmp_path / sdist.name.removesuffix(".tar.gz")
        build(folder, "wheel", tmp_path)
        wheel = next(tmp_path.glob(f"{sdist.name.removesuffix('.tar.gz')}-*.whl"))
        assert names(wheel) == names(built / wheel.name)
