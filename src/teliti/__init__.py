"""Teliti: from a folder of product photos to a CNN inspector that is measured, explained and deployed.

The names below are the whole Python interface; each is imported when it is first used, so that `import teliti`
costs nothing and prediction never loads torch.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from teliti.data.catalog import read_catalog
    from teliti.errors import TelitiError
    from teliti.predictor import Predictor
    from teliti.recipe import Recipe, load_recipe
    from teliti.types import Prediction
    from teliti.workflow.agree import agree
    from teliti.workflow.check import check
    from teliti.workflow.evaluate import evaluate
    from teliti.workflow.flips import compare
    from teliti.workflow.predict import predict
    from teliti.workflow.replay import replay
    from teliti.workflow.stress import stress
    from teliti.workflow.train import resume, train

__version__ = "0.1.0"

# ONNX Runtime from 1.29 on sends names and hashes of models to its makers, and keeps an id of the machine in the user's
# cache folder, unless it finds this when it is loaded. Whoever wants that sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# OpenVINO tells its makers that it was imported, NNCF what it was asked for, and both keep an id of the machine in the
# user's home folder, unless the library for it is missing: so it is, for this process. Whoever wants that imports it
# first.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

_HOMES = {
    "Prediction": "teliti.types",
    "Predictor": "teliti.predictor",
    "Recipe": "teliti.recipe",
    "TelitiError": "teliti.errors",
    "agree": "teliti.workflow.agree",
    "check": "teliti.workflow.check",
    "compare": "teliti.workflow.flips",
    "evaluate": "teliti.workflow.evaluate",
    "load_recipe": "teliti.recipe",
    "predict": "teliti.workflow.predict",
    "read_catalog": "teliti.data.catalog",
    "replay": "teliti.workflow.replay",
    "resume": "teliti.workflow.train",
    "stress": "teliti.workflow.stress",
    "train": "teliti.workflow.train",
}

__all__ = [
    "Prediction",
    "Predictor",
    "Recipe",
    "TelitiError",
    "__version__",
    "agree",
    "check",
    "compare",
    "evaluate",
    "load_recipe",
    "predict",
    "read_catalog",
    "replay",
    "resume",
    "stress",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'teliti' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
