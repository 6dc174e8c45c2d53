"""One training of a comparison or a search: what it learns, what it says, and the measures of that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from teliti.cache import RowCache
from teliti.errors import UserError
from teliti.evaluation import measure_found_labels, measure_numbers
from teliti.metrics.classification import measure as measure_classes
from teliti.metrics.label_decision import LabelsDecision
from teliti.metrics.number_rule import NumberRule
from teliti.models.heads import HeadWeights
from teliti.recipe import Recipe, override_recipe, parse_recipe, recipe_values
from teliti.runtime import require
from teliti.types import FloatArray, IntArray, Record, Reporter
from teliti.workflow.learning.deciding import decide_answers
from teliti.workflow.learning.fit import OUT_OF_FOLD, answer_photos, try_setup
from teliti.workflow.learning.learn import answer_by_network, teach
from teliti.workflow.searches.ranking import MEASURES
from teliti.workflow.shared.photos import Photos
from teliti.workflow.shared.plan import SplitPlan
from teliti.workflow.shared.stopwatch import Stopwatch

_IMPORTED_FIRST = ("sklearn.svm", "sklearn.linear_model", "sklearn.model_selection", "scipy.stats")


@dataclass(frozen=True)
class Scores:
    """What one training says about the photos of its plan.

    Attributes:
        chooser: (M,) positions of the photos that the threshold is chosen on; never test photos.
        chooser_outputs: (M, K) outputs for them, by a head that did not learn from them.
        test_outputs: (T, K) outputs for the test part of the plan, in the order of its positions.
        once_s: Seconds of the work that the next repeat takes from the cache, for instance features.
        each_s: Seconds of the work that every repeat does anew.
        size: Numbers in the model that was fitted: of the head, or of the whole network.
        findings: What the diagnosis says of a network's curves, as records.
    """

    chooser: IntArray
    chooser_outputs: FloatArray
    test_outputs: FloatArray
    once_s: float
    each_s: float
    size: int = 0
    findings: tuple[Record, ...] = ()


class Trial(Protocol):
    """One training: a resolved recipe, the photos, and a plan with a train and a test part."""

    def __call__(self, recipe: Recipe, photos: Photos, plan: SplitPlan, /, *, reporter: Reporter) -> Scores: ...


@dataclass(frozen=True)
class FeaturesTrial:
    """Train a head on features, which the cache keeps from one repeat to the next.

    Attributes:
        cache: Where features are kept.
    """

    cache: RowCache

    def __call__(self, recipe: Recipe, photos: Photos, plan: SplitPlan, /, *, reporter: Reporter) -> Scores:
        import_heads(purpose="compare variants")  # so that the first time is like the later ones
        watch, recipe = Stopwatch(), override_recipe(recipe, {"train": {"mode": "features"}})
        candidate = try_setup(recipe, photos=photos, plan=plan, cache=self.cache, watch=watch, reporter=reporter)
        features = candidate.setup.features(photos, cache=self.cache, reporter=reporter)
        fit, seconds = candidate.fit, watch.to_record()
        outputs = answer_photos(candidate, features, plan.indices("test"), photos=photos)
        once = float(seconds["features"]) if candidate.computed else 0.0
        each = float(seconds["total"]) - float(seconds["backbone"]) - once
        return Scores(fit.chooser, fit.chooser_outputs, outputs, once, each, size_of_head(fit.head))


@dataclass(frozen=True)
class NetworkTrial:
    """Train the network itself, anew in every repeat; without an exported file.

    Attributes:
        on_epoch: Called with each row of the history; may raise to stop the training.
    """

    on_epoch: Callable[[Record], None] | None = None

    def __call__(self, recipe: Recipe, photos: Photos, plan: SplitPlan, /, *, reporter: Reporter) -> Scores:
        values = recipe_values(recipe)
        values["train"].pop("budget", None)  # it bounds the comparison, not each training
        watch, recipe = Stopwatch(), parse_recipe(values)
        lesson = teach(recipe, photos, plan, folder=None, watch=watch, reporter=reporter, on_epoch=self.on_epoch)
        test = plan.indices("test")
        outputs = lesson.fit.chooser_outputs[:0]
        if len(test):
            outputs = answer_by_network(lesson, recipe, photos, indices=test, reporter=reporter)
        size = sum(parameter.numel() for parameter in lesson.front.parameters())
        findings = tuple(finding.to_record() for finding in lesson.fitted.findings)
        fit = lesson.fit
        return Scores(fit.chooser, fit.chooser_outputs, outputs, 0.0, watch.elapsed(), size, findings)


def import_heads(*, purpose: str) -> None:
    """Load what fits heads, which takes seconds the first time.

    Raises:
        MissingExtraError: a library is not installed.
    """
    for library in _IMPORTED_FIRST:
        require(library, extra="train", purpose=purpose)


def size_of_head(head: HeadWeights) -> int:
    """Numbers that a head consists of."""
    arrays = (head.mean, head.scale, head.weight, head.bias, head.supports)
    return sum(int(array.size) for array in arrays if array is not None)


def check_measure(measure: str | None, *, task: str) -> str:
    """The measure that is judged; the task's first one where none is named.

    Raises:
        UserError: the task has no such measure.
    """
    known = MEASURES[task]
    if measure is not None and measure not in known:
        raise UserError(
            f"The measure of a {task} must be one of {', '.join(known)}, got {measure!r}.", hint="Choose one of them."
        )
    return measure or next(iter(known))


def measure_test(scores: Scores, photos: Photos, plan: SplitPlan, *, recipe: Recipe) -> dict[str, float | None]:
    """The measures of one training on its test part, the threshold chosen elsewhere."""
    return _measure(scores, photos, plan.indices("test"), recipe=recipe)


def measure_chooser(scores: Scores, photos: Photos, *, recipe: Recipe) -> dict[str, float | None]:
    """The measures of one training on the photos that its threshold is chosen on; the test part is not looked at."""
    return _measure(replace(scores, test_outputs=scores.chooser_outputs), photos, scores.chooser, recipe=recipe)


def _measure(scores: Scores, photos: Photos, measured: IntArray, *, recipe: Recipe) -> dict[str, float | None]:
    targets, outputs = photos.targets[np.asarray(measured)], scores.test_outputs
    answers = decide_answers(
        scores.chooser_outputs, photos.targets[scores.chooser], catalog=photos.catalog, recipe=recipe,
        photos=OUT_OF_FOLD,
    )  # fmt: skip
    if isinstance(answers, NumberRule):
        record = measure_numbers(targets, answers.labels(outputs), seed=recipe.seed, rule=answers)
    elif isinstance(answers, LabelsDecision):
        found = answers.labels(outputs)
        record = measure_found_labels(targets, outputs, found, decision=answers, seed=recipe.seed)
    else:
        positive = None if answers.positive is None else answers.classes.index(answers.positive)
        record = measure_classes(targets, outputs, answers.labels(outputs), positive=positive, seed=recipe.seed)
    return {key: record.get(key) for key in MEASURES[photos.catalog.task]}
