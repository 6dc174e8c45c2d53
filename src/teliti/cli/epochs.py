"""The table of a network's epochs, row by row while it learns: columns on a terminal, a sentence each elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from teliti.cli.wording import format_number, format_seconds

if TYPE_CHECKING:
    from teliti.types import Record

_WIDTH = 10
_MISSING = "-"
BEST = "best"


def epoch_header(row: Record) -> str:
    """The titles above the rows; classes have an accuracy, numbers an error.

    Args:
        row: Of the history.
    """
    titles = ("train loss", "val loss", "val error" if _is_error(row) else "val acc.", "rate", "time")
    return "epoch" + "".join(f"  {title:>{_WIDTH}}" for title in titles)


def epoch_line(row: Record) -> str:
    """One row under `epoch_header`, marked where no epoch before it was better.

    Args:
        row: Of the history, with "best" and, as the history counts them, "seconds".
    """
    seconds = row.get("seconds")
    cells = [*_numbers(row), _MISSING if seconds is None else format_seconds(seconds)]
    mark = f"  {BEST}" if row.get("best") else ""
    return f"{row['epoch'] + 1:>5}" + "".join(f"  {cell:>{_WIDTH}}" for cell in cells) + mark


def epoch_sentence(row: Record) -> str:
    """The same for a log, where rows do not stand under each other.

    Args:
        row: Of the history, with "best" and, as the history counts them, "seconds".
    """
    seconds = row.get("seconds")
    train, val, score, rate = _numbers(row)
    words = f"Epoch {row['epoch'] + 1}: train loss {train}, val loss {val}"
    words += f", val {'error' if _is_error(row) else 'accuracy'} {score}, rate {rate}"
    words += "" if seconds is None else f", {format_seconds(seconds)}"
    return f"{words} ({BEST})" if row.get("best") else words


def _is_error(row: Record) -> bool:
    return row.get("train_mae") is not None


def _numbers(row: Record) -> tuple[str, str, str, str]:
    score = _loss(row.get("val_mae")) if _is_error(row) else format_number(row.get("val_accuracy"))
    return _loss(row.get("train_loss")), _loss(row.get("val_loss")), score, f"{row['lr']:.2g}"


def _loss(value: float | None) -> str:
    return _MISSING if value is None else f"{value:.4g}"
