"""One side of bench_throughput.py: a process that trains one network with one library, a round at a time, on request.

    python training_sides.py SIDE NETWORK PIXELS BATCH [CHOICE]

It answers "ready {facts}" when its network is made and warm, and each line "round" with "{photos} {seconds}". Nothing
but the network's name is shared between sides, so that a side runs in the environment of its library. Ours answers
"bare steps", too: two processes of the same steps differ by several per cent in where their memory lies.
"""

from __future__ import annotations

import copy
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from peak import processor_peak

SEED, CLASSES, LR = 7, 2, 1e-3
ROUND_S = 2.5  # about; a side does as many whole steps as fit
Round = Callable[[], tuple[int, float]]
"""Trains for a while; photos and seconds."""

SMALL_CNN = [
    *({"kind": kind, **more} for filters in (32, 32, 64) for kind, more in (
        ("conv", {"filters": filters, "kernel_size": 3, "activation": "relu"}), ("max_pool", {"kernel_size": 2}))),
    {"kind": "flatten"}, {"kind": "dense", "units": 64, "activation": "relu"}, {"kind": "dropout", "rate": 0.5},
]  # fmt: skip
"""The network of Keras's old tutorial on few photos: three convolutions with pooling, 64 units, dropout."""


class Talk:
    """The conversation with the bench, over this process's input and output."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)  # what libraries print must not be taken for an answer

    def ready(self, facts: dict) -> None:
        """The side is made and warm."""
        print("ready", json.dumps(facts), file=self._answers)

    def words(self) -> Iterator[str]:
        """What is asked for, until the input ends."""
        return (line.strip() for line in sys.stdin)

    def answer(self, photos: int, seconds: float) -> None:
        """Of a round."""
        print(photos, seconds, file=self._answers)


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


def _steps_for(step: Callable[[], None], batch: int) -> Round:
    """A round of whole steps, their number fixed after a warm-up; a step that is still running counts as time."""
    for _ in range(3):
        step()
    began = time.perf_counter()
    step()
    step()
    count = max(2, round(ROUND_S / ((time.perf_counter() - began) / 2)))

    def work() -> tuple[int, float]:
        begin = time.perf_counter()
        done = 0
        while done < count and (done < 2 or time.perf_counter() - begin < 3 * ROUND_S):  # a busy machine: fewer
            step()
            done += 1
        return done * batch, time.perf_counter() - begin

    return work


# Ours.


def _train_ours(network: str, pixels: int, batch: int, *, talk: Talk, choice: dict) -> None:
    """Our loop as `teliti train` runs it, in the main thread: a round is an epoch, from the cache to its row."""
    net, options, photos = _our_setup(network, pixels, batch)
    import torch

    from teliti.models.networks import l2_penalty, stages
    from teliti.training.loop import fit_network
    from teliti.training.speed import choose_options, with_values

    net.to(memory_format=torch.channels_last).train()
    options = choose_options(net, photos, with_values(options, **choice), objective=_objective(options)).options
    chosen = {"precision": options.precision, "replicas": options.replicas}
    facts = {"parameters": sum(p.numel() for p in net.parameters()), "flop": _seen_flop(net, pixels), "choice": chosen}
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

    from teliti.training.cropping import seen_size

    photo, probe = torch.zeros(1, 3, pixels, pixels), copy.deepcopy(net).eval()
    height, width = seen_size(probe, photo)
    return _flop_of_a_step(probe, photo[:, :, :height, :width])


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
    from teliti.training.cropping import seen_size
    from teliti.training.fast_layers import give_fast_layers
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

    return _steps_for(step, batch)


# Plain torch and fastai.


def _plain(network: str, pixels: int, batch: int) -> tuple[Round, dict]:
    """The loop of torch's tutorials: float32, eager, Adam, nothing set."""
    import torch

    torch.manual_seed(SEED)
    net = _torch_network(network, pixels)
    optimizer, loss_of = torch.optim.Adam(net.parameters(), lr=LR), torch.nn.CrossEntropyLoss()
    x, y = torch.randn(batch, 3, pixels, pixels), torch.arange(batch) % CLASSES

    def step() -> None:
        optimizer.zero_grad()
        loss_of(net(x), y).backward()
        optimizer.step()

    count = sum(p.numel() for p in net.parameters())
    return _steps_for(step, batch), {"parameters": count, "flop": _flop_of_a_step(net, x) / batch}


