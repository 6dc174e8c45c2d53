"""constraints.txt belongs to pyproject.toml, and the check that says so can say no."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".ci").mkdir()
    for name in ("pyproject.toml", "constraints.txt", ".ci/check_lock.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def check_lock(project: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, project / ".ci" / "check_lock.py"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_lock_fits(project: Path) -> None:
    result = check_lock(project)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"rich>=13.9"', '"rich>=13.9", "flask>=3"', "flask>=3 has no pin"),
        ('"rich>=13.9"', '"rich>=99"', "does not satisfy rich>=99"),
        ('  "tomli-w>=1.1",\n', "", "tomli-w is pinned for the project and no longer required"),
    ],
)
def test_a_changed_requirement_is_noticed(project: Path, old: str, new: str, message: str) -> None:
    replace(project / "pyproject.toml", old, new)
    result = check_lock(project)
    assert result.returncode == 1
    assert message in result.stderr
    assert "make lock" in result.stderr


def test_an_address_in_the_lock_is_noticed(project: Path) -> None:
    with (project / "constraints.txt").open("a", encoding="utf-8") as file:
        file.write("--index-url https://packages.example/simple\n")
    assert "holds an address" in check_lock(project).stderr
