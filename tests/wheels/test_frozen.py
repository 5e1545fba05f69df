"""The frozen plugins as a wheel, installed beside the wheel of core: what an author released is what a user has."""

import json
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.wheels, pytest.mark.timeout(300)]

FROZEN = Path(__file__).parents[1] / "frozen"
WHEEL = "Wheel-Version: 1.0\nGenerator: frozen\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
MANIFEST = """\
version: 1
bottles:
  dev:
    backend: frozen
    proxy: frozenway
    frozenprops:
agents:
  reviewer: {bottle: dev, agent: frozenhand}
"""


def pack(generation: Path, into: Path) -> Path:
    """Make a wheel of a generation's files, which are laid out as they are installed."""
    [info] = generation.glob("*.dist-info")
    wheel = into / f"{info.stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        names = [
            path.relative_to(generation) for path in generation.rglob("*") if path.suffix != ".pyc" and path.is_file()
        ]
        for name in names:
            archive.write(generation / name, name)
        archive.writestr(f"{info.name}/WHEEL", WHEEL)
        record = [*map(str, names), f"{info.name}/WHEEL", f"{info.name}/RECORD"]
        archive.writestr(f"{info.name}/RECORD", "".join(f"{name},,\n" for name in record))
    return wheel


@pytest.mark.parametrize("generation", sorted(FROZEN.glob("api*")), ids=lambda path: path.name)
def test_a_frozen_wheel_is_listed_and_planned_with(
    generation: Path, make_environment: Callable[..., Path], pip: Callable[..., None], tmp_path: Path
) -> None:
    """Each is a row that can be used once it is trusted, and a launch of nothing else beside core is planned."""
    folder = make_environment("claude-bottle-core", called=f"frozen-{generation.name}")
    wheel = pack(generation, tmp_path)
    pip("--python", folder / "bin" / "python", "install", "--no-compile", "--no-deps", "--no-index", wheel)
    (folder / "bottle.yaml").write_text(MANIFEST)
    env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "FROZEN_WORLD": str(tmp_path)}

    def run(*words: str) -> str:
        trusted = {**env, "CLAUDE_BOTTLE_TRUST": "frozen-plugins"}
        done = subprocess.run(
            [folder / "bin" / "bottle", *words], cwd=folder, env=trusted, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    rows = json.loads(run("plugins", "list", "--format", "json"))["plugins"]
    assert {(row["kind"], row["status"], row["trusted_by"]) for row in rows} == {
        (kind, "available", "CLAUDE_BOTTLE_TRUST") for kind in ("agent", "backend", "provisioner", "proxy")
    }
    assert "third party   : frozen-plugins 1.0 (trusted by CLAUDE_BOTTLE_TRUST)" in run(
        "start", "reviewer", "--dry-run"
    )
