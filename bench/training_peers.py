"""The other sides of bench_throughput.py: plain torch, fastai, and Keras on TensorFlow and on torch.

Each makes its network and gives a round with what it tells about itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from training_rounds import CLASSES, LR, ROUND_S, SEED, Round, flop_of_a_step, steps_for


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
    return steps_for(step, batch), {"parameters": count, "flop": flop_of_a_step(net, x) / batch}


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

    return steps_for(epoch, count), {"parameters": sum(p.numel() for p in net.parameters())}


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
        return steps_for(lambda: net.train_on_batch(x, y), batch), facts
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


PEERS: dict[str, Callable[[str, int, int], tuple[Round, dict]]] = {
    "plain torch": _plain,
    "fastai": _fastai,
    "Keras + TensorFlow": lambda *where: _keras(*where, backend="tensorflow"),
    "Keras + TensorFlow, bf16": lambda *where: _keras(*where, backend="tensorflow", policy="mixed_bfloat16"),
    "Keras + torch": lambda *where: _keras(*where, backend="torch"),
}
