"""Eight bits: accuracy and equal verdicts on real photos, and how much faster they are than float in one engine.

elpv is always measured. More sets come from the environment, as NAME=PATH separated by commas: for instance
`TELITI_BENCH_TRAIN=neu=/photos/neu-steel make bench ARGS="int8 --write"`, a folder of class folders.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import teliti
from teliti.export.formats import open_exported, write_onnx, write_openvino
from teliti.export.int8 import quantize_onnx, quantize_openvino
from teliti.recipe import ModelRecipe, load_recipe
from teliti.sessions import OnnxRuntimeSession, OpenVinoSession, Session
from teliti.training.features.backbone_file import prepare_backbone
from teliti.workflow.export import ExportOptions, export

SIDE, CALLS, ROUNDS, CALIBRATION = 224, 12, 7, 8


def run() -> dict[str, Any]:
    """Rows for accuracy by set and runtime, then for speed by network and engine."""
    sets = {"elpv": "elpv"} | dict(
        pair.split("=", 1) for pair in os.environ.get("TELITI_BENCH_TRAIN", "").split(",") if pair
    )
    with tempfile.TemporaryDirectory() as name:
        rows = [row for label, source in sets.items() for row in _accuracy(label, source, Path(name))]
        rows += [row for network in ("resnet18", "resnet50") for row in _speed(network, Path(name))]
    return {
        "name": "Eight bits beside float",
        "about": "Sets: the fast preset, seed 7, EfficientNet-Lite0; ranges from training photos, chosen on validation "
        "photos, measured on the sealed test part; verdicts to review count. Rates of one core, the network alone. "
        f"ResNets: random weights, {SIDE} px, medians of {ROUNDS} rounds in turn.",
        "rows": rows,
    }


def _accuracy(label: str, source: str, work: Path) -> list[dict[str, Any]]:
    record = teliti.train(source, recipe=load_recipe(None, preset="fast"), out=work / label)
    rows = []
    for target in ("openvino", "onnx"):
        options = ExportOptions(target, int8=True, force=True)  # type: ignore[arg-type]
        made = export(record["bundle"], options, out=work / f"{label}-{target}")
        own, exported = made["measures"].values()
        first, rates = made["comparisons"][0], made["speed"]["photos_per_s"]
        eight = next(rate for name, rate in rates.items() if name.startswith("exported"))
        engine = "openvino" if target == "openvino" else "onnxruntime"
        rows.append(
            {
                "what": label,
                "engine": engine,
                "accuracy, float": f"{own['accuracy']:.4f}",
                "accuracy, int8": f"{exported['accuracy']:.4f}",
                "of float": f"{exported['accuracy'] / own['accuracy']:.4f}",
                "equal verdicts": f"{1.0 - first['changed_verdicts'] / first['photos']:.4f}",
                "ranges": made["int8"]["ranges"],
                "first convolutions in float": f"{made['int8']['floating']:.0%}",
                "photos/s: float, bf16, int8": f"{rates[f'{engine} f32']:g}, {_bf16(rates, engine)}, {eight:g}",
                "int8 over float": f"{eight / rates[f'{engine} f32']:.2f}",
                "export recommends": "bf16" if "prefer it to int8" in made["speed"]["sentence"] else "int8",
            }
        )
    return rows


def _bf16(rates: dict[str, float], engine: str) -> str:
    return f"{rates['openvino bf16']:g}" if engine == "openvino" and "openvino bf16" in rates else "-"


def _speed(network: str, work: Path) -> list[dict[str, Any]]:
    model = ModelRecipe.model_validate({"backbone": network, "weights": "random", "stages": ["head"], "pooling": "avg"})
    backbone = prepare_backbone(model, image_size=(SIDE, SIDE), seed=0)
    rng = np.random.default_rng(0)
    pictures = list(rng.integers(0, 256, (CALIBRATION, SIDE, SIDE, 3), dtype=np.uint8))
    rows = []
    for engine in ("openvino", "onnxruntime"):
        folder = work / f"{network}-{engine}"
        folder.mkdir()
        sessions: dict[str, Session]
        if engine == "openvino":
            eight = write_openvino(quantize_openvino(backbone.path, pictures, ranges="largest"), folder, facts={})
            sessions = {
                "f32": OpenVinoSession(backbone.path, threads=1),
                "bf16": OpenVinoSession(backbone.path, threads=1, precision="bf16"),
                "int8": open_exported(eight, threads=1),
            }
        else:
            eight = write_onnx(quantize_onnx(backbone.path, pictures, ranges="largest"), folder, facts={})
            sessions = {"f32": OnnxRuntimeSession(backbone.path), "int8": OnnxRuntimeSession(eight)}
        times: dict[str, list[float]] = {name: [] for name in sessions}
        for number in range(ROUNDS + 1):
            for name, session in sessions.items():
                start = time.perf_counter()
                for _ in range(CALLS):
                    session.run(["features"], pictures[0][None])
                times[name] += [time.perf_counter() - start] if number else []
        rates = {name: CALLS / statistics.median(own) for name, own in times.items()}
        ratio = statistics.median(a / b for a, b in zip(times["f32"], times["int8"], strict=True))
        rows.append(
            {
                "what": network,
                "engine": engine,
                **dict.fromkeys(("accuracy, float", "accuracy, int8", "of float", "equal verdicts"), ""),
                "ranges": "largest",
                "first convolutions in float": "0%",
                "photos/s: float, bf16, int8": ", ".join(
                    f"{rates[name]:.1f}" if name in rates else "-" for name in ("f32", "bf16", "int8")
                ),
                "int8 over float": f"{ratio:.2f}",
                "export recommends": "",
            }
        )
    return rows


if __name__ == "__main__":
    for row in run()["rows"]:
        print(row)
