"""From scores of photos that nothing was fitted on to a decision: threshold, grey band, limit of novelty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.metrics.answers import AnswerRule
from teliti.metrics.bands import least_probs_of_share
from teliti.metrics.decision import Decision
from teliti.metrics.guaranteed import band_of_error, least_probs_of_error
from teliti.metrics.label_decision import decide_labels
from teliti.metrics.line import Line
from teliti.metrics.novelty import novelty_limit
from teliti.metrics.number_rule import NumberRule
from teliti.metrics.promises import check_class_rule
from teliti.metrics.review import Review
from teliti.metrics.thresholds import choose_threshold
from teliti.recipe import DecideRecipe, Recipe
from teliti.types import Catalog, FloatArray, IntArray, Record
from teliti.workflow.learning.fit import OUT_OF_FOLD

_NO_BAND = "No score is shown to a person: with class names as verdicts a look has no band, see data.pass."


def decide(
    outputs: FloatArray,
    targets: NDArray[Any],
    *,
    classes: Sequence[str],
    recipe: Recipe,
    photos: str,
    novelty: FloatArray | None = None,
) -> Decision:
    """The decision that the recipe's [decide] makes on these scores.

    Args:
        outputs: (N, K) class probabilities of photos that the head was not fitted on.
        targets: (N,) class index.
        classes: K names.
        recipe: Resolved.
        photos: What these photos are called in the threshold's sentence.
        novelty: (N,) how unlike the training photos these are; None: no photo is reviewed for its look.
    """
    decision = Decision(
        classes=tuple(classes), positive=recipe.data.positive, pass_classes=tuple(recipe.data.pass_classes)
    )
    asked = recipe.decide
    check_class_rule(asked, has_verdicts=decision.has_verdicts)
    arg_max = asked.rule == "argmax" or (len(classes) > 2 and not asked.has_rule)
    has_band = decision.has_verdicts and (asked.review_share is not None or asked.max_error_rate is not None)
    if (arg_max and not has_band) or not decision.reject_indices:
        decision = replace(decision, rule="argmax", sentence="The most probable class is the verdict.")
    else:
        decision = _with_threshold(decision, outputs, targets, asked=asked, photos=photos)
    decision = _with_limits(decision, outputs, targets, asked=asked)
    return _with_novelty(decision, novelty, share=asked.novelty_share)


def _with_threshold(
    decision: Decision, outputs: FloatArray, targets: NDArray[Any], *, asked: DecideRecipe, photos: str
) -> Decision:
    positives = np.isin(targets, decision.reject_indices)
    name = decision.positive or "rejected"
    found = choose_threshold(decision.score(outputs), positives, asked, positive_name=name, photos=photos)
    line = Line.of(asked)
    evidence: Record = {
        "photos": photos,
        "promises": [promise.to_record() for promise in found.promises],
        "line": None if line is None else line.to_record(),
    }
    review = found.review if decision.has_verdicts else Review(sentence=_NO_BAND if found.review.has_band else "")
    return replace(
        decision, threshold=found.value, rule=found.rule, sentence=found.sentence, review=review, evidence=evidence
    )


def _with_limits(decision: Decision, outputs: FloatArray, targets: NDArray[Any], *, asked: DecideRecipe) -> Decision:
    """Who is looked at beside the band that came with the threshold."""
    labels = decision.labels(outputs)
    if asked.max_error_rate is None:
        if asked.review_share is None or decision.has_verdicts:
            return decision
        least = least_probs_of_share(outputs, labels, classes=decision.classes, share=asked.review_share)
        return replace(decision, review=least)
    if decision.has_verdicts and decision.threshold is not None:
        positives = np.isin(targets, decision.reject_indices)
        review, promises = band_of_error(decision.score(outputs), positives, asked, threshold=decision.threshold)
    else:
        review, promises = least_probs_of_error(outputs, labels, targets, decide=asked, classes=decision.classes)
    return replace(decision, review=review, evidence={**decision.evidence, "promises": promises})


def _with_novelty(decision: Decision, novelty: FloatArray | None, *, share: float) -> Decision:
    limit = None if novelty is None or share <= 0.0 else novelty_limit(novelty, share=share)
    if limit is None:
        return decision
    sentence = (
        f"Photos unlike the training photos are shown to a person, whatever their score: novelty above {limit:.3g}, "
        f"where 1 is usual and about {100 * share:.3g} % of such photos are above."
    )
    words = " ".join(filter(None, [decision.review.sentence, sentence]))
    return replace(decision, review=replace(decision.review, novelty=limit, sentence=words))


def decide_answers(
    outputs: FloatArray,
    targets: NDArray[Any],
    *,
    catalog: Catalog,
    recipe: Recipe,
    photos: str,
    novelty: FloatArray | None = None,
) -> AnswerRule:
    """What outputs mean, with the thresholds that the recipe's [decide] chooses on these.

    Args:
        outputs: (N, K) of photos that the head was not fitted on.
        targets: (N,) or (N, K), as in `Photos`.
        catalog: Says the task, and the names.
        recipe: Resolved.
        photos: What these photos are called in sentences.
        novelty: (N,) how unlike the training photos these are, for classes.
    """
    if catalog.task == "regression":
        return NumberRule(catalog.number_names)
    if catalog.task == "classification":
        return decide(outputs, targets, classes=catalog.classes, recipe=recipe, photos=photos, novelty=novelty)
    return decide_labels(
        outputs, targets, classes=catalog.classes, decide=recipe.decide, positive=recipe.data.positive,
        pass_classes=recipe.data.pass_classes, photos=photos,
    )  # fmt: skip


def decide_by_fold(
    outputs: FloatArray, targets: NDArray[Any], folds: IntArray, *, catalog: Catalog, recipe: Recipe
) -> NDArray[Any]:
    """Answers where each fold's thresholds were chosen on the other folds: no photo chose its own.

    Args:
        outputs: (N, K) out-of-fold outputs.
        targets: (N,) or (N, K), as in `Photos`.
        folds: (N,) int.
        catalog: Says the task, and the names.
        recipe: Resolved.

    Returns:
        Class indices or numbers (N,); labels or several numbers (N, K).
    """
    preds = np.zeros_like(targets)
    for fold in np.unique(folds):
        inside = folds == fold
        answers = decide_answers(outputs[~inside], targets[~inside], catalog=catalog, recipe=recipe, photos=OUT_OF_FOLD)
        preds[inside] = answers.labels(outputs[inside])
    return preds
