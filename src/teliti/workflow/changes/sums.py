"""What the changes between two bundles come to: counts, paired tests, cost; whether it is worse, and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from teliti.errors import PhotoRefused
from teliti.metrics.decision import PASS, REJECT, REVIEW
from teliti.metrics.intervals import wilson_interval
from teliti.metrics.line import PASSED, REJECTED, REVIEWED, Line, cost_change
from teliti.metrics.mcnemar import paired_errors
from teliti.types import Prediction, Record, Sample
from teliti.workflow.changes.kinds import KINDS, Truth
from teliti.workflow.shared.paired import adjust_for_many

LEVEL = 0.05
SEED = 7
_OUTCOMES = {PASS: PASSED, REVIEW: REVIEWED, REJECT: REJECTED}
NO_LABELS = "The photos have no labels, so that no change is for the better or worse here."
_WORDS = {"errors": "more errors", "missed": "more missed defects", "false_alarms": "more false alarms"}

Answer = Prediction | PhotoRefused


@dataclass(frozen=True)
class Both:
    """Two bundles' answers for the same photos.

    Attributes:
        samples: (N) photos that at least one of the bundles can use.
        old: (N) what the old one says.
        new: (N) what the new one says.
        truth: What verdicts mean.
        seen_old: (N) True where the old one was trained with the photo.
        seen_new: (N) likewise.
        is_labelled: True where the photos have labels.
    """

    samples: tuple[Sample, ...]
    old: tuple[Answer, ...]
    new: tuple[Answer, ...]
    truth: Truth
    seen_old: tuple[bool, ...]
    seen_new: tuple[bool, ...]
    is_labelled: bool

    def tested(self) -> list[bool]:
        """(N) True for photos that neither was trained with; where there are none, for all."""
        fresh = [not (old or new) for old, new in zip(self.seen_old, self.seen_new, strict=True)]
        return fresh if any(fresh) else [True] * len(fresh)

    def judged(self) -> list[tuple[Sample, Prediction, Prediction]]:
        """Those of them that both can use."""
        rows = zip(self.samples, self.old, self.new, self.tested(), strict=True)
        return [(s, o, n) for s, o, n, t in rows if t and isinstance(o, Prediction) and isinstance(n, Prediction)]


def sum_flips(both: Both, flips: Sequence[Record], *, line: Line | None) -> Record:
    """The parts of the record that count.

    Args:
        both: Answers.
        flips: Their rows.
        line: Costs; None where nobody said any.
    """
    turned = [one for one in flips if one["old"]["verdict"] != one["new"]["verdict"]]
    photos, changed = len(both.samples), len(turned)
    directions = Counter((one["old"]["verdict"], one["new"]["verdict"], one["kind"]) for one in turned)
    kinds = Counter(one["kind"] for one in flips if one["kind"] is not None)
    record: Record = {
        "same": photos - len(flips),
        "changed": changed,
        "relabelled": len(flips) - changed,
        "share": changed / photos,
        "share_interval": list(wilson_interval(changed, photos) or ()),
        "directions": [
            {"old": old, "new": new, "kind": kind, "photos": count}
            for (old, new, kind), count in directions.most_common()
        ],
        "kinds": {kind: kinds[kind] for kind in KINDS if kinds[kind]} if both.is_labelled else None,
        **dict.fromkeys(("tested", "errors", "missed", "false_alarms", "cost")),
    }
    record["labels"] = _labels(both) if any(one.labels is not None for one in _predictions(both.new)) else None
    return record | _measured(both, line=line) if both.is_labelled else record


def _predictions(answers: Sequence[Answer]) -> list[Prediction]:
    return [one for one in answers if isinstance(one, Prediction)]


def _labels(both: Both) -> list[Record]:
    """By label: photos that gain and lose it, of all that both can use; and its errors, of those that count."""
    pairs = [(o, n) for o, n in zip(both.old, both.new, strict=True) if len(_predictions((o, n))) == 2]
    rows = []
    for name in both.truth.classes:
        found = np.array([[name in (getattr(one, "labels", None) or ()) for one in pair] for pair in pairs], dtype=bool)
        old, new = found.reshape(-1, 2).T
        row: Record = {"label": name, "gained": int((new & ~old).sum()), "lost": int((old & ~new).sum())}
        if both.is_labelled:
            wrong = [[(name in (one.labels or ())) != (name in s.class_names) for one in pair]
                     for s, *pair in both.judged()]  # fmt: skip
            row |= _paired(np.array(wrong, dtype=bool).reshape(-1, 2))
        rows.append(row)
    return rows


def _measured(both: Both, *, line: Line | None) -> Record:
    rows, truth = both.judged(), both.truth
    errs = np.array([[truth.errs(sample, one) for one in pair] for sample, *pair in rows], dtype=bool).reshape(-1, 2)
    record: Record = {"tested": len(rows), "errors": paired_errors(errs[:, 0], errs[:, 1])}
    if not truth.has_verdicts:
        return record
    bad = np.array([truth.is_bad(sample) for sample, _, _ in rows], dtype=bool)
    outcomes = np.array([[_OUTCOMES[str(one.verdict)] for one in pair] for _, *pair in rows]).reshape(-1, 2)
    record["missed"] = _paired(outcomes[bad] == PASSED)
    record["false_alarms"] = _paired(outcomes[~bad] == REJECTED)
    if line is not None:
        found = cost_change(outcomes[:, 0], outcomes[:, 1], bad, line=line, seed=SEED)
        record["cost"] = None if found is None else found | {"line": line.to_record()}
    return record


def _paired(flags: NDArray[np.bool_]) -> Record:
    return paired_errors(flags[:, 0], flags[:, 1])


def judge_worse(record: Record) -> Record | None:
    """Whether the new bundle is shown to be worse; None without labels.

    It is where it makes significantly more errors, lets significantly more defects pass or rejects significantly more
    good parts (exact McNemar tests, adjusted for their number by Holm's rule, 5 %), or where the whole 95 % interval of
    the difference in cost is above 0. A bundle that is as good is called worse in at most one comparison of twenty.

    Args:
        record: With errors, missed, false_alarms and cost.

    Returns:
        {"shown", "reasons", "p"}: the reasons as sentences, and the adjusted p values by name.
    """
    if record["errors"] is None:
        return None
    tests = {name: record[name] for name in _WORDS if record[name] is not None}
    adjusted = adjust_for_many({name: one["p"] for name, one in tests.items()})
    reasons = [
        f"NEW makes {_WORDS[name]}: {one['new']:,} instead of {one['old']:,} of {one['photos']:,} (adjusted p = "
        f"{adjusted[name]:.2g})."
        for name, one in tests.items()
        if adjusted[name] < LEVEL and one["only_new"] > one["only_old"]
    ]
    cost = record["cost"]
    if cost is not None and cost["interval"] is not None and cost["interval"][0] > 0.0:
        low, high = cost["interval"]
        reasons.append(f"NEW costs more: {low:,.4g} to {high:,.4g} {cost['unit']}.")
    return {"shown": bool(reasons), "reasons": reasons, "p": adjusted}


def say_flips(record: Record) -> list[str]:
    """What was found, from the record alone."""
    low, high = (100 * end for end in record["share_interval"])
    sentences = [
        f"{record['changed']:,} of {record['photos']:,} photos change their verdict ({low:.1f} to {high:.1f} % of "
        "such photos)."
        if record["changed"]
        else f"None of {record['photos']:,} photos changes its verdict; of such photos fewer than {high:.1f} % do."
    ]
    if record.get("relabelled"):
        sentences.append(f"Photos that keep their verdict and change their labels: {record['relabelled']:,}.")
    if record["errors"] is None:
        return [*sentences, NO_LABELS, *say_seen(record)]
    sentences.append(_say_errors(record["errors"]))
    missed = record["missed"]
    if missed is not None and missed["photos"]:
        sentences.append(
            f"Of {missed['photos']:,} defects OLD lets {missed['old']:,} pass and NEW {missed['new']:,}; "
            f"{missed['only_new']:,} are newly missed, {missed['only_old']:,} newly caught (p = {missed['p']:.2g})."
        )
    if record["cost"] is not None:
        sentences.append(_say_cost(record["cost"]))
    return [*sentences, say_worse(record["worse"]), *say_seen(record)]


def say_worse(worse: Record) -> str:
    """Whether the new bundle is shown to be worse."""
    if worse["shown"]:
        return "NEW is shown to be worse."
    return "NEW is not shown to be worse; that does not prove it as good: read the intervals."


def _say_errors(errors: Record) -> str:
    interval = errors["interval"]
    if interval is None:
        return "No photo can be used by both, so that their errors cannot be compared."
    between = f"{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f} points"
    return (
        f"By itself OLD errs on {errors['old']:,} and NEW on {errors['new']:,} of {errors['photos']:,} photos (errors "
        f"gone: {errors['only_old']:,}, added: {errors['only_new']:,}). The rate of errors changes by {between} "
        f"(McNemar's exact test: p = {errors['p']:.2g})."
    )


def _say_cost(cost: Record) -> str:
    interval = cost["interval"]
    between = "" if interval is None else f" ({interval[0]:+,.4g} to {interval[1]:+,.4g})"
    return (
        f"The verdicts cost {cost['old']:,.4g} with OLD and {cost['new']:,.4g} with NEW {cost['unit']}: "
        f"{cost['difference']:+,.4g}{between}."
    )


def say_seen(record: Record) -> list[str]:
    """Photos that a bundle knows flatter it."""
    seen, photos = record["seen"], record["photos"]
    known = [
        f"{which.upper()} was trained with {seen[which]:,} of these photos" for which in ("old", "new") if seen[which]
    ]
    if not known:
        return []
    said = f"{' and '.join(known)} (or its threshold was chosen on them)."
    if record["tested"] is None:
        return [said]
    if record["tested"] < photos:
        return [f"{said} Errors and costs are counted on the {record['tested']:,} others, the changes on all."]
    return [f"{said} No others are left, so that the errors flatter: compare on photos that neither has seen."]
