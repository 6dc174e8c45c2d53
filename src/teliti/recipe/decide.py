"""[decide]: how the threshold of the positive class is chosen, and which photos are shown to a person."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from teliti.recipe.sections import Fraction, Section

RULES = ("threshold", "rule", "max_miss_rate", "cost")
"""Keys of [decide] that exclude each other."""
PROMISES = ("max_false_alarm_rate", "guarantee", "confidence")
"""Keys that say more about `max_miss_rate`, and go with it; the last two also with `max_error_rate`."""
BANDS = ("review_share", "max_false_alarm_rate", "max_error_rate")
"""Keys that size the grey band, and exclude each other."""
DEFAULT_CONFIDENCE = 0.95

Guarantee = Literal["observed", "proven", "expected"]
Calibration = Literal["auto", "platt", "isotonic", "temperature", "none"]


class Cost(Section):
    """What a wrong verdict and a manual look cost, in any one currency."""

    miss: Annotated[float, Field(ge=0)]
    false_alarm: Annotated[float, Field(ge=0)] = 1.0
    review: Annotated[float, Field(ge=0)] | None = None


class DecideRecipe(Section):
    """How the threshold of the positive class is chosen, at most one rule; and who looks at what is uncertain.

    Attributes:
        threshold: A fixed score in [0, 1].
        rule: "f1" (best F1 on validation) or "argmax" (the most probable class).
        max_miss_rate: At most this share of the positives may pass.
        max_false_alarm_rate: At most this share of the others may be rejected; what lies between is reviewed.
        max_error_rate: At most this share of the verdicts that nobody checks may be wrong; the less sure are reviewed.
        guarantee: "observed" on validation, "proven" with a confidence, or "expected" on average.
        confidence: Of a proof, in (0, 1); given alone it means "proven".
        cost: The threshold that is cheapest.
        defect_rate: Share of defects on the line, where validation has another.
        per_day: Parts a day, for costs a day.
        review_share: Share of the photos that may be shown to a person for their score.
        novelty_share: Share of photos like the training's that may be shown to a person for their look; 0: none is.
        envelope: Of a photo whose light, blur, size or scale lies outside the envelope: "warn", or "review" it; "off"
            keeps no envelope.
        calibration: How scores become probabilities; "auto": the way that does best on photos left out of its fit.
    """

    threshold: Fraction | None = None
    rule: Literal["f1", "argmax"] | None = None
    max_miss_rate: Fraction | None = None
    max_false_alarm_rate: Fraction | None = None
    max_error_rate: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    guarantee: Guarantee | None = None
    confidence: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    cost: Cost | None = None
    defect_rate: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    per_day: Annotated[int, Field(ge=1)] | None = None
    review_share: Fraction | None = None
    novelty_share: Annotated[float, Field(ge=0.0, le=0.5)] = 0.02
    envelope: Literal["warn", "review", "off"] = "warn"
    calibration: Calibration = "auto"

    @property
    def promise(self) -> Guarantee:
        """What `max_miss_rate` or `max_error_rate` is to mean."""
        return self.guarantee or ("observed" if self.confidence is None else "proven")

    @property
    def has_rule(self) -> bool:
        """True where the user said how the threshold is chosen."""
        return any(getattr(self, name) is not None for name in RULES)

    @model_validator(mode="after")
    def _one_rule(self) -> DecideRecipe:
        given = [name for name in RULES if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"only one of {', '.join(RULES)} may be given, got {' and '.join(given)}")
        alone = [name for name in PROMISES if getattr(self, name) is not None]
        if alone and self.max_miss_rate is None and (self.max_error_rate is None or alone[0] == PROMISES[0]):
            raise ValueError(f"{alone[0]} must stand beside max_miss_rate, got it alone")
        if self.confidence is not None and self.promise != "proven":
            raise ValueError(f'confidence belongs to guarantee = "proven", got "{self.guarantee}"')
        bands = [name for name in BANDS if getattr(self, name) is not None]
        if len(bands) > 1:
            raise ValueError(f"only one of {', '.join(BANDS)} may size the grey band, got {' and '.join(bands)}")
        if self.max_error_rate is not None:
            self._check_error_rate()
        return self

    def _check_error_rate(self) -> None:
        """What a share of errors of the automatic part does not go with."""
        if self.max_miss_rate is not None:
            raise ValueError("max_error_rate and max_miss_rate promise different things, got both")
        if self.promise == "expected":
            raise ValueError('max_error_rate may be "observed" or "proven", got guarantee = "expected"')
        if self.defect_rate is not None:
            raise ValueError("max_error_rate holds for the share of defects of these photos, got a defect_rate")
        if self.cost is not None and self.cost.review is not None:
            raise ValueError("only one of cost.review and max_error_rate may size the grey band, got both")