def _flop_of_a_step(net, x) -> float:  # noqa: ANN001
    """Operations of forward and backward: three times the forward pass, but no gradient of the photos.

    torch's count of a backward pass takes depthwise convolutions for dense ones.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    first = next(module for module in net.modules() if isinstance(module, torch.nn.Conv2d))
    counts = []
    with torch.no_grad():
        for module in (net, first):
            with FlopCounterMode(display=False) as counter:
                module(x)
            counts.append(counter.get_total_flops())
    return 3 * counts[0] - counts[1]


def _torch_network(network: str, pixels: int):  # noqa: ANN202
    from torch import nn

    if network != "small CNN":
        import timm

        return timm.create_model(network, num_classes=CLASSES)
    side = pixels
    for _ in range(3):
        side = (side - 2) // 2
    return nn.Sequential(
        nn.Conv2d(3, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64 * side * side, 64), nn.ReLU(),
        nn.Dropout(0.5), nn.Linear(64, CLASSES),
    )  # fmt: skip


def _fastai(network: str, pixels: int, batch: int) -> tuple[Round, dict]:
    """A Learner on photos that are float tensors in memory already; a round is epochs without validation."""
    import torch
    from fastai.callback.core import Callback, CancelValidException
    from fastai.data.core import DataLoaders
    from fastai.data.load import DataLoader
    from fastai.learner import Learner
    from torchvision.models import resnet18

    class NoValidation(Callback):
        """An epoch is its steps."""

        def before_validate(self) -> None:
            raise CancelValidException

    torch.manual_seed(SEED)
    net = {"resnet18": resnet18}[network](num_classes=CLASSES)
    count = 4 * batch
    photos = [(torch.randn(3, pixels, pixels), torch.tensor(number % CLASSES)) for number in range(count)]
    loader = DataLoader(photos, bs=batch, shuffle=True, num_workers=0)
    learner = Learner(DataLoaders(loader, loader), net, loss_func=torch.nn.CrossEntropyLoss(), lr=LR,
                      cbs=[NoValidation()])  # fmt: skip

    def epoch() -> None:
        with learner.no_logging():
            learner.fit(1)

    return _steps_for(epoch, count), {"parameters": sum(p.numel() for p in net.parameters())}


# Keras.


def _keras(network: str, pixels: int, batch: int, *, backend: str, policy: str = "float32") -> tuple[Round, dict]:
    """`compile` and `fit` with their defaults (TensorFlow), `train_on_batch` (torch, where `fit` is the same loop)."""
    os.environ["KERAS_BACKEND"] = backend
    import keras
    import numpy as np

    keras.utils.set_random_seed(SEED)
    keras.mixed_precision.set_global_policy(policy)
    net = {"small CNN": _keras_small_cnn, "resnet50": _keras_resnet50}[network](keras, pixels)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(optimizer=keras.optimizers.Adam(LR), loss=loss)
    x = np.random.default_rng(SEED).standard_normal((batch, pixels, pixels, 3)).astype(np.float32)
    y = np.arange(batch) % CLASSES
    facts = {"parameters": sum(int(np.prod(weight.shape)) for weight in net.trainable_weights)}
    if backend != "tensorflow":
        import torch

        x, y = torch.from_numpy(x), torch.from_numpy(y)
        return _steps_for(lambda: net.train_on_batch(x, y), batch), facts
    return _keras_fit(net, x, y), facts


def _keras_fit(net, x, y) -> Round:  # noqa: ANN001
    import tensorflow as tf

    kept = tf.data.Dataset.from_tensors((x, y)).repeat().prefetch(2)

    def fit(steps: int) -> float:
        begin = time.perf_counter()
        net.fit(kept, steps_per_epoch=steps, epochs=1, verbose=0)
        return time.perf_counter() - begin

    fit(3)
    steps = max(2, round(ROUND_S / (fit(4) / 4)))

    def work() -> tuple[int, float]:
        return steps * len(x), fit(steps)

    return work


def _keras_small_cnn(keras, pixels: int):  # noqa: ANN001, ANN202
    layers = keras.layers
    hidden = [layer for filters in (32, 32, 64) for layer in
              (layers.Conv2D(filters, 3, activation="relu"), layers.MaxPooling2D(2))]  # fmt: skip
    return keras.Sequential([
        keras.Input((pixels, pixels, 3)), *hidden, layers.Flatten(), layers.Dense(64, activation="relu"),
        layers.Dropout(0.5), layers.Dense(CLASSES, dtype="float32"),
    ])  # fmt: skip


def _keras_resnet50(keras, pixels: int):  # noqa: ANN001, ANN202
    """The layers of timm's and torchvision's ResNet50 (stride in the 3x3, no biases); Keras's own has others."""
    layers = keras.layers

    def conv(x, filters: int, size: int, *, stride: int = 1, relu: bool = True):  # noqa: ANN001, ANN202
        if size > 1:
            x = layers.ZeroPadding2D(size // 2)(x)
        x = layers.Conv2D(filters, size, stride, use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
        return layers.ReLU()(x) if relu else x

    given = keras.Input((pixels, pixels, 3))
    x = conv(given, 64, 7, stride=2)
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = 64 * 2**stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            short = x if block else conv(x, 4 * width, 1, stride=stride, relu=False)
            x = conv(conv(conv(x, width, 1), width, 3, stride=stride), 4 * width, 1, relu=False)
            x = layers.ReLU()(layers.Add()([x, short]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(given, layers.Dense(CLASSES, dtype="float32")(x))


SIDES: dict[str, Callable[[str, int, int], tuple[Round, dict]]] = {
    "plain torch": _plain,
    "fastai": _fastai,
    "Keras + TensorFlow": lambda *where: _keras(*where, backend="tensorflow"),
    "Keras + TensorFlow, bf16": lambda *where: _keras(*where, backend="tensorflow", policy="mixed_bfloat16"),
    "Keras + torch": lambda *where: _keras(*where, backend="torch"),
    "peak, f32": lambda *_: (processor_peak("f32", seconds=ROUND_S / 10), {}),
    "peak, bf16": lambda *_: (processor_peak("bf16", seconds=ROUND_S / 10), {}),
}

if __name__ == "__main__":
    main()
