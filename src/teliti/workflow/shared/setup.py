"""From a recipe with "auto" in it to one without: image size, positive class, head, engine, threads, numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from teliti.cache import RowCache
from teliti.data.beside import beside_of
from teliti.data.loading import load_prepared
from teliti.errors import PhotoRefused, RecipeError
from teliti.metrics.defect_names import pick_positive
from teliti.metrics.label_decision import check_label_rule, pick_rejects
from teliti.metrics.number_rule import check_number_rule
from teliti.metrics.promises import check_class_rule
from teliti.metrics.tiles import Combine
from teliti.models.compact import COMPACT
from teliti.models.weights import find_weights
from teliti.recipe import Recipe, override_recipe
from teliti.recipe.decide import RULES
from teliti.recipe.model import NO_BACKBONE
from teliti.recipe.train import NETWORK_MODES
from teliti.runtime import default_threads
from teliti.training.features.backbone_file import BackboneFile, prepare_backbone
from teliti.training.features.engines import EngineChoice, choose_engine
from teliti.training.features.extraction import Features, FeatureSource, Views, add_views, compute_features
from teliti.transforms.augment import AugmentChain, build_augment
from teliti.transforms.operations import BatchOperation
from teliti.transforms.policy_file import expand_policies
from teliti.transforms.prepare import PrepareChain, build_chain, chain_without_frame
from teliti.transforms.steps_numbers import FittedNumbers, fit_numbers
from teliti.types import IntArray, Reporter, Sample, UInt8Image
from teliti.workflow.shared.part_finding import check_part_mask
from teliti.workflow.shared.photos import Photos
from teliti.workflow.shared.plan import SplitPlan

SMALLEST_AUTO_SIZE, LARGEST_AUTO_SIZE = 224, 300
LARGEST_SCRATCH_SIZE = 224  # of "auto" without given weights, which are made for no size


@dataclass(frozen=True)
class Setup:
    """A network in front of the head, ready to compute features.

    Attributes:
        recipe: Resolved: no "auto" left.
        backbone: The exported network.
        engine: What runs it.
        source: What the features of a photo depend on.
        numbers: The recipe's number steps, fitted; None where it has none.
        views: The recipe's augmented views; None where it has none.
    """

    recipe: Recipe
    backbone: BackboneFile
    engine: EngineChoice
    source: FeatureSource
    numbers: FittedNumbers | None = None
    views: Views | None = None

    @property
    def combine(self) -> Combine:
        """How the answers for the tiles of a photo become one."""
        return self.source.chain.combine

    def features(self, photos: Photos, *, cache: RowCache, reporter: Reporter) -> Features:
        """Features of all photos as they are, a row for each picture."""
        return compute_features(
            photos.samples, photos.digests, self.source, cache=cache, reporter=reporter, read=photos.decoded.read
        )

    def learning_features(self, photos: Photos, plan: SplitPlan, *, cache: RowCache, reporter: Reporter) -> Features:
        """The same, and behind them augmented views of the photos that are learnt from, where the recipe asks."""
        features = self.features(photos, cache=cache, reporter=reporter)
        if self.views is None:
            return features
        return add_views(
            features,
            self.views,
            self.source,
            photos=learnt_photos(plan),
            samples=photos.samples,
            digests=photos.digests,
            cache=cache,
            reporter=reporter,
            read=photos.decoded.read,
        )


def learnt_photos(plan: SplitPlan) -> IntArray:
    """Positions of the photos that are learnt from: the training part, or with folds all of them."""
    return np.arange(len(plan.folds)) if plan.folds is not None else plan.indices("train")


def check_recipe(recipe: Recipe) -> None:
    """Find in a moment what would stop the run later: prepare and augment steps, weights. Imports no torch.

    Raises:
        RecipeError: a step, weights or a way to find parts that cannot be used.
    """
    size = recipe.data.image_size
    smallest = (8, 8) if size == "auto" else _pair(size)
    build_chain((step.model_dump() for step in recipe.prepare), image_size=smallest, fit=recipe.data.fit)
    check_part_mask(recipe)
    augment = build_augment(expand_policies(step.model_dump() for step in recipe.augment))
    if recipe.train.mode not in NETWORK_MODES:
        _check_frozen(recipe)
        _refuse_mixing(augment)
    elif recipe.model.backbone not in {*COMPACT, NO_BACKBONE}:
        find_weights(recipe.model.backbone, recipe.model.weights)


def _check_frozen(recipe: Recipe) -> None:
    """The features mode takes a backbone as it is: layers of one's own would never learn."""
    if recipe.model.backbone in {*COMPACT, NO_BACKBONE} or recipe.model.layers:
        named = "model.layers" if recipe.model.layers else f'model.backbone = "{recipe.model.backbone}"'
        raise RecipeError(
            f"{named} needs a network that learns, and train.mode is {recipe.train.mode}.",
            hint="Set train.mode to scratch, or with a backbone to finetune.",
        )
    find_weights(recipe.model.backbone, recipe.model.weights)


