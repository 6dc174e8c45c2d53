"""A trained network in the shape that every inspector has: a network that gives features, and a head behind it.

The network's closing layer becomes the head, its calibration folded in, so that packing, the exported graph and the
comparison with torch know one kind of inspector only. It is calibrated on photos that no step of the training learnt
from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from teliti.data.loading import map_ahead
from teliti.files import sha256_hex, write_bytes_atomic
from teliti.metrics.calibration import fit_platt
from teliti.models.heads import HeadWeights, head_module
from teliti.models.networks import Network, PhotoInput
from teliti.models.number_layers import NumberInput
from teliti.models.onnx_graph import append_partner, export_module
from teliti.recipe import ModelRecipe
from teliti.recipe.decide import Calibration
from teliti.training.features.backbone_file import BackboneFile
from teliti.training.heads.calibrate import choose_calibration
from teliti.transforms.steps_numbers import FittedNumbers
from teliti.types import IntArray, Record, Task, UInt8Image

_NO_LIMIT = 1e30  # a network's own features are never clipped
_BATCH = 4


class FeatureFront(nn.Module):
    """uint8 photos (N, H, W, 3) to the vector that a network's closing layer sees.

    Where that layer is not a plain linear one, the vector is the logits themselves. A partner's logits stand behind it.

    Args:
        network: Trained, in evaluation mode.
        numbers: The recipe's own number steps, in the place of the network's mean and std.
        partner: Another classifier of the same classes, (N, H, W, 3) uint8 to logits (N, K), for an ensemble.
    """

    def __init__(
        self, network: Network, numbers: NumberInput | None = None, *, partner: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.input = PhotoInput(network.mean, network.std) if numbers is None else numbers
        self.network = network
        self.closing = closing_layer(network)
        self.partner = partner

    def forward(self, image: Tensor) -> Tensor:
        """(N, H, W, 3) uint8 to (N, D) float32; with a partner (N, D + K)."""
        logits, features = self.network.logits_and_features(self.input(image))
        own = logits if self.closing is None else features
        return own if self.partner is None else torch.cat([own, self.partner(image)], dim=1)

    def with_partner(self, partner: nn.Module | None) -> FeatureFront:
        """The same network, answering together with another one, or alone; this one stays as it is."""
        joined = FeatureFront(self.network, partner=partner)
        joined.input = self.input
        return joined


def closing_layer(network: Network) -> nn.Linear | None:
    """The linear layer that turns features into logits; None where something else closes the network."""
    backbone, layers = network.backbone, network.layers
    last = backbone.get_classifier() if layers is None else layers[-1]  # type: ignore[union-attr, operator]
    return last if isinstance(last, nn.Linear) else None


def features_of(front: FeatureFront, photos: Iterable[UInt8Image]) -> NDArray[np.float32]:
    """(N, D) float32 of prepared photos (H, W, 3) uint8, on the CPU, a few at a time and a core each.

    The maps of a few photos stay in a core's own cache; a team of all threads on 32 photos takes twice as long, and
    twenty times as long where another program has one of the cores.
    """
    threads = torch.get_num_threads()
    copies = 1 if front.partner is not None else threads  # a frozen partner writes down its maps: one call at a time

    def answer(batch: UInt8Image) -> NDArray[np.float32]:
        torch.set_num_threads(1)  # of this thread
        with torch.inference_mode():
            return np.asarray(front(torch.from_numpy(batch)).numpy())

    try:
        return np.concatenate(list(map_ahead(answer, _batches(photos), threads=copies, ahead=1)))
    finally:
        torch.set_num_threads(threads)  # of those to come


class HeadOnFeatures(nn.Module):
    """A features-mode classifier as one module, as a front's partner: uint8 photos to calibrated logits (N, K).

    Args:
        net: (N, H, W, 3) uint8 to features (N, D).
        head: Fitted on such features.
        exported: Where the net stands as ONNX, `image` to `features`; None: nowhere yet.
    """

    def __init__(self, net: nn.Module, head: HeadWeights, *, exported: Path | None = None) -> None:
        super().__init__()
        self.net, self.num_features = net, head.num_features
        self.head = head_module(head)
        self.exported = exported

    def forward(self, image: Tensor) -> Tensor:
        """(N, H, W, 3) uint8 to (N, K) float32."""
        logits: Tensor = self.head(self.net(image))[0]
        return logits


def make_head(front: FeatureFront, *, task: Task) -> HeadWeights:
    """The closing layer as a head, not calibrated yet: one column for each logit of the network.

    With a partner a logit is the mean of both networks' (the normalised geometric mean of their probabilities).

    Args:
        front: The network.
        task: What the outputs are.
    """
    layer = front.closing
    if layer is None:
        with torch.inference_mode():
            photo = torch.zeros((1, *front.network.facts.image_size, 3), dtype=torch.uint8)
            size = front.network(front.input(photo)).shape[1]
        weight, bias = np.eye(size, dtype=np.float32), np.zeros(size, np.float32)
    else:
        weight = layer.weight.detach().numpy().T
        bias = np.zeros(weight.shape[1], np.float32) if layer.bias is None else layer.bias.detach().numpy()
    if weight.shape[1] == 2 and task == "classification":  # a head of two classes keeps the log-odds of the second
        weight, bias = weight[:, 1:] - weight[:, :1], bias[1:] - bias[:1]
    if front.partner is not None:
        theirs = np.eye(weight.shape[1]) if weight.shape[1] > 1 else np.array([[-1.0], [1.0]])
        weight = np.concatenate([weight, theirs.astype(np.float32)]) * np.float32(0.5)
        bias = bias * np.float32(0.5)
    size = len(weight)
    return HeadWeights(
        np.zeros(size, np.float32), np.ones(size, np.float32), np.ascontiguousarray(weight, np.float32),
        np.ascontiguousarray(bias, np.float32), limit=_NO_LIMIT,
        is_regression=task == "regression", is_multilabel=task == "multilabel",
    )  # fmt: skip


def calibrate_head(
    head: HeadWeights, features: NDArray[np.float32], labels: IntArray, *, folds: IntArray, asked: Calibration = "auto"
) -> tuple[HeadWeights, Record]:
    """The head with its calibration folded in; as it is where a class is missing among the photos.

    Labels are calibrated each by itself, where the photos have both sides of it.

    Args:
        head: A classifier from `make_head`.
        features: (N, D) of photos that were not learnt from.
        labels: (N,) class indices; (N, K) of 0 and 1 for labels.
        folds: (N,) int, by which "auto" chooses; photos that belong together share one.
        asked: The recipe's decide.calibration.

    Returns:
        The head, and {"calibration", "calibration_choice"}: the way's name, None without one, and how it was chosen.
    """
    logits = head.logits(features)
    if head.is_multilabel:
        way = "none" if asked == "none" else "platt"
        return (head if asked == "none" else _calibrate_labels(head, logits, labels)), {"calibration": way}
    if len(np.unique(labels)) < logits.shape[1]:
        return head, {"calibration": None}
    decisions = logits[:, 1:] if logits.shape[1] == 2 else logits
    found, choice = choose_calibration(asked, decisions, labels, folds=folds)
    weight, bias = head.weight * found.slope, head.bias * found.slope + np.asarray(found.intercepts)
    calibrated = replace(head, weight=weight.astype(np.float32), bias=bias.astype(np.float32), bend=found.bend)
    return calibrated, {"calibration": found.way, "calibration_choice": choice}


def _calibrate_labels(head: HeadWeights, logits: NDArray[np.float32], labels: IntArray) -> HeadWeights:
    slopes, intercepts = np.ones(logits.shape[1]), np.zeros(logits.shape[1])
    for k in range(logits.shape[1]):
        if 0 < labels[:, k].sum() < len(labels):
            platt = fit_platt(logits[:, k], labels[:, k] > 0)
            slopes[k], intercepts[k] = platt.slope, platt.intercept
    weight, bias = head.weight * slopes, head.bias * slopes + intercepts
    return replace(head, weight=weight.astype(np.float32), bias=bias.astype(np.float32))


def save_front(
    front: FeatureFront,
    model: ModelRecipe,
    *,
    path: Path,
    facts: Record,
    seed: int,
    numbers: FittedNumbers | None = None,
) -> BackboneFile:
    """Export the network up to its features.

    Args:
        front: The network.
        model: The recipe's [model].
        path: The ONNX file to write.
        facts: What is known of it: backbone, weights, licence.
        seed: Of the run.
        numbers: What the front's number steps were made from.

    Raises:
        StorageError: the disk is full.
    """
    network = front.network
    example = torch.zeros((2, *network.facts.image_size, 3), dtype=torch.uint8)
    with torch.inference_mode():
        dimensions = int(front(example).shape[1])
    graph = _export_front(front, example)
    write_bytes_atomic(path, graph)
    whole = {
        **facts,
        "stages": [],
        "pooling": "the network's own",
        "dimensions": dimensions,
        "mean": list(network.mean) if numbers is None else None,
        "std": list(network.std) if numbers is None else None,
        "image_size": list(network.facts.image_size),
    }
    return BackboneFile(sha256_hex(graph)[:32], path, model, seed, whole, numbers, module=lambda: front)


def _export_front(front: FeatureFront, example: Tensor) -> bytes:
    """`image` to `features`; a partner whose network is a file already is put beside: tracing takes many seconds."""
    partner = front.partner
    if not isinstance(partner, HeadOnFeatures) or partner.exported is None or not partner.exported.is_file():
        return export_module(front, example, input_name="image", output_names=["features"])
    alone = export_module(front.with_partner(None).eval(), example, input_name="image", output_names=["features"])
    features = torch.zeros(2, partner.num_features)
    head = export_module(partner.head, features, input_name="features", output_names=["logits", "probs"])
    return append_partner(alone, partner.exported.read_bytes(), head)


def _batches(photos: Iterable[UInt8Image]) -> Iterator[UInt8Image]:
    batch: list[UInt8Image] = []
    for photo in photos:
        batch.append(np.asarray(photo))
        if len(batch) == _BATCH:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)
