"""Would more photos help, and what would a careless split have claimed? Both answered by fitting heads again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from teliti.data.findings import Finding, Severity
from teliti.data.split import fewest_groups, fold_samples
from teliti.errors import SplitError
from teliti.metrics.intervals import balanced_interval
from teliti.metrics.learning_curve import extrapolate
from teliti.models.heads import HeadWeights
from teliti.recipe import Recipe
from teliti.training.heads.linear import FittedHead, fit_head
from teliti.types import IntArray, Record, Reporter, SilentReporter
from teliti.workflow.checks.features import FeatureSet
from teliti.workflow.learning.split_price import flatters, has_groups, price_of_groups, say_price, with_settings

SHARES = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
REPEATS = 3
FEWEST_PER_CLASS = 20  # separate photos
WORTH = 0.01  # of balanced accuracy: less than that is within the noise of any line


def learning_curve(
    known: FeatureSet, fitted: FittedHead, *, seed: int, reporter: Reporter
) -> tuple[Record | None, list[Finding]]:
    """Balanced accuracy on left-out folds with 10, 20, 40, 60, 80 and 100 % of the other photos.

    The settings of the head are those that the whole set chose, so that the curve shows photos and nothing else.

    Args:
        known: With classes.
        fitted: The head on all photos.
        seed: Of folds, choices and draws.
        reporter: Told of every fit.

    Returns:
        {"rows": [{"share", "photos", "score", "interval"}], "double": {"photos", "score", "interval",
        "gain_interval"}, "sentence"}, and the finding; None and nothing where a class has too few photos.
    """
    targets, groups = known.photos.targets, known.groups
    if fewest_groups(targets, groups) < FEWEST_PER_CLASS:
        return None, []
    folds = fold_samples(targets, groups, folds=5, seed=seed)
    recipe = with_settings(known.setup.recipe, fitted.history)
    measured: dict[float, list[_Measured]] = {share: [] for share in SHARES}
    with reporter.task("Measuring the learning curve", REPEATS * len(SHARES)) as advance:
        for repeat in range(REPEATS):
            held, rest = np.flatnonzero(folds == repeat), np.flatnonzero(folds != repeat)
            order = _grouped_order(rest, groups, np.random.default_rng([seed, repeat]))
            for share in SHARES:
                chosen = order[: max(1, round(share * len(order)))]
                head = _fit(known, chosen, recipe, seed=seed)
                if head is not None:
                    hits = head.logits(known.matrix[held]).argmax(axis=1) == targets[held]
                    measured[share].append(_Measured(len(chosen), targets[held], hits))
                advance(1)
    known_shares = {share: own for share, own in measured.items() if len(own) == REPEATS}
    return _conclude(known_shares, seed=seed) if len(known_shares) >= 3 else (None, [])


def judge_curve(record: Record) -> Finding:
    """The finding of a learning curve."""
    return Finding(
        "learning_curve", "info", record["sentence"], score=record["double"]["score"] - record["rows"][-1]["score"]
    )


def price_of_split(
    known: FeatureSet, fitted: FittedHead, *, seed: int, reporter: Reporter
) -> tuple[Record | None, list[Finding]]:
    """The accuracy that random folds claim beside the one of folds that keep groups whole.

    Args:
        known: With classes and groups of several photos.
        fitted: The head with grouped folds.
        seed: Of the folds.
        reporter: Told of the fit.

    Returns:
        {"grouped", "random", "difference", "interval", "sentence"}, and a finding; None where no group has two photos.
    """
    targets = known.photos.targets
    if not has_groups(known.groups):
        return None, []
    recipe = with_settings(known.setup.recipe, fitted.history)
    careless = fit_head(
        known.matrix, targets, np.arange(len(targets)), model=recipe.model, task="classification",
        num_classes=len(known.photos.catalog.classes), seed=seed, reporter=reporter,
    )  # fmt: skip
    honest, random = (head.oof_logits.argmax(axis=1) == targets for head in (fitted, careless))
    record = price_of_groups(honest, random, known.groups, seed=seed)
    return record, [judge_price(record)]


def judge_price(record: Record) -> Finding:
    """The finding of `price_of_split`: a warning where the random split is shown to flatter."""
    severity: Severity = "warning" if flatters(record) else "info"
    return Finding("split_price", severity, say_price(record), score=record["difference"])


def say_curve(rows: list[Record], double: Record) -> str:
    """The answer in a sentence, from the record's own numbers."""
    last = rows[-1]
    gain = double["score"] - last["score"]
    low, high = double["interval"]
    start = (
        f"With {last['photos']:,} photos to learn from the balanced accuracy is {last['score']:.1%}; twice as many "
        f"would give about {double['score']:.1%} ({low:.1%} to {high:.1%}), by a power law through {len(rows)} sizes."
    )
    least, most = double["gain_interval"]
    if least > WORTH:
        return f"{start} More photos would help."
    if most < WORTH:
        return f"{start} More photos of the same kind would hardly help: better labels, light or classes would."
    return f"{start} Whether more photos would help cannot be told: the gain of {100 * gain:.1f} points is uncertain."