def _refuse_mixing(augment: AugmentChain) -> None:
    if augment.mixes:
        step = next(one.model_dump()["step"] for one in augment.operations if isinstance(one, BatchOperation))
        raise RecipeError(
            f"The augment step {step} mixes the photos of a batch, and the features mode has none.",
            hint="Take it out, or train with --mode finetune.",
        )


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
        has_verdicts = bool(recipe.data.pass_classes) or (len(classes) == 2 and positive is not None)
        check_class_rule(recipe.decide, has_verdicts=has_verdicts)
    if photos.catalog.task == "multilabel":
        sentence = pick_rejects(classes, recipe.data.positive, recipe.data.pass_classes)
        check_label_rule(recipe.decide)
    else:
        if photos.catalog.task == "regression":
            check_number_rule(recipe.decide)
        _check_rule(recipe, has_rejects=positive is not None or bool(recipe.data.pass_classes))
    head = recipe.model.head
    if head == "auto" and recipe.train.mode not in NETWORK_MODES:
        head = "svr" if photos.catalog.task == "regression" else "rbf_svm"
    data = {"source": photos.catalog.source, "image_size": list(_photos_size(recipe, photos)), "folds": plan.num_folds}
    if positive is not None:
        data["positive"] = positive
    train = {"threads": recipe.train.threads or default_threads()}
    augment = expand_policies(step.model_dump() for step in recipe.augment)  # a resolved recipe needs no policy file
    values = {"data": data, "model": {"head": head}, "train": train, "augment": augment}
    return override_recipe(recipe, values), sentence


def _check_rule(recipe: Recipe, *, has_rejects: bool) -> None:
    asked = [name for name in RULES if getattr(recipe.decide, name) is not None]
    if asked and not has_rejects and recipe.decide.rule != "argmax":
        raise RecipeError(
            f"decide.{asked[0]} must have a class to reject, got none.",
            hint="Set data.positive or data.pass, or leave it out.",
        )


def recipe_steps(recipe: Recipe) -> PrepareChain:
    """The recipe's own prepare steps, without the closing frame: the size may still be "auto".

    Raises:
        RecipeError: a prepare step that cannot be used.
    """
    return chain_without_frame([step.model_dump() for step in recipe.prepare])


def build_recipe_chain(recipe: Recipe) -> PrepareChain:
    """The prepare chain of a recipe from `resolve_data`.

    Raises:
        RecipeError: a prepare step that cannot be used.
    """
    size = recipe.data.image_size
    if size == "auto":
        raise RecipeError("data.image_size must be resolved first, got auto.", hint="Resolve the recipe on photos.")
    return build_chain((step.model_dump() for step in recipe.prepare), image_size=_pair(size), fit=recipe.data.fit)


