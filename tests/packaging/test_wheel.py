"""The wheel alone, in an empty environment: it predicts with a saved bundle, and it says what training would need."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[2]
OF_AN_EXTRA = ("torch", "timm", "sklearn", "matplotlib", "onnx", "openvino")

pytestmark = pytest.mark.packaging


def run(command: Sequence[object], *, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command outside the repository's environment variables for Python."""
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=300, check=False, cwd=ROOT,
        env=clean | (env or {}),
    )  # fmt: skip


def must(command: Sequence[object]) -> None:
    result = run(command)
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="session")
def wheel(shared_folder: Path) -> Path:
    """The wheel of this source tree."""
    folder = shared_folder / "wheel"
    with FileLock(f"{folder}.lock"):
        if not list(folder.glob("*.whl")):
            must([sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder])
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def base_bin(wheel: Path, shared_folder: Path) -> Path:
    """The bin folder of an environment that holds the wheel and the base dependencies, nothing else.

    What was downloaded for this repository before is used; only what is missing is fetched.
    """
    environment = shared_folder / "base-environment"
    ready = environment / ".ready"
    uv = [sys.executable, "-m", "uv"]
    with FileLock(f"{environment}.lock"):
        if not ready.exists():
            must([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, environment])
            install = [*uv, "pip", "install", "--quiet", "--python", environment / "bin" / "python",
                       "--constraint", ROOT / "constraints.txt", wheel]  # fmt: skip
            if run([*install, "--offline"]).returncode:
                must(install)
            ready.touch()
    return environment / "bin"


def test_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "teliti/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    strangers = [name for name in names if not re.match(r"teliti/|teliti-[0-9.]+\.dist-info/", name)]
    assert strangers == []
    sources = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src" / "teliti").rglob("*.*")
               if path.is_file() and "__pycache__" not in path.parts}  # fmt: skip
    assert sources <= set(names)


def test_base_environment_has_no_library_of_an_extra(base_bin: Path) -> None:
    code = f"import importlib.util as u; print([n for n in {OF_AN_EXTRA!r} if u.find_spec(n)])"
    result = run([base_bin / "python", "-c", code])
    assert result.stdout.strip() == "[]", result.stderr


def test_base_predicts_with_a_saved_bundle(base_bin: Path, trained_bundle: Path, parts_folder: Path) -> None:
    photos = [parts_folder / "good" / "good-000.png", parts_folder / "scratch" / "scratch-000.png"]
    result = run([base_bin / "teliti", "predict", trained_bundle, *photos, "--json"])
    assert result.returncode == 0, result.stderr
    record = json.loads(result.stdout)
    assert [Path(row["path"]).name for row in record["results"]] == ["good-000.png", "scratch-000.png"]
    assert {row["verdict"] for row in record["results"]} <= {"pass", "reject"}
    assert record["refused"] == []


def test_base_and_full_install_give_the_same_scores(base_bin: Path, trained_bundle: Path, parts_folder: Path) -> None:
    command = ["predict", trained_bundle, parts_folder / "scratch", "--json"]
    base = run([base_bin / "teliti", *command])
    full = run([sys.executable, "-m", "teliti", *command], env={"PYTHONPATH": str(ROOT / "src")})
    scores = [[row["score"] for row in json.loads(result.stdout)["results"]] for result in (base, full)]
    assert len(scores[0]) == 24
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)


def test_base_evaluates_a_saved_bundle(base_bin: Path, trained_bundle: Path, parts_folder: Path) -> None:
    result = run([base_bin / "teliti", "evaluate", trained_bundle, parts_folder, "--json"])
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["test"]["n"] == 48


def test_training_without_its_extra_names_the_install_command(base_bin: Path, parts_folder: Path) -> None:
    result = run([base_bin / "teliti", "train", parts_folder])
    assert result.returncode == 2
    assert 'pip install "teliti[train]"' in result.stderr
    assert "Traceback" not in result.stderr
