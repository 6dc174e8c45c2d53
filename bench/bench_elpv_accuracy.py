"""elpv, 75/25 stratified, five seeds: the default recipe beside plain last-layer logistic regression, same splits."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score

from teliti.cache import RowCache
from teliti.recipe import PRESETS, Recipe, override_recipe
from teliti.types import SilentReporter
from teliti.workflow.learning.fit import answer_photos, try_setup
from teliti.workflow.shared.photos import read_photos
from teliti.workflow.shared.plan import plan_split
from teliti.workflow.shared.setup import resolve_data
from teliti.workflow.shared.stopwatch import Stopwatch

SEEDS = (0, 1, 2, 3, 4)
SPLIT = {"train": 0.75, "val": 0.0, "test": 0.25}
PLAIN = {"data": {"image_size": 224}, "model": {"stages": ["head"], "pooling": "avg", "head": "logistic"}}
FAST = PRESETS["fast"]


def run() -> dict:
    """Accuracy at score 0.5 and ROC AUC on the sealed quarter."""
    cache, reporter = RowCache(), SilentReporter()
    photos = read_photos("elpv", use_group=True, cache=cache, threads=2, reporter=reporter)
    rows = []
    for seed in SEEDS:
        asked = override_recipe(Recipe(), {"seed": seed, "data": {"split": SPLIT, "folds": 0}})
        plan = plan_split(photos, asked)
        tools = {"photos": photos, "plan": plan, "cache": cache, "reporter": reporter}
        scores = {
            name: _score(resolve_data(override_recipe(asked, values), photos, plan)[0], tools)
            for name, values in (("default", {}), ("fast", FAST), ("plain", PLAIN))
        }
        row = {"seed": str(seed)}
        for name, (accuracy, auc) in scores.items():
            row |= {f"{name} accuracy": accuracy, f"{name} AUC": auc}
        rows.append(row)
    keys = [key for key in rows[0] if key != "seed"]
    rows.append({"seed": "mean", **{key: float(np.mean([row[key] for row in rows])) for key in keys}})
    return {
        "name": "elpv: accuracy of the features mode",
        "about": "2,624 photos, 75/25 stratified with near-duplicates kept together, score 0.5. `default`: last four "
        "stages, four pooled statistics, 300 px, RBF SVM. `fast`: `--preset fast`. `plain`: logistic regression on "
        "the pooled last layer at 224 px, its regularisation searched as well. All on the same splits.",
        "rows": [{key: _shown(value) for key, value in row.items()} for row in rows],
    }


def _score(recipe: Recipe, tools: dict) -> tuple[float, float]:
    candidate = try_setup(recipe, **tools, watch=Stopwatch())
    features = candidate.setup.features(tools["photos"], cache=tools["cache"], reporter=tools["reporter"])
    test = tools["plan"].indices("test")
    return _measure(
        answer_photos(candidate, features, test, photos=tools["photos"])[:, 0], tools["photos"].targets[test] == 0
    )


def _measure(scores: np.ndarray, positives: np.ndarray) -> tuple[float, float]:
    return float(np.mean((scores >= 0.5) == positives)), float(roc_auc_score(positives, scores))


def _shown(value: object) -> object:
    return f"{value:.4f}" if isinstance(value, float) else value
