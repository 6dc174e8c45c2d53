"""One side of bench_throughput.py: a process that trains one network with one library, a round at a time, on request.

    python training_sides.py SIDE NETWORK PIXELS BATCH [CHOICE]

It answers "ready {facts}" when its network is made and warm, and each line "round" with "{photos} {seconds}". Nothing
but the network's name is shared between sides, so that a side runs in the environment of its library. Ours answers
"bare steps", too: two processes of the same steps differ by several per cent in where their memory lies.
"""

from __future__ import annotations

import copy
import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from peak import processor_peak
from training_peers import PEERS
from training_rounds import CLASSES, LR, ROUND_S, SEED, Round, Talk, flop_of_a_step, steps_for

SMALL_CNN = [
    *({"kind": kind, **more} for filters in (32, 32, 64) for kind, more in (
        ("conv", {"filters": filters, "kernel_size": 3, "activation": "relu"}), ("max_pool", {"kernel_size": 2}))),
    {"kind": "flatten"}, {"kind": "dense", "units": 64, "activation": "relu"}, {"kind": "dropout", "rate": 0.5},
]  # fmt: skip
"""The network of Keras's old tutorial on few photos: three convolutions with pooling, 64 units, dropout."""


def main() -> None:
    """Serve rounds until the input ends."""
    side, network, pixels, batch = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    talk = Talk()
    if side == "ours":
        _train_ours(network, pixels, batch, talk=talk, choice=json.loads(sys.argv[5]) if len(sys.argv) > 5 else {})
        return
    work, facts = SIDES[side](network, pixels, batch)
    talk.ready(facts)
    for _ in talk.words():
        talk.answer(*work())


def _train_ours(network: str, pixels: int, batch: int, *, talk: Talk, choice: dict) -> None:
    """Our loop as `teliti train` runs it, in the main thread: a round is an epoch, from the cache to its row."""
    net, options, photos = _our_setup(network, pixels, batch)
    import torch

    from teliti.models.networks import l2_penalty, stages
    from teliti.training.loop import fit_network
    from teliti.training.speed import choose_options, processor_precision, with_values

    net.to(memory_format=torch.channels_last).train()
    options = choose_options(net, photos, with_values(options, **choice), objective=_objective(options)).options
    chosen = {"precision": options.precision, "replicas": options.replicas}
    facts = {
        "parameters": sum(p.numel() for p in net.parameters()), "flop": _seen_flop(net, pixels), "choice": chosen,
        "vectors": torch.backends.cpu.get_cpu_capability() + (", bf16" if processor_precision() == "bf16" else ""),
    }  # fmt: skip
    words, began, bare = talk.words(), list[float](), list[Round]()

    def epoch_is_over(_row: dict) -> None:
        end = time.perf_counter()
        if began:
            talk.answer(len(photos.train), end - began.pop())
        else:
            talk.ready(facts)  # the first epoch is the warm-up
        for word in words:
            if word == "round":
                began.append(time.perf_counter())
                return
            if not bare:
                bare.append(_bare(network, pixels, batch, choice=chosen))
            talk.answer(*bare[0]())
        raise SystemExit

    fit_network(net, photos, options, seed=SEED, stages=stages(net), layer_penalty=l2_penalty, on_epoch=epoch_is_over)


def _seen_flop(net, pixels: int) -> float:  # noqa: ANN001
    """Operations of a step for a photo, of the part of it that our loop computes."""
    import torch

    from teliti.training.cpu_layers.cropping import seen_size

    photo, probe = torch.zeros(1, 3, pixels, pixels), copy.deepcopy(net).eval()
    height, width = seen_size(probe, photo)
    return flop_of_a_step(probe, photo[:, :, :height, :width])


