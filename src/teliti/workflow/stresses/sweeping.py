"""One way of making photos worse, level after level, asked of the predictor: every photo was decoded once before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from teliti.data.decoded import DecodedPhotos
from teliti.errors import PhotoRefused
from teliti.imaging.colour import shared_plane
from teliti.metrics.decision import PASS, Decision
from teliti.metrics.label_decision import LabelsDecision
from teliti.metrics.number_stress import measure_number_level
from teliti.metrics.stress import Bounds, Verdicts, find_limit, is_over, measure_level
from teliti.predictor import Predictor
from teliti.transforms.sweeps import Sweep
from teliti.types import FloatArray, Prediction, Record, Reporter, Sample, UInt8Image
from teliti.workflow.shared.tolerances import Tolerance, values_of

_REFUSED = "refused"


@dataclass(frozen=True)
class Swept:
    """One sweep, done.

    Attributes:
        sweep: What was changed.
        levels: One record a level that was tried, from the mildest on.
        conditions: By level: light, blur, size and scale of each photo at it.
        why_not: Why nothing was tried; None where something was.
        about: What holds or does not.
    """

    sweep: Sweep
    levels: list[Record] = field(default_factory=list)
    conditions: list[list[dict[str, float]]] = field(default_factory=list)
    why_not: str | None = None
    about: Literal["verdicts", "numbers"] = "verdicts"

    @property
    def limit(self) -> int | None:
        """Place of the last level that holds."""
        return find_limit([level["holds"] for level in self.levels])

    def to_record(self) -> Record:
        """JSON-ready; `limit` is the neutral level where not even the mildest change holds."""
        at = self.limit
        broken = [level["level"] for level in self.levels if not level["holds"]]
        return {
            "name": self.sweep.name,
            "neutral": self.sweep.neutral,
            "limit": None if self.why_not else self.sweep.neutral if at is None else self.levels[at]["level"],
            "first_broken": broken[0] if broken else None,
            "why_not": self.why_not,
            "about": self.about,
            "levels": self.levels,
        }


@dataclass(frozen=True)
class Stand:
    """What every sweep shares.

    Attributes:
        predictor: The bundle.
        samples: (N) labelled photos that can be used.
        decoded: Their pixels.
        bad: (N,) bool, photos that must not pass.
        bounds: Within what a level holds.
        tolerance: Of a bundle that predicts numbers: how far each may move; else None.
        reporter: Told how far it is.
    """

    predictor: Predictor
    samples: tuple[Sample, ...]
    decoded: DecodedPhotos
    bad: NDArray[np.bool_]
    bounds: Bounds
    reporter: Reporter
    tolerance: Tolerance | None = None

    @property
    def targets(self) -> FloatArray:
        """(N, K) true numbers."""
        return np.array([sample.numbers for sample in self.samples], dtype=np.float64)

    def measure(self, clean: Sequence[Prediction | None], now: Sequence[Prediction | None]) -> Record:
        """One level, from what is said of the photos as they are and at it."""
        if self.tolerance is None:
            return measure_level(verdicts_of(clean, self), verdicts_of(now, self), bad=self.bad, bounds=self.bounds)
        return measure_number_level(
            numbers_of(clean, self.tolerance), numbers_of(now, self.tolerance), targets=self.targets,
            tolerance=self.tolerance.values, bounds=self.bounds,
        )  # fmt: skip


def run_sweep(sweep: Sweep, clean: Sequence[Prediction | None], stand: Stand) -> Swept:
    """Level after level, until two in a row do not hold."""
    about: Literal["verdicts", "numbers"] = "verdicts" if stand.tolerance is None else "numbers"
    why_not = _why_not(sweep, stand)
    if why_not is not None:
        return Swept(sweep, why_not=why_not, about=about)
    done = Swept(sweep, about=about)
    with stand.reporter.task(f"Sweep: {sweep.name}", len(sweep.levels) * len(stand.samples)) as advance:
        for level in sweep.levels:
            answers = _answer_level(sweep, level, stand)
            done.levels.append({"level": level, **stand.measure(clean, answers)})
            done.conditions.append([dict(one.conditions) for one in answers if one is not None and one.conditions])
            advance(len(stand.samples))
            if is_over([one["holds"] for one in done.levels]):
                break
    return done


def _why_not(sweep: Sweep, stand: Stand) -> str | None:
    if sweep.moves and stand.predictor.bundle.chain.beside_patterns:
        return "masks beside the photos would have to move along"
    if sweep.needs_colour and all(_is_grey(stand.decoded.read(sample)) for sample in stand.samples):
        return "the photos are grey"
    return None


def _is_grey(image: UInt8Image) -> bool:
    return image.ndim == 2 or shared_plane(image) is not None


def _answer_level(sweep: Sweep, level: float, stand: Stand) -> list[Prediction | None]:
    """What is said of each photo at a level; None of one that is refused."""
    numbers = {sample.name: number for number, sample in enumerate(stand.samples)}

    def read(sample: Sample) -> UInt8Image:
        return sweep.change(stand.decoded.read(sample), level, numbers[sample.name])

    answers = stand.predictor.predict_samples(stand.samples, read=read)
    return [None if isinstance(answer, PhotoRefused) else answer for _, answer in answers]


def verdicts_of(answers: Sequence[Prediction | None], stand: Stand) -> Verdicts:
    """What was said of each photo, and whether it is true; a refused photo was not passed."""
    said, right, missed = [], [], []
    for sample, answer, is_bad in zip(stand.samples, answers, stand.bad.tolist(), strict=True):
        if answer is None:
            said.append(_REFUSED)
            right.append(False)
            missed.append(False)
            continue
        names = answer.labels if answer.labels is not None else (answer.label,)
        said.append(str(answer.verdict))
        right.append(set(names) == set(sample.class_names))
        missed.append(is_bad and _passed(answer, stand.predictor))
    return Verdicts(tuple(said), np.array(right), np.array(missed))


def numbers_of(answers: Sequence[Prediction | None], tolerance: Tolerance) -> FloatArray:
    """(N, K) numbers that were predicted; NaN of a photo that was refused."""
    names = tuple(tolerance.values)
    return np.array([[math.nan] * len(names) if one is None else values_of(one, names) for one in answers])


def _passed(answer: Prediction, predictor: Predictor) -> bool:
    """True where nobody would look at a bad photo: it passes, or it got a class that is not rejected."""
    decision = predictor.bundle.answers
    if isinstance(decision, Decision) and not decision.has_verdicts:
        rejects = {decision.classes[index] for index in decision.reject_indices}
        return answer.verdict == answer.label and answer.label not in rejects
    return answer.verdict == PASS


def is_bad(sample: Sample, predictor: Predictor) -> bool:
    """True for a photo that must not pass; False where the bundle rejects nothing."""
    decision = predictor.bundle.answers
    if not isinstance(decision, Decision | LabelsDecision):
        return False
    return any(decision.classes[index] in sample.class_names for index in decision.reject_indices)
