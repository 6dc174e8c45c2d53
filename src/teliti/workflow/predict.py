"""Predict: verdicts of photos by a saved bundle. Needs the base install only, but for several machines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from teliti.bundle import MANIFEST
from teliti.data.beside import levels_up, without_companions
from teliti.data.catalog import list_photos
from teliti.data.origins import from_anywhere, require_reach
from teliti.errors import PhotoRefused
from teliti.files import hash_file
from teliti.predictor import Predictor
from teliti.sessions import EngineWish
from teliti.types import Prediction, Record, Refused, Reporter, Sample, SilentReporter

if TYPE_CHECKING:
    from teliti.tuning.engines import Ask, Engine
    from teliti.tuning.machines import Machines

Answer = Prediction | PhotoRefused

_MANY = 200
"""Photos from which on it is worth a second to open the faster engine."""


def predict(
    bundle: str | Path,
    paths: str | Path | Sequence[str | Path],
    *,
    engine: EngineWish = "auto",
    machines: Engine | Machines | None = None,
    workers: int | None = None,
    reporter: Reporter | None = None,
) -> Record:
    """Verdicts of files, folders (with their subfolders), zips and addresses of an object store.

    Args:
        bundle: The bundle's folder.
        paths: One path or several.
        engine: What computes; "auto" takes the faster one here where there are photos enough to repay its start.
        machines: Where: an engine of `teliti.tuning`, or which machines; None: this process. Elsewhere "auto" is ONNX
            Runtime.
        workers: Portions of photos at a time, on machines; None: one for each core.
        reporter: Told how far it is.

    Returns:
        The record of the JSON contract of `predict`; a regression's `score` is the predicted number.

    Raises:
        BundleError: missing or damaged bundle.
        CatalogError: a path that does not exist, or nothing to inspect.
        RunError: a machine could not do its part.
    """
    reporter = SilentReporter() if reporter is None else reporter
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    predictor = Predictor.open(bundle)
    levels = levels_up(
        predictor.bundle.chain.beside_patterns
    )  # of what is read; what is only left out may lie anywhere
    listed, refused = list_photos([str(path) for path in several], beside_levels=levels)
    samples, _ = without_companions(listed, predictor.bundle.aside_patterns)
    answers: Iterable[tuple[int, Answer]]
    if machines is not None:
        answers = _predict_elsewhere(
            predictor, samples, engine=engine, machines=machines, workers=workers, reporter=reporter
        )
    else:
        predictor = _faster(predictor, engine, photos=len(samples), reporter=reporter)
        answers = predictor.predict_samples(samples, reporter=reporter)
    results: list[Record] = []
    unusable = list(refused)
    for index, answer in answers:
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


def _faster(predictor: Predictor, engine: EngineWish, *, photos: int, reporter: Reporter) -> Predictor:
    """The engine that was asked for; of "auto" the faster one, where there are photos enough."""
    if engine == "auto" and photos < _MANY:
        return predictor
    predictor = predictor.by_engine(engine)
    if predictor.engine["photos_per_s"]:
        rates = ", ".join(f"{name} {rate:g}" for name, rate in predictor.engine["photos_per_s"].items())
        reporter.note(f"Computed by {predictor.engine['name']}: photos a second of the network alone: {rates}.")
    return predictor


@dataclass(frozen=True, eq=False)
class Inspection:
    """Verdicts of some photos; a `Work` for any engine, which carries the bundle's files to where it is done.

    Attributes:
        digest: SHA-256 of the bundle's manifest, which holds those of all its files.
        files: The bundle's files by name; arrays, because they travel to a machine once and are not copied there.
        engine: What computes.
    """

    digest: str
    files: Mapping[str, NDArray[np.uint8]]
    engine: EngineWish

    def __call__(self, samples: Sequence[Sample], ask: Ask) -> list[Answer]:  # noqa: ARG002 - nothing to ask
        """One answer a photo, in order.

        Raises:
            RunError: this machine does not see the folder of a photo.
        """
        for sample in samples:
            require_reach(sample.origin)
        if self.digest not in _opened:
            _opened.clear()
            with TemporaryDirectory(prefix="teliti-bundle-") as folder:
                for name, content in self.files.items():
                    path = Path(folder, name)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content.tobytes())
                _opened[self.digest] = Predictor.open(folder).by_engine(self.engine)
        return [answer for _, answer in _opened[self.digest].predict_samples(samples)]


_opened: dict[str, Predictor] = {}  # of this process: a worker opens a bundle once


def pack_inspection(bundle: Path, *, engine: EngineWish = "onnxruntime") -> Inspection:
    """A bundle as work.

    Args:
        bundle: An opened bundle's folder.
        engine: What computes.
    """
    files = [path for path in sorted(bundle.rglob("*")) if path.is_file()]
    packed = {path.relative_to(bundle).as_posix(): np.frombuffer(path.read_bytes(), np.uint8) for path in files}
    return Inspection(hash_file(bundle / MANIFEST), packed, engine)


def _predict_elsewhere(
    predictor: Predictor,
    samples: Sequence[Sample],
    *,
    engine: EngineWish,
    machines: Engine | Machines,
    workers: int | None,
    reporter: Reporter,
) -> list[tuple[int, Answer]]:
    """The answers in the order of the photos, whoever was first."""
    from teliti.tuning.machines import opened
    from teliti.tuning.portions import do_portions

    found = [replace(sample, origin=from_anywhere(sample.origin)) for sample in samples]
    work = pack_inspection(predictor.bundle.path, engine="onnxruntime" if engine == "auto" else engine)
    with opened(machines, workers=workers, threads=1) as own:
        answers = dict(do_portions(found, work, engine=own, title="Inspecting photos", reporter=reporter))
    return sorted(answers.items())
