"""The Makefile tells what it can do, hides no failure, and never takes half an install for a whole one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = {
    "help",
    "demo",
    "test",
    "test-slow",
    "test-browser",
    "test-reliability",
    "check",
    "fix",
    "bench",
    "docs",
    "lock",
    "ci",
    "clean",
}


def make(*words: str, folder: Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    if path is not None:
        environment["PATH"] = path
    return subprocess.run(
        ["/usr/bin/env", "make", *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def fake_python(folder: Path, *, pip_exit_code: int) -> Path:
    """A stand-in for Python: it makes a `.venv/bin/python` like itself, whose pip ends as told."""
    script = folder / "fake-python"
    script.write_text(
        '#!/bin/sh\ncase "$*" in\n'
        '  "-m venv .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;\n'
        f'  "-m pip install"*) exit {pip_exit_code} ;;\n'
        "esac\n",
        encoding="utf-8",
    )
    script.chmod(0o755)
    return script


def test_make_alone_lists_every_target_with_a_line(project: Path) -> None:
    result = make(folder=project)
    assert result.returncode == 0
    listed = dict(re.findall(r"^  make (\S+)\s+(\S.+)$", result.stdout, re.MULTILINE))
    assert set(listed) >= TARGETS
    phony = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == set(listed)


def test_no_recipe_hides_an_exit_code() -> None:
    recipes = [line for line in MAKEFILE.splitlines() if line.startswith("\t")]
    hidden = [line for line in recipes if re.search(r"\|\|\s*(true|:|exit 0)|^\t-|\btee\b|^\t@?-", line)]
    assert hidden == []
    assert ".SHELLFLAGS := -euo pipefail -c" in MAKEFILE


@pytest.mark.parametrize("python", ["no-such-python", "false"])
def test_a_missing_or_old_python_is_named(project: Path, python: str) -> None:
    result = make("venv", f"PYTHON={python}", folder=project)
    assert result.returncode == 2
    assert f'Python 3.11 or newer is needed, "{python}" is missing or older.' in result.stderr
    assert not (project / ".venv").exists()


def test_a_failed_install_is_tried_again(project: Path) -> None:
    broken = fake_python(project, pip_exit_code=1)
    result = make("venv", f"PYTHON={broken}", folder=project)
    assert result.returncode == 2
    assert (project / ".venv" / "bin" / "python").exists()
    again = make("--dry-run", "venv", f"PYTHON={broken}", folder=project)
    assert "-m pip install" in again.stdout
    assert "uv pip install" in again.stdout


def test_demo_installs_what_the_demo_needs_and_uses_a_full_environment(project: Path) -> None:
    fresh = make("--dry-run", "demo", folder=project).stdout
    assert '".[demo]"' in fresh
    assert '".[dev]"' not in fresh
    (project / ".venv").mkdir()
    for stamp in (".uv-ready", ".dev-ready"):
        (project / ".venv" / stamp).touch()
    assert "pip install" not in make("--dry-run", "demo", folder=project).stdout


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_requirement_installs_again(project: Path, name: str) -> None:
    (project / ".venv").mkdir()
    for stamp in (".uv-ready", ".dev-ready"):
        (project / ".venv" / stamp).touch()
    later = (project / ".venv" / ".dev-ready").stat().st_mtime + 10
    os.utime(project / name, (later, later))
    assert "uv pip install" in make("--dry-run", "test", folder=project).stdout


def test_a_failing_check_fails_ci(project: Path) -> None:
    binaries = project / ".venv" / "bin"
    binaries.mkdir(parents=True)
    for stamp in (".uv-ready", ".dev-ready"):
        (project / ".venv" / stamp).touch()
    for name in ("ruff", "mypy", "lint-imports", "python"):
        (binaries / name).write_text(f"#!/bin/sh\nexit {1 if name == 'mypy' else 0}\n", encoding="utf-8")
        (binaries / name).chmod(0o755)
    result = make("ci", folder=project)
    assert result.returncode == 2
    assert "-m pytest" not in result.stdout
