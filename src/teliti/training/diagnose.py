"""What the learning curves say, in words: each finding with the measure behind it and what to try.

Skill is the way from the best constant answer (0) to a perfect one (1). The bounds are rules of thumb, written out
in each sentence so that a reader may disagree: step lengths after Y. Bengio (2012), curves after I. Goodfellow et al.,
"Deep Learning" (2016), chapters 5 and 11.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import median
from typing import Any, Literal

from teliti.training.activity import LayerActivity
from teliti.training.callbacks import Watch
from teliti.types import Record

FindingKind = Literal[
    "under_fitting", "over_fitting", "still_improving", "rate_too_large", "rate_too_small", "class_never_predicted",
    "dead_units", "saturation",
]  # fmt: skip
Rows = Sequence[Mapping[str, Any]]

_LITTLE_SKILL = 0.5
_GAP, _RISE = 0.1, 1.1  # skill lost from training to validation; validation loss over its own best
_WIDE_GAP = 0.25  # speaks for itself, also where the loss did not rise
_FELL = 0.05  # share of the loss that fell in the last third
_LONG_STEP, _SHORT_STEP = 3e-2, 1e-4  # of the kernels' length
_HARDLY_FELL = 0.1
_SWING = 0.5  # all rises of the loss together, of its first value
_MANY_UNITS, _ALL_UNITS = 0.5, 0.99
_FEWEST_ROWS = 3


@dataclass(frozen=True)
class Finding:
    """One thing that the curves say.

    Attributes:
        kind: What it is called.
        measure: The numbers behind it, a sentence.
        advice: What to try, a sentence.
    """

    kind: FindingKind
    measure: str
    advice: str

    def to_record(self) -> Record:
        """JSON-ready."""
        return asdict(self)


@dataclass(frozen=True)
class Outcome:
    """A finished run as the diagnosis sees it.

    Attributes:
        rows: The history.
        watch: With the best epoch.
        constant: What the best constant answer scores on the training photos: {"accuracy": ..} or {"mae": ..}.
        class_names: One a class; empty for numbers.
        val_counts: Validation photos of each class; empty for numbers.
        activity: Of the last epoch.
        unit: What mean errors are in, behind the number; empty where it is the photos' own.
    """

    rows: Rows
    watch: Watch
    constant: Mapping[str, float]
    class_names: Sequence[str] = ()
    val_counts: Sequence[int] = ()
    activity: Sequence[LayerActivity] = ()
    unit: str = ""


def diagnose(outcome: Outcome) -> list[Finding]:
    """All findings of a run, those that explain the others first: a layer that is dead as a whole, then the rate.

    Args:
        outcome: With at least one row.
    """
    rate, units = list(_about_rate(outcome)), list(_about_units(outcome))
    fit, classes = list(_about_fit(outcome, rate_is_wrong=bool(rate))), list(_about_classes(outcome))
    if any(layer.kind == "dead" and layer.share > _ALL_UNITS for layer in outcome.activity):  # no gradient comes past
        return [*units, *(found for found in rate if found.kind != "rate_too_small"), *fit, *classes]
    return [*rate, *fit, *classes, *units]


def skill(row: Mapping[str, Any], part: str, constant: Mapping[str, float]) -> float | None:
    """The way from the best constant answer to a perfect one, of a row's "train" or "val" part; None if unknown."""
    accuracy, mae = row.get(f"{part}_accuracy"), row.get(f"{part}_mae")
    if accuracy is not None and constant.get("accuracy", 1.0) < 1.0:
        return (float(accuracy) - constant["accuracy"]) / (1.0 - constant["accuracy"])
    if mae is not None and constant.get("mae", 0.0) > 0.0:
        return 1.0 - float(mae) / constant["mae"]
    return None


def _about_rate(outcome: Outcome) -> Iterator[Finding]:
    rows = outcome.rows
    if len(rows) < _FEWEST_ROWS:
        return
    losses = [float(row["train_loss"]) for row in rows]
    step = median(float(row["step_length"]) for row in rows)
    fell = 1.0 - min(losses) / losses[0] if losses[0] else 0.0
    rises = [after - before for before, after in pairwise(losses) if after > before]
    swings = sum(rises) > _SWING * losses[0]
    if step > _LONG_STEP and (swings or losses[-1] >= (1.0 - _HARDLY_FELL) * losses[0]):
        yield Finding(
            "rate_too_large",
            f"A step moved the weights by {step:.2g} of their length (about 0.001 is healthy), and the training loss "
            f"rose {len(rises)} times in {len(losses)} epochs, from {losses[0]:.3g} to {losses[-1]:.3g}.",
            "Lower train.lr by 3 to 10 times, or set train.clip_norm = 1 and a warm-up.",
        )
    elif step < _SHORT_STEP and fell < _HARDLY_FELL and _lacks_skill(outcome):
        yield Finding(
            "rate_too_small",
            f"A step moved the weights by {step:.2g} of their length (about 0.001 is healthy), and the training loss "
            f"fell by {fell:.0%} only in {len(losses)} epochs.",
            'Raise train.lr by 3 to 10 times, or let train.lr = "find" choose it.',
        )


