"""Is an exported file the same inspector: networks x prepare steps x runtimes, 256 photos each, the whole export job.

Weights are random where none come with the package; the statistics of their batch normalisation are those of elpv's
photos, since fresh ones hide what an exporter gets wrong, and others make features that are all but constant. The head
is fitted all the same, so that scores spread.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import timm
import torch
from safetensors.torch import save_file

import teliti
from teliti.data.catalog import read_catalog
from teliti.data.decode import decode_image
from teliti.errors import ParityError
from teliti.recipe import override_recipe, parse_recipe
from teliti.workflow.export import ExportOptions, export
from teliti.workflow.learning.training_path import TRAINED

SIDE, LEARNT, SHOWN, COUNTED = 96, 192, 256, 32
COMPACT = {
    "backbone": "none",
    "layers": [
        {"kind": "conv", "filters": 16, "kernel_size": 3, "activation": "relu"},
        {"kind": "max_pool"},
        {"kind": "conv", "filters": 32, "kernel_size": 3, "activation": "relu"},
        {"kind": "avg_pool", "kernel_size": "global"},
        {"kind": "flatten"},
    ],
}
LEARNS = {
    "resnet50"
}  # frozen at random it gives features that hardly differ: a head on them multiplies rounding errors
NETWORKS: dict[str, dict[str, Any]] = {
    "ResNet18": {"backbone": "resnet18", "weights": "random"},
    "ResNet50": {"backbone": "resnet50", "weights": "random"},
    "VGG16": {"backbone": "vgg16", "weights": "random"},
    "EfficientNet-Lite0": {"backbone": "tf_efficientnet_lite0"},
    "MobileNetV3": {"backbone": "mobilenetv3_large_100", "weights": "random"},
    "compact": COMPACT,
}
PREPARE: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "clahe, filter, standardize": [
        {"step": "clahe", "clip_limit": 2.0},
        {"step": "filter", "kernel": "gaussian_3x3"},
        {"step": "standardize"},
    ],
}


def run() -> dict[str, Any]:
    """One row for each network, chain and runtime."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        learnt, shown = _write_photos(folder)
        for number, (network, model) in enumerate(NETWORKS.items()):
            for place, (chain, steps) in enumerate(PREPARE.items()):
                run_folder = folder / f"{number}-{place}"
                recipe = _recipe(model, steps, weights=folder)
                first = teliti.train(str(learnt), recipe=recipe, out=folder / "first")
                middle = float(np.median([photo["score"] for photo in _judge(first, shown)]))
                shutil.rmtree(folder / "first")
                recipe = override_recipe(recipe, {"decide": {"threshold": middle}})
                second = teliti.train(str(learnt), recipe=recipe, out=run_folder)
                rejected = np.mean([photo["verdict"] == "reject" for photo in _judge(second, shown)])
                for target in ("onnx", "openvino", "torch"):
                    out = run_folder / f"bundle-{target}"
                    with contextlib.suppress(ParityError):  # refused: the certificate says why
                        export(run_folder / "bundle", ExportOptions(target), data=shown, out=out)  # type: ignore[arg-type]
                    record = json.loads((out / "parity.json").read_text(encoding="utf-8"))
                    rows.append(_row(network, chain, target, record=record) | {"rejected": f"{rejected:.2f}"})
    return {
        "name": "Exported files beside the bundle's own",
        "about": f"{SHOWN} photos of elpv that no network has seen, {LEARNT} others learnt from, {SIDE} px; logistic "
        "regression on the mean of the last stage (random weights where none come with the package, with batch "
        "statistics of such photos), ResNet50 and the compact network trained from zero. Each is trained twice to the "
        "same bits: the threshold of the second is the middle score of the photos shown, so that half of the verdicts "
        "are of each kind and many are close. First differences: bundle and exported file; then the exported file "
        "behind OpenCV's decoder against the one behind Pillow's; then the trained network, computed by torch, and the "
        "exported file. Logits agree when |a - b| <= 1e-4 max(1, |b|).",
        "rows": rows,
    }


def _judge(record: dict[str, Any], shown: Path) -> list[dict[str, Any]]:
    """What the inspector says of the photos that the exported files will be judged by."""
    found: list[dict[str, Any]] = teliti.predict(record["bundle"], [str(shown)])["results"]
    return found


def _recipe(model: dict[str, Any], steps: list[dict[str, Any]], *, weights: Path) -> Any:
    learns = "layers" in model or model["backbone"] in LEARNS
    if model.get("weights") == "random" and not learns:
        model = {**model, "weights": str(_random_weights(model["backbone"], weights))}
    values: dict[str, Any] = {"data": {"image_size": SIDE, "folds": 0}, "prepare": steps, "model": model}
    if learns:
        rate = 0.01 if "layers" in model else 0.001
        values["train"] = {"mode": "scratch", "epochs": 4, "lr": rate, "precision": "f32", "replicas": 1}
    else:
        values["train"] = {"engine": "onnxruntime"}
        values["model"] = {**model, "stages": [-1], "pooling": "avg", "head": "logistic", "c": 1.0}
    return parse_recipe(values)


def _random_weights(backbone: str, folder: Path) -> Path:
    path = folder / f"{backbone}.safetensors"
    if not path.is_file():
        torch.manual_seed(7)
        net = timm.create_model(backbone, pretrained=False)
        norms = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = 1.0  # the statistics are this batch's
            torch.nn.init.uniform_(norm.weight, 0.7, 1.3)
            torch.nn.init.normal_(norm.bias, 0.0, 0.1)
        mean, std = (torch.tensor(net.default_cfg[name])[:, None, None] for name in ("mean", "std"))
        with torch.no_grad():
            net.train()((_photo_batch(folder / "learnt") - mean) / std)
        save_file({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, path)
    return path


def _row(network: str, chain: str, target: str, *, record: dict[str, Any]) -> dict[str, Any]:
    first, second, third = record["comparisons"]
    return {
        "network": network,
        "prepare": chain,
        "runtime": target,
        "photos": first["photos"],
        "changed verdicts": sum(one["changed_verdicts"] for one in record["comparisons"]),
        "logits apart": f"{first['max_logit_difference']:.1e}",
        "second decoder": f"{second['max_logit_difference']:.1e}",
        "trained network": f"{third['max_logit_difference']:.1e}" if record["training_path"]["by"] == TRAINED else "-",
        "passed": "yes" if record["passed"] else "no",
    }


def _write_photos(folder: Path) -> tuple[Path, Path]:
    """Two folders with photos of elpv, none in both, classes in turn as they come."""
    samples = list(read_catalog("elpv").samples)
    for number, place in enumerate(np.random.default_rng(0).permutation(len(samples))[: LEARNT + SHOWN]):
        sample = samples[place]
        path = folder / ("learnt" if number < LEARNT else "shown") / str(sample.label) / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sample.origin.read_bytes())
    return folder / "learnt", folder / "shown"


def _photo_batch(learnt: Path) -> torch.Tensor:
    """(N, 3, SIDE, SIDE) float32 in [0, 1]."""
    paths = sorted(learnt.rglob("*.png"))[:: LEARNT // COUNTED]
    photos = [cv2.resize(decode_image(path.read_bytes()), (SIDE, SIDE)) for path in paths]
    return torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).float() / 255.0


if __name__ == "__main__":
    for row in run()["rows"]:
        print(row)
