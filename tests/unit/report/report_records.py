"""Records and photos of made-up runs, as a workflow would hand them to the report; consistent with themselves."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_auc_score, roc_curve

from teliti.metrics.intervals import wilson_interval
from teliti.report import ReportPictures, statements

THRESHOLD = 0.41
GOOD, BAD = "functional", "defective"


def inspection_record(*, defective: int = 165, functional: int = 360) -> dict:
    """A two-class run: scores of defective parts are higher, some overlap."""
    rng = np.random.default_rng(3)
    labels = np.array([1] * defective + [0] * functional)
    scores = np.where(labels == 1, rng.beta(3, 1.5, labels.size), rng.beta(1.3, 6, labels.size))
    preds = (scores >= THRESHOLD).astype(int)
    record = {
        "schema": 1,
        "version": "0.1.0",
        "title": "Solar cells, line 3",
        "created": "2026-11-22T09:14:05+00:00",
        "command": "teliti train elpv --recipe runs/2026-11-22/recipe.toml --out runs/again",
        "seconds": {"read": 4.8, "fingerprints": 6.1, "features": 38.2, "head": 9.4, "export": 14.9, "parity": 3.2,
                    "total": 78.9},
        "task": "classification",
        "classes": [BAD, GOOD],
        "positive": BAD,
        "pass_classes": [GOOD],
        "data": _data(defective, functional),
        "model": {
            "backbone": "tf_efficientnet_lite0", "stages": [4, 5, 6], "pooling": "avgmax", "dimensions": 1248,
            "weights": {"file": "efficientnet-lite0-57934424.pth", "sha256": "579344248a93e23026e6b78f1f6faf0b" * 2,
                        "licence": "Apache-2.0"},
            "head": "rbf_svm", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5],
        },
        "engine": {
            "name": "openvino", "precision": "f32", "threads": 2,
            "probe": [
                {"engine": "openvino", "precision": "f32", "photos_per_s": 71.4, "note": "chosen"},
                {"engine": "onnxruntime", "precision": "f32", "photos_per_s": 48.9, "note": ""},
                {"engine": "torch", "precision": "f32", "photos_per_s": 22.7, "note": ""},
            ],
        },
        "history": {
            "head": "rbf_svm", "folds": 5, "chosen": {"c": 10.0, "gamma": 0.5},
            "tried": [{"head": "rbf_svm", "c": c, "gamma": gamma, "score": round(0.86 - 0.02 * gamma, 4)}
                       for c in (1.0, 10.0, 100.0) for gamma in (0.5, 1.0)],
        },
        "threshold": {"value": THRESHOLD, "rule": "f1",
                      "sentence": "The threshold 0.41 has the best F1 on validation (0.871)."},
        "test": _measures(labels, scores, preds),
        "curves": _curves(labels, scores, preds),
        "mistakes": _mistakes(labels, scores, preds),
        "parity": {"photos": labels.size, "max_abs_difference": 3.1e-7, "max_abs_logit_difference": 4.4e-6,
                   "changed_verdicts": 0},
        "warnings": [],
        "environment": {
            "python": "3.11.9", "platform": "Linux-6.8-x86_64", "processor": "Two-core laptop processor", "cores": 2,
            "threads": 2, "versions": {"teliti": "0.1.0", "numpy": "2.4.6"}, "command": ["teliti"],
        },
        "recipe_toml": 'seed = 7\n\n[data]\nsource = "elpv"\nimage_size = 300\nfit = "letterbox"\n',
    }  # fmt: skip
    record["val"] = {**record["test"], "n": 524, "accuracy": 0.893, "roc_auc": 0.941, "recall": 0.861}
    record["statements"] = statements(record)
    return record


def steel_record() -> dict:
    """A run with six classes, no positive class, a split that came with the data and one pair that crosses it."""
    classes = ["crazing", "inclusion", "patches", "pitted_surface", "rolled-in_scale", "scratches"]
    rng = np.random.default_rng(5)
    labels = np.repeat(np.arange(6), 20)
    preds = np.where(rng.random(labels.size) < 0.05, (labels + 1) % 6, labels)
    matrix = confusion_matrix(labels, preds, labels=range(6))
    accuracy = float((labels == preds).mean())
    rows = [_class_row(at, matrix) for at in range(6)]
    record = {
        "schema": 1, "title": "Steel strip", "task": "classification", "classes": classes, "positive": None,
        "created": "2026-11-22", "pass_classes": [], "threshold": {"value": None, "rule": "argmax"},
        "data": {
            "source": "neu-steel", "photos": 600, "refused": [], "image_size": [200, 200], "fit": "stretch",
            "split": {"origin": "given", "folds": None, "sentence": "The split came with the data."},
            "duplicates": {"groups": 1, "photos": 2, "user_groups": 0,
                           "pairs": [{"first": "train/a.jpg", "second": "test/b.jpg", "kind": "flipped",
                                      "correlation": 0.994}],
                           "crossing": [{"first": "train/a.jpg", "second": "test/b.jpg", "kind": "flipped",
                                         "correlation": 0.994}]},
        },
        "test": {"n": labels.size, "accuracy": accuracy, "accuracy_at_half": accuracy, "balanced_accuracy": accuracy,
                 "f1_macro": accuracy, "roc_auc": 0.998, "majority_accuracy": 1 / 6, "per_class": rows,
                 "confusion_matrix": matrix.tolist(),
                 "intervals": {"accuracy": list(wilson_interval(int((labels == preds).sum()), labels.size))}},
        "curves": {"roc_per_class": {name: {"fpr": [0.0, 0.01 * (at + 1), 1.0], "tpr": [0.0, 0.97, 1.0]}
                                     for at, name in enumerate(classes)}},
    }  # fmt: skip
    record["statements"] = statements(record)
    return record


def regression_record() -> dict:
    """A run that predicts a number, with its scatter."""
    rng = np.random.default_rng(9)
    target = rng.choice([0.0, 1 / 3, 2 / 3, 1.0], 300)
    pred = np.clip(0.1 + 0.8 * target + rng.normal(0, 0.12, 300), 0, 1)
    error = np.abs(pred - target)
    record = {
        "schema": 1, "title": "Defect probability", "task": "regression", "classes": [], "positive": None,
        "data": {"source": "elpv-regression", "photos": 1500, "split": {"origin": "ours", "seed": 7}},
        "test": {"n": 300, "mae": float(error.mean()), "rmse": float(np.sqrt((error**2).mean())), "r2": 0.871,
                 "intervals": {"mae": [0.11, 0.14], "rmse": [0.14, 0.17], "r2": [0.84, 0.9]},
                 "baseline": 0.47, "baseline_mae": 0.333, "baseline_rmse": 0.373},
        "scatter": {"target": target.tolist(), "pred": pred.tolist()},
        "mistakes": [{"name": "cell0007.png", "label": 1.0, "predicted": 0.31}],
    }  # fmt: skip
    record["statements"] = statements(record)
    return record


def photo(seed: int, *, side: int = 64, scratch: bool = False) -> np.ndarray:
    """A made-up solar cell, uint8 RGB (side, side, 3): bright, two dark bus bars, perhaps a dark crack."""
    rng = np.random.default_rng(seed)
    grey = np.full((side, side), 165.0) + rng.normal(0, 9, (side, side))
    grey[side // 3 - 1 : side // 3 + 1] = grey[2 * side // 3 - 1 : 2 * side // 3 + 1] = 60
    if scratch:
        at = np.arange(side // 4, side - side // 4)
        grey[at, np.clip(at + seed % 9 - 4, 0, side - 1)] = 20
        grey[: side // 3, : side // 4] *= 0.5
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def inspection_pictures(record: dict, *, side: int = 64) -> ReportPictures:
    """Photos to go with `inspection_record`: 12 samples per class, every mistake, one network view."""
    return ReportPictures(
        samples={
            name: [(f"{name}/cell{at:04}.png", photo(at, side=side, scratch=name == BAD)) for at in range(12)]
            for name in (BAD, GOOD)
        },
        mistakes={
            row["name"]: photo(at, side=side, scratch=row["label"] == BAD) for at, row in enumerate(record["mistakes"])
        },
        network_view=(
            "defective/cell0001.png",
            photo(1, side=2 * side, scratch=True),
            photo(1, side=side, scratch=True),
        ),
    )


def _data(defective: int, functional: int) -> dict:
    pairs = [
        {
            "first": f"functional/cell{at:04}.png",
            "second": f"functional/cell{at + 1:04}.png",
            "kind": kind,
            "correlation": 0.999 - at / 1000,
        }
        for at, kind in enumerate(["bytes", "resaved", "resized", "flipped"])
    ]
    return {
        "source": "elpv", "photos": 5 * (defective + functional), "image_size": [300, 300], "fit": "letterbox",
        "refused": [{"name": "cell0001 copy.png", "reason": "truncated: 812 of 4,096 bytes"},
                    {"name": "notes.txt.png", "reason": "not a picture: the content is text"},
                    {"name": "empty.png", "reason": "empty file"}],
        "counts": {"train": {BAD: 3 * defective, GOOD: 3 * functional}, "val": {BAD: defective, GOOD: functional},
                   "test": {BAD: defective, GOOD: functional}},
        "notes": ["A cell counts as defective where its defect probability is at least 0.5."],
        "split": {"origin": "ours", "folds": None, "seed": 7,
                  "sentence": "Split 60/20/20 by class; near-duplicate photos stay on one side."},
        "duplicates": {"pairs": pairs, "groups": 4, "photos": 8, "crossing": [], "user_groups": 0},
    }  # fmt: skip


def _measures(labels: np.ndarray, scores: np.ndarray, preds: np.ndarray) -> dict:
    matrix = confusion_matrix(1 - labels, 1 - preds, labels=[0, 1])  # row 0 is defective
    rows = [_class_row(at, matrix) for at in (0, 1)]
    total, right = labels.size, int(np.trace(matrix))
    auc = float(roc_auc_score(labels, scores))
    return {
        "n": total, "accuracy": right / total, "accuracy_at_half": float(((scores >= 0.5) == labels).mean()),
        "accuracy_interval": list(wilson_interval(right, total)),
        "balanced_accuracy": (rows[0]["recall"] + rows[1]["recall"]) / 2,
        "precision": rows[0]["precision"], "recall": rows[0]["recall"], "specificity": rows[1]["recall"],
        "f1": rows[0]["f1"], "f1_macro": (rows[0]["f1"] + rows[1]["f1"]) / 2, "roc_auc": auc, "pr_auc": 0.93,
        "log_loss": 0.287, "brier": 0.087, "majority_accuracy": max(labels.mean(), 1 - labels.mean()),
        "confusion_matrix": matrix.tolist(), "per_class": rows,
        "intervals": {
            "accuracy": list(wilson_interval(right, total)), "recall": rows[0]["intervals"]["recall"],
            "specificity": rows[1]["intervals"]["recall"], "roc_auc": [auc - 0.02, min(1.0, auc + 0.018)],
            "f1": [rows[0]["f1"] - 0.03, rows[0]["f1"] + 0.03],
        },
    }  # fmt: skip


def _class_row(at: int, matrix: np.ndarray) -> dict:
    hit, actual, named = int(matrix[at, at]), int(matrix[at].sum()), int(matrix[:, at].sum())
    others = int(matrix.sum()) - actual
    return {
        "class_index": at, "n": actual, "recall": hit / actual if actual else None,
        "precision": hit / named if named else None, "specificity": (others - named + hit) / others if others else None,
        "f1": 2 * hit / (actual + named) if actual + named else None,
        "intervals": {"recall": list(wilson_interval(hit, actual))} if actual else {},
    }  # fmt: skip


def _curves(labels: np.ndarray, scores: np.ndarray, preds: np.ndarray) -> dict:
    fpr, tpr, _ = roc_curve(labels, scores)
    precision, recall, _ = precision_recall_curve(labels, scores)
    edges = np.linspace(0, 1, 31)
    found, alarms = float(preds[labels == 1].mean()), float(preds[labels == 0].mean())
    counts = {name: np.histogram(scores[labels == value], edges)[0].tolist() for name, value in ((BAD, 1), (GOOD, 0))}
    return {
        "roc": {"fpr": fpr.tolist(), "tpr": tpr.tolist(), "at_threshold": [alarms, found]},
        "pr": {"recall": recall.tolist(), "precision": precision.tolist(),
               "at_threshold": [found, float(labels[preds == 1].mean())]},
        "histogram": {"edges": edges.tolist(), "counts": counts},
    }  # fmt: skip


def _mistakes(labels: np.ndarray, scores: np.ndarray, preds: np.ndarray) -> list[dict]:
    wrong = np.flatnonzero(labels != preds)
    worst = wrong[np.argsort(-np.abs(scores[wrong] - THRESHOLD))][:8]
    names = (GOOD, BAD)
    return [
        {"name": f"{names[labels[at]]}/cell{at:04}.png", "label": names[labels[at]], "predicted": names[preds[at]],
         "score": float(scores[at]), "probs": {BAD: float(scores[at]), GOOD: float(1 - scores[at])}}
        for at in worst
    ]  # fmt: skip


PAYLOADS = (
    "<script>document.title='ran'</script>",
    "</title><script>document.title='ran'</script>",
    "</style><script>document.title='ran'</script>",
    '"><script>document.title="ran"</script>',
    "' onerror='document.title=1' x='",
    '" onload="document.title=1',
    "<img src=x onerror=document.title='ran'>",
    "<svg onload=document.title='ran'>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<a href=javascript:alert(1)>click</a>",
    "javascript:alert(1)",
    "<meta http-equiv=refresh content='0;url=https://example.org'>",
    "<style>*{display:none}</style>",
    "&lt;b&gt; &amp; &#60;script&#62;",
    "line one\nline two\r\n\t-->",
    "safe\u202egnp.exe\u2066\u200f",
    "not-utf8-\udcff\udc80.png",
    "lone \ud800 surrogate",
    "]]><!-- comment --><![CDATA[",
    "{{7*7}} ${7*7} `ls` \\ \x00\x1b[31m\x7f",
)
"""Names that a hostile or careless stranger could give to a file or a class."""


def hostile_record() -> dict:
    """`inspection_record` with a payload at every place that shows a name or a sentence of somebody else."""
    record = inspection_record()
    bad, good = PAYLOADS[0], PAYLOADS[3]
    record |= {
        "title": PAYLOADS[1],
        "created": PAYLOADS[5],
        "version": PAYLOADS[7],
        "command": PAYLOADS[14],
        "recipe_toml": PAYLOADS[2],
        "classes": [bad, good],
        "positive": bad,
        "pass_classes": [good],
    }
    record["data"] |= {
        "source": PAYLOADS[16],
        "notes": list(PAYLOADS),
        "counts": {"train": dict.fromkeys(PAYLOADS, 3)},
        "refused": [{"name": payload, "reason": payload} for payload in PAYLOADS],
    }
    record["data"]["duplicates"]["crossing"] = [
        {"first": payload, "second": payload, "kind": payload, "correlation": 0.99} for payload in PAYLOADS
    ]
    record["mistakes"] = [
        {"name": payload, "label": bad, "predicted": good, "score": 0.2, "probs": {bad: 0.2}} for payload in PAYLOADS
    ]
    record["curves"]["histogram"]["counts"] = {bad: [1, 2], PAYLOADS[18]: [3, 4]}
    record["curves"]["roc_per_class"] = {payload: {"fpr": [0, 1], "tpr": [0, 1]} for payload in PAYLOADS}
    record["engine"]["name"] = record["model"]["backbone"] = record["threshold"]["sentence"] = PAYLOADS[6]
    record["environment"][PAYLOADS[4]] = PAYLOADS[9]
    record["seconds"][PAYLOADS[12]] = 1.0
    record["warnings"] = list(PAYLOADS)
    record["statements"] = statements(record)
    return record


def hostile_pictures() -> ReportPictures:
    """Photos to go with `hostile_record`: payloads as class names and as file names."""
    return ReportPictures(
        samples={payload: [(payload, photo(1, side=16))] for payload in PAYLOADS},
        mistakes={payload: photo(2, side=16) for payload in PAYLOADS},
        network_view=(PAYLOADS[0], photo(3, side=16), photo(3, side=16)),
    )
