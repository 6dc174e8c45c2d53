"""From a recipe with "auto" in it to one without: image size, positive class, head, engine, threads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from teliti.cache import RowCache
from teliti.errors import RecipeError
from teliti.metrics.decision import pick_positive
from teliti.models.weights import find_weights
from teliti.recipe import Recipe, override_recipe
from teliti.runtime import default_threads
from teliti.training.backbone_file import BackboneFile, prepare_backbone
from teliti.training.engines import EngineChoice, choose_engine
from teliti.training.features import Features, FeatureSource, compute_features
from teliti.transforms.prepare import build_chain
from teliti.types import Reporter
from teliti.workflow.photos import Photos
from teliti.workflow.plan import SplitPlan

SMALLEST_AUTO_SIZE, LARGEST_AUTO_SIZE = 224, 300


@dataclass(frozen=True)
class Setup:
    """A network in front of the head, ready to compute features.

    Attributes:
        recipe: Resolved: no "auto" left.
        backbone: The exported network.
        engine: What runs it.
        source: What the features of a photo depend on.
    """

    recipe: Recipe
    backbone: BackboneFile
    engine: EngineChoice
    source: FeatureSource

    def features(self, photos: Photos, *, cache: RowCache, reporter: Reporter) -> Features:
        """Features of all photos, (N, D)."""
        return compute_features(
            photos.samples, photos.digests, self.source, cache=cache, reporter=reporter, read=photos.decoded.read
        )


def check_recipe(recipe: Recipe) -> None:
    """Find in a moment what would stop the run later: prepare steps and weights. Imports no torch.

    Raises:
        RecipeError: a prepare step or weights that cannot be used.
    """
    build_chain((step.model_dump() for step in recipe.prepare), image_size=(8, 8), fit=recipe.data.fit)
    find_weights(recipe.model.backbone, recipe.model.weights)


def resolve_data(recipe: Recipe, photos: Photos, plan: SplitPlan) -> tuple[Recipe, str]:
    """Write what the photos decided into the recipe.

    Returns:
        The recipe with size, folds, head and positive class resolved, and the sentence about the positive class.

    Raises:
        RecipeError: a class named in the recipe is not there, or there is none that the rule of [decide] is about.
    """
    classes = photos.catalog.classes
    positive, sentence = None, ""
    if photos.catalog.task == "classification":
        positive, sentence = pick_positive(
            classes, photos.counts(), recipe.data.positive, pass_classes=recipe.data.pass_classes
        )
    _check_rule(recipe, has_rejects=positive is not None or bool(recipe.data.pass_classes))
    head = recipe.model.head
    if head == "auto":
        head = "svr" if photos.catalog.task == "regression" else "rbf_svm"
    data = {"source": photos.catalog.source, "image_size": list(_image_size(recipe, photos)), "folds": plan.num_folds}
    if positive is not None:
        data["positive"] = positive
    train = {"threads": recipe.train.threads or default_threads()}
    return override_recipe(recipe, {"data": data, "model": {"head": head}, "train": train}), sentence


def _check_rule(recipe: Recipe, *, has_rejects: bool) -> None:
    asked = recipe.decide.model_dump(exclude_none=True)
    if asked and not has_rejects and asked.get("rule") != "argmax":
        raise RecipeError(
            f"decide.{next(iter(asked))} must have a class to reject, got none.",
            hint="Set data.positive or data.pass, or leave it out.",
        )


def resolve_setup(recipe: Recipe) -> Setup:
    """Build the prepare chain, export (or find) the backbone and choose the engine.

    Args:
        recipe: From `resolve_data`.

    Raises:
        RecipeError: a prepare step, backbone, stage or weights that cannot be used.
    """
    size = recipe.data.image_size
    image_size = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    chain = build_chain((step.model_dump() for step in recipe.prepare), image_size=image_size, fit=recipe.data.fit)
    backbone = prepare_backbone(recipe.model, image_size=image_size, seed=recipe.seed)
    threads = recipe.train.threads or default_threads()
    engine = choose_engine(
        recipe.train.engine,
        precision=recipe.train.precision,
        backbone=backbone,
        threads=threads,
    )
    resolved = override_recipe(
        recipe,
        {"data": {"image_size": list(image_size)}, "model": {"stages": backbone.facts["stages"]},
         "train": {"engine": engine.name}},
    )  # fmt: skip
    return Setup(resolved, backbone, engine, FeatureSource(chain, backbone, engine, threads))


def _image_size(recipe: Recipe, photos: Photos) -> tuple[int, int]:
    """The recipe's size; "auto": the photos' own, rounded to the usual range of an ImageNet backbone."""
    size = recipe.data.image_size
    if isinstance(size, int):
        return size, size
    if size != "auto":
        return size
    longer = np.median([max(mark.height, mark.width) for mark in photos.fingerprints])
    side = int(np.clip(longer, SMALLEST_AUTO_SIZE, LARGEST_AUTO_SIZE))
    return side, side
