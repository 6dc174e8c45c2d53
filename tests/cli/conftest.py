"""A workflow made of records, so that these tests see only what the command line does with them."""

import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from teliti.cli.main import main

Record = dict[str, Any]


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "CI", "DISPLAY", "WAYLAND_DISPLAY", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def workflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Put functions in the place of the workflow's: `workflow("train", train=lambda source, **choices: record)`."""
    package = ModuleType("teliti.workflow")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "teliti.workflow", package)

    def replace(module_name: str, **functions: Callable[..., Any]) -> None:
        module = ModuleType(f"teliti.workflow.{module_name}")
        if folder := module_name.rpartition(".")[0]:
            monkeypatch.setitem(sys.modules, f"teliti.workflow.{folder}", ModuleType(f"teliti.workflow.{folder}"))
        for name, function in functions.items():
            setattr(module, name, function)
        monkeypatch.setitem(sys.modules, module.__name__, module)

    return replace


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: exit code, stdout, stderr."""

    def call(*words: str) -> tuple[int, str, str]:
        code = main(words)
        out, err = capfd.readouterr()
        return code, out, err

    return call


@pytest.fixture
def solar_record() -> Record:
    """A run on two classes, as `train` returns it."""
    measures = {
        "n": 525, "accuracy": 0.8857, "accuracy_at_half": 0.8762, "accuracy_interval": [0.8556, 0.9101],
        "balanced_accuracy": 0.8664, "precision": 0.8258, "recall": 0.8110, "specificity": 0.9218,
        "f1": 0.8183, "f1_macro": 0.8674, "roc_auc": 0.9364, "pr_auc": 0.9012, "log_loss": 0.3012, "brier": 0.0889,
        "majority_accuracy": 0.6876, "confusion_matrix": [[333, 28], [31, 133]],
        "intervals": {"recall": [0.744, 0.864], "roc_auc": [0.911, 0.957]},
        "per_class": [],
    }  # fmt: skip
    return {
        "schema": 1, "run": "runs/elpv-1", "bundle": "runs/elpv-1/bundle", "report": "runs/elpv-1/report.html",
        "task": "classification", "classes": ["functional", "defective"], "positive": "defective",
        "positive_sentence": 'Misses of "defective" count most; --set data.positive=NAME changes that.',
        "val": measures, "test": measures, "refused": 2,
        "licence": "CC BY-NC-SA 4.0: not for commercial use.",
        "refused_photos": [{"path": "a.png", "reason": "empty file"}, {"path": "b.png", "reason": "not an image"}],
        "threshold": {"value": 0.41, "rule": "f1", "sentence": "Scores from 0.410 on are rejected: best F1."},
        "parity": {"max_abs_difference": 1.2e-6, "changed_verdicts": 0},
        "seconds": {"features": 31.4, "head": 8.2, "report": 0.02, "total": 71.0},
        "warnings": ["The class defective has only 29 test photos."],
    }  # fmt: skip


@pytest.fixture
def verdict_record() -> Record:
    """Three photos and a refused one, as `predict` returns them."""

    def result(path: str, verdict: str, score: float, *reasons: str) -> Record:
        label = "scratch" if verdict == "reject" else "good"
        probs = {"good": 1 - score, "scratch": score}
        return {"path": path, "verdict": verdict, "label": label, "probs": probs, "score": score, "reasons": [*reasons]}

    results = [result("a.png", "pass", 0.125), result("b.png", "reject", 0.75, "score 0.750 is not below 0.410")]
    results.append(result("c.png", "review", 0.40625))
    refused = [{"path": "d.png", "reason": "empty file"}]
    return {"schema": 1, "bundle": "bundle", "results": results, "refused": refused}