def _our_setup(network: str, pixels: int, batch: int) -> tuple:
    from teliti.runtime import keep_freed_memory, quiet_environment

    quiet_environment()
    import numpy as np

    from teliti.models.networks import build_network, pool_before_activation
    from teliti.recipe import parse_recipe
    from teliti.recipe.train import TrainRecipe
    from teliti.training.batches import TrainingData

    keep_freed_memory()
    layers = {"backbone": "none", "layers": SMALL_CNN} if network == "small CNN" else {"backbone": network}
    model = parse_recipe({"model": {**layers, "weights": "random"}}).model
    net = build_network(model, num_outputs=CLASSES, image_size=(pixels, pixels), seed=SEED)
    pool_before_activation(net)
    count = EPOCH[network, pixels]
    file = Path(tempfile.mkdtemp()) / "photos.u8"
    cache = np.memmap(file, np.uint8, "w+", shape=(count, pixels, pixels, 3))
    cache[...] = np.random.default_rng(SEED).integers(0, 256, cache.shape, dtype=np.uint8)
    file.unlink()
    file.parent.rmdir()
    photos = TrainingData(
        images=cache, targets=np.arange(count) % CLASSES, train=np.arange(count), val=np.arange(0),
        task="classification", num_classes=CLASSES, mean=net.mean, std=net.std,
        names=[f"photo-{number}.png" for number in range(count)],
    )  # fmt: skip
    options = TrainRecipe.model_validate({
        "mode": "scratch", "batch_size": batch, "epochs": 100_000, "optimizer": "adam", "lr": LR,
        "schedule": "constant", "monitor": "train_loss", "device": "cpu", "compile": False,
    })  # fmt: skip
    return net, options, photos


EPOCH = {
    ("small CNN", 64): 6400, ("small CNN", 128): 2560, ("resnet50", 128): 960, ("resnet18", 128): 1280,
    ("resnet18", 224): 320,
    ("tf_efficientnet_lite0", 128): 1280,
}  # fmt: skip
"""Photos of an epoch of ours: a few seconds, but not so few photos that what ends an epoch weighs more than usual."""


def _objective(options):  # noqa: ANN001, ANN202
    from teliti.training.losses import make_objective

    return make_objective(options, task="classification", num_outputs=CLASSES)


def _bare(network: str, pixels: int, batch: int, *, choice: dict) -> Round:
    """Forward, backward and optimiser on one kept float batch, with what our loop chose and no loop around."""
    net, options, photos = _our_setup(network, pixels, batch)
    import torch

    from teliti.training.batches import InputMaker
    from teliti.training.cpu_layers.cropping import seen_size
    from teliti.training.cpu_layers.swapping import give_fast_layers
    from teliti.training.optim import make_optimizer, set_rate, step_side_by_side
    from teliti.training.parallel import Replicas
    from teliti.training.speed import quiet_torch, with_values
    from teliti.training.unfreeze import stages_of

    options = with_values(options, **choice)
    net.to(memory_format=torch.channels_last).train()
    calm = ExitStack()  # to the end of the process: without a name for it, it would end at once
    calm.enter_context(quiet_torch(options))
    replicas, optimizer = Replicas(net, int(options.replicas)), make_optimizer(net, stages_of(net, None), options)
    set_rate(optimizer, LR)
    x = InputMaker(photos, torch.device("cpu")).make(torch.from_numpy(photos.images[:batch].copy()))
    height, width = seen_size(net, x[:1])
    x = x[:, :, :height, :width]
    for own in replicas.nets:
        give_fast_layers(own)
    y = torch.arange(batch) % CLASSES
    pieces = torch.arange(batch).chunk(replicas.count)
    inputs = [(x[p[0] : p[-1] + 1].clone(memory_format=torch.channels_last), y[p]) for p in pieces]

    def part(place: int) -> None:
        photos_of_it, labels = inputs[place]
        with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
            logits = replicas.nets[place](photos_of_it)
        (torch.nn.functional.cross_entropy(logits.float(), labels, reduction="sum") / batch).backward()

    def step(_calm: ExitStack = calm) -> None:
        replicas.forget_gradients()
        replicas.run(part, replicas.count)
        replicas.collect_gradients()
        step_side_by_side(optimizer, replicas)

    return steps_for(step, batch)


SIDES: dict[str, Callable[[str, int, int], tuple[Round, dict]]] = {
    **PEERS,
    "peak, f32": lambda *_: (processor_peak("f32", seconds=ROUND_S / 10), {}),
    "peak, bf16": lambda *_: (processor_peak("bf16", seconds=ROUND_S / 10), {}),
}

if __name__ == "__main__":
    main()
