"""`--tolerance 0.1` or `--tolerance "x=1,y=2"`: how far predicted numbers may move."""

from __future__ import annotations

from teliti.errors import UserError


def read_tolerance(text: str | None) -> float | dict[str, float] | None:
    """A tolerance from the command line: one number for all, or one by name.

    Raises:
        UserError: not of that form.
    """
    if text is None:
        return None
    try:
        if "=" not in text:
            return float(text)
        pairs = [part.split("=") for part in text.split(",")]
        return {name.strip(): float(value) for name, value in pairs}
    except ValueError:
        raise UserError(
            f"--tolerance must be a number, or NAME=NUMBER separated by commas, got {text!r}.",
            hint='For instance --tolerance 0.1, or --tolerance "x=1,y=2".',
        ) from None