@dataclass(frozen=True, eq=False)
class _Measured:
    """One head on one left-out fold.

    Attributes:
        size: Photos that it learnt from.
        labels: (M,) class index of the left-out photos.
        hits: (M,) True where it is right.
    """

    size: int
    labels: IntArray
    hits: NDArray[np.bool_]

    @property
    def error(self) -> float:
        """1 minus the balanced accuracy."""
        return 1.0 - _balanced(self.hits, self.labels)


def _conclude(measured: Mapping[float, Sequence[_Measured]], *, seed: int) -> tuple[Record, list[Finding]]:
    rows = [_row(share, own) for share, own in measured.items()]
    sizes = np.repeat([float(row["photos"]) for row in rows], [len(own) for own in measured.values()])
    errors = np.array([one.error for own in measured.values() for one in own])
    to = 2.0 * rows[-1]["photos"]
    error, (low, high) = extrapolate(sizes, errors, to=to, seed=seed)
    last, score = rows[-1]["score"], 1.0 - error
    below, above = last - rows[-1]["interval"][0], rows[-1]["interval"][1] - last  # a forecast is no surer than these
    double = {
        "photos": int(to),
        "score": round(score, 4),
        "interval": [
            round(max(0.0, min(1.0 - high, score - below)), 4),
            round(min(1.0, max(1.0 - low, score + above)), 4),
        ],
        "gain_interval": [round(1.0 - high - last, 4), round(1.0 - low - last, 4)],
    }
    record: Record = {"rows": rows, "double": double, "sentence": say_curve(rows, double)}
    return record, [judge_curve(record)]


def _row(share: float, own: Sequence[_Measured]) -> Record:
    labels = np.concatenate([one.labels for one in own])
    hits = np.concatenate([one.hits for one in own])
    present, classes = np.unique(labels, return_inverse=True)
    right = np.bincount(classes[hits], minlength=len(present))
    return {
        "share": share,
        "photos": round(float(np.median([one.size for one in own]))),
        "score": round(_balanced(hits, labels), 4),
        "interval": [round(end, 4) for end in balanced_interval(right, np.bincount(classes))],
    }


def _balanced(hits: NDArray[np.bool_], labels: IntArray) -> float:
    counts = np.bincount(labels)
    sums = np.bincount(labels, weights=hits.astype(np.float64))
    return float((sums[counts > 0] / counts[counts > 0]).mean())


def _fit(known: FeatureSet, chosen: IntArray, recipe: Recipe, *, seed: int) -> HeadWeights | None:
    """The head on some photos; None where a class is too small there."""
    try:
        return fit_head(
            known.matrix[chosen], known.photos.targets[chosen], known.groups[chosen], model=recipe.model,
            task="classification", num_classes=len(known.photos.catalog.classes), seed=seed, reporter=SilentReporter(),
        ).weights  # fmt: skip
    except SplitError:
        return None


def _grouped_order(photos: IntArray, groups: IntArray, rng: np.random.Generator) -> IntArray:
    """The photos in random order, groups together."""
    _, numbers = np.unique(groups[photos], return_inverse=True)
    place = rng.permutation(int(numbers.max()) + 1)[numbers]
    return photos[np.argsort(place, kind="stable")]
