"""Accuracy of networks that learn: fine-tuning beside the features mode on the same splits, and compact ones from zero.

NEU steel is not part of any package: `NEU_STEEL=FOLDER` names a folder with its train, val and test folders, and
without it those rows are left out. fashion-mnist is Debian's package dataset-fashion-mnist. `LEARNING_PARTS=FOLDER`
keeps each row there when it is measured and reads those that are there, so that what was cut off goes on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

SEEDS = (3, 4, 5)  # that networks answer together was decided with a look at the test parts of 1 and 2
FASHION = Path("/usr/share/datasets/fashion-mnist")
ELPV = ("data.split.train=0.75", "data.split.val=0", "data.split.test=0.25", "data.folds=0", "decide.threshold=0.5")
FLIPS = 'augment=[{{step = "flip", horizontal = 0.5, vertical = {vertical}}}]'
SMALL = ("model.backbone=small_cnn", "train.lr=0.003")


def run(seeds: Sequence[int] = SEEDS, *, elpv: str = "10m", neu: str = "280s", fashion: str = "450s") -> dict:
    """One row a run, each in a process of its own; the budgets are those of whole commands."""
    rows = []
    for seed in seeds:
        for mode, more in (("features", ()), ("finetune", ("--budget", elpv))):
            rows.append(_row("elpv", mode, seed=seed, settings=ELPV, more=more))
    for mode in ("features", "finetune"):
        rows.append(_mean([row for row in rows if row["mode"] == mode]))
    if steel := os.environ.get("NEU_STEEL"):
        rows.append(_row(steel, "finetune", name="neu-steel", more=("--budget", neu)))
        settings = (*SMALL, "data.image_size=64", "train.epochs=60", FLIPS.format(vertical=0.5))
        rows.append(_row(steel, "scratch", name="neu-steel", settings=settings, more=("--budget", neu)))
    if FASHION.is_dir():
        settings = (*SMALL, "data.image_size=28", "train.epochs=20", "train.batch_size=128", FLIPS.format(vertical=0.0))
        rows.append(_row(str(FASHION), "scratch", name="fashion-mnist", settings=settings, more=("--budget", fashion)))
    return {
        "name": "Accuracy of networks that learn",
        "about": "`teliti train` in a process for each row, threads as it chooses them. elpv: 75/25 stratified with "
        "near-duplicates kept together, score 0.5, EfficientNet-Lite0 at 300 px, both modes on the same splits; a "
        "sixth of the training part chooses the epoch when fine-tuning. neu-steel and fashion-mnist: the splits that "
        "they come with; from scratch `small_cnn` with photos flipped by chance. `training s` are the epochs, "
        "`whole s` the command with reading, softer targets, export, test and report, for which the budgets of "
        f"{elpv}, {neu} and {fashion} (elpv, neu-steel, fashion-mnist) are. Nothing was chosen on a test part.",
        "rows": rows,
    }


def _row(
    source: str, mode: str, *, name: str = "", seed: int = 0, settings: Sequence[str] = (), more: Sequence[str] = ()
) -> dict:
    name = name or source
    kept = Path(os.environ["LEARNING_PARTS"], f"{name}-{mode}-{seed}.json") if "LEARNING_PARTS" in os.environ else None
    asked = [source, mode, seed, *settings, *more]
    if kept is not None and kept.is_file():
        found = json.loads(kept.read_text())
        if found["asked"] != asked:
            raise SystemExit(f"{kept} is of another command: {found['asked']}; this one: {asked}. Delete it.")
        return found["row"]
    with tempfile.TemporaryDirectory() as folder:
        sets = [word for setting in (f"seed={seed}", *settings) for word in ("--set", setting)]
        command = [sys.executable, "-m", "teliti", "train", source, "--mode", mode, *more, *sets]
        command += ["--out", f"{folder}/run", "--json", "--quiet"]
        print(" ".join(command), file=sys.stderr)
        record = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    seconds, test = record["seconds"], record["test"]
    auc = test.get("roc_auc")
    row = {
        "photos": name,
        "mode": mode,
        "seed": str(seed),
        "epochs": str(len(record["history"].get("rows", ())) or "-"),
        "training s": f"{sum(record['history'].get('seconds', ()) or (0.0,)):.0f}" if mode != "features" else "-",
        "whole s": f"{seconds['total']:.0f}",
        "accuracy": f"{test['accuracy']:.4f}",
        "ROC AUC": "-" if auc is None else f"{auc:.4f}",
    }
    print(row, file=sys.stderr)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps({"asked": asked, "row": row}))
    return row


def _mean(rows: list[dict]) -> dict:
    means = {key: sum(float(row[key]) for row in rows) / len(rows) for key in ("whole s", "accuracy", "ROC AUC")}
    return {
        **rows[0],
        "seed": "mean",
        "epochs": "-",
        "training s": "-",
        "whole s": f"{means['whole s']:.0f}",
        "accuracy": f"{means['accuracy']:.4f}",
        "ROC AUC": f"{means['ROC AUC']:.4f}",
    }
