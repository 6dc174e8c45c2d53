"""[train]: how it is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from teliti.recipe.sections import Section, parse_seconds

Mode = Literal["features", "auto"]
Engine = Literal["auto", "openvino", "onnxruntime", "torch"]
Precision = Literal["f32", "bf16"]


class TrainRecipe(Section):
    """How it is trained.

    Attributes:
        mode: "features" (frozen backbone) or "auto" (several set-ups within the budget, best on validation).
        budget: Seconds that "auto" may take, as a number or like "90s", "5m", "1h".
        engine: What computes features; "auto" probes the installed ones.
        precision: bf16 is faster where the processor has it, and less exact.
        threads: Threads for decoding and for the engine; unset: the cores this process may use.
        batch_size: Photos per call of the engine.
    """

    mode: Mode = "features"
    budget: str | Annotated[float, Field(gt=0)] | None = None
    engine: Engine = "auto"
    precision: Precision = "f32"
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 8

    @field_validator("budget")
    @classmethod
    def _budget_is_a_time(cls, budget: str | float | None) -> str | float | None:
        if budget is not None:
            parse_seconds(budget)
        return budget
