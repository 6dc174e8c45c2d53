"""What the frozen network's own head says of the photos: softer targets, and a partner to answer with.

A label is right or wrong, and some are wrong. The head of the features mode is fitted in folds, so that each photo is
judged by a head that never saw it; its probabilities and the label together are what the network learns. After
G. Hinton, O. Vinyals and J. Dean (2015), with an out-of-fold teacher, which cannot repeat a wrong label from memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from teliti.cache import RowCache
from teliti.errors import RecipeError, RunError, SplitError
from teliti.models.compact import COMPACT
from teliti.models.heads import HeadWeights
from teliti.recipe import Recipe, override_recipe
from teliti.recipe.model import NO_BACKBONE
from teliti.recipe.train import TrainRecipe
from teliti.training.features.backbone_file import BackboneFile, load_feature_net
from teliti.training.features.extraction import Features, compute_features
from teliti.training.heads.linear import FittedHead, fit_head
from teliti.transforms.steps import NumberStep
from teliti.transforms.steps_numbers import Arrays, FittedNumbers
from teliti.types import FloatArray, IntArray, Reporter
from teliti.workflow.shared.photos import Photos
from teliti.workflow.shared.plan import SplitPlan
from teliti.workflow.shared.setup import Setup, fit_recipe_numbers, resolve_setup

if TYPE_CHECKING:
    from torch import nn

_SAVED = "partner."  # before the names of its arrays in a bundle
_NO_SHARE = 0.01  # less is nothing: few classes a photo keep the loss cheap


@dataclass(frozen=True, eq=False)
class Partner:
    """The frozen network and a head of it, which may answer together with the trained network.

    Attributes:
        head: Fitted on the photos that are learnt from and on those that choose the epoch.
        backbone: The frozen network in front of it.
        held_logits: (M, K) float32 for each picture of a photo that chooses, by a head that never saw it.
        learnt_logits: (L, K) float32 for each picture of a photo that is learnt from, by the head itself.
    """

    head: HeadWeights
    backbone: BackboneFile
    held_logits: FloatArray
    learnt_logits: FloatArray

    def module(self) -> nn.Module:
        """Network and head as one torch module, (N, H, W, 3) uint8 to logits (N, K)."""
        from teliti.training.heads.trained_net import HeadOnFeatures

        return HeadOnFeatures(self.backbone.load(), self.head, exported=self.backbone.path).eval()

    def to_arrays(self) -> Arrays:
        """What `rebuild_partner` needs beside the recipe, for the weights of a bundle."""
        numbers = self.backbone.numbers
        arrays = self.head.to_arrays() | ({} if numbers is None else numbers.to_arrays())
        return {_SAVED + name: array for name, array in arrays.items()}


@dataclass(frozen=True, eq=False)
class SecondOpinion:
    """What the frozen network's head says.

    Attributes:
        probs: (M, K) float32, of each picture that is learnt from by a head that never saw its photo, nor a photo that
            chooses the epoch.
        engine: What computed the features; another one would give other last digits.
        partner: Who may answer, too; None where the recipe wants no ensemble.
    """

    probs: FloatArray
    engine: str
    partner: Partner | None = None

    def shares(self, labels: IntArray, learnt: IntArray, *, weight: float) -> FloatArray:
        """What is learnt in the place of the class: of the pictures learnt from `weight` of these probabilities.

        Args:
            labels: (N,) class of each picture.
            learnt: (M,) positions of the pictures that are learnt from, in the order of `probs`.
            weight: In [0, 1].

        Returns:
            (N, K) float32, adding to 1 a picture; of the others the class alone.
        """
        probs = np.where(self.probs < _NO_SHARE, 0.0, self.probs)
        shares = np.eye(self.probs.shape[1])[labels]
        shares[learnt] = (1.0 - weight) * shares[learnt] + weight * probs / probs.sum(axis=1, keepdims=True)
        return shares.astype(np.float32)


def has_second_opinion(recipe: Recipe) -> bool:
    """True for a recipe that asks for softer targets or an ensemble, of classes, with weights that are given."""
    train = recipe.train
    is_asked = train.soft_targets > 0.0 or train.ensemble is True
    return is_asked and train.loss != "perceptron" and starts_from_weights(recipe)


def starts_from_weights(recipe: Recipe) -> bool:
    """True where a network learns whose weights are given, so that it has features before."""
    model = recipe.model
    is_given = model.backbone not in {*COMPACT, NO_BACKBONE} and model.weights != "random"
    return recipe.train.mode == "finetune" and is_given


def ask_frozen_network(
    recipe: Recipe, photos: Photos, plan: SplitPlan, *, learnt: IntArray, held: IntArray, reporter: Reporter
) -> SecondOpinion | None:
    """What the head of the features mode says of photos, each by a head that never saw it.

    Args:
        recipe: From `resolve_data`.
        photos: All photos, of classes.
        plan: For groups, which stay together.
        learnt: Rising positions of the photos that are learnt from.
        held: Rising positions of those that choose the epoch; no other.
        reporter: Told about long work.

    Returns:
        None where a class has too few photos to be judged by others, or the frozen network gives no features.

    Raises:
        PhotoRefused: a photo changed since it was read.
    """
    asked_of = np.sort(np.concatenate([learnt, held])) if recipe.train.ensemble is not False else learnt
    try:
        setup, features = frozen_features(recipe, photos, plan, indices=asked_of, reporter=reporter)
    except RecipeError as error:  # weights made for photos of one size, for instance
        reporter.note(f"{_what_is_left(recipe.train).capitalize()}: {error.message}")
        return None
    owners = asked_of[features.owners]  # a row for each tile of a photo

    def fit(rows: NDArray[np.bool_]) -> FittedHead:
        return fit_head(
            features.matrix[rows], photos.targets[owners[rows]], plan.groups[owners[rows]], model=setup.recipe.model,
            task="classification", num_classes=len(photos.catalog.classes), seed=recipe.seed, reporter=reporter,
        )  # fmt: skip

    is_learnt = np.isin(owners, learnt)
    try:
        opinion = SecondOpinion(_softmax(fit(is_learnt).oof_logits), setup.engine.name)
        if recipe.train.ensemble is False:
            return opinion
        whole = fit(np.ones_like(is_learnt))
    except SplitError:
        reporter.note(f"Too few photos of a class to fit a head in folds: {_what_is_left(recipe.train)}.")
        return None
    said = whole.weights.logits(features.matrix[is_learnt])
    return replace(opinion, partner=Partner(whole.weights, setup.backbone, whole.oof_logits[~is_learnt], said))


def _what_is_left(options: TrainRecipe) -> str:
    """What a network does that gets no second opinion."""
    return f"the labels alone are learnt{'' if options.ensemble is False else ', without an ensemble'}"


def frozen_features(
    recipe: Recipe, photos: Photos, plan: SplitPlan, *, indices: IntArray, reporter: Reporter
) -> tuple[Setup, Features]:
    """The features mode's set-up of a network that learns, and the features of some photos, counted anew from 0.

    Args:
        recipe: From `resolve_data`.
        photos: All photos.
        plan: Says whom number steps are fitted on.
        indices: (M,) positions of the photos.
        reporter: Told about long work.

    Raises:
        RecipeError: the frozen network takes no photos of this size.
        PhotoRefused: a photo changed since it was read.
    """
    asked = _frozen_recipe(recipe)
    with reporter.task("Preparing the frozen network", 1) as advance:
        setup = resolve_setup(asked, numbers=fit_recipe_numbers(asked, photos, plan))
        advance(1)
    own = indices.tolist()
    features = compute_features(
        [photos.samples[index] for index in own], [photos.digests[index] for index in own], setup.source,
        cache=RowCache(), reporter=reporter, read=photos.decoded.read,
    )  # fmt: skip
    return setup, features


def rebuild_partner(recipe: Recipe, arrays: Mapping[str, NDArray[Any]], steps: Sequence[NumberStep]) -> nn.Module:
    """A partner as one torch module, (N, H, W, 3) uint8 to logits (N, K).

    Args:
        recipe: Resolved, of the bundle; the weights that it names must be those of the training.
        arrays: The bundle's weights.
        steps: The number steps of its prepare chain.

    Raises:
        RunError: the bundle keeps none.
        BundleError: the arrays do not fit each other.
    """
    own = {name.removeprefix(_SAVED): array for name, array in arrays.items() if name.startswith(_SAVED)}
    if not own:
        raise RunError("It answers together with a frozen network, whose head stands in the bundle's graph alone.")
    from teliti.training.heads.trained_net import HeadOnFeatures

    numbers = FittedNumbers.from_arrays(steps, own) if steps else None
    net = load_feature_net(_frozen_recipe(recipe).model, seed=recipe.seed, numbers=numbers)
    return HeadOnFeatures(net, HeadWeights.from_arrays(own)).eval()


def _frozen_recipe(recipe: Recipe) -> Recipe:
    """The recipe in the features mode; not in the run's precision: a replay knows that one.

    Nor on the device that the network learns on, where an engine computes that knows the CPU alone.
    """
    train = {"mode": "features", "precision": "f32"}
    if recipe.train.engine not in {"auto", "torch"}:
        train["device"] = "auto"
    return override_recipe(recipe, {"train": train, "model": {"layers": []}, "augment": []})


def _softmax(logits: NDArray[Any]) -> FloatArray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)
