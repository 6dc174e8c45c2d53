"""Compare: variants of a recipe trained on the same splits, and which of them is shown to help.

Every repeat is one fold of a stratified partition that keeps groups whole: all variants learn from the same photos
and are measured on the same others, so that their differences are paired. Photos that the recipe seals for the test
take no part. The caller says what varies: recipes by name, with different preparation, augmentation or anything else
but the data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from teliti.cache import RowCache
from teliti.errors import RecipeError, UserError
from teliti.recipe import Recipe
from teliti.runtime import default_threads
from teliti.types import Record, Reporter, SilentReporter
from teliti.workflow.learning.learn import check_machine, learns_network, settle_network_recipe
from teliti.workflow.searches.ranking import MEASURES, rank_variants
from teliti.workflow.searches.repeats import Repeats, plan_repeats
from teliti.workflow.searches.trial import FeaturesTrial, NetworkTrial, Scores, Trial, check_measure, measure_test
from teliti.workflow.shared.part_finding import aside_files
from teliti.workflow.shared.photos import Photos, read_photos
from teliti.workflow.shared.plan import SplitPlan
from teliti.workflow.shared.setup import check_recipe, recipe_steps, resolve_data
from teliti.workflow.shared.stopwatch import Stopwatch

FEWEST_REPEATS, DEFAULT_REPEATS = 2, 5


def compare_variants(
    variants: Mapping[str, Recipe],
    source: str,
    *,
    repeats: int = DEFAULT_REPEATS,
    measure: str | None = None,
    reference: str | None = None,
    factor: str = "variant",
    budget_s: float | None = None,
    cache: RowCache | None = None,
    trial: Trial | None = None,
    reporter: Reporter | None = None,
) -> Record:
    """Train every variant on the same splits and say which differences are more than noise.

    Args:
        variants: At least two recipes by name, equal in [data] but for image size and fit, and in the seed.
        source: Labelled photos, as for `train`.
        repeats: Trainings a variant, at least 2; five are one round of folds.
        measure: What is judged: a name of `MEASURES`; None: the first that the task has there.
        reference: The variant that the others are compared with; None: "none" where there is one, else the first.
        factor: What the variants' names stand for in the record's `factors`, for instance "prepare".
        budget_s: Fewer repeats where they would take longer than this many seconds; None: no bound.
        cache: Where features are kept; None: the usual place.
        trial: How one training is done; None: `NetworkTrial` in the modes that train one, else `FeaturesTrial`.
        reporter: Told how far it is.

    Returns:
        {"schema", "task", "classes", "positive", "measure", "reference", "photos", "sealed", "refused", "design",
        "rows", "best", "shown_to_help", "recommended", "sentences", "seconds"}; a row has `factors`, `mean` and
        `interval` of the judged measure, `repeats`, `seconds`, `measures` (all of them, with the values of every
        repeat) and `difference` (against the reference; None in its own row).

    Raises:
        RecipeError: fewer than two variants, variants with different data, or a recipe that cannot be used.
        UserError: too few repeats, or a budget that allows too few.
        SplitError: too few photos of a class.
    """
    reporter, cache = reporter or SilentReporter(), cache or RowCache()
    reference = _check_variants(variants, reference, repeats=repeats)
    base = variants[reference]
    photos = read_photos(
        source, use_group=base.data.group, cache=cache, threads=base.train.threads or default_threads(),
        reporter=reporter,
        chains=[recipe_steps(recipe) for recipe in variants.values()],
        aside=aside_files([*variants.values()]), task=base.data.task,
    )  # fmt: skip
    measure = check_measure(measure, task=photos.catalog.task)
    shared = plan_repeats(photos, base, repeats=repeats)
    if trial is None:
        trial = NetworkTrial() if learns_network(base) else FeaturesTrial(cache)
        if base.train.mode == "auto":
            reporter.note("The comparison trains in the features mode, not in auto.")
    runner = _Runner(shared, trial, budget_s=budget_s, reporter=reporter)
    runner.run(variants)
    record = _about(runner, photos, shared)
    ratio = 1.0 / (shared.num_folds - 1)
    return record | rank_variants(
        runner.values, runner.seconds, measure=measure, reference=reference, factor=factor, test_to_train=ratio
    )


def _about(runner: _Runner, photos: Photos, shared: Repeats) -> Record:
    """What was compared on what; the findings come beside it."""
    return {
        "schema": 1,
        "source": photos.catalog.source,
        "task": photos.catalog.task,
        "classes": list(photos.catalog.classes),
        "positive": runner.positive,
        "photos": len(shared.photos.samples),
        "sealed": shared.sealed,
        "refused": len(photos.refused),
        "design": {
            "kind": "repeated stratified grouped folds",
            "folds": shared.num_folds,
            "repeats": runner.done,
            "seeds": list(shared.seeds[: runner.done]),
            "sentence": shared.sentence,
        },
    }


def _check_variants(variants: Mapping[str, Recipe], reference: str | None, *, repeats: int) -> str:
    """The reference's name."""
    if repeats < FEWEST_REPEATS:
        raise UserError(f"--repeats must be at least {FEWEST_REPEATS}, got {repeats}.", hint="Take 5 or 10.")
    if len(variants) < 2:
        raise RecipeError(f"A comparison must have at least two variants, got {len(variants)}.", hint="Add another.")
    name = reference or ("none" if "none" in variants else next(iter(variants)))
    if name not in variants:
        raise RecipeError(f'The reference must be one of the variants, got "{name}".', hint="Add it to them.")
    for other, recipe in variants.items():
        if _data_of(recipe) != _data_of(variants[name]):
            raise RecipeError(
                f'Variant "{other}" must have the seed and the [data] of "{name}", and differs in them.',
                hint="Only data.image_size and data.fit may differ: all variants must see the same splits.",
            )
        check_recipe(recipe)
        check_machine(recipe)
    return name


