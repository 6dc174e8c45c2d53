"""Trainings as tasks: what a worker process does with a recipe, so that searches and tables share photos and features.

A `Trainer` is what an engine sends to its workers: where the photos are, and how they are divided. A worker reads the
photos once. In the features mode it takes the columns that a recipe wants from one wide pass of the backbone, which
the cache holds, so that a training costs a head. In the other modes it takes prepared photos from one file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from teliti.cache import RowCache
from teliti.errors import RunError
from teliti.metrics.tiles import Combine
from teliti.recipe import Recipe, override_recipe
from teliti.runtime import default_threads, peak_memory_bytes
from teliti.training.features.columns import FeatureColumns, find_columns, select_columns
from teliti.training.features.extraction import Features
from teliti.tuning.engines import Ask, Shared
from teliti.types import Record, Reporter, SilentReporter
from teliti.workflow.learning.fit import fit_inspector, outputs_of, photo_outputs, reject_indices
from teliti.workflow.learning.learn import learns_network
from teliti.workflow.searches.repeats import Repeats, take_photos
from teliti.workflow.searches.trial import (
    NetworkTrial,
    Scores,
    import_heads,
    measure_chooser,
    measure_test,
    size_of_head,
)
from teliti.workflow.shared.part_finding import aside_files
from teliti.workflow.shared.photos import Photos, read_photos
from teliti.workflow.shared.pictures import share_pictures
from teliti.workflow.shared.plan import SplitPlan
from teliti.workflow.shared.setup import Setup, build_recipe_chain, fit_recipe_numbers, recipe_steps, resolve_setup
from teliti.workflow.shared.shared_pictures import SharedPictures, find_pictures
from teliti.workflow.shared.stopwatch import Stopwatch

_EPOCH_MEASURES = {"roc_auc": "val_auc", "mae": "val_mae", "rmse": "val_mae", "r2": "val_mae"}
_LOWER_IS_BETTER = {"val_mae"}


@dataclass(frozen=True)
class Division:
    """Some of the photos, and what part each of them has.

    Attributes:
        kept: (M,) positions among all usable photos; None: all of them.
        plan: Of the kept photos.
    """

    kept: tuple[int, ...] | None
    plan: SplitPlan


@dataclass(frozen=True)
class Training:
    """One training.

    Attributes:
        recipe: Resolved on the photos, so that only choices differ between trainings.
        division: Position among the trainer's divisions.
        measured_on: "chooser": the photos that the threshold is chosen on; "test": the test part of the division.
        told: The measure that is told after every epoch of a network, so that the driver may stop it; None: none.
        stages: `model.stages` of the pass that serves all recipes, for the features mode.
        pooling: Likewise.
        shared: Gives what `Trainer.warm` returned; None: this machine has it, in its cache or as a file.
    """

    recipe: Recipe
    division: int
    measured_on: str
    told: str | None = None
    stages: Any = None
    pooling: str | None = None
    shared: Shared | None = None


@dataclass(frozen=True)
class Pass:
    """What one pass of the backbone gave, for all trainings that take their columns from it.

    Attributes:
        features: Of all photos of a division.
        columns: Where those of a stage and a pooling stand.
        combine: How the answers for the tiles of a photo become one.
    """

    features: Features
    columns: FeatureColumns
    combine: Combine


@dataclass(frozen=True)
class Trainer:
    """Does trainings; a `Work` for any engine.

    Attributes:
        source: As for `train`.
        digest: Of the photos that the driver read; other photos are refused.
        readers: Recipes whose prepare steps decide which photos can be used.
        divisions: By position.
        cache: The cache's folder; None: the usual place.
        shared: Gives the driver's `Photos`, so that a worker need not read them all; None: it reads them.
        pictures: The folder of pictures that trainings of networks share; None: each prepares its own.
    """

    source: str
    digest: str
    readers: tuple[Recipe, ...]
    divisions: tuple[Division, ...]
    cache: Path | None = None
    shared: Shared | None = None
    pictures: Path | None = None

    def __call__(self, training: Training, ask: Ask) -> Record:
        """What came out.

        Returns:
            {"values": by measure, empty where it was stopped, "seconds", "epoch_s": of each epoch, "size", "findings",
            "stopped", "peak_bytes": of this process so far}.
        """
        clock, division = Stopwatch(), self.divisions[training.division]
        photos = self.photos(training.division)
        teller = _Teller(training.told, ask)
        try:
            scores = self._train(training, photos, teller)
        except _Stopped:
            return {"values": {}, "seconds": clock.elapsed(), "epoch_s": teller.seconds, "size": 0, "findings": [],
                    "stopped": True, "peak_bytes": peak_memory_bytes()}  # fmt: skip
        if training.measured_on == "test":
            values = measure_test(scores, photos, division.plan, recipe=training.recipe)
        else:
            values = measure_chooser(scores, photos, recipe=training.recipe)
        return {
            "values": values,
            "seconds": clock.elapsed(),
            "epoch_s": teller.seconds,
            "size": scores.size,
            "findings": [*scores.findings],
            "stopped": False,
            "peak_bytes": peak_memory_bytes(),
        }

    def photos(self, division: int) -> Photos:
        """The photos of a division, read once in a process.

        Raises:
            RunError: they are not those that the driver read.
        """
        photos = _read(self)
        kept = self.divisions[division].kept
        return photos if kept is None else take_photos(photos, np.asarray(kept))

    def read_already(self, photos: Photos) -> Trainer:
        """The same, in a process that has the photos and need not read them again."""
        _keep_only(_read_photos, _key_of(self), photos)
        return self

    def warm(self, training: Training, *, reporter: Reporter) -> Pass | SharedPictures | None:
        """What many trainings share, made before several workers would make it at once.

        Returns:
            The features of a pass; for a network the pictures; None where every training makes its own.
        """
        if learns_network(training.recipe):
            return self._share_pictures(training, reporter=reporter)
        photos, plan = self.photos(training.division), self.divisions[training.division].plan
        setup = _wide_setup(training, photos, plan, threads=default_threads())
        features = setup.learning_features(photos, plan, cache=RowCache(self.cache), reporter=reporter)
        return Pass(replace(features, computed=0), find_columns(setup.backbone), setup.combine)

    def _share_pictures(self, training: Training, *, reporter: Reporter) -> SharedPictures | None:
        if self.pictures is None:
            return None
        chain = build_recipe_chain(training.recipe)
        return share_pictures(self.pictures, self._used_photos(), chain, threads=default_threads(), reporter=reporter)

    def _train(self, training: Training, photos: Photos, teller: _Teller) -> Scores:
        plan = self.divisions[training.division].plan
        if learns_network(training.recipe):
            photos = replace(photos, pictures=self._find_pictures(training))
            return NetworkTrial(teller)(training.recipe, photos, plan, reporter=SilentReporter())
        return _train_head(training, photos, plan, cache=RowCache(self.cache))

    def _find_pictures(self, training: Training) -> SharedPictures | None:
        if training.shared is not None:
            found: SharedPictures = training.shared()
            return found
        if self.pictures is None:
            return None
        names = [sample.name for sample in self._used_photos().samples]
        return find_pictures(self.pictures, build_recipe_chain(training.recipe), names)

    def _used_photos(self) -> Photos:
        """Those of any division: of many photos a quick table takes a few."""
        photos, used = _read(self), set[int]()
        for kept in {division.kept for division in self.divisions}:  # repeats have the same ones
            if kept is None:
                return photos
            used.update(kept)
        return take_photos(photos, np.array(sorted(used), dtype=np.int64))


def divisions_of(repeats: Repeats, photos: Photos) -> list[Division]:
    """The repeats' plans, with the places of their photos among all photos.

    Args:
        repeats: From `plan_repeats` of these photos, or of some of them.
        photos: All photos, as a `Trainer` reads them.
    """
    place = {sample.name: position for position, sample in enumerate(photos.samples)}
    kept = tuple(place[sample.name] for sample in repeats.photos.samples)
    return [Division(kept, plan) for plan in repeats.plans]


class _Stopped(Exception):  # noqa: N818 - nothing went wrong
    """The driver has seen enough of a training."""


@dataclass
class _Teller:
    """Counts the seconds of every epoch, and tells the driver the best value so far, higher is better."""

    measure: str | None
    ask: Ask
    best: float = -float("inf")
    seconds: list[float] = field(default_factory=list)

    def __call__(self, row: Record) -> None:
        self.seconds.append(float(row["seconds"]))
        if self.measure is None:
            return
        name = _EPOCH_MEASURES.get(self.measure, "val_accuracy")
        if row.get(name) is None:  # ROC AUC of more than two classes
            name = "val_accuracy"
        value = row.get(name)
        if value is None:
            return
        self.best = max(self.best, -float(value) if name in _LOWER_IS_BETTER else float(value))
        if self.ask((int(row["epoch"]), self.best)):
            raise _Stopped


def _key_of(trainer: Trainer) -> tuple[str, ...]:
    return trainer.source, trainer.digest, str(trainer.cache), repr(trainer.readers)


def _read(trainer: Trainer) -> Photos:
    key = _key_of(trainer)
    if key not in _read_photos:
        if trainer.shared is not None:
            _keep_only(_read_photos, key, trainer.shared())
            return _read_photos[key]
        readers = trainer.readers
        photos = read_photos(
            trainer.source, use_group=readers[0].data.group, cache=RowCache(trainer.cache), threads=default_threads(),
            reporter=SilentReporter(), chains=[recipe_steps(recipe) for recipe in readers],
            aside=aside_files(readers),
            task=readers[0].data.task,
        )  # fmt: skip
        if photos.digest != trainer.digest:
            raise RunError(
                f'The photos of "{trainer.source}" have changed since this began.', hint="Start again with a new --out."
            )
        _keep_only(_read_photos, key, photos)
    return _read_photos[key]


_read_photos: dict[tuple[str, ...], Photos] = {}  # of this process: a worker reads them once


def _keep_only(kept: dict[tuple[str, ...], Photos], key: tuple[str, ...], photos: Photos) -> None:
    kept.clear()
    kept[key] = photos


def _train_head(training: Training, photos: Photos, plan: SplitPlan, *, cache: RowCache) -> Scores:
    import_heads(purpose="search")
    clock = Stopwatch()
    wide = _read_pass(training, photos, plan, cache=cache) if training.shared is None else training.shared()
    once = clock.elapsed()
    stages = wide.columns.resolve(training.recipe.model.stages)
    features = select_columns(wide.features, wide.columns.of(stages, training.recipe.model.pooling))
    recipe = override_recipe(training.recipe, {"model": {"stages": list(stages)}})
    fit = fit_inspector(features, photos, plan, recipe=recipe, combine=wide.combine, reporter=SilentReporter())
    test = plan.indices("test")
    outputs = outputs_of(fit.head, features.matrix[:0])
    if len(test):
        rejects = reject_indices(recipe, photos)
        outputs = photo_outputs(fit.head, features, test, combine=wide.combine, rejects=rejects)
    return Scores(fit.chooser, fit.chooser_outputs, outputs, once, clock.elapsed() - once, size_of_head(fit.head))


def _wide_setup(training: Training, photos: Photos, plan: SplitPlan, *, threads: int) -> Setup:
    """The set-up of the pass that serves all recipes."""
    own = training.recipe.model
    wide = {
        "stages": list(own.stages) if training.stages is None and own.stages != "auto" else training.stages or "auto",
        "pooling": training.pooling or own.pooling,
    }
    recipe = override_recipe(training.recipe, {"model": wide, "train": {"threads": threads}})
    return resolve_setup(recipe, numbers=fit_recipe_numbers(recipe, photos, plan))


_kept_passes: dict[tuple[Any, ...], Pass] = {}  # of this process, the last few
_MOST_KEPT = 4


def _read_pass(training: Training, photos: Photos, plan: SplitPlan, *, cache: RowCache) -> Pass:
    """The pass that `warm` left in the cache."""
    setup = _wide_setup(training, photos, plan, threads=default_threads())
    learnt = None if setup.views is None else tuple(plan.indices("train").tolist())
    views = None if setup.views is None else setup.source.space_of(setup.views)
    key = (setup.source.space, views, learnt, photos.digest)
    if key not in _kept_passes:
        while len(_kept_passes) >= _MOST_KEPT:
            _kept_passes.pop(next(iter(_kept_passes)))
        found = setup.learning_features(photos, plan, cache=cache, reporter=SilentReporter())
        _kept_passes[key] = Pass(replace(found, computed=0), find_columns(setup.backbone), setup.combine)
    return _kept_passes[key]
