"""Records of trained networks as the workflow makes them: fine-tuned classes, numbers from scratch, hostile names."""

from __future__ import annotations

import math

from unit.report.report_records import PAYLOADS, inspection_record, regression_record

ADVICE = "Add photos or augmentation."


def network_record(*, epochs: int = 6, best: int = 3, ended: str = "epochs") -> dict:
    """A fine-tuned classifier: the validation loss is lowest at `best` (from 0) and rises again."""
    record = inspection_record()
    del record["statements"]
    record["engine"] = {"name": "torch", "precision": "bf16", "version": "2.15.0", "threads": 2, "probe": []}
    record["model"] |= {"stages": [], "pooling": "the network's own", "dimensions": 1280, "head": "closing layer"}
    rows = [_row(epoch, best=best) for epoch in range(epochs)]
    record["history"] = {
        "rows": rows, "best_epoch": best, "monitor": "val_loss", "best_value": rows[best]["val_loss"], "ended": ended,
        "diagnosis": [{"kind": "over_fitting", "measure": "Accuracy 0.990 against 0.880.", "advice": ADVICE}],
        "activity": [{"name": "backbone.bn1.act", "kind": "dead", "share": 0.05, "units": 32},
                     {"name": "backbone.bn2.act", "kind": "dead", "share": 0.25, "units": 1280}],
        "seconds": [2.5] * epochs,
        "options": {"epochs": epochs, "loss": "auto", "optimizer": "adamw", "lr": 0.0005, "schedule": "cosine",
                    "batch_size": 32, "accumulate": 1, "ema": 0.0, "device": "cpu", "precision": "bf16", "replicas": 1,
                    "threads": 2},
        "probe": [{"precision": "f32", "replicas": 1, "photos_per_s": 29.5, "chosen": False},
                  {"precision": "bf16", "replicas": 2, "photos_per_s": 61.0, "chosen": True}],
        "rate_search": None, "head": "closing layer", "calibration": "platt",
        "photos": {"learnt": 1575, "chosen_on": 525, "chooser": "validation photos"}, "augment": ["flip", "rotate"],
    }  # fmt: skip
    record["network"] = {
        "input": [3, 64, 64], "outputs": 2,
        "layers": [
            {"layer": "conv_stem", "kind": "Conv2dSame", "setting": "3 x 3, stride 2", "output": [32, 32, 32],
             "parameters": 864, "multiply_adds": 884_736},
            {"layer": "classifier", "kind": "Linear", "setting": "", "output": [2], "parameters": 2562,
             "multiply_adds": 2560},
        ],
        "totals": {"parameters": 3426, "multiply_adds": 887_296, "parameter_bytes": 13_704}, "learnt_parameters": 3426,
    }  # fmt: skip
    return record


def number_network_record() -> dict:
    """A network from random weights that predicts numbers, its epoch chosen on photos kept from the training part."""
    record = regression_record()
    del record["statements"]
    made = network_record()
    history = made["history"] | {
        "rows": [
            {"epoch": at, "learning": "1_conv", "lr": 0.001, "train_loss": 1.4 - 0.2 * at, "train_mae": 12.0 - at,
             "train_accuracy": None, "val_loss": 1.5 - 0.1 * at, "val_mae": 14.0 - at, "val_accuracy": None}
            for at in range(4)
        ],
        "best_epoch": 3, "best_value": 1.2, "diagnosis": [], "activity": [], "probe": [], "calibration": None,
        "augment": [], "photos": {"learnt": 46, "chosen_on": 10, "chooser": "held-out training photos"},
    }  # fmt: skip
    history["options"] = history["options"] | {"epochs": 4}
    weights = {"kind": "random", "sha256": None, "licence": None, "file": None}
    return record | {
        "model": {"backbone": "lenet", "weights": weights, "head": "closing layer", "dimensions": 84},
        "engine": made["engine"], "history": history, "network": made["network"] | {"outputs": 1},
        "val": {"n": 10, "mae": 0.12},
    }  # fmt: skip


def hostile_network_record() -> dict:
    """`network_record` with a payload at every place that shows a name or a sentence of somebody else."""
    record = network_record()
    record["history"] |= {
        "diagnosis": [{"kind": text, "measure": text, "advice": text} for text in PAYLOADS],
        "activity": [{"name": text, "kind": text, "share": 0.5, "units": 3} for text in PAYLOADS],
        "augment": list(PAYLOADS),
        "options": dict.fromkeys(record["history"]["options"], PAYLOADS[0]) | {"budget": PAYLOADS[4]},
        "ended": "budget", "calibration": PAYLOADS[2], "probe": [{"precision": PAYLOADS[3], "chosen": True}],
    }  # fmt: skip
    for row, text in zip(record["history"]["rows"], PAYLOADS, strict=False):
        row["learning"] = text
    record["model"]["weights"]["file"] = PAYLOADS[1]
    record["network"]["layers"] = [
        {"layer": text, "kind": text, "setting": text, "output": [1], "parameters": 1, "multiply_adds": 1}
        for text in PAYLOADS
    ]
    return record


def _row(epoch: int, *, best: int) -> dict:
    return {
        "epoch": epoch, "learning": "head" if epoch == 0 else "stage 0", "lr": 0.0005 / (epoch + 1),
        "train_loss": 0.7 * math.exp(-0.4 * epoch), "train_accuracy": 0.99 - 0.3 / (epoch + 1), "train_mae": None,
        "gradient_norm": 2.0, "val_loss": 0.3 + 0.05 * abs(epoch - best), "val_accuracy": 0.85 + 0.005 * epoch,
        "val_auc": 0.93, "val_mae": None, "val_predicted": [165, 360],
    }  # fmt: skip
