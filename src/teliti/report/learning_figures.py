"""Learning curves as SVG: loss, accuracy or error, learning rate, and the search of the rate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from teliti.report.axes import Plane, Tick, log_ticks, roomy_plane, span_of, tick_text, ticks
from teliti.report.figures import figure
from teliti.report.markup import EMPTY, Html, element, join
from teliti.report.wording import is_number, number

Rows = Sequence[Mapping[str, Any]]
_MOST_DOTTED = 25  # epochs; more are a line without dots
_WIDE = 100.0  # a loss that spans more than this is drawn on a logarithmic scale
_Line = tuple[str, list[tuple[float, float]]]


def loss_figure(rows: Rows, *, best: int | None, chooser: str) -> Html:
    """Loss of the photos that learn and of those that choose, over epochs; logarithmic where it spans decades.

    Args:
        rows: History rows.
        best: Number of the epoch that was kept, from 1.
        chooser: What the photos are called that chose it.
    """
    lines = _lines(rows, {"train_loss": "Training", "val_loss": chooser})
    values = [y for _, points in lines for _, y in points]
    if not values:
        return EMPTY
    if min(values) > 0 and max(values) > _WIDE * min(values):
        lines = [(key, [(x, math.log10(y)) for x, y in points]) for key, points in lines]
        span = span_of([y for _, points in lines for _, y in points])
        return _curves(lines, span, title="Loss, logarithmic scale", y_ticks=log_ticks(span), best=best, epochs=rows)
    return _curves(lines, (0.0, 1.05 * max(values) or 1.0), title="Loss", best=best, epochs=rows)


def score_figure(rows: Rows, *, best: int | None, chooser: str) -> Html:
    """Accuracy, or for numbers the mean absolute error, over epochs."""
    lines = _lines(rows, {"train_accuracy": "Training", "val_accuracy": chooser})
    if lines:
        low, high = span_of([y for _, points in lines for _, y in points])
        return _curves(lines, (max(0.0, low), min(1.0, high)), title="Accuracy", best=best, epochs=rows)
    lines = _lines(rows, {"train_mae": "Training", "val_mae": chooser})
    if not lines:
        return EMPTY
    highest = max(y for _, points in lines for _, y in points)
    return _curves(lines, (0.0, 1.05 * highest or 1.0), title="Mean absolute error", best=best, epochs=rows)


def rate_figure(rows: Rows) -> Html:
    """The learning rate at the end of each epoch."""
    lines = _lines(rows, {"lr": ""})
    highest = max((y for _, points in lines for _, y in points), default=0.0)
    return _curves(lines, (0.0, 1.05 * highest), title="Learning rate", best=None, epochs=rows) if highest else EMPTY


def search_figure(search: Mapping[str, Any]) -> Html:
    """What the learning-rate finder saw: the loss while the rate grew, and the rate that was chosen."""
    curve = [point for point in search.get("curve") or () if len(point) == 2 and all(map(is_number, point))]
    points = [(math.log10(lr), float(loss)) for lr, loss in curve if lr > 0]
    chosen = search.get("lr")
    if len(points) < 2 or not is_number(chosen) or chosen is None or chosen <= 0:
        return EMPTY
    across, span = span_of([x for x, _ in points]), span_of([y for _, y in points])
    plane = roomy_plane(across, span, height=290, left=70, top=30)
    drawing = plane.drawing(
        plane.frame(x_label="Learning rate", y_label="Loss, smoothed", x_ticks=log_ticks(plane.x_range)),
        plane.line(points, class_="curve s0"),
        _upright(plane, math.log10(chosen), words=f"chosen: {chosen:.2g}"),
        alt=f"Loss of {len(points)} trial steps while the learning rate grew; {chosen:.2g} was chosen",
    )
    return figure(drawing, title="Search of the learning rate", names=[])


def _lines(rows: Rows, keys: Mapping[str, str]) -> list[_Line]:
    """(legend, points) of each key that has numbers; epochs count from 1."""
    found = [
        (word, [(float(row["epoch"]) + 1, float(row[key])) for row in rows if is_number(row.get(key))])
        for key, word in keys.items()
    ]
    return [(word, points) for word, points in found if points]


def _curves(
    lines: Sequence[_Line],
    span: tuple[float, float],
    *,
    title: str,
    best: int | None,
    epochs: Rows,
    y_ticks: Sequence[Tick] | None = None,
) -> Html:
    numbers = [float(row["epoch"]) + 1 for row in epochs]
    across = (min(numbers), max(numbers)) if len(numbers) > 1 else (numbers[0] - 0.5, numbers[0] + 0.5)
    plane = roomy_plane(across, span, height=290, left=70, top=30, y_ticks=y_ticks)
    whole = [(value, tick_text(value)) for value in ticks(across) if value.is_integer()]
    pieces = [plane.frame(x_label="Epoch", y_label=title.partition(",")[0], x_ticks=whole, y_ticks=y_ticks)]
    for at, (_, points) in enumerate(lines):
        pieces.append(plane.line(points, class_=f"curve s{at}"))
        if len(points) <= _MOST_DOTTED:
            pieces.append(plane.dots(points, radius=3, class_=f"dots s{at}"))
    if best is not None and len(numbers) > 1:
        pieces.append(_upright(plane, best, words=f"kept: epoch {best}"))
    alt = f"{title} over {len(numbers)} epochs"
    names = [word for word, _ in lines]
    ends = [f"{word or 'last'} {_shown(points[-1][1], y_ticks)}" for word, points in lines]
    drawing = plane.drawing(*pieces, alt=f"{alt}; at the end: {', '.join(ends)}")
    return figure(drawing, title=title, names=names)


def _shown(value: float, y_ticks: Sequence[Tick] | None) -> str:
    return number(10.0**value if y_ticks else value)


def _upright(plane: Plane, at: float, *, words: str) -> Html:
    """A dashed line at a place of the horizontal axis with its words above it."""
    x, (low, high) = plane.x(at), plane.x_range
    anchor, shift = ("end", 4) if at > (low + high) / 2 else ("start", -4)
    line = element("line", x1=x, x2=x, y1=plane.top - 4, y2=plane.height - plane.bottom, class_="chosen")
    return join([line, element("text", words, x=x + shift, y=plane.top - 9, class_=f"mark {anchor}")])
