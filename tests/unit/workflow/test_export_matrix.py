"""Networks x prepare steps x runtimes: the exported file is the same inspector. `bench/bench_export.py` in small."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

import teliti
from parts import write_parts
from teliti.recipe import parse_recipe
from teliti.workflow.export import ExportOptions, export
from teliti.workflow.learning.training_path import TRAINED

pytestmark = pytest.mark.slow
SIDE = 64
CHAINS = ([], [{"step": "clahe", "clip_limit": 2.0}, {"step": "standardize"}])


def lively_weights(backbone: str, folder: Path) -> Path:
    """Random weights whose batch normalisation has statistics of its own maps: fresh ones hide wrong exports."""
    torch.manual_seed(7)
    net = timm.create_model(backbone, pretrained=False)
    norms = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        net.train()(torch.randn(8, 3, SIDE, SIDE))
    for norm in norms:
        torch.nn.init.uniform_(norm.weight, 0.7, 1.3)
    path = folder / f"{backbone}.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, path)
    return path


@pytest.mark.parametrize("backbone", ["resnet18", "mobilenetv3_small_100", "vgg11"])
@pytest.mark.parametrize("chain", CHAINS)
def test_every_runtime_gives_the_same_verdicts(backbone: str, chain: list, parts_folder: Path, tmp_path: Path) -> None:
    """R23: three architectures, with and without prepare steps, in three runtimes and behind two decoders."""
    model = {"backbone": backbone, "weights": str(lively_weights(backbone, tmp_path)), "stages": [-1]}
    recipe = parse_recipe(
        {
            "data": {"image_size": SIDE, "folds": 0},
            "prepare": chain,
            "model": {**model, "pooling": "avg", "head": "logistic", "c": 1.0},
            "train": {"engine": "onnxruntime", "threads": 1},
        }
    )
    record = teliti.train(str(parts_folder), recipe=recipe, out=tmp_path / "run")
    assert record["parity"]["changed_verdicts"] == 0  # torch and the bundle's file
    assert record["parity"]["max_logit_difference"] <= 1e-4
    shown = write_parts(tmp_path / "shown", per_class=16, seed=1000)
    for target in ("onnx", "openvino", "torch"):
        made = export(record["bundle"], ExportOptions(target), data=shown)
        assert made["passed"]
        assert [one["changed_verdicts"] for one in made["comparisons"]] == [0, 0, 0]
        assert made["training_path"]["by"] == TRAINED
        assert max(one["max_logit_difference"] for one in made["comparisons"]) <= 1e-4
