"""Two bundles that predict numbers: which photos' numbers move, and whether the new one errs more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from teliti.errors import PhotoRefused
from teliti.metrics.intervals import wilson_interval
from teliti.metrics.number_rule import NumberRule
from teliti.metrics.paired_amounts import paired_amounts
from teliti.report.number_words import numbers_in_words, tolerance_sentence
from teliti.types import FloatArray, Record, Sample
from teliti.workflow.changes.kinds import KINDS, REFUSED, sort_flips
from teliti.workflow.changes.sums import LEVEL, NO_LABELS, SEED, Answer, Both, say_seen, say_worse
from teliti.workflow.shared.paired import adjust_for_many
from teliti.workflow.shared.tolerances import Asked, Tolerance, names_of, settle_tolerance, values_of

_SLACK = 1e-9  # of the tolerance: engines round


def sum_number_flips(both: Both, rule: NumberRule, *, tolerance: Asked) -> Record:
    """The parts of the record of `compare` that numbers have in the place of verdicts.

    Args:
        both: Answers.
        rule: Names the numbers.
        tolerance: As asked, checked.
    """
    names, rows = names_of(rule), both.judged()
    old, new = (np.array([values_of(pair[at], names) for _, *pair in rows]).reshape(-1, len(names)) for at in (0, 1))
    targets = np.array([sample.numbers for sample, _, _ in rows]).reshape(-1, len(names)) if both.is_labelled else None
    settled = settle_tolerance(tolerance, rule, answers=old, targets=targets)
    flips = _list_flips(both, names, settled)
    photos, changed = len(both.samples), len(flips)
    kinds = Counter(one["kind"] for one in flips)
    record: Record = {
        "numbers": list(rule.names),
        "tolerance": settled.to_record(),
        "same": photos - changed,
        "changed": changed,
        "share": changed / photos,
        "share_interval": list(wilson_interval(changed, photos) or ()),
        "directions": [],
        "kinds": {kind: kinds[kind] for kind in KINDS if kinds[kind]} if both.is_labelled else None,
        **dict.fromkeys(("tested", "errors", "missed", "false_alarms", "cost", "amounts")),
    }
    if targets is not None:
        record["tested"] = len(rows)
        record["amounts"] = [
            {"name": name, **paired_amounts(np.abs(old - targets)[:, at], np.abs(new - targets)[:, at], seed=SEED)}
            for at, name in enumerate(names)
        ]
    return record | {"flips": flips}


def judge_worse_numbers(record: Record) -> Record | None:
    """Whether the new bundle is shown to err more by any number; None without labels. As `judge_worse` otherwise.

    Args:
        record: With `amounts`.
    """
    if record["amounts"] is None:
        return None
    adjusted = adjust_for_many({row["name"]: row["p"] for row in record["amounts"]})
    reasons = [
        f"NEW errs more{_on(row, record)}: by {row['new']:.4g} on average instead of {row['old']:.4g} (adjusted p = "
        f"{adjusted[row['name']]:.2g})."
        for row in record["amounts"]
        if adjusted[row["name"]] < LEVEL and row["difference"] > 0.0
    ]
    return {"shown": bool(reasons), "reasons": reasons, "p": adjusted}


def say_number_flips(record: Record) -> list[str]:
    """What was found, from the record alone."""
    low, high = (100 * end for end in record["share_interval"])
    by = f"by more than {numbers_in_words(record['tolerance']['values'])}"
    sentences = [
        f"The number of {record['changed']:,} of {record['photos']:,} photos moves {by} ({low:.1f} to {high:.1f} % of "
        "such photos)."
        if record["changed"]
        else f"The number of none of {record['photos']:,} photos moves {by}; of such photos fewer than {high:.1f} % do."
    ]
    sentences += filter(None, [tolerance_sentence(record["tolerance"], whose="OLD")])
    if record["amounts"] is None:
        return [*sentences, NO_LABELS, *say_seen(record)]
    sentences += [_say_amounts(row, record) for row in record["amounts"]]
    return [*sentences, say_worse(record["worse"]), *say_seen(record)]


def _say_amounts(row: Record, record: Record) -> str:
    if not row["photos"]:
        return "No photo can be used by both, so that their errors cannot be compared."
    interval = row["interval"]
    between = "" if interval is None else f" The mean changes by {interval[0]:+.4g} to {interval[1]:+.4g}."
    return (
        f"OLD errs by {row['old']:.4g} and NEW by {row['new']:.4g} on average{_on(row, record)}, over "
        f"{row['photos']:,} photos (nearer: {row['smaller']:,}, farther: {row['larger']:,}; randomisation test: p = "
        f"{row['p']:.2g}).{between}"
    )


def _on(row: Record, record: Record) -> str:
    return f" on {row['name']}" if record["numbers"] else ""


def _list_flips(both: Both, names: tuple[str, ...], tolerance: Tolerance) -> list[Record]:
    rows, scale = [], np.where(tolerance.array > 0.0, tolerance.array, 1.0)
    for sample, old, new, tested in zip(both.samples, both.old, both.new, both.tested(), strict=True):
        before, after = _said(old, names), _said(new, names)
        moves = _moves(before, after)
        if moves is not None and (moves <= tolerance.array + _SLACK * scale).all():
            continue
        rows.append({
            "path": sample.name,
            "label": list(sample.label) if isinstance(sample.label, tuple) else sample.label,
            "kind": _kind(sample, before, after, scale=scale) if both.is_labelled else None,
            "tested": tested,
            "moved": None if moves is None else float((moves / scale).max()),
            "old": before,
            "new": after,
        })  # fmt: skip
    return sort_flips(rows)


def _said(answer: Answer, names: tuple[str, ...]) -> Record:
    if isinstance(answer, PhotoRefused):
        return {"verdict": REFUSED, "score": None, "values": None, "reasons": [answer.reason]}
    values = dict(zip(names, values_of(answer, names), strict=True))
    return {"verdict": numbers_in_words(values), "score": None, "values": values, "reasons": list(answer.reasons)}


def _moves(before: Record, after: Record) -> FloatArray | None:
    """(K,) how far each number moves; None where a bundle cannot use the photo."""
    if before["values"] is None or after["values"] is None:
        return None
    old, new = (np.array([*one["values"].values()], np.float64) for one in (before, after))
    return np.abs(new - old)


def _kind(sample: Sample, before: Record, after: Record, *, scale: FloatArray) -> str:
    if before["values"] is None or after["values"] is None:
        return "newly_refused" if after["values"] is None else "no_longer_refused"
    error = [_error(sample.numbers, one["values"].values(), scale) for one in (before, after)]
    return "farther" if error[1] > error[0] else "nearer"


def _error(truth: Sequence[float], said: Sequence[float], scale: FloatArray) -> float:
    """The largest error, in tolerances."""
    return float((np.abs(np.array(truth) - np.array([*said])) / scale).max())
