"""How far numbers may move, and what they are, in words from a record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from teliti.report.wording import number
from teliti.types import JsonMapping

_ORIGINS = {
    "error": "its own mean absolute error on these photos",
    "spread": "a tenth of the standard deviation of its answers",
}


def numbers_in_words(values: Mapping[str, Any]) -> str:
    """Numbers with their names: "x 1.500, y -20.0"; one alone without its name."""
    if len(values) == 1:
        return number(*values.values())
    return ", ".join(f"{name} {number(value)}" for name, value in values.items())


def tolerance_sentence(tolerance: JsonMapping, *, whose: str) -> str:
    """Where a tolerance comes from; nothing where the user gave it.

    Args:
        tolerance: {"values", "from"}.
        whose: Bundle that it is taken from: "OLD", "the bundle".
    """
    origin = _ORIGINS.get(str(tolerance.get("from")))
    if origin is None:
        return ""
    return f"The tolerance is that of {whose}: {origin}. Set another with --tolerance."
