"""What validation can promise about a rate of errors: how many errors it may show, and how many photos it takes.

"Proven" means: with this confidence the true rate is at most so high. The threshold is found on the very photos
that prove it, so that the proof must hold for the search: learn-then-test (A. Angelopoulos, S. Bates, E. Candes,
M. Jordan, L. Lei, 2021) tests thresholds in an order fixed beforehand, from the safest on, each with the exact
binomial test at the whole level, and stops at the first that fails (fixed-sequence testing). The rate rises along that
order, so only the first threshold that breaks the promise can be accepted wrongly, and that with the stated
probability. What comes out is S. Wilks' tolerance limit (1941): the threshold may go up to the score of the positive
photo after as many as the test allows.

"Expected" is conformal risk control (A. Angelopoulos, S. Bates, A. Fisch, L. Lei, T. Schuster, 2022): it bounds the
rate on average over validation sets, which is less.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

from teliti.errors import RecipeError
from teliti.metrics.intervals import clopper_pearson_upper
from teliti.recipe.decide import DEFAULT_CONFIDENCE, DecideRecipe, Guarantee
from teliti.types import Record

_ROUNDING = 1e-9  # 0.07 * 100 photos allows 7 errors, though the product is not exactly 7


@dataclass(frozen=True, slots=True)
class Promise:
    """A rate that is to be kept, and what the photos say of it.

    Attributes:
        rate: What may happen at most, in [0, 1].
        guarantee: What "at most" means.
        confidence: Of the proof and of `bound`.
        photos: How many photos could show an error.
        held: True when the threshold keeps the promise; False when these photos cannot show it.
        allowed: Errors that they may show; where the promise is not held, those of the fall-back: none.
        needed: How many photos would do when none of them shows an error.
        bound: With `confidence` the rate is at most this, where as many errors as allowed are seen.
    """

    rate: float
    guarantee: Guarantee
    confidence: float
    photos: int
    held: bool
    allowed: int
    needed: int | None
    bound: float

    @property
    def more(self) -> int | None:
        """Photos that are missing; None where no number would do."""
        return None if self.needed is None else max(0, self.needed - self.photos)

    def to_record(self) -> Record:
        """JSON-ready."""
        return asdict(self) | {"more": self.more}


def make_promise(rate: float, guarantee: Guarantee, *, photos: int, confidence: float | None = None) -> Promise:
    """How many errors photos may show for a rate to be promised.

    Args:
        rate: In [0, 1].
        guarantee: "observed", "proven" or "expected".
        photos: Those that could show an error.
        confidence: In (0, 1); None: 0.95.

    Raises:
        RecipeError: a rate of 0 that is to be proven or expected; no number of photos shows that.
    """
    level = DEFAULT_CONFIDENCE if confidence is None else confidence
    if rate <= 0.0 and guarantee != "observed":
        raise RecipeError(
            f"A rate that is to be {guarantee} must be above 0, got {rate:g}.",
            hint="No number of photos shows that something never happens; ask for 0.01, for instance.",
        )
    if guarantee == "observed":
        allowed, needed = math.floor(rate * photos + _ROUNDING), None
    elif guarantee == "proven":
        allowed, needed = errors_that_prove(rate, photos, confidence=level), photos_that_prove(rate, confidence=level)
    else:
        allowed, needed = math.floor(rate * (photos + 1) + _ROUNDING) - 1, math.ceil(1.0 / rate - 1.0 - _ROUNDING)
    held, allowed = allowed >= 0, min(max(allowed, 0), photos)
    bound = clopper_pearson_upper(allowed, photos, confidence=level)
    return Promise(rate, guarantee, level, photos, held, allowed, needed, bound)


def errors_that_prove(rate: float, photos: int, *, confidence: float) -> int:
    """The most errors among `photos` that still prove a rate of at most `rate`; -1 where not even none would.

    Args:
        rate: In (0, 1].
        photos: At least 0.
        confidence: In (0, 1).
    """
    if rate >= 1.0:
        return photos
    counts = np.arange(1, photos + 1)
    ratios = np.log((photos - counts + 1) / counts) + math.log(rate) - math.log1p(-rate)
    logs = np.concatenate([[0.0], np.cumsum(ratios)]) + photos * math.log1p(-rate)
    tails = np.cumsum(np.exp(logs))  # tails[k]: probability of at most k errors at this rate
    return int(np.count_nonzero(tails <= 1.0 - confidence)) - 1


def photos_that_prove(rate: float, *, confidence: float) -> int:
    """How many photos without an error prove a rate of at most `rate`: 299 for 1 % with 95 % confidence.

    Args:
        rate: In (0, 1].
        confidence: In (0, 1).
    """
    if rate >= 1.0:
        return 0
    needed = max(1, math.ceil(math.log(1.0 - confidence) / math.log1p(-rate)))
    return needed if errors_that_prove(rate, needed, confidence=confidence) >= 0 else needed + 1


def check_class_rule(decide: DecideRecipe, *, has_verdicts: bool) -> None:
    """Refuse a promise that class names as verdicts could not keep, before anything is trained.

    A proof for each class needs classes that are given whatever the photos of the proof say; two rates need a band.

    Args:
        decide: The recipe's [decide].
        has_verdicts: True where photos pass or are rejected.

    Raises:
        RecipeError: there is such a promise.
    """
    if has_verdicts:
        return
    fitted = decide.has_rule and decide.threshold is None and decide.rule != "argmax"
    if decide.max_error_rate is not None and fitted:
        raise RecipeError(
            "decide.max_error_rate must stand beside a given threshold or the most probable class, got another rule.",
            hint="Leave that rule out, or name the classes that pass with data.pass.",
        )
    if decide.max_false_alarm_rate is not None:
        raise RecipeError(
            "decide.max_false_alarm_rate must have photos that pass or are rejected, got class names as verdicts.",
            hint="Name the classes that pass with data.pass, or leave max_false_alarm_rate out.",
        )
