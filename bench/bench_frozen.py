"""The fast preset beside a loop that runs the frozen backbone in every epoch: whole elpv runs, same photos."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import transforms

from teliti import train
from teliti.cache import RowCache, cache_folder
from teliti.recipe import load_recipe
from teliti.training.features.backbone_file import load_feature_net
from teliti.types import SilentReporter
from teliti.workflow.shared.photos import read_photos
from teliti.workflow.shared.plan import plan_split

ROUNDS, EPOCHS, BATCH, THREADS = 3, 10, 32, 2
LEFT_OUT = ("imports", "backbone", "export", "parity", "total")


def run() -> dict:
    """Seconds of a run on each side, and the ratio in each round."""
    reporter, recipe = SilentReporter(), load_recipe(preset="fast")
    photos = read_photos("elpv", use_group=True, cache=RowCache(), threads=THREADS, reporter=reporter)
    plan = plan_split(photos, recipe)
    rows = []
    for round_number in range(ROUNDS + 1):  # the first one exports the backbone and is not counted
        ours = {precision: _ours(precision) for precision in ("f32", "bf16")}
        if round_number == 0:
            continue
        epoch = _plain_epoch(photos, plan.indices("train"))
        rows.append(
            {
                "round": str(round_number),
                "ten epochs of the loop, s": EPOCHS * epoch,
                **{f"fast {name}, s": seconds for name, (seconds, _) in ours.items()},
                **{f"ratio {name}": EPOCHS * epoch / seconds for name, (seconds, _) in ours.items()},
                **{f"accuracy {name}": accuracy for name, (_, accuracy) in ours.items()},
            }
        )
    keys = [key for key in rows[0] if key != "round"]
    rows.append({"round": "median", **{key: statistics.median(row[key] for row in rows) for key in keys}})
    return {
        "name": "The fast preset beside a ten-epoch loop",
        "about": f"elpv, 2,624 photos. Ours: reading, duplicates, split, features, head with its search, measures, "
        "report; no cached rows; without imports, export and the comparison with torch. The loop: Pillow, torchvision "
        f"transforms, eager torch, frozen backbone in every epoch, Adam on the last layer in batches of {BATCH}; one "
        f"epoch of the training part is timed in each round and counted {EPOCHS} times. {THREADS} threads, in turn.",
        "rows": [{key: v if isinstance(v, str) else f"{v:.3g}" for key, v in row.items()} for row in rows],
    }


def _ours(precision: str) -> tuple[float, float]:
    (cache_folder() / "rows.sqlite").unlink(missing_ok=True)
    for rest in cache_folder().glob("rows.sqlite-*"):
        rest.unlink()
    overrides = [f'train.precision="{precision}"', f"train.threads={THREADS}"]
    out = Path(tempfile.mkdtemp())
    try:
        record = train("elpv", recipe=load_recipe(preset="fast", overrides=overrides), out=out)
    finally:
        shutil.rmtree(out)
    seconds = sum(value for name, value in record["seconds"].items() if name not in LEFT_OUT)
    return seconds, float(record["test"]["accuracy_at_half"])


def _plain_epoch(photos, train_part: np.ndarray) -> float:  # noqa: ANN001
    torch.set_num_threads(THREADS)
    recipe = load_recipe(overrides=['model.stages=["head"]', 'model.pooling="avg"'])
    net = load_feature_net(recipe.model, seed=7)
    layer = torch.nn.Linear(1280, 2)
    optimizer, loss = torch.optim.Adam(layer.parameters(), lr=1e-3), torch.nn.CrossEntropyLoss()
    prepare = transforms.Compose([transforms.Resize((224, 224)), transforms.PILToTensor()])
    order = np.random.default_rng(0).permutation(train_part)
    begin = time.perf_counter()
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        images = [prepare(Image.open(photos.samples[i].origin.path).convert("RGB")) for i in chosen]
        with torch.no_grad():
            features = net(torch.stack(images).permute(0, 2, 3, 1))
        optimizer.zero_grad()
        loss(layer(features), torch.from_numpy(photos.targets[chosen])).backward()
        optimizer.step()
    return time.perf_counter() - begin
