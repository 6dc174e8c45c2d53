"""Figures of a search: its course, what mattered, parallel coordinates, and a slice for each parameter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from teliti.report.axes import Plane, Tick, log_ticks, roomy_plane, span_of, tick_text, ticks
from teliti.report.figures import figure
from teliti.report.markup import EMPTY, Html, element, join
from teliti.report.wording import is_number, number

Rows = Sequence[Mapping[str, Any]]
_BEST_SHARE = 0.1  # of the trials that parallel coordinates draw in colour
_LABEL_LENGTH = 18
_COLUMN, _NARROW_COLUMN, _FEW_COLUMNS = 180, 120, 5  # pixels of parallel coordinates: the whole is scaled to the page
_AXIS_LENGTH = 14
_BELOW = -0.15  # of an axis: where trials pass that have no value on it


@dataclass(frozen=True)
class Axis:
    """The values of one parameter as positions.

    Attributes:
        name: Of the parameter.
        positions: By trial number; only trials that have the parameter.
        span: Of the positions.
        ticks: Position and label.
    """

    name: str
    positions: Mapping[int, float]
    span: tuple[float, float]
    ticks: Sequence[Tick]


def axis_of(parameter: Mapping[str, Any], rows: Rows) -> Axis | None:
    """Where the values of a parameter stand: numbers as they are or as logarithms, choices in their order.

    Args:
        parameter: A record of the space.
        rows: Trials with "number" and "factors".
    """
    name = str(parameter.get("name"))
    found = {int(row["number"]): row["factors"][name] for row in rows if name in row["factors"]}
    if not found:
        return None
    if choices := [str(choice) for choice in parameter.get("choices") or ()]:
        positions = {key: float(choices.index(str(value))) for key, value in found.items() if str(value) in choices}
        labels = [(float(place), _short(choice)) for place, choice in enumerate(choices)]
        return Axis(name, positions, (-0.5, len(choices) - 0.5), labels)
    low, high = float(parameter["low"]), float(parameter["high"])
    if parameter.get("log"):
        span = math.log10(low), math.log10(high)
        return Axis(name, {key: math.log10(float(value)) for key, value in found.items()}, span, log_ticks(span))
    span = low, high
    marks = [(value, tick_text(value)) for value in ticks(span)]
    return Axis(name, {key: float(value) for key, value in found.items()}, span, marks)


def history_figure(rows: Rows, *, measure: str, more_is_better: bool) -> Html:
    """Every trial's value, and the best so far as a line."""
    points = [(float(row["number"]), float(row["mean"])) for row in rows if is_number(row["mean"])]
    if not points:
        return EMPTY
    values = [y for _, y in points]
    best = list(accumulate(values, max if more_is_better else min))
    plane = roomy_plane(span_of([x for x, _ in points]), span_of(values), width=640, height=320)
    steps = [(x, y) for (x, _), y in zip(points, best, strict=True)]
    drawing = plane.drawing(
        plane.frame(x_label="Trial", y_label=measure),
        plane.line(steps, class_="curve s1"),
        plane.dots(points, radius=2.5, class_="dots s0"),
        alt=f"{measure} of {len(points)} trials; the best so far ends at {number(best[-1])}",
    )
    return figure(drawing, title="Course of the search", names=["Trial", "Best so far"])


def importance_figure(importance: Mapping[str, float], *, title: str = "What mattered") -> Html:
    """Share of the variation that each parameter explains, as bars."""
    if not importance:
        return EMPTY
    names = list(importance)
    plane = Plane((0.0, 1.0), (-0.5, len(names) - 0.5), width=640, height=70 + 30 * len(names), left=170)
    bars = []
    for place, name in enumerate(reversed(names)):
        top, bottom = plane.y(place + 0.32), plane.y(place - 0.32)
        wide = plane.x(importance[name]) - plane.x(0.0)
        bars.append(element("rect", x=plane.x(0.0), y=top, width=wide, height=bottom - top, class_="block s0"))
        bars.append(element("text", f"{importance[name]:.2f}", x=plane.x(importance[name]) + 6, y=plane.y(place) + 4,
                            class_="tick"))  # fmt: skip
    marks = [(float(place), _short(name, 24)) for place, name in enumerate(reversed(names))]
    drawing = plane.drawing(
        plane.frame(x_label="Share of the variation", y_label="", y_ticks=marks),
        *bars,
        alt=f"{title}: " + ", ".join(f"{name} {share:.2f}" for name, share in importance.items()),
    )
    return figure(drawing, title=title, names=[])


