"""What all trainings of a search or a table have in common: photos, parts, the resolved recipe, one backbone pass."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from teliti.cache import RowCache
from teliti.recipe import Recipe, override_recipe, parse_recipe, recipe_values
from teliti.runtime import default_threads
from teliti.training.features.columns import widest
from teliti.tuning.engines import Engine, Shared
from teliti.tuning.space import Space
from teliti.types import Catalog, Record, Reporter
from teliti.workflow.learning.learn import check_machine, check_network, learns_network, settle_network_recipe
from teliti.workflow.searches.choices import apply_choices
from teliti.workflow.searches.job_folder import Asked
from teliti.workflow.searches.trainings import Division, Trainer, Training
from teliti.workflow.shared.part_finding import aside_files
from teliti.workflow.shared.photos import Photos, read_photos, shareable_photos, stay_findable
from teliti.workflow.shared.plan import SplitPlan, plan_split
from teliti.workflow.shared.setup import (
    build_recipe_chain,
    check_recipe,
    fit_recipe_numbers,
    recipe_steps,
    resolve_data,
    resolve_setup,
)
from teliti.workflow.shared.shared_pictures import SharedPictures, key_of

_WITHOUT_A_PASS = {"model": {"head", "c", "gamma", "stages", "pooling", "dropout"}}  # cost no pass of the backbone


@dataclass(frozen=True)
class SharedBase:
    """The recipe that choices are put on.

    Attributes:
        base: Resolved on the photos, with the threads of one worker.
        readers: Recipes whose prepare steps decide which photos can be used.
        catalog: For the outputs of a network.
        wide: `stages` and `pooling` of the one pass that serves all choices; empty where networks learn.
    """

    base: Recipe
    readers: tuple[Recipe, ...]
    catalog: Catalog
    wide: Record = field(default_factory=dict)
    _warmed: dict[tuple[str, tuple[int, ...] | None], Shared | None] = field(
        default_factory=dict, compare=False, repr=False
    )

    def with_space(self, space: Space) -> SharedBase:
        """The same, with a pass that is wide enough for every choice of a space."""
        if learns_network(self.base):
            return self
        choices = [one for one in space.parameters if one.key in {"model.stages", "model.pooling"}]
        models = [apply_choices(self.base, {one.key: value}).model for one in choices for value in one.ends()]
        return replace(self, wide=widest([self.base.model, *models]))

    def training(
        self,
        values: Mapping[str, Any],
        *,
        division: int = 0,
        measured_on: str = "chooser",
        told: str | None = None,
        seed_shift: int = 0,
    ) -> Training:
        """One training of the base with some keys chosen.

        Args:
            values: See `apply_choices`.
            division: Position among the trainer's divisions.
            measured_on: "chooser" or "test".
            told: The measure that a network tells after every epoch.
            seed_shift: Added to the seed; the parts of the photos stay.

        Raises:
            RecipeError: choices that do not fit together.
        """
        recipe = settle_network_recipe(apply_choices(self.base, values))
        check_recipe(recipe)
        if learns_network(recipe):
            check_network(recipe, self.catalog)
        recipe = override_recipe(recipe, {"seed": recipe.seed + seed_shift})
        return Training(
            recipe, division, measured_on, told if learns_network(recipe) else None,
            self.wide.get("stages"), self.wide.get("pooling"),
        )  # fmt: skip

    def warm(self, training: Training, trainer: Trainer, *, engine: Engine, reporter: Reporter) -> Training:
        """Let workers find what several of them would otherwise compute at once; a moment where it is there.

        Returns:
            The training, with the way to it where the engine carries it.
        """
        key = _pass_of(training), trainer.divisions[training.division].kept
        if learns_network(training.recipe):
            key = key_of(build_recipe_chain(training.recipe)), None
        if key not in self._warmed:
            made = trainer.warm(training, reporter=reporter)
            made = made.to_memory() if isinstance(made, SharedPictures) else made
            self._warmed[key] = None if made is None else engine.share(made)
        return replace(training, shared=self._warmed[key])


def share_base(job: Asked, asked: Recipe, *, prepares: Sequence[Any]) -> tuple[SharedBase, Photos, SplitPlan]:
    """Read the photos once and resolve the recipe on them.

    What a network mode takes for granted hangs on the network, which may be a choice: every training settles its own.

    Args:
        job: Says where the photos are, and where and how many trainings run at the same time.
        asked: The recipe as it was given.
        prepares: Choices of the preparation; a photo that one of them refuses takes no part.

    Raises:
        UserError: bad recipe or data.
    """
    source, workers, reporter = job.source, job.request["workers"], job.reporter
    if asked.train.mode == "auto":
        asked = override_recipe(asked, {"train": {"mode": "features"}})
        reporter.note("The search trains in the features mode, not in auto.")
    asked = override_recipe(asked, {"data": {"folds": settle_network_recipe(asked).data.folds}})
    is_computed_here = job.runs_here or not learns_network(asked)  # this machine makes the pass that heads share
    if is_computed_here and not job.is_done:
        check_machine(asked)
    readers = (asked, *(apply_choices(asked, {"prepare": words}) for words in prepares))
    for reader in readers:
        check_recipe(reader)
    photos = read_photos(
        source, use_group=asked.data.group, cache=RowCache(), threads=asked.train.threads or default_threads(),
        reporter=reporter, chains=[recipe_steps(reader) for reader in readers],
        aside=aside_files(readers),
        task=asked.data.task,
    )  # fmt: skip
    plan = plan_split(photos, asked)
    base, _ = resolve_data(asked, photos, plan)
    if not learns_network(base):  # the engine that a probe chooses is the same for all
        setup = resolve_setup(base, numbers=fit_recipe_numbers(base, photos, plan))
        base = override_recipe(base, {"train": {"engine": setup.engine.name}})
    threads = max(1, default_threads() // (workers or default_threads()))
    base = override_recipe(base, {"train": {"threads": threads}})
    return SharedBase(base, readers, photos.catalog), photos, plan


def make_trainer(
    shared: SharedBase, photos: Photos, divisions: Sequence[Division], *, source: str, pictures: Path, engine: Engine
) -> Trainer:
    """What does a job's trainings; this process need not read the photos again.

    Args:
        shared: Of the job.
        photos: All photos.
        divisions: By position.
        source: As for `train`.
        pictures: The folder of pictures that the trainings share.
        engine: Where they run.
    """
    carried = engine.share(shareable_photos(photos))
    trainer = Trainer(stay_findable(source), photos.digest, shared.readers, tuple(divisions), shared=carried,
                      pictures=pictures)  # fmt: skip
    return trainer.read_already(photos)


def without_budget(recipe: Recipe) -> Recipe:
    """The recipe without `train.budget`, which bounds the whole search or table, not a training."""
    values = recipe_values(recipe)
    values["train"].pop("budget", None)
    return parse_recipe(values)


def _pass_of(training: Training) -> str:
    """Names the pass of the backbone that a training needs."""
    values = recipe_values(training.recipe)
    for section, names in _WITHOUT_A_PASS.items():
        for name in names:
            values[section].pop(name, None)
    values.pop("decide", None)
    is_drawn = bool(values.get("augment")) or values["model"].get("weights") == "random"
    if not is_drawn:
        values.pop("seed", None)
    is_fitted = bool(values.get("prepare"))
    division = training.division if is_drawn or is_fitted else 0
    return json.dumps([values, division, training.stages, training.pooling], sort_keys=True, default=str)
