"""Predict: verdicts of photos by a saved bundle. Needs the base install only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from teliti.data.beside import levels_up, without_companions
from teliti.data.catalog import list_photos
from teliti.errors import PhotoRefused
from teliti.predictor import Predictor
from teliti.sessions import EngineWish
from teliti.types import Record, Refused, Reporter, SilentReporter

_MANY = 200
"""Photos from which on it is worth a second to open the faster engine."""


def predict(
    bundle: str | Path,
    paths: str | Path | Sequence[str | Path],
    *,
    engine: EngineWish = "auto",
    reporter: Reporter | None = None,
) -> Record:
    """Verdicts of files, folders (with their subfolders) and zips.

    Args:
        bundle: The bundle's folder.
        paths: One path or several.
        engine: What computes; "auto" takes the faster one here where there are photos enough to repay its start.
        reporter: Told how far it is.

    Returns:
        The record of the JSON contract of `predict`; a regression's `score` is the predicted number.

    Raises:
        BundleError: missing or damaged bundle.
        CatalogError: a path that does not exist, or nothing to inspect.
    """
    reporter = SilentReporter() if reporter is None else reporter
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    predictor = Predictor.open(bundle)
    patterns = predictor.bundle.chain.beside_patterns
    listed, refused = list_photos([str(path) for path in several], beside_levels=levels_up(patterns))
    samples, _ = without_companions(listed, patterns)
    if engine != "auto" or len(samples) >= _MANY:
        predictor = predictor.by_engine(engine)
        if predictor.engine["photos_per_s"]:
            rates = ", ".join(f"{name} {rate:g}" for name, rate in predictor.engine["photos_per_s"].items())
            reporter.note(f"Computed by {predictor.engine['name']}: photos a second of the network alone: {rates}.")
    results: list[Record] = []
    unusable = list(refused)
    for index, answer in predictor.predict_samples(samples, reporter=reporter):
        name = samples[index].name
        if isinstance(answer, PhotoRefused):
            unusable.append(Refused(name, answer.reason))
        else:
            results.append({"path": name, **answer.to_record()})
    return {
        "schema": 1,
        "bundle": str(bundle),
        "task": predictor.bundle.task,
        "engine": predictor.engine,
        "results": results,
        "refused": [{"path": one.name, "reason": one.reason} for one in unusable],
    }
