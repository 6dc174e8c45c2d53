"""[decide]: how the threshold of the positive class is chosen."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from teliti.recipe.sections import Fraction, Section


class Cost(Section):
    """What a wrong verdict costs, in any one currency."""

    miss: Annotated[float, Field(ge=0)]
    false_alarm: Annotated[float, Field(ge=0)] = 1.0


class DecideRecipe(Section):
    """How the threshold of the positive class is chosen; at most one of them.

    Attributes:
        threshold: A fixed score in [0, 1].
        rule: "f1" (best F1 on validation) or "argmax" (the most probable class).
        max_miss_rate: The highest threshold that misses at most this share of the positives of validation.
        cost: The threshold that is cheapest on validation.
    """

    threshold: Fraction | None = None
    rule: Literal["f1", "argmax"] | None = None
    max_miss_rate: Fraction | None = None
    cost: Cost | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> DecideRecipe:
        given = [name for name in ("threshold", "rule", "max_miss_rate", "cost") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(
                f"only one of threshold, rule, max_miss_rate, cost may be given, got {' and '.join(given)}"
            )
        return self
