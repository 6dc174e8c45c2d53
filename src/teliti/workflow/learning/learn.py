"""The network modes: a network learns from the photos themselves, "finetune" from given weights, "scratch" from none.

What comes out has the shape that every inspector has (`Candidate`): the trained network up to its features in place of
the frozen backbone, its closing layer as the head. Everything behind it is the same for all modes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from teliti.errors import RecipeError
from teliti.models.compact import COMPACT, plan_network
from teliti.models.weights import find_weights
from teliti.recipe import Recipe, override_recipe
from teliti.recipe.model import NO_BACKBONE
from teliti.recipe.train import NETWORK_MODES
from teliti.runtime import default_threads, installed_versions, keep_freed_memory, require, torch_device
from teliti.training.features.backbone_file import number_layers
from teliti.training.features.engines import EngineChoice, check_device
from teliti.training.features.extraction import FeatureSource
from teliti.transforms.augment import build_augment
from teliti.transforms.prepare import PrepareChain
from teliti.transforms.steps_numbers import FittedNumbers, fit_numbers
from teliti.types import Catalog, FloatArray, IntArray, Record, Reporter
from teliti.workflow.learning.epochs import EpochFiles, record_learning, record_network, tell_epochs
from teliti.workflow.learning.fit import (
    Candidate,
    Fit,
    check_combine,
    validation_loss,
)
from teliti.workflow.learning.learnt_head import (
    Schooling,
    answers_of,
    close_network,
    front_features,
)
from teliti.workflow.learning.parts import LearningParts, LearningTargets, divide_learning
from teliti.workflow.learning.second_opinion import SecondOpinion, ask_frozen_network, has_second_opinion
from teliti.workflow.learning.time_left import leave_for_epochs
from teliti.workflow.shared.photos import Photos
from teliti.workflow.shared.pictures import Pictures, prepared_pictures
from teliti.workflow.shared.plan import SplitPlan
from teliti.workflow.shared.setup import Setup, build_recipe_chain
from teliti.workflow.shared.stopwatch import Stopwatch

if TYPE_CHECKING:
    from teliti.models.networks import Network
    from teliti.training.batches import TrainingData
    from teliti.training.heads.trained_net import FeatureFront
    from teliti.training.loop import Fitted

CHECKPOINTS, NETWORK_FILE = "checkpoints", "network.onnx"
_FROZEN_STAGES = 3  # edges and textures: they learn little on a few thousand photos, and cost half of a step


TWO_CLASSES = Catalog("", (), (), "classification", ("a", "b"))


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
    if recipe.model.weights == "auto" and (recipe.train.mode == "scratch" or not _is_timm(recipe)):
        recipe = override_recipe(recipe, {"model": {"weights": "random"}})  # own layers come without any
    keeps = recipe.train.mode == "finetune" and recipe.model.weights != "random"
    settled: Record = {}
    if recipe.train.batch_norm == "auto":
        settled["batch_norm"] = "keep" if keeps else "learn"
    if recipe.train.frozen_stages == "auto":
        settled["frozen_stages"] = _FROZEN_STAGES if keeps and _is_timm(recipe) else 0
    if not keeps:
        settled["frozen_depthwise"] = False
    if not has_second_opinion(recipe):
        if recipe.train.ensemble is True:
            raise _no_ensemble(f"train.mode is {recipe.train.mode} with model.weights {recipe.model.weights}")
        settled |= {"soft_targets": 0.0, "ensemble": False}
    values["train"] = settled
    return override_recipe(recipe, values)


def _no_ensemble(found: str) -> RecipeError:
    return RecipeError(
        "train.ensemble needs a network of classes whose weights are given and that is fine-tuned, and " + found + ".",
        hint="Leave train.ensemble out, or fine-tune a pretrained network.",
    )


def check_machine(recipe: Recipe) -> None:
    """Find in a moment that this machine has no GPU where the recipe asks for one.

    Raises:
        RecipeError: so it is, or an engine that knows no GPU is to compute the features on one.
    """
    engine = "auto" if learns_network(recipe) else recipe.train.engine  # of a network's features, not of its training
    check_device(engine, recipe.train.device)


def check_network(recipe: Recipe, catalog: Catalog = TWO_CLASSES) -> None:
    """Find in a moment what would stop the training later. Imports no torch.

    Args:
        recipe: From `resolve_data`.
        catalog: For the number of outputs; photos of two classes where none were read yet.

    Raises:
        RecipeError: layers that do not fit together, weights that cannot be used, or an ensemble of labels or numbers.
    """
    if recipe.train.ensemble is True and catalog.task != "classification":
        raise _no_ensemble(f"the task is {catalog.task}")
    chain = build_recipe_chain(recipe)
    plan_network(recipe.model, num_outputs=num_network_outputs(recipe, catalog), image_size=chain.image_size)
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
    from teliti.training.heads.trained_net import save_front

    with watch.stage("backbone"), reporter.task("Exporting the network", 1) as advance:
        count = sum(parameter.numel() for parameter in lesson.front.parameters())
        facts = {**_facts(recipe), "parameters": count}
        backbone = save_front(
            lesson.front, recipe.model, path=folder / NETWORK_FILE, facts=facts, seed=recipe.seed,
            numbers=lesson.numbers,
        )  # fmt: skip
        advance(1)
    options = lesson.fitted.options
    version, device = installed_versions(("torch",))["torch"], torch_device(options.device)
    engine = EngineChoice("torch", options.precision, version, device=device)
    threads = recipe.train.threads or default_threads()
    source = FeatureSource(build_recipe_chain(recipe), backbone, engine, threads)
    chosen = {"budget": recipe.train.budget, "ensemble": lesson.front.partner is not None}
    values = {**options.model_dump(mode="json", exclude_none=True), **chosen}
    resolved = override_recipe(recipe, {"train": values})
    setup = Setup(resolved, backbone, engine, source, lesson.numbers)
    network = record_network(lesson.fitted, lesson.front.network)
    fit = replace(lesson.fit, history={**lesson.fit.history, "network": network})
    return Candidate(setup, fit, validation_loss(fit, photos), 0, clock.elapsed())


@dataclass(frozen=True, eq=False)
class Lesson:
    """A trained network.

    Attributes:
        front: The network up to its features, on the CPU.
        fitted: How it learnt.
        fit: Its closing layer as a head, with the outputs that the threshold is chosen on.
        numbers: The recipe's number steps, fitted on the photos that were learnt from; None where it has none.
    """

    front: FeatureFront
    fitted: Fitted
    fit: Fit
    numbers: FittedNumbers | None


def teach(
    recipe: Recipe, photos: Photos, plan: SplitPlan, *, folder: Path | None, watch: Stopwatch, reporter: Reporter,
    on_epoch: Callable[[Record], None] | None = None,
) -> Lesson:  # fmt: skip
    """Train the recipe's network and calibrate it.

    Args:
        recipe: From `resolve_data`.
        photos: All photos.
        plan: Without folds.
        folder: For checkpoints, in the run's; None: nothing is kept.
        watch: The stage "learn" is timed.
        reporter: Told about long work.
        on_epoch: Called with each row of the history in the place of the reporter's table; may raise to stop it.

    Raises:
        RecipeError: see `check_network`.
        RunError: the loss is no longer finite, or the disk is full.
    """
    check_network(recipe, photos.catalog)
    for library in ("torch", "timm", "safetensors"):
        require(library, extra="train", purpose=f"train in mode {recipe.train.mode}")
    from teliti.models.networks import build_network, l2_penalty, pool_before_activation, stages
    from teliti.models.number_layers import NumberInput
    from teliti.training.heads.trained_net import FeatureFront
    from teliti.training.loop import fit_network

    keep_freed_memory()
    chain, parts = build_recipe_chain(recipe), divide_learning(photos, plan, seed=recipe.seed)
    _check_tiles(chain, recipe, photos)
    outputs = num_network_outputs(recipe, photos.catalog)
    network = build_network(recipe.model, num_outputs=outputs, image_size=chain.image_size, seed=recipe.seed)
    pool_before_activation(network)
    opinion = _second_opinion(recipe, photos, plan, parts=parts, watch=watch, reporter=reporter)
    with _pictures_of(recipe, photos, parts.used, reporter=reporter) as pictures:
        targets = LearningTargets.of(photos, parts.used)
        numbers = _fit_numbers(recipe, pictures, parts)
        front = FeatureFront(network, None if numbers is None else NumberInput(number_layers(numbers)))
        data = _training_data(
            pictures, targets, parts, recipe=recipe, photos=photos, network=network, numbers=numbers
        )  # fmt: skip
        options, partner = recipe.train, None if opinion is None else opinion.partner
        if opinion is not None:
            data = replace(data, shares=opinion.shares(data.targets, data.train, weight=options.soft_targets))
            options = options.model_copy(update={"engine": opinion.engine})  # a replay's targets are to be the same
        schooling = Schooling(recipe, photos, plan, parts, targets, pictures)
        if folder is not None and not folder.is_dir():  # a run that goes on has what it began with
            networks = 1 if partner is None else 2
            options = leave_for_epochs(options, front, schooling, networks=networks, watch=watch, reporter=reporter)
        with watch.stage("learn"), nullcontext() if folder is None else EpochFiles(folder.parent) as files:
            if on_epoch is None and files is not None:  # of many trainings that keep nothing, no epochs are shown
                on_epoch = tell_epochs(reporter, data, options, scale=targets.scale, files=files)
            fitted = fit_network(
                network, data, options, seed=recipe.seed, stages=stages(network), layer_penalty=l2_penalty,
                folder=folder, reporter=reporter, on_epoch=on_epoch,
            )  # fmt: skip
        network.cpu()
        history = record_learning(fitted, data, recipe, photos=parts.to_record(), scale=targets.scale)
        closed = close_network(front, history, schooling, partner=partner, has_novelty=folder is not None)
    return Lesson(closed.front, fitted, closed.fit, numbers)


def _second_opinion(
    recipe: Recipe, photos: Photos, plan: SplitPlan, *, parts: LearningParts, watch: Stopwatch, reporter: Reporter
) -> SecondOpinion | None:
    if photos.catalog.task != "classification" or not has_second_opinion(recipe):
        return None
    with watch.stage("second opinion"):
        return ask_frozen_network(recipe, photos, plan, learnt=parts.learn, held=parts.hold, reporter=reporter)


def answer_by_network(
    lesson: Lesson, recipe: Recipe, photos: Photos, *, indices: IntArray, reporter: Reporter
) -> FloatArray:
    """A trained network's outputs for some photos, (M, K) probabilities or numbers, without an exported file.

    Args:
        lesson: From `teach`.
        recipe: From `resolve_data`.
        photos: All photos.
        indices: (M,) positions of the photos that are asked about.
        reporter: Told about long work.
    """
    with _pictures_of(recipe, photos, indices, reporter=reporter) as pictures:
        asked = np.arange(len(indices))
        return answers_of(lesson.fit.head, front_features(lesson.front, pictures, asked), recipe=recipe, photos=photos)


def _check_tiles(chain: PrepareChain, recipe: Recipe, photos: Photos) -> None:
    """Before anything long."""
    if chain.tile is not None:
        check_combine(chain.combine, recipe, photos)


def _pictures_of(
    recipe: Recipe, photos: Photos, indices: IntArray, *, reporter: Reporter
) -> AbstractContextManager[Pictures]:
    threads = recipe.train.threads or default_threads()
    return prepared_pictures(photos, indices, build_recipe_chain(recipe), threads=threads, reporter=reporter)


def _fit_numbers(recipe: Recipe, pictures: Pictures, parts: LearningParts) -> FittedNumbers | None:
    """The recipe's number steps, fitted on the photos that are learnt from and on no other."""
    steps = build_recipe_chain(recipe).numbers
    learnt = pictures.rows_of(parts.places(parts.learn))
    return fit_numbers(steps, [pictures.images[row] for row in learnt]) if steps else None