def fit_recipe_numbers(recipe: Recipe, photos: Photos, plan: SplitPlan) -> FittedNumbers | None:
    """Fit the number steps of a recipe on the photos of the training part.

    Args:
        recipe: From `resolve_data`.
        photos: All photos.
        plan: Only its training part is looked at.

    Returns:
        The fitted steps; None where the recipe has no number steps.

    Raises:
        RecipeError: a step is fitted on photos and the plan has folds, each with another training part.
        PhotoRefused: a photo changed since it was read.
    """
    chain = build_recipe_chain(recipe)
    if not chain.numbers:
        return None
    fitted = [step for step in chain.numbers if step.array_names()]
    if fitted and plan.folds is not None:
        raise RecipeError(
            f"prepare step {fitted[0].model_dump()['step']} is fitted on the training part, and with folds every fold "
            "has another one.",
            hint='Set data.folds = 0, or take center or standardize with by = "sample".',
        )
    threads = recipe.train.threads or default_threads()
    samples = [photos.samples[index] for index in learnt_photos(plan)] if fitted else []
    return fit_numbers(chain.numbers, _Pictures(samples, chain, photos, threads))


@dataclass(frozen=True)
class _Pictures:
    """The prepared pictures of some photos, each time anew."""

    samples: Sequence[Sample]
    chain: PrepareChain
    photos: Photos
    threads: int

    def __iter__(self) -> Iterator[UInt8Image]:
        def prepare(image: UInt8Image, sample: Sample) -> UInt8Image:
            return self.chain.views(image, beside_of(sample.origin))

        for index, pictures in load_prepared(
            self.samples, prepare, threads=self.threads, read=self.photos.decoded.read
        ):
            if isinstance(pictures, PhotoRefused):
                raise PhotoRefused(f'"{self.samples[index].name}" changed while it was used: {pictures.reason}')
            yield from pictures


def resolve_setup(recipe: Recipe, *, numbers: FittedNumbers | None = None) -> Setup:
    """Build the prepare chain, export (or find) the backbone and choose the engine.

    Args:
        recipe: From `resolve_data`.
        numbers: From `fit_recipe_numbers`.

    Raises:
        RecipeError: a prepare step, backbone, stage or weights that cannot be used.
    """
    chain = build_recipe_chain(recipe)
    image_size = chain.image_size
    backbone = prepare_backbone(recipe.model, image_size=image_size, seed=recipe.seed, numbers=numbers)
    threads = recipe.train.threads or default_threads()
    engine = choose_engine(
        recipe.train.engine,
        precision=recipe.train.precision,
        backbone=backbone,
        threads=threads,
        device=recipe.train.device,
    )
    resolved = override_recipe(
        recipe,
        {"data": {"image_size": list(image_size)}, "model": {"stages": backbone.facts["stages"]},
         "train": {"engine": engine.name, **({"device": engine.device} if engine.name == "torch" else {})}},
    )  # fmt: skip
    source = FeatureSource(chain, backbone, engine, threads)
    steps = [step.model_dump() for step in recipe.augment]
    views = Views(build_augment(steps), recipe.train.views, recipe.seed) if steps else None
    return Setup(resolved, backbone, engine, source, numbers, views)


def auto_image_size(recipe: Recipe, sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The recipe's size; "auto": the photos' own, rounded to the usual range of an ImageNet backbone.

    Args:
        recipe: Names the size, and whether a network learns.
        sizes: (height, width) of the photos; at least one.
    """
    size = recipe.data.image_size
    if size != "auto":
        return _pair(size)
    longer = np.median([max(one) for one in sizes])
    from_scratch = recipe.train.mode == "scratch"
    largest = LARGEST_SCRATCH_SIZE if from_scratch else LARGEST_AUTO_SIZE
    smallest = 8 if from_scratch else SMALLEST_AUTO_SIZE
    side = int(np.clip(longer, smallest, largest))
    return side, side


def _photos_size(recipe: Recipe, photos: Photos) -> tuple[int, int]:
    return auto_image_size(recipe, [(mark.height, mark.width) for mark in photos.fingerprints])


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
