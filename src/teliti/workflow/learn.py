"""The network modes: a network learns from the photos themselves, "finetune" from given weights, "scratch" from none.

What comes out has the shape that every inspector has (`Candidate`): the trained network up to its features in place of
the frozen backbone, its closing layer as the head. Everything behind it is the same for all modes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from teliti.data.beside import beside_of
from teliti.data.loading import load_prepared
from teliti.data.split import fewest_groups, fold_samples
from teliti.errors import PhotoRefused, RecipeError
from teliti.models.compact import COMPACT, plan_network
from teliti.models.weights import find_weights
from teliti.recipe import Recipe, override_recipe
from teliti.recipe.model import NO_BACKBONE
from teliti.recipe.train import NETWORK_MODES
from teliti.runtime import default_threads, installed_versions, keep_freed_memory, require
from teliti.training.engines import EngineChoice
from teliti.training.features import FeatureSource
from teliti.transforms.augment import build_augment
from teliti.transforms.prepare import PrepareChain
from teliti.types import FloatArray, IntArray, Record, Reporter, Sample, UInt8Image
from teliti.workflow.epochs import record_learning, record_network, tell_epochs, write_epoch_files
from teliti.workflow.fit import VALIDATION, Candidate, Fit, outputs_of, validation_loss
from teliti.workflow.photos import Photos
from teliti.workflow.plan import SplitPlan
from teliti.workflow.setup import Setup, build_recipe_chain
from teliti.workflow.stopwatch import Stopwatch

if TYPE_CHECKING:
    from teliti.models.networks import Network
    from teliti.training.batches import TrainingData
    from teliti.training.loop import Fitted
    from teliti.training.trained_net import FeatureFront

HELD_OUT = "held-out training photos"
CHECKPOINTS, NETWORK_FILE = "checkpoints", "network.onnx"
_HELD_OUT_FOLDS = 6  # without a val part, one sixth of the training photos chooses the epoch


def learns_network(recipe: Recipe) -> bool:
    """True for the modes in which a network itself is trained."""
    return recipe.train.mode in NETWORK_MODES


def settle_network_recipe(recipe: Recipe) -> Recipe:
    """What the network modes take for granted: one split, random weights from scratch, photos of at most 224 pixels.

    Raises:
        RecipeError: folds.
    """
    if not learns_network(recipe):
        return recipe
    if recipe.data.folds not in {"auto", 0}:
        raise RecipeError(
            f"data.folds must be 0 with train.mode = {recipe.train.mode}, got {recipe.data.folds}.",
            hint="A network is trained once; use the features mode for folds.",
        )
    values: Record = {"data": {"folds": 0}}
    if recipe.train.mode == "scratch" and recipe.model.weights == "auto":
        values["model"] = {"weights": "random"}
    if recipe.train.batch_norm == "auto":
        keeps = recipe.train.mode == "finetune" and recipe.model.weights != "random"
        values["train"] = {"batch_norm": "keep" if keeps else "learn"}
    return override_recipe(recipe, values)


def check_network(recipe: Recipe, *, num_classes: int) -> None:
    """Find in a moment what would stop the training later. Imports no torch.

    Args:
        recipe: From `resolve_data`.
        num_classes: 0 for a regression.

    Raises:
        RecipeError: layers that do not fit together, weights that cannot be used, or steps that need another mode.
    """
    chain = build_recipe_chain(recipe)
    if chain.tile is not None or chain.numbers:
        step = "tile" if chain.tile is not None else str(chain.numbers[0].model_dump()["step"])
        raise RecipeError(
            f"The prepare step {step} must not stand in a recipe with train.mode = {recipe.train.mode}.",
            hint="Take it out, or use the features mode.",
        )
    plan_network(recipe.model, num_outputs=_num_outputs(recipe, num_classes), image_size=chain.image_size)
    if _is_timm(recipe):
        find_weights(recipe.model.backbone, recipe.model.weights)


def learn_network(
    recipe: Recipe, photos: Photos, plan: SplitPlan, *, folder: Path, watch: Stopwatch, reporter: Reporter
) -> Candidate:
    """Train the recipe's network; a run that was interrupted goes on from its checkpoint.

    Args:
        recipe: From `resolve_data`.
        photos: All photos.
        plan: Without folds.
        folder: The run's, for checkpoints.
        watch: The stages "learn" and "backbone" are timed.
        reporter: Told about long work.

    Raises:
        RecipeError: see `check_network`.
        RunError: the loss is no longer finite, or the disk is full.
    """
    clock = Stopwatch()
    lesson = teach(recipe, photos, plan, folder=folder / CHECKPOINTS, watch=watch, reporter=reporter)
    from teliti.training.trained_net import save_front

    with watch.stage("backbone"), reporter.task("Exporting the network", 1) as advance:
        count = sum(parameter.numel() for parameter in lesson.front.network.parameters())
        facts = {**_facts(recipe), "parameters": count}
        backbone = save_front(lesson.front, recipe.model, path=folder / NETWORK_FILE, facts=facts, seed=recipe.seed)
        advance(1)
    options = lesson.fitted.options
    engine = EngineChoice("torch", options.precision, installed_versions(("torch",))["torch"])
    threads = recipe.train.threads or default_threads()
    source = FeatureSource(build_recipe_chain(recipe), backbone, engine, threads)
    resolved = override_recipe(recipe, {"train": options.model_dump(mode="json", exclude_none=True)})
    setup = Setup(resolved, backbone, engine, source)
    network = record_network(lesson.fitted, lesson.front.network)
    fit = replace(lesson.fit, history={**lesson.fit.history, "network": network})
    write_epoch_files(folder, fit.history["rows"])
    return Candidate(setup, fit, validation_loss(fit, photos), 0, clock.elapsed())


@dataclass(frozen=True, eq=False)
class Lesson:
    """A trained network.

    Attributes:
        front: The network up to its features, on the CPU.
        fitted: How it learnt.
        fit: Its closing layer as a head, with the outputs that the threshold is chosen on.
    """

    front: FeatureFront
    fitted: Fitted
    fit: Fit


def teach(
    recipe: Recipe, photos: Photos, plan: SplitPlan, *, folder: Path | None, watch: Stopwatch, reporter: Reporter
) -> Lesson:
    """Train the recipe's network and calibrate it.

    Args:
        recipe: From `resolve_data`.
        photos: All photos.
        plan: Without folds.
        folder: For checkpoints; None: none are kept.
        watch: The stage "learn" is timed.
        reporter: Told about long work.

    Raises:
        RecipeError: see `check_network`.
        RunError: the loss is no longer finite, or the disk is full.
    """
    check_network(recipe, num_classes=len(photos.catalog.classes))
    for library in ("torch", "timm", "safetensors"):
        require(library, extra="train", purpose=f"train in mode {recipe.train.mode}")
    from teliti.models.networks import build_network, l2_penalty, pool_before_activation, stages
    from teliti.training.loop import fit_network
    from teliti.training.trained_net import FeatureFront

    keep_freed_memory()
    chain, parts = build_recipe_chain(recipe), _learning_parts(photos, plan, seed=recipe.seed)
    outputs = _num_outputs(recipe, len(photos.catalog.classes))
    network = build_network(recipe.model, num_outputs=outputs, image_size=chain.image_size, seed=recipe.seed)
    pool_before_activation(network)
    with prepared_pictures(photos, parts.used, chain, recipe=recipe, reporter=reporter) as pictures:
        targets = _Targets.of(photos, parts.used)
        data = _training_data(pictures, targets, parts, recipe=recipe, photos=photos, network=network)
        # a comparison of many trainings, which keeps nothing, does not show each one's epochs either
        tell = None if folder is None else tell_epochs(reporter, data, recipe.train, scale=targets.std)
        with watch.stage("learn"):
            fitted = fit_network(
                network, data, recipe.train, seed=recipe.seed, stages=stages(network), layer_penalty=l2_penalty,
                folder=folder, reporter=reporter, on_epoch=tell,
            )  # fmt: skip
        front = FeatureFront(network.cpu())
        history = record_learning(fitted, data, recipe, chooser=parts.name, scale=targets.std)
        fit = _fit_of(front, history, pictures[data.val], parts=parts, targets=targets, photos=photos)
    return Lesson(front, fitted, fit)


def answer_by_network(
    lesson: Lesson, recipe: Recipe, photos: Photos, *, indices: IntArray, reporter: Reporter
) -> FloatArray:
    """A trained network's outputs for some photos, (M, K) probabilities or (M, 1) numbers, without an exported file.

    Args:
        lesson: From `teach`.
        recipe: From `resolve_data`.
        photos: All photos.
        indices: (M,) positions of the photos that are asked about.
        reporter: Told about long work.
    """
    from teliti.training.trained_net import features_of

    chain = build_recipe_chain(recipe)
    with prepared_pictures(photos, indices, chain, recipe=recipe, reporter=reporter) as pictures:
        return outputs_of(lesson.fit.head, features_of(lesson.front, pictures))


@contextmanager
def prepared_pictures(
    photos: Photos, indices: IntArray, chain: PrepareChain, *, recipe: Recipe, reporter: Reporter
) -> Iterator[UInt8Image]:
    """Prepared photos as one array in a temporary file: decoded and prepared once, however many epochs follow.

    Args:
        photos: All photos.
        indices: (M,) positions of those that are wanted.
        chain: Without tiles.
        recipe: For the number of threads.
        reporter: Told how far it is.

    Yields:
        (M, height, width, 3) uint8, in the order of `indices`; a memory map that is gone afterwards.

    Raises:
        PhotoRefused: a photo changed since it was read.
    """
    samples = [photos.samples[index] for index in indices]
    shape = (len(samples), *chain.image_size, 3)

    def prepare(image: UInt8Image, sample: Sample) -> UInt8Image:
        return chain(image, beside=beside_of(sample.origin))

    threads = recipe.train.threads or default_threads()
    with tempfile.TemporaryFile(prefix="teliti-pictures-") as file:
        pictures = np.memmap(file, dtype=np.uint8, mode="w+", shape=shape)
        with reporter.task("Preparing photos", len(samples)) as advance:
            for index, picture in load_prepared(samples, prepare, threads=threads, read=photos.decoded.read):
                if isinstance(picture, PhotoRefused):
                    raise PhotoRefused(f'"{samples[index].name}" changed while it was used: {picture.reason}')
                pictures[index] = picture
                advance(1)
        yield pictures
        del pictures


@dataclass(frozen=True)
class _Targets:
    """What the network learns: class indices, or numbers brought to mean 0 and deviation 1."""

    values: NDArray[Any]
    mean: float = 0.0
    std: float = 1.0

    @classmethod
    def of(cls, photos: Photos, used: IntArray) -> _Targets:
        own = photos.targets[used]
        if photos.catalog.task != "regression":
            return cls(own)
        mean, std = float(own.mean()), float(own.std()) or 1.0
        return cls(((own - mean) / std).astype(np.float32), mean, std)


@dataclass(frozen=True)
class _Parts:
    """Who learns, and who chooses epoch, calibration and threshold: positions among all photos."""

    learn: IntArray
    hold: IntArray
    name: str

    @property
    def used(self) -> IntArray:
        return np.sort(np.concatenate([self.learn, self.hold]))


def _learning_parts(photos: Photos, plan: SplitPlan, *, seed: int) -> _Parts:
    train, val = plan.indices("train"), plan.indices("val")
    if len(val):
        return _Parts(train, val, VALIDATION)
    targets, groups = photos.targets[train], plan.groups[train]
    folds = int(np.clip(fewest_groups(targets, groups), 2, _HELD_OUT_FOLDS))
    inside = fold_samples(targets, groups, folds=folds, seed=seed) == 0
    return _Parts(train[~inside], train[inside], HELD_OUT)


def _training_data(
    pictures: UInt8Image, targets: _Targets, parts: _Parts, *, recipe: Recipe, photos: Photos, network: Network
) -> TrainingData:
    from teliti.training.batches import TrainingData

    steps = [step.model_dump() for step in recipe.augment]
    is_regression = photos.catalog.task == "regression"
    return TrainingData(
        images=pictures,
        targets=targets.values,
        train=np.searchsorted(parts.used, parts.learn),
        val=np.searchsorted(parts.used, parts.hold),
        task="regression" if is_regression else "classification",
        num_classes=1 if is_regression else len(photos.catalog.classes),
        mean=network.mean,
        std=network.std,
        names=[photos.samples[index].name for index in parts.used],
        class_names=photos.catalog.classes,
        augment=build_augment(steps) if steps else None,
    )


def _fit_of(
    front: FeatureFront,
    history: Record,
    held: UInt8Image,
    *,
    parts: _Parts,
    targets: _Targets,
    photos: Photos,
) -> Fit:
    """The closing layer as a head, calibrated on the photos that chose the epoch."""
    from teliti.training.trained_net import calibrate_head, features_of, make_head

    is_regression = photos.catalog.task == "regression"
    features = features_of(front, held)
    head = make_head(front, is_regression=is_regression)
    if is_regression:
        weight, bias = head.weight * targets.std, head.bias * targets.std + targets.mean
        head = replace(head, weight=weight.astype(np.float32), bias=bias.astype(np.float32))
    else:
        head = calibrate_head(head, features, photos.targets[parts.hold])
    return Fit(head, history, parts.hold, outputs_of(head, features), parts.name)


def _num_outputs(recipe: Recipe, num_classes: int) -> int:
    """Outputs of the network: one for numbers and for two classes behind one sigmoid, else one for each class."""
    if num_classes == 0 or (num_classes == 2 and recipe.train.loss in {"binary_cross_entropy", "perceptron"}):
        return 1
    return num_classes


def _is_timm(recipe: Recipe) -> bool:
    return recipe.model.backbone not in {*COMPACT, NO_BACKBONE}


def _facts(recipe: Recipe) -> Record:
    weights: Record = {"kind": "random", "sha256": None, "licence": None, "file": None}
    if _is_timm(recipe):
        found = find_weights(recipe.model.backbone, recipe.model.weights)
        weights = {"kind": found.kind, "sha256": found.sha256, "licence": found.licence,
                   "file": found.path.name if found.path else None}  # fmt: skip
    return {"backbone": recipe.model.backbone, "weights": weights}