def _training_data(
    pictures: Pictures,
    targets: LearningTargets,
    parts: LearningParts,
    *,
    recipe: Recipe,
    photos: Photos,
    network: Network,
    numbers: FittedNumbers | None,
) -> TrainingData:
    """What the network learns from: a tile is a picture like any other, with the target of its photo."""
    from teliti.models.number_layers import NumberInput
    from teliti.training.batches import TrainingData

    steps = [step.model_dump() for step in recipe.augment]
    return TrainingData(
        images=pictures.images,
        targets=targets.values[pictures.owners],
        train=pictures.rows_of(parts.places(parts.learn)),
        val=pictures.rows_of(parts.places(parts.hold)),
        task=photos.catalog.task,
        num_classes=photos.catalog.num_outputs,
        mean=network.mean,
        std=network.std,
        names=pictures.names([photos.samples[index].name for index in parts.used]),
        class_names=photos.catalog.classes,
        augment=build_augment(steps) if steps else None,
        numbers=None if numbers is None else NumberInput(number_layers(numbers)),
    )


def num_network_outputs(recipe: Recipe, catalog: Catalog) -> int:
    """Outputs of the network: one for each class, label or number; one for two classes behind one sigmoid."""
    is_one = recipe.train.loss in {"binary_cross_entropy", "perceptron"} and len(catalog.classes) == 2
    return 1 if is_one and catalog.task == "classification" else catalog.num_outputs


def _is_timm(recipe: Recipe) -> bool:
    return recipe.model.backbone not in {*COMPACT, NO_BACKBONE}


def _facts(recipe: Recipe) -> Record:
    weights: Record = {"kind": "random", "sha256": None, "licence": None, "file": None}
    if _is_timm(recipe):
        found = find_weights(recipe.model.backbone, recipe.model.weights)
        weights = {"kind": found.kind, "sha256": found.sha256, "licence": found.licence,
                   "file": found.path.name if found.path else None}  # fmt: skip
    return {"backbone": recipe.model.backbone, "weights": weights}
