"""How right an exported network is, and what one of eight bits may lose.

Such a network never gives the same digits; accuracy, every class's recall, the share of equal verdicts and the defects
caught decide. Source of the 99 % line: MLPerf Inference's accuracy target (V. Reddi et al., 2020).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from teliti.export.certificate import PathAnswers
from teliti.metrics.decision import REJECT, REVIEW
from teliti.types import Prediction, Record, Sample

LEAST_ACCURACY = 0.99
"""Of the float network's accuracy that an int8 network must keep."""
MOST_RECALL_DROP = 0.02
MOST_ERROR_GROWTH = 0.05
MOST_CHANGED = 0.03
"""Share of verdicts that an int8 network may change; an accuracy alone would pass one that errs elsewhere."""
_ROUNDING = 1e-9


def measure_path(answers: PathAnswers, samples: Sequence[Sample], *, defects: Sequence[str] = ()) -> Record:
    """How right one path is, on photos with labels.

    Args:
        answers: Of the path.
        samples: The photos.
        defects: Names of the classes or labels that are rejected, the same for every path.

    Returns:
        For classes: photos, accuracy, recall by class, and defect_recall, the share of photos taken for one of
        `defects`, rejected or sent to review among those that are one; None where none is. For labels the same,
        accuracy being the share of photos whose labels are all right. For numbers: photos and mae, of several a
        number by name.
    """
    at_hand = [at for at in sorted(answers.predictions) if samples[at].label is not None]
    pairs = [(answers.predictions[at], samples[at]) for at in at_hand]
    if pairs and pairs[0][0].label is None and pairs[0][0].labels is None:
        return {"photos": len(pairs), "mae": _mean_errors(pairs)}
    found = [set(_names(one)) for one, _ in pairs]
    truth = [set(sample.class_names) for _, sample in pairs]
    names = sorted({name for own in truth for name in own})
    caught = [_is_caught(one, defects) for (one, _), own in zip(pairs, truth, strict=True) if own & set(defects)]
    return {
        "photos": len(pairs),
        "accuracy": float(np.mean([a == b for a, b in zip(found, truth, strict=True)])) if pairs else None,
        "recall": {
            name: float(np.mean([name in a for a, b in zip(found, truth, strict=True) if name in b])) for name in names
        },
        "defect_recall": float(np.mean(caught)) if caught else None,
    }


def int8_objections(
    before: Record, after: Record, *, comparison: Record, least_defect_recall: float | None
) -> list[str]:
    """Why an int8 network must not be used; empty when nothing speaks against it.

    Args:
        before: From `measure_path`, the float network.
        after: From `measure_path`, the int8 network, on the same photos.
        comparison: From `compare_paths`, of both.
        least_defect_recall: The share of defects that must be caught, whatever the float network caught; None: any.
    """
    if "mae" in before:
        return list(_larger_errors(before["mae"], after["mae"]))
    objections = []
    changed, photos = comparison["changed_verdicts"], comparison["photos"]
    if changed > MOST_CHANGED * photos + _ROUNDING:
        objections.append(f"{changed} of {photos} verdicts changed, over {MOST_CHANGED:.0%}.")
    least = LEAST_ACCURACY * before["accuracy"]
    if after["accuracy"] < least - _ROUNDING:
        objections.append(
            f"The accuracy is {after['accuracy']:.4f}, below {LEAST_ACCURACY:.0%} of {before['accuracy']:.4f}."
        )
    for name, recall in before["recall"].items():
        if recall - after["recall"][name] > MOST_RECALL_DROP + _ROUNDING:
            objections.append(
                f'The recall of "{name}" falls from {recall:.3f} to {after["recall"][name]:.3f}, '
                f"by more than {100 * MOST_RECALL_DROP:g} points."
            )
    caught = after["defect_recall"]
    if least_defect_recall is None:
        return objections
    if caught is None:
        objections.append(f"No photo is a defect, so it cannot be shown that {least_defect_recall:.3f} are caught.")
    elif caught < least_defect_recall - _ROUNDING:
        objections.append(f"{caught:.3f} of the defects are caught, {least_defect_recall:.3f} must be.")
    return objections


def _larger_errors(before: float | dict[str, float], after: float | dict[str, float]) -> Iterator[str]:
    """Sentences about mean errors that grew too much, of one number or of several by name."""
    several = isinstance(before, dict)
    errors, now = (one if isinstance(one, dict) else {"": one} for one in (before, after))
    for name, error in errors.items():
        most = (1.0 + MOST_ERROR_GROWTH) * error
        if now[name] > most + _ROUNDING:
            yield f"The mean error{f' of {name}' if several else ''} is {now[name]:.4g}, over {most:.4g}."


def _mean_errors(pairs: Sequence[tuple[Prediction, Sample]]) -> float | dict[str, float]:
    truth = np.array([sample.numbers for _, sample in pairs])
    said = np.array([list(one.values.values()) or [one.score or 0.0] for one, _ in pairs], np.float64)
    errors = np.abs(said - truth).mean(axis=0)
    names = list(pairs[0][0].values)
    return dict(zip(names, errors.tolist(), strict=True)) if names else float(errors[0])


def _names(one: Prediction) -> tuple[str, ...]:
    """The classes or labels that are said."""
    if one.labels is not None:
        return one.labels
    return () if one.label is None else (one.label,)


def _is_caught(one: Prediction, defects: Sequence[str]) -> bool:
    """True when a person sees the photo, or it is said to have one of the defects."""
    return one.verdict in {REJECT, REVIEW} or any(name in defects for name in _names(one))
