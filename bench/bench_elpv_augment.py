"""Does augmentation help on elpv? The features mode and a short fine-tuning, each with a policy and without it."""

from __future__ import annotations

from pathlib import Path

from teliti.recipe import load_recipe
from teliti.workflow.policy_compare import compare_policy

POLICY = Path(__file__).with_name("elpv_policy.toml")
FEATURES, FINETUNE = 5, 3
"""Repeats."""
SHORT = ["train.mode=finetune", "data.image_size=96", "train.epochs=3", "train.threads=2"]


def run() -> dict:
    """Accuracy and ROC AUC with intervals, and the paired difference."""
    rows = []
    for title, recipe, repeats in (
        ("features mode, --preset fast, 4 views a photo", load_recipe(preset="fast"), FEATURES),
        ("fine-tuning, 96 px, 3 epochs", load_recipe(overrides=SHORT), FINETUNE),
    ):
        record = compare_policy("elpv", POLICY, recipe=recipe, repeats=repeats)
        rows += [{"training": title, **_row(row)} for row in record["rows"]]
    return {
        "name": "Augmentation on elpv",
        "about": f"`teliti augment elpv --policy bench/{POLICY.name} --compare`: the policy (flips, small shifts, "
        "light) against none, the same folds for both, the sealed test part left alone. Intervals are 95 %; the "
        "difference is paired over the repeats (Nadeau and Bengio 2003).",
        "rows": rows,
    }


def _row(row: dict) -> dict[str, str]:
    measures = row["measures"]
    against = row.get("difference")
    return {
        "policy": row["factors"]["policy"],
        "repeats": str(row["repeats"]),
        "accuracy": _shown(measures["accuracy"]),
        "ROC AUC": _shown(measures["roc_auc"]),
        "accuracy against none": "" if against is None else _shown(against),
        "verdict": "" if against is None else str(against["verdict"]),
    }


def _shown(measure: dict) -> str:
    middle, interval = measure["mean"], measure["interval"]
    spread = "" if interval is None else f" ({interval[0]:.4f} to {interval[1]:.4f})"
    return f"{middle:.4f}{spread}"