def _about_fit(outcome: Outcome, *, rate_is_wrong: bool) -> Iterator[Finding]:
    last = outcome.rows[-1]
    train, val = skill(last, "train", outcome.constant), skill(last, "val", outcome.constant)
    improving = _still_improving(outcome)
    if improving and not rate_is_wrong:
        yield improving
    if train is not None and train < _LITTLE_SKILL and not rate_is_wrong:
        place = "worse than the best constant answer"
        if train >= 0.0:
            place = f"{train:.0%} of the way from the best constant answer to a perfect one"
        yield Finding(
            "under_fitting",
            f"{_capital(_scores(last, 'train', outcome.unit))} on the training photos themselves, {place}.",
            "Train longer or with a larger network, free more stages, or take away dropout, penalties or augmentation.",
        )
    yield from _over_fitting(outcome, train, val)


def _over_fitting(outcome: Outcome, train: float | None, val: float | None) -> Iterator[Finding]:
    losses = [float(row["val_loss"]) for row in outcome.rows if row.get("val_loss") is not None]
    if len(losses) < _FEWEST_ROWS or train is None or val is None:
        return
    has_risen = losses[-1] > _RISE * min(losses)
    gap = train - val
    if gap > _WIDE_GAP or (gap > _GAP and has_risen):
        yield Finding(
            "over_fitting",
            f"{_capital(_scores(outcome.rows[-1], 'train', outcome.unit))} on training photos and "
            f"{_scores(outcome.rows[-1], 'val', outcome.unit)} on validation photos at the end; {_course(losses)}.",
            "Add photos or augmentation, dropout, train.l2 or label_smoothing, freeze more stages, or set "
            "train.early_stopping; the weights of the best epoch were kept.",
        )


def _still_improving(outcome: Outcome) -> Finding | None:
    rows, name = outcome.rows, "val_loss" if outcome.rows[-1].get("val_loss") is not None else "train_loss"
    if len(rows) < _FEWEST_ROWS:
        return None
    losses = [float(row[name]) for row in rows if row[name] is not None]
    tail = losses[-max(_FEWEST_ROWS, -(-len(losses) // 3)) :]
    fell = 1.0 - tail[-1] / tail[0] if tail[0] > 0.0 else 0.0
    if fell < _FELL or tail[-1] > min(losses):
        return None
    part = "validation" if name == "val_loss" else "training"
    return Finding(
        "still_improving",
        f"The {part} loss fell by {fell:.0%} in the last {len(tail)} epochs, to {tail[-1]:.3g}, its lowest.",
        "Train longer: raise train.epochs or the budget.",
    )


def _about_classes(outcome: Outcome) -> Iterator[Finding]:
    counts = outcome.rows[max(outcome.watch.best_epoch, 0)].get("val_predicted") or ()
    for name, predicted, photos in zip(outcome.class_names, counts, outcome.val_counts, strict=False):
        if photos and not predicted:
            yield Finding(
                "class_never_predicted",
                f'Class "{name}" was predicted for none of the validation photos; {photos} of them are of it.',
                'Set train.class_weights = "balanced", add photos of it, or train longer.',
            )


def _about_units(outcome: Outcome) -> Iterator[Finding]:
    for kind, word, advice in (
        ("dead_units", "dead", "Lower train.lr, use leaky ReLU or BatchNorm, or start from another seed."),
        ("saturation", "saturated", "Use ReLU in hidden layers, add BatchNorm, lower train.lr, or check mean and std."),
    ):
        worst = [layer for layer in outcome.activity if layer.kind == word and layer.share > _MANY_UNITS]
        if worst:
            layer = max(worst, key=lambda layer: layer.share)
            what = (
                "units give 0 for every photo" if word == "dead" else "outputs are at a limit, where the slope is flat"
            )
            yield Finding(
                "dead_units" if kind == "dead_units" else "saturation",
                f'In layer "{layer.name}" {layer.share:.0%} of the {layer.units} {what}' + _others(len(worst) - 1),
                advice,
            )


def _lacks_skill(outcome: Outcome) -> bool:
    reached = skill(outcome.rows[-1], "train", outcome.constant)
    return reached is None or reached < 1.0 - _GAP


def _scores(row: Mapping[str, Any], part: str, unit: str) -> str:
    accuracy = row.get(f"{part}_accuracy")
    if accuracy is not None:
        return f"accuracy {accuracy:.3f}"
    return " ".join(filter(None, [f"mean error {row[f'{part}_mae']:.3g}", unit]))


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _course(losses: Sequence[float]) -> str:
    """What the validation loss did: where it was lowest, and where it ended."""
    lowest, last = min(losses), losses[-1]
    best = losses.index(lowest) + 1
    if f"{last:.3g}" == f"{lowest:.3g}":
        return f"the validation loss ended at its lowest, {last:.3g}"
    return f"the validation loss was lowest at epoch {best}, {lowest:.3g}, and ended at {last:.3g}"


def _others(count: int) -> str:
    if count == 0:
        return "."
    return f", and {'one more layer has' if count == 1 else f'{count} more layers have'} over half of them so."