def parallel_figure(rows: Rows, axes: Sequence[Axis], *, measure: str, more_is_better: bool) -> Html:
    """One line a trial across all parameters, below an axis where it has no value there; the best tenth in colour."""
    done = [row for row in rows if is_number(row["mean"])]
    drawn = [axis for axis in axes if any(int(row["number"]) in axis.positions for row in done)]
    if len(done) < 2 or not drawn:
        return EMPTY
    low, high = span_of([float(row["mean"]) for row in done])
    value = Axis(measure, {int(row["number"]): float(row["mean"]) for row in done}, (low, high),
                 [(mark, tick_text(mark)) for mark in ticks((low, high))])  # fmt: skip
    columns = [*drawn, value]
    has_gaps = any(int(row["number"]) not in axis.positions for row in done for axis in drawn)
    bottom = _BELOW if has_gaps else 0.0
    wide = _COLUMN if len(columns) <= _FEW_COLUMNS else _NARROW_COLUMN
    plane = Plane((0.0, len(columns) - 1.0), (bottom, 1.0), width=wide * len(columns), height=360, left=70, right=70)
    ranked = sorted(done, key=lambda row: float(row["mean"]), reverse=more_is_better)
    best = {int(row["number"]) for row in ranked[: max(1, round(_BEST_SHARE * len(ranked)))]}
    lines = [
        plane.line([(float(at), _share(axis, int(row["number"]))) for at, axis in enumerate(columns)],
                   class_="curve s0" if int(row["number"]) in best else "thread")
        for row in reversed(ranked)
    ]  # fmt: skip
    drawing = plane.drawing(
        *lines,
        join([_column(plane, at, axis, trials=done) for at, axis in enumerate(columns)]),
        alt=f"{len(done)} trials over {', '.join(axis.name for axis in drawn)}; the best {len(best)} in colour",
    )
    return figure(drawing, title=f"Parallel coordinates, the best {len(best)} in colour", names=[])


def slice_figures(rows: Rows, axes: Sequence[Axis], *, measure: str) -> Html:
    """For each parameter the value of every trial over what was chosen."""
    values = {int(row["number"]): float(row["mean"]) for row in rows if is_number(row["mean"])}
    panels = []
    for axis in axes:
        points = [(place, values[key]) for key, place in axis.positions.items() if key in values]
        if not points:
            continue
        plane = roomy_plane(axis.span, span_of(list(values.values())), height=280)
        drawing = plane.drawing(
            plane.frame(x_label=axis.name, y_label=measure, x_ticks=axis.ticks),
            plane.dots(points, radius=3, class_="dots s0"),
            alt=f"{measure} of {len(points)} trials over {axis.name}",
        )
        panels.append(figure(drawing, title=axis.name, names=[]))
    return element("div", *panels, class_="pair") if panels else EMPTY


def _column(plane: Plane, at: int, axis: Axis, *, trials: Rows) -> Html:
    x, (key, at_sign, only) = plane.x(float(at)), axis.name.partition("@")
    name = key.rpartition(".")[2] + at_sign + only
    pieces = [
        element("line", x1=x, x2=x, y1=plane.y(0.0), y2=plane.y(1.0), class_="axis"),
        element("text", _short(name, _AXIS_LENGTH), x=x, y=plane.height - 8, class_="title middle"),
    ]
    low, high = axis.span
    for position, words in axis.ticks:
        y = plane.y((position - low) / (high - low))
        pieces.append(element("text", words, x=x + 5, y=y + 4, class_="tick"))
    if any(int(row["number"]) not in axis.positions for row in trials):
        pieces.append(element("text", "not chosen", x=x + 5, y=plane.y(_BELOW) + 4, class_="tick"))
    return join(pieces)


def _share(axis: Axis, trial: int) -> float:
    """How far up an axis a trial stands; below it where the parameter was not chosen at all."""
    low, high = axis.span
    place = axis.positions.get(trial)
    return _BELOW if place is None else (place - low) / (high - low)


def _short(words: str, length: int = _LABEL_LENGTH) -> str:
    return words if len(words) <= length else f"{words[: length - 1]}…"
