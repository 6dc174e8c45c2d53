"""Where the evidence is: the same photos whole, without their background, and without their part.

What is covered becomes mid-grey. A hole must tell nothing by its shape: the background alone is shown with the photo's
own part covered and, at the same time, with the part of one photo of every other class, so that photos of all classes
have the same kind of hole. The part alone keeps its own outline, which belongs to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np

from teliti.data.decoded import DecodedPhotos, read_photo
from teliti.data.loading import map_ahead
from teliti.errors import PhotoRefused, UserError
from teliti.imaging.framing import PADDING_VALUE
from teliti.metrics.decision import Decision
from teliti.metrics.evidence import HIDDEN, UNKNOWN, judge_views, measure_view
from teliti.predictor import Predictor
from teliti.report.evidence_words import evidence_sentence
from teliti.transforms.steps import Working
from teliti.transforms.steps_mask import Mask
from teliti.types import Record, Reporter, Sample, UInt8Image
from teliti.workflow.part_finding import FindPart, hiding_step, part_finder
from teliti.workflow.sealed import even_choice

MOST_PHOTOS = 400
View = Literal["whole", "part", "background"]
_SEED = 7
_LEAST_LEFT = 0.05  # share of the photo that must stay when the parts are covered
_FEWEST = 8  # photos of a class
_LOOKED_AT, _SHOWN = 40, 4
_RIM = 0.02  # of the longer side: so far around the part is covered too
_NEUTRAL = Mask(background="neutral")


@dataclass(frozen=True)
class Views:
    """Photos with the masks of their parts.

    Attributes:
        samples: (N) those that can be used.
        labels: (N) class index.
        masks: (N) (H, W) uint8, 255 for the part; all 0 where nothing is marked.
        decoded: Pixels of the photos.
    """

    samples: tuple[Sample, ...]
    labels: tuple[int, ...]
    masks: tuple[UInt8Image, ...]
    decoded: DecodedPhotos

    def show(self, number: int, view: View) -> UInt8Image:
        """A photo in one of the views, (H, W, 3) or (H, W) uint8."""
        photo = self.decoded.read(self.samples[number])
        if view == "whole":
            return photo
        if view == "part":
            own = self.masks[number]
            return _under(photo, own if own.any() else _fitted(self._others(number), photo))
        return _under(photo, 255 - self.hole(number, photo))

    def hole(self, number: int, photo: UInt8Image) -> UInt8Image:
        """(H, W) uint8, 255 where the background view is covered: the parts and a rim around them."""
        union = _fitted([self.masks[number], *self._others(number)], photo)
        rim = 2 * max(1, round(_RIM * max(photo.shape[:2]))) + 1
        return np.asarray(cv2.dilate(union, np.ones((rim, rim), np.uint8)), dtype=np.uint8)

    def shown(self) -> list[tuple[Sample, dict[str, UInt8Image]]]:
        """One photo of each class, of four at most, in every view."""
        first = [self.labels.index(label) for label in sorted(set(self.labels))[:_SHOWN]]
        return [(self.samples[at], {view: self.show(at, view) for view in get_args(View)}) for at in first]

    def _others(self, number: int) -> list[UInt8Image]:
        """The mask of one photo of every other class, always the same ones for the same photo."""
        draw = np.random.default_rng((_SEED, number))
        classes = sorted(set(self.labels) - {self.labels[number]})
        members = [[at for at, label in enumerate(self.labels) if label == one] for one in classes]
        return [self.masks[own[int(draw.integers(len(own)))]] for own in members]


@dataclass(frozen=True)
class Evidence:
    """What was found, and what the net was shown.

    Attributes:
        record: {"how", "photos", "left_out", "status", "why_unknown", "views", "hidden_by", "sentence"}.
        views: The photos.
    """

    record: Record
    views: Views


def find_evidence(
    predictor: Predictor, samples: Sequence[Sample], how: str, *, reporter: Reporter, most: int = MOST_PHOTOS
) -> Evidence:
    """Measure a bundle on whole photos, on their parts and on their backgrounds.

    Args:
        predictor: Of classes.
        samples: Labelled photos.
        how: otsu, kmeans, watershed or grabcut find the part; a name pattern with {stem} names the mask, or the .xml
            file with boxes, beside each photo.
        reporter: Told how far it is.
        most: Photos at most, spread evenly.

    Raises:
        UserError: a bundle of another task, or a way to find parts that does not exist.
    """
    decision = predictor.bundle.answers
    if not isinstance(decision, Decision):
        raise UserError(
            f'"{predictor.bundle.path}" must give one class a photo for --evidence, and it does not.',
            hint="Evaluate it without --evidence.",
        )
    find, hidden = part_finder(how, predictor.bundle.chain), hiding_step(predictor.bundle.chain)
    if hidden is not None:
        return untold(how, status=HIDDEN, hidden_by=hidden)
    chosen = even_choice(samples, most=most)
    views = _find_parts(chosen, find, decision, threads=predictor.threads, reporter=reporter)
    record: Record = {"how": how, "photos": len(views.samples), "left_out": len(chosen) - len(views.samples)}
    why = _why_unknown(views, decision)
    measured: dict[str, Record] = {}
    if why is None:
        measured = {
            view: _measure(predictor, views, view, decision=decision, reporter=reporter) for view in get_args(View)
        }
        why = None if judge_views(measured) != UNKNOWN else "the whole photos are not shown to beat chance either"
    record |= {"status": UNKNOWN if why else judge_views(measured), "why_unknown": why, "views": measured}
    record["hidden_by"] = None
    record["sentence"] = evidence_sentence(record)
    return Evidence(record, views)


def untold(how: str, *, status: str, why: str | None = None, hidden_by: str | None = None) -> Evidence:
    """Evidence that no photo was asked for, and why.

    Args:
        how: How parts are found.
        status: "unknown" or "hidden".
        why: Why nothing can be said.
        hidden_by: The prepare step that covers the background.
    """
    record: Record = {"how": how, "photos": 0, "left_out": 0, "status": status, "why_unknown": why, "views": {}}
    record["hidden_by"] = hidden_by
    record["sentence"] = evidence_sentence(record)
    return Evidence(record, Views((), (), (), DecodedPhotos()))


def _find_parts(
    samples: Sequence[Sample],
    find: FindPart,
    decision: Decision,
    *,
    threads: int,
    reporter: Reporter,
) -> Views:
    decoded = DecodedPhotos()

    def look(sample: Sample) -> UInt8Image | None:
        try:
            photo = read_photo(sample)
            mask = find(sample, photo)
        except PhotoRefused:
            return None
        decoded.keep(sample.name, photo)
        return mask

    used, masks = [], []
    with reporter.task("Finding parts", len(samples)) as advance:
        for sample, mask in zip(samples, map_ahead(look, samples, threads=threads), strict=True):
            advance(1)
            if mask is not None:
                used.append(sample)
                masks.append(mask)
    labels = tuple(decision.classes.index(str(sample.label)) for sample in used)
    return Views(tuple(used), labels, tuple(masks), decoded)


def _why_unknown(views: Views, decision: Decision) -> str | None:
    counts = np.bincount(np.array(views.labels, dtype=np.int64), minlength=len(decision.classes))
    few = [f'{count} of "{name}"' for name, count in zip(decision.classes, counts, strict=True) if count < _FEWEST]
    if few:
        return f"part and background can be told apart on too few photos ({', '.join(few)})"
    if not any(mask.any() for mask in views.masks):
        return "no photo has a part marked"
    looked_at = range(0, len(views.samples), max(1, len(views.samples) // _LOOKED_AT))
    covered = [(views.hole(at, views.decoded.read(views.samples[at])) > 0).mean() for at in looked_at]
    if 1.0 - float(np.mean(covered)) < _LEAST_LEFT:
        return "the parts fill the photos, or lie anywhere on them, and leave no background"
    return None


def _measure(predictor: Predictor, views: Views, view: View, *, decision: Decision, reporter: Reporter) -> Record:
    numbers = {sample.name: number for number, sample in enumerate(views.samples)}
    rows, labels = [], []
    answers = predictor.predict_samples(
        views.samples, reporter=reporter, read=lambda sample: views.show(numbers[sample.name], view)
    )
    for index, answer in answers:
        if not isinstance(answer, PhotoRefused):
            rows.append(list(answer.probs.values()))
            labels.append(views.labels[index])
    positive = None if decision.positive is None else decision.classes.index(decision.positive)
    return measure_view(np.array(labels), np.array(rows), positive=positive, seed=_SEED)


def _fitted(masks: Sequence[UInt8Image], photo: UInt8Image) -> UInt8Image:
    """The union of masks, each brought to the photo's size."""
    height, width = photo.shape[:2]
    union: UInt8Image = np.zeros((height, width), dtype=np.uint8)
    for mask in masks:
        same = mask if mask.shape == union.shape else cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
        union[np.asarray(same) > 0] = 255
    return union


def _under(photo: UInt8Image, mask: UInt8Image) -> UInt8Image:
    """The photo where the mask is, mid-grey elsewhere; all of it mid-grey where the mask is empty."""
    if not mask.any():
        return np.full_like(photo, PADDING_VALUE)
    return _NEUTRAL.run(Working(mask, photo, kind="binary")).image
