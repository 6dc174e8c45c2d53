"""What is left to people and what is not: the share of photos that is looked at, and the errors of the rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from teliti.metrics.decision import Decision
from teliti.metrics.intervals import clopper_pearson_upper, wilson_interval
from teliti.metrics.line import PASSED, REJECTED, REVIEWED, Line, cost_rows, line_weights
from teliti.types import FloatArray, IntArray, Record


def outcomes_of(probs: FloatArray, *, novelty: FloatArray | None, decision: Decision) -> NDArray[np.int64]:
    """(N,) 0 where a photo passes, 1 where a person looks, 2 where it is rejected.

    Args:
        probs: (N, K) float.
        novelty: (N,) float, or None.
        decision: One that rejects a class.
    """
    rejected = np.isin(decision.labels(probs), decision.reject_indices)
    outcomes = np.where(rejected, REJECTED, PASSED)
    return np.where(decision.is_reviewed(probs, novelty=novelty), REVIEWED, outcomes)


def three_verdicts(
    labels: IntArray, probs: FloatArray, *, novelty: FloatArray | None, decision: Decision
) -> Record | None:
    """How many photos are looked at and why, and how good the verdicts are that nobody looks at.

    Args:
        labels: (N,) int, true class index, N >= 1.
        probs: (N, K) float.
        novelty: (N,) float, or None.
        decision: Says who is looked at.

    Returns:
        {"photos", "reviewed", "review_share", "interval", "as_new", "automatic", "right", "accuracy"} and, where a
        class is rejected, {"missed", "bad", "miss_rate_upper", "false_alarms", "good", "caught"}: of the bad photos
        those that passed and those that a person saw. None where no photo can be reviewed.
    """
    review = decision.review
    if review.novelty is None and not review.has_band and not review.least_probs:
        return None
    reviewed, preds = decision.is_reviewed(probs, novelty=novelty), decision.labels(probs)
    looks, photos = int(reviewed.sum()), len(labels)
    right = int((preds == labels)[~reviewed].sum())
    record: Record = {
        "photos": photos,
        "reviewed": looks,
        "review_share": looks / photos,
        "interval": list(wilson_interval(looks, photos) or ()),
        "as_new": int(review.is_new(novelty, photos=photos).sum()),
        "automatic": photos - looks,
        "right": right,
        "accuracy": right / (photos - looks) if photos > looks else None,
    }
    if not decision.has_verdicts:
        return record
    bad = np.isin(labels, decision.reject_indices)
    outcomes = outcomes_of(probs, novelty=novelty, decision=decision)
    missed, total = int((bad & (outcomes == PASSED)).sum()), int(bad.sum())
    return record | {
        "bad": total,
        "missed": missed,
        "miss_rate_upper": clopper_pearson_upper(missed, total),
        "caught": int((bad & (outcomes == REVIEWED)).sum()),
        "good": photos - total,
        "false_alarms": int((~bad & (outcomes == REJECTED)).sum()),
    }


def economy(
    labels: IntArray, probs: FloatArray, *, novelty: FloatArray | None, decision: Decision, seed: int
) -> Record | None:
    """What the verdicts cost on the line, beside simpler policies; None where the recipe said no costs.

    Args:
        labels: (N,) int, true class index.
        probs: (N, K) float.
        novelty: (N,) float, or None.
        decision: With a line in its evidence.
        seed: Of the intervals.

    Returns:
        The line's record with "defect_rate" filled in, and "rows" from `line.cost_rows`.
    """
    written = decision.evidence.get("line")
    if not written:
        return None
    line, bad = Line.from_record(written), np.isin(labels, decision.reject_indices)
    outcomes = outcomes_of(probs, novelty=novelty, decision=decision)
    rows = cost_rows(outcomes, decision.score(probs) >= 0.5, bad, line=line, seed=seed)
    looks = float(line_weights(bad, line.defect_rate)[outcomes == REVIEWED].sum())
    return {
        **line.to_record(),
        "defect_rate": line.share(bad),
        "prior": "given" if line.defect_rate is not None else "that of the photos",
        "review_share": looks,
        "rows": rows,
    }