def _data_of(recipe: Recipe) -> Record:
    return recipe.data.model_dump(exclude={"image_size", "fit"}) | {"own_seed": recipe.seed}


class _Runner:
    """Trains repeat by repeat, every variant in turn, and keeps what was measured.

    Attributes:
        values: By variant and measure: one number a repeat, None where it is undefined.
        seconds: By variant.
        done: Repeats that every variant has finished.
        positive: The class whose recall is measured; None where there is none.
    """

    def __init__(self, shared: Repeats, trial: Trial, *, budget_s: float | None, reporter: Reporter) -> None:
        self.values: dict[str, dict[str, list[float | None]]] = {}
        self.seconds: dict[str, float] = {}
        self.done = 0
        self.positive: str | None = None
        self._shared, self._trial, self._budget_s, self._reporter = shared, trial, budget_s, reporter
        self._clock = Stopwatch()

    def run(self, variants: Mapping[str, Recipe]) -> None:
        shared, each_s = self._shared, 0.0
        recipes = {name: self._resolve(recipe) for name, recipe in variants.items()}
        self.values = {name: {key: [] for key in MEASURES[shared.photos.catalog.task]} for name in recipes}
        self.seconds = dict.fromkeys(recipes, 0.0)
        with self._reporter.task("Training variants", len(recipes) * len(shared.plans)) as advance:
            for number, plan in enumerate(shared.plans):
                if not self._has_time(each_s):
                    return
                each_s = 0.0
                for place, (name, recipe) in enumerate(recipes.items()):
                    scores = self._train(name, recipe, plan, is_first=number == 0)
                    each_s += scores.each_s
                    if number == place == 0:
                        self._announce(scores, variants=len(recipes))
                    advance(1)
                self.done = number + 1

    def _resolve(self, recipe: Recipe) -> Recipe:
        resolved, _ = resolve_data(settle_network_recipe(recipe), self._shared.photos, self._shared.plans[0])
        self.positive = resolved.data.positive
        return resolved

    def _train(self, name: str, recipe: Recipe, plan: SplitPlan, *, is_first: bool) -> Scores:
        photos, clock = self._shared.photos, Stopwatch()
        reporter = self._reporter if is_first else SilentReporter()  # later repeats are short and all alike
        scores = self._trial(recipe, photos, plan, reporter=reporter)
        for key, value in measure_test(scores, photos, plan, recipe=recipe).items():
            self.values[name][key].append(value)
        self.seconds[name] += clock.elapsed()
        return scores

    def _announce(self, first: Scores, *, variants: int) -> None:
        """Say what it will take, once one training shows it; refuse where two repeats do not fit the budget."""
        repeats = len(self._shared.plans)
        total = variants * (first.once_s + repeats * first.each_s)
        once = (
            f"features {_time(first.once_s)} once a variant, then {_time(first.each_s)} a training"
            if first.once_s
            else f"{_time(first.each_s)} a training; features that are not cached yet come on top"
        )
        self._reporter.note(f"{variants} variants x {repeats} repeats will take about {_time(total)}: {once}.")
        least = variants * (first.once_s + FEWEST_REPEATS * first.each_s)
        if self._budget_s is not None and least > self._budget_s:
            raise UserError(
                f"--budget must allow {FEWEST_REPEATS} repeats of {variants} variants, about {_time(least)}, "
                f"got {_time(self._budget_s)}.",
                hint="Give more time, name fewer variants, or start from --preset fast.",
            )

    def _has_time(self, each_s: float) -> bool:
        if self._budget_s is None or self.done < FEWEST_REPEATS:
            return True
        if self._clock.elapsed() + each_s <= self._budget_s:
            return True
        left_out = len(self._shared.plans) - self.done
        self._reporter.note(f"The budget is used up: {self.done} repeats were done, {left_out} left out.")
        return False


def _time(seconds: float) -> str:
    return (
        f"{seconds:.1f} s"
        if seconds < 10
        else f"{math.ceil(seconds)} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
    )
