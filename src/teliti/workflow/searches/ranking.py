"""What a comparison of variants shows: rows with intervals, paired differences, and sentences that claim no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from teliti.types import Record
from teliti.workflow.shared.paired import Estimate, adjust_for_many, estimate

MEASURES: dict[str, dict[str, bool]] = {
    "classification": {
        "accuracy": True, "balanced_accuracy": True, "recall": True, "roc_auc": True, "accuracy_at_half": True,
        "specificity": True,
    },
    "multilabel": {
        "f1_macro": True, "f1_micro": True, "roc_auc": True, "pr_auc": True, "subset_accuracy": True,
        "hamming_loss": False,
    },
    "regression": {"mae": False, "rmse": False, "r2": True},
}  # fmt: skip
"""By task: the measures of a comparison, and whether more is better. The first is judged unless another is named."""

HELPS, HARMS, NOISE = "helps", "harms", "inside the noise"
LEVEL = 0.05
_SHARES = frozenset({*MEASURES["classification"], *MEASURES["multilabel"]})

Values = Mapping[str, Mapping[str, Sequence[float | None]]]
"""By variant and measure: one number a repeat, None where it is undefined."""


def rank_variants(
    values: Values,
    seconds: Mapping[str, float],
    *,
    measure: str,
    reference: str,
    factor: str,
    test_to_train: float,
) -> Record:
    """Rows, ranking and sentences.

    Args:
        values: What was measured, on the same splits for all variants.
        seconds: By variant.
        measure: What is judged.
        reference: The variant that the others are compared with.
        factor: What a variant's name stands for.
        test_to_train: Photos in the test part divided by photos in the training part.

    Returns:
        {"measure", "reference", "rows", "best", "shown_to_help", "recommended", "sentences"}.
    """
    differences = {
        name: _difference(own[measure], values[reference][measure], test_to_train=test_to_train)
        for name, own in values.items()
        if name != reference
    }
    known = {name: found.p for name, found in differences.items() if found is not None and found.p is not None}
    adjusted = adjust_for_many(known)
    more_is_better = _more_is_better(measure)
    rows = []
    for name, own in values.items():
        measures = {key: _measured(key, series, test_to_train=test_to_train) for key, series in own.items()}
        row: Record = {
            "factors": {factor: name},
            "mean": measures[measure]["mean"],
            "interval": measures[measure]["interval"],
            "repeats": len(own[measure]),
            "seconds": round(seconds[name], 2),
            "measures": measures,
            "difference": None,
        }
        if name != reference:
            row["difference"] = _difference_record(
                differences[name], adjusted.get(name), reference=reference, more_is_better=more_is_better
            )
        rows.append(row)
    return {
        "measure": measure,
        "reference": reference,
        "rows": rows,
        **_ranking(rows, factor=factor, measure=measure, reference=reference),
    }


def interval_of(measure: str, found: Estimate) -> list[float] | None:
    """The interval of a measure's mean, inside 0 and 1 where the measure is a share; None where there is none."""
    if found.interval is None:
        return None
    low, high = found.interval
    return [max(0.0, low), min(1.0, high)] if measure in _SHARES else [low, high]


def _more_is_better(measure: str) -> bool:
    return next(known[measure] for known in MEASURES.values() if measure in known)


def _difference(own: Sequence[float | None], other: Sequence[float | None], *, test_to_train: float) -> Estimate | None:
    """None where the measure is undefined in a repeat of either."""
    pairs = [(a, b) for a, b in zip(own, other, strict=True) if a is not None and b is not None]
    if len(pairs) < len(own):
        return None
    return estimate([a - b for a, b in pairs], test_to_train=test_to_train)


def _measured(key: str, series: Sequence[float | None], *, test_to_train: float) -> Record:
    known = [value for value in series if value is not None]
    if len(known) < len(series):
        return {"mean": None, "interval": None, "values": list(series)}
    found = estimate(known, test_to_train=test_to_train)
    return {"mean": found.mean, "interval": interval_of(key, found), "values": list(series)}


def _difference_record(
    found: Estimate | None, adjusted: float | None, *, reference: str, more_is_better: bool
) -> Record:
    record: Record = {"against": reference, "mean": None, "interval": None, "p": None, "p_adjusted": None}
    if found is None:
        return record | {"verdict": NOISE}
    is_shown = adjusted is not None and adjusted < LEVEL
    is_better = (found.mean > 0) == more_is_better
    return record | {
        "mean": found.mean,
        "interval": None if found.interval is None else list(found.interval),
        "p": found.p,
        "p_adjusted": adjusted,
        "verdict": (HELPS if is_better else HARMS) if is_shown else NOISE,
    }


def _ranking(rows: Sequence[Record], *, factor: str, measure: str, reference: str) -> Record:
    sign = 1.0 if _more_is_better(measure) else -1.0
    ranked = sorted((row for row in rows if row["mean"] is not None), key=lambda row: -sign * float(row["mean"]))
    helping = [row for row in ranked if row["difference"] and row["difference"]["verdict"] == HELPS]
    best = ranked[0] if ranked else rows[0]
    names = [row["factors"][factor] for row in helping]
    recommended = names[0] if names else reference
    return {
        "best": {"factors": best["factors"], "mean": best["mean"], "shown_to_help": best in helping},
        "shown_to_help": names,
        "recommended": recommended,
        "sentences": [*_sentences(rows, factor, measure), _conclusion(names, best, factor=factor, reference=reference)],
    }


def _sentences(rows: Sequence[Record], factor: str, measure: str) -> list[str]:
    compared = [row for row in rows if row["difference"]]
    said = measure.replace("_", " ")
    return [f'"{row["factors"][factor]}": {_judgement(row["difference"], said, len(compared))}' for row in compared]


def _judgement(difference: Record, measure: str, comparisons: int) -> str:
    against, mean, interval = difference["against"], difference["mean"], difference["interval"]
    if mean is None:
        return f"{measure} is undefined in some repeats, so nothing can be said."
    if interval is None:
        return (
            f"{measure} is the same as that of {against} in every repeat."
            if mean == 0.0
            else f"{measure} differs from {against} by {mean:+.3f} in every repeat alike, which gives no interval; "
            "more photos would."
        )
    numbers = f"{measure} {mean:+.3f} against {against} ({interval[0]:+.3f} to {interval[1]:+.3f})"
    if difference["verdict"] != NOISE:
        return f"{difference['verdict']}, {numbers}."
    if interval[0] <= 0.0 <= interval[1]:
        return f"{numbers} is inside the noise: shown neither to help nor to harm."
    return (
        f"{numbers} would be more than noise alone, but not as one of {comparisons} comparisons: shown neither to help "
        "nor to harm. More repeats may tell."
    )


def _conclusion(helping: Sequence[str], best: Record, *, factor: str, reference: str) -> str:
    if len(helping) == 1:
        return f'Shown to help: "{helping[0]}".'
    if helping:
        names = ", ".join(f'"{name}"' for name in helping)
        return f"Shown to help, the largest gain first: {names}. Differences between these were not tested."
    name = best["factors"][factor]
    ahead = "" if name == reference else f' "{name}" has the best mean, by no more than chance can do.'
    return f'No variant is shown to help, so "{reference}" is the choice.{ahead}'
