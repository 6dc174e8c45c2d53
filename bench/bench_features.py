"""Photos per second from file to features: our path beside a plain torch loop, in turns, same photos, same network."""

from __future__ import annotations

import statistics
import time
from functools import partial

import numpy as np
import torch
from PIL import Image
from torchvision import transforms

from teliti.data.catalog import read_catalog
from teliti.data.loading import load_prepared
from teliti.models.backbones import FeatureNet
from teliti.recipe import Recipe, override_recipe
from teliti.training.features.backbone_file import load_feature_net
from teliti.training.features.engines import PHOTOS_PER_CALL, choose_engine, open_engine
from teliti.workflow.shared.setup import resolve_setup

PHOTOS, ROUNDS, BATCH, THREADS = 192, 5, 32, 2


def run() -> dict:
    """Median photos per second of each side and median of the per-round ratios."""
    samples = read_catalog("elpv").samples[:: 2624 // PHOTOS][:PHOTOS]
    rows = []
    for size, title in ((300, "default, 300 px"), (224, "224 px")):
        recipe = override_recipe(Recipe(), {"data": {"image_size": [size, size]}, "train": {"threads": THREADS}})
        setup = resolve_setup(recipe)
        net = load_feature_net(recipe.model, seed=7)
        bf16 = choose_engine("auto", precision="bf16", backbone=setup.backbone, threads=THREADS)
        work = {
            "plain": partial(_plain, samples, net, size),
            "f32": partial(_ours, samples, setup, setup.engine),
            "bf16": partial(_ours, samples, setup, bf16),
        }
        agree = float(np.abs(work["f32"]() - work["plain"]()).max())
        work["bf16"]()  # warm, like the others
        speeds: dict[str, list[float]] = {name: [] for name in work}
        for _ in range(ROUNDS):
            for name, side in work.items():
                begin = time.perf_counter()
                side()
                speeds[name].append(len(samples) / (time.perf_counter() - begin))
        ratio = statistics.median(a / b for a, b in zip(speeds["f32"], speeds["plain"], strict=True))
        ratio_bf16 = statistics.median(a / b for a, b in zip(speeds["bf16"], speeds["plain"], strict=True))
        rows.append(
            {
                "size": title,
                "plain torch loop, photos/s": f"{statistics.median(speeds['plain']):.1f}",
                f"ours f32 ({setup.engine.name}), photos/s": f"{statistics.median(speeds['f32']):.1f}",
                "ratio f32": f"{ratio:.2f}",
                "ours bf16, photos/s": f"{statistics.median(speeds['bf16']):.1f}",
                "ratio bf16": f"{ratio_bf16:.2f}",
                "largest difference f32": f"{agree:.1e}",
            }
        )
    return {
        "name": "Feature extraction beside a plain torch loop",
        "about": f"{PHOTOS} elpv photos from PNG files to features of the default stages, {ROUNDS} rounds in turn, "
        f"{THREADS} threads. Plain: Pillow, torchvision transforms, eager torch in batches of {BATCH}, as a tutorial "
        "writes it. Medians; ratios are medians of the per-round ratios. At 300 px both sides see the same "
        "pixels, as the last column proves; at 224 px their resizes differ and so do the features.",
        "rows": rows,
    }


def _ours(samples, setup, engine) -> np.ndarray:  # noqa: ANN001
    opened = open_engine(engine, setup.backbone, threads=THREADS)
    images = (pictures[0] for _, pictures in load_prepared(samples, setup.source.pictures, threads=THREADS))
    return np.concatenate(list(opened.run(_batches(images, PHOTOS_PER_CALL[engine.name]))))


def _batches(images, size: int):  # noqa: ANN001, ANN202
    batch = []
    for image in images:
        batch.append(image)
        if len(batch) == size:
            yield np.stack(batch)
            batch = []


def _plain(samples, net: FeatureNet, size: int) -> np.ndarray:  # noqa: ANN001
    torch.set_num_threads(THREADS)
    prepare = transforms.Compose([transforms.Resize((size, size)), transforms.PILToTensor()])
    rows = []
    with torch.no_grad():
        for start in range(0, len(samples), BATCH):
            photos = [Image.open(sample.origin.path).convert("RGB") for sample in samples[start : start + BATCH]]
            batch = torch.stack([prepare(photo) for photo in photos]).permute(0, 2, 3, 1)
            rows.append(net(batch).numpy())
    return np.concatenate(rows)
