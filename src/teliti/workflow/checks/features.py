"""What the features of a frozen backbone say about a set: wrong labels, outliers, overlaps, a map, what to label next.

The features are those that training takes, from the same cache, so that a training afterwards need not compute them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from teliti.cache import RowCache
from teliti.data.beside import levels_up, without_companions
from teliti.data.catalog import list_photos
from teliti.data.findings import Finding
from teliti.data.fingerprints import fingerprint_photos
from teliti.data.split import fewest_groups
from teliti.metrics.calibration import softmax
from teliti.metrics.intervals import wilson_interval
from teliti.metrics.label_errors import find_label_errors
from teliti.recipe import Recipe, override_recipe, parse_recipe, recipe_values
from teliti.recipe.train import NETWORK_MODES
from teliti.runtime import is_installed
from teliti.training.features.embedding import (
    NEIGHBOURS,
    Points,
    Space,
    choose_to_label,
    draw_map,
    find_clusters,
    find_outliers,
    fit_space,
)
from teliti.training.features.extraction import compute_features
from teliti.training.heads.linear import FittedHead, fit_head
from teliti.types import SPLITS, FloatArray, IntArray, Record, Reporter, Sample
from teliti.workflow.checks.photos import Examined
from teliti.workflow.shared.part_finding import not_photos
from teliti.workflow.shared.photos import Photos
from teliti.workflow.shared.plan import SplitPlan
from teliti.workflow.shared.setup import Setup, fit_recipe_numbers, resolve_data, resolve_setup

MOST_BY_DEFAULT = 5000
FEWEST = 3 * NEIGHBOURS
OVERLAPPING = 0.05
_HEADS = ("rbf_svm", "logistic")
_NEEDED = ("torch", "timm", "onnx", "onnxscript", "sklearn", "safetensors")


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """The features of the photos of a check.

    Attributes:
        photos: As training sees them.
        setup: What made the features.
        matrix: (N, D) float32, a row a photo: the mean of its tiles where there are several.
        groups: (N,) photos of one group share a number.
        space: Where distances are taken.
        points: (N, C) in that space.
    """

    photos: Photos
    setup: Setup
    matrix: NDArray[np.float32]
    groups: IntArray
    space: Space
    points: Points


def why_no_features(examined: Examined, recipe: Recipe, *, asked: bool | None) -> str | None:
    """The reason for leaving features out, or None where they are computed.

    Args:
        examined: The photos.
        recipe: Names the backbone.
        asked: True or False where the user decided; None: on, within what is affordable.
    """
    missing = [library for library in _NEEDED if not is_installed(library)]
    photos = len(examined.samples)
    if asked is False:
        return "not asked for"
    if missing:
        return f'{missing[0]} is not installed; pip install "teliti[train]" brings it'
    if recipe.train.mode in NETWORK_MODES:
        return f"the recipe trains a network itself (train.mode is {recipe.train.mode})"
    if photos < FEWEST:
        return f"{photos} photos are fewer than {FEWEST}"
    if asked is None and photos > MOST_BY_DEFAULT:
        return f"{photos:,} photos are more than {MOST_BY_DEFAULT:,}; --features computes them all the same"
    return None


def gather_features(
    examined: Examined, groups: IntArray, recipe: Recipe, *, cache: RowCache, reporter: Reporter
) -> FeatureSet:
    """Compute the features, or take them from the cache.

    Args:
        examined: The photos.
        groups: (N,) photos of one group share a number.
        recipe: Prepare steps and backbone.
        cache: Where features are kept.
        reporter: Told how far it is.

    Raises:
        RecipeError: steps or a backbone that cannot be used.
        PhotoRefused: a photo changed since it was read.
    """
    photos = examined.as_photos()
    plan = SplitPlan("ours", (SPLITS[0],) * len(photos.samples), None, groups, "", {})
    values = {key: value for key, value in recipe_values(recipe).items() if key not in {"decide", "augment"}}
    resolved = parse_recipe(values)  # nothing is decided and no views are made here
    if photos.catalog.classes or photos.catalog.task == "regression":
        resolved, _ = resolve_data(resolved, photos, plan)
    else:
        resolved = _resolve_unlabelled(resolved, photos, plan)
    setup = resolve_setup(resolved, numbers=fit_recipe_numbers(resolved, photos, plan))
    features = setup.features(photos, cache=cache, reporter=reporter)
    matrix = _mean_rows(features.matrix, features.counts)
    space = fit_space(matrix)
    return FeatureSet(photos, setup, matrix, groups, space, space.place(matrix))


def describe_set(known: FeatureSet, *, seed: int, reporter: Reporter) -> tuple[Record, list[Finding]]:
    """Outliers, clusters and the map; needs no labels.

    Returns:
        {"clusters": [{"photos", "classes", "example"}], "map": {"method", "points": [[x, y]], "labels", "clusters"}}.
    """
    names = [sample.name for sample in known.photos.samples]
    places, deviations = find_outliers(known.points)
    findings = [
        Finding(
            "outlier", "warning", f"Its {NEIGHBOURS} nearest neighbours are {far:.1f} robust deviations farther "
            "away than those of other photos.", (names[at],), far,
        )
        for at, far in zip(places.tolist(), deviations.tolist(), strict=True)
    ]  # fmt: skip
    with reporter.task("Drawing the map", None) as advance:
        clusters = find_clusters(known.points, seed=seed)
        flat, method = draw_map(known.points, seed=seed)
        advance(1)
    labels = [sample.label for sample in known.photos.samples]
    rows = []
    for cluster in range(int(clusters.max()) + 1):
        inside = np.flatnonzero(clusters == cluster)
        middle = known.points[inside].mean(axis=0)
        example = inside[int(np.argmin(((known.points[inside] - middle) ** 2).sum(axis=1)))]
        own = [str(labels[at]) for at in inside if isinstance(labels[at], str)]
        rows.append({
            "photos": len(inside), "classes": {name: own.count(name) for name in sorted(set(own))},
            "example": names[example],
        })  # fmt: skip
    drawn = {
        "method": method,
        "points": np.round(flat, 4).tolist(),
        "labels": labels,
        "clusters": clusters.tolist(),
    }
    return {"clusters": rows, "map": drawn}, findings


def fit_heads(known: FeatureSet, *, seed: int, reporter: Reporter) -> list[FittedHead]:
    """The heads whose out-of-fold answers are averaged: a kernel and a linear one, which err in different places.

    Raises:
        SplitError: a class has too few separate photos for two folds.
    """
    return [fit_one(known, head, seed=seed, reporter=reporter) for head in _HEADS]


def fit_one(known: FeatureSet, head: str, *, seed: int, reporter: Reporter) -> FittedHead:
    """One head on all photos, with out-of-fold answers."""
    recipe = override_recipe(known.setup.recipe, {"model": {"head": head}})
    return fit_head(
        known.matrix, known.photos.targets, known.groups, model=recipe.model, task="classification",
        num_classes=len(known.photos.catalog.classes), seed=seed, reporter=reporter,
    )  # fmt: skip


def has_folds(known: FeatureSet) -> bool:
    """True where every class has photos for at least two folds."""
    photos = known.photos
    return len(photos.catalog.classes) > 1 and fewest_groups(photos.targets, known.groups) > 1


def mean_probs(logits: Sequence[FloatArray]) -> FloatArray:
    """(N, K) mean of the probabilities of several heads."""
    return np.asarray(np.mean([softmax(one) for one in logits], axis=0))


def judge_labels(known: FeatureSet, probs: FloatArray) -> list[Finding]:
    """Labels that are probably wrong, and pairs of classes that overlap.

    Args:
        known: With classes.
        probs: (N, K) out of fold.
    """
    classes, targets = known.photos.catalog.classes, known.photos.targets
    found = find_label_errors(targets, probs)
    findings = []
    for at, label, wrong in zip(
        found.photos.tolist(), found.labels.tolist(), found.probabilities.tolist(), strict=True
    ):
        message = (
            f'It is labelled "{classes[targets[at]]}" and looks like "{classes[label]}"; the label is wrong with '
            f"probability {wrong:.2f}."
        )
        name = known.photos.samples[at].name
        findings.append(Finding("label_error", "warning", message, (name,), wrong, "relabel", classes[label]))
    return findings + _overlaps(classes, targets, probs)


def _overlaps(classes: Sequence[str], targets: IntArray, probs: FloatArray) -> list[Finding]:
    findings = []
    for first in range(len(classes)):
        for second in range(first + 1, len(classes)):
            inside = np.isin(targets, (first, second))
            taken = np.where(probs[inside, first] >= probs[inside, second], first, second)
            wrong, photos = int((taken != targets[inside]).sum()), int(inside.sum())
            interval = wilson_interval(wrong, photos)
            if interval is not None and interval[0] > OVERLAPPING:
                message = (
                    f'"{classes[first]}" and "{classes[second]}" overlap: {wrong:,} of their {photos:,} photos '
                    f"({wrong / photos:.1%}, {interval[0]:.1%} to {interval[1]:.1%}) are taken for the other."
                )
                findings.append(Finding("overlap", "warning", message, score=wrong / photos))
    return findings


def choose_from_pool(
    pool: str, known: FeatureSet, heads: Sequence[FittedHead], *, count: int, cache: RowCache, reporter: Reporter
) -> list[Finding]:
    """Photos of an unlabelled folder that are worth labelling, the best first.

    Args:
        pool: Folder, zip or photo.
        known: The labelled photos.
        heads: Fitted on them; without any only diversity counts.
        count: At most so many.
        cache: Where features are kept.
        reporter: Told how far it is.

    Raises:
        CatalogError: no photos there.
    """
    source = known.setup.source
    listed, _ = list_photos([pool], beside_levels=levels_up(source.chain.beside_patterns))
    given, _ = without_companions(listed, not_photos(known.setup.recipe))
    marks, _ = fingerprint_photos(given, cache=cache, threads=source.threads, reporter=reporter)
    labelled = set(known.photos.digests)
    new = [(sample, mark.digest) for sample, mark in zip(given, marks, strict=True) if mark is not None]
    fresh: dict[bytes, Sample] = {digest: sample for sample, digest in new if digest not in labelled}
    if not fresh:
        return []
    samples = list(fresh.values())
    features = compute_features(samples, list(fresh), source, cache=cache, reporter=reporter)
    matrix = _mean_rows(features.matrix, features.counts)
    probs = mean_probs([head.weights.logits(matrix) for head in heads]) if heads else None
    unsure = np.ones(len(matrix)) if probs is None else 1.0 - _margins(probs)
    places, worth = choose_to_label(known.space.place(matrix), known.points, unsure, count=count)
    findings = []
    for at, value in zip(places.tolist(), worth.tolist(), strict=True):
        likely = None if probs is None else known.photos.catalog.classes[int(probs[at].argmax())]
        message = say_worth(likely, 0.0 if probs is None else float(probs[at].max()))
        findings.append(Finding("add_photo", "info", message, (samples[at].name,), value))
    return findings


def say_worth(likely: str | None, probability: float) -> str:
    """Why a photo is worth labelling: its most likely class and how probable that is; None where no head knows."""
    if likely is None:
        return "It is unlike the labelled photos."
    return f'The most likely class is "{likely}" with {probability:.0%}; it is unlike what was chosen before.'


def _margins(probs: FloatArray) -> NDArray[np.float64]:
    """(N,) the largest minus the second probability."""
    two = np.sort(probs, axis=1)[:, -2:]
    return np.asarray(two[:, 1] - two[:, 0], dtype=np.float64)


def _mean_rows(matrix: NDArray[np.float32], counts: IntArray) -> NDArray[np.float32]:
    if len(matrix) == len(counts):
        return matrix
    starts = np.cumsum(counts) - counts
    return np.asarray(np.add.reduceat(matrix, starts, axis=0) / counts[:, None], dtype=np.float32)


def _resolve_unlabelled(recipe: Recipe, photos: Photos, plan: SplitPlan) -> Recipe:
    """What `resolve_data` writes, without classes: the size alone decides about features."""
    from dataclasses import replace

    numbers = np.arange(len(photos.samples), dtype=np.float64)
    catalog = replace(photos.catalog, task="regression")
    resolved, _ = resolve_data(recipe, replace(photos, catalog=catalog, targets=numbers), plan)
    return resolved
