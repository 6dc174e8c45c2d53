"""Figures of a report as SVG drawn from the record's own points: no plotting library, no colours of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from teliti.report.axes import Plane, roomy_plane, span_of
from teliti.report.markup import EMPTY, Html, element, join, name, text
from teliti.report.reading import list_at, table_at
from teliti.report.wording import is_interval, is_number, number, percent
from teliti.types import JsonMapping

SERIES = 6  # colours that can be told apart
MOST_DOTS = 2000
_UNIT = (0.0, 1.0)


def roc_figure(curves: JsonMapping) -> Html:
    """The ROC curve with the chosen point, or one curve per class."""
    lines = _roc_lines(curves)
    if not lines:
        return EMPTY
    plane = Plane(_UNIT, _UNIT)
    chosen = _point(table_at(curves, "roc").get("at_threshold"))
    alt = "ROC curve: share of positives found against share of others that raise an alarm"
    drawing = plane.drawing(
        plane.frame(x_label="False alarm rate", y_label="Share found (recall)"),
        plane.line([(0, 0), (1, 1)], class_="chance"),
        *(plane.line(points, class_=f"curve {_series(at)}") for at, (_, points) in enumerate(lines)),
        _mark(plane, chosen),
        alt=_with_point(alt, chosen, words=("false alarm rate", "recall")),
    )
    return figure(drawing, title="ROC curve", names=[class_name for class_name, _ in lines])


def pr_figure(curves: JsonMapping) -> Html:
    """The precision-recall curve with the chosen point."""
    points = _pairs(table_at(curves, "pr"), "recall", "precision")
    if not points:
        return EMPTY
    plane = Plane(_UNIT, _UNIT)
    chosen = _point(table_at(curves, "pr").get("at_threshold"))
    alt = "Precision-recall curve: share of alarms that are right against share of positives found"
    drawing = plane.drawing(
        plane.frame(x_label="Share found (recall)", y_label="Alarms that are right (precision)"),
        plane.line(points, class_="curve s0"),
        _mark(plane, chosen),
        alt=_with_point(alt, chosen, words=("recall", "precision")),
    )
    return figure(drawing, title="Precision and recall", names=[])


def histogram_figure(curves: JsonMapping, *, threshold: float | None) -> Html:
    """How the scores of each class are spread: one panel per class on one score axis, with the threshold."""
    edges = [float(edge) for edge in list_at(curves, "histogram", "edges") if is_number(edge)]
    counts = table_at(curves, "histogram", "counts")
    panels = [
        _histogram_panel(class_name, edges=edges, counts=_numbers(row), series=_series(at), threshold=threshold)
        for at, (class_name, row) in enumerate(counts.items())
        if len(edges) > 1 and _numbers(row)
    ]
    return element("div", *panels, class_="pair") if panels else EMPTY


def scatter_figure(scatter: JsonMapping, *, of: str = "") -> Html:
    """Predicted against true number; on the diagonal the prediction is exact. `of` names one of several."""
    points = _pairs(scatter, "target", "pred")[:MOST_DOTS]
    if not points:
        return EMPTY
    span = span_of([value for point in points for value in point])
    plane = roomy_plane(span, span, height=400)
    drawing = plane.drawing(
        plane.frame(x_label="True value", y_label="Predicted value"),
        plane.line([(span[0], span[0]), (span[1], span[1])], class_="chance"),
        plane.dots(points, radius=2.5, class_="dots s0"),
        alt=f"Predicted against true value of {len(points)} photos; the dashed line is exact prediction",
    )
    return figure(drawing, title=f"{of}: predicted against true" if of else "Predicted against true", names=[])


def residual_figure(scatter: JsonMapping, *, of: str = "") -> Html:
    """Predicted minus true number, over the true number. `of` names one of several."""
    points = [(target, pred - target) for target, pred in _pairs(scatter, "target", "pred")[:MOST_DOTS]]
    if not points:
        return EMPTY
    plane = roomy_plane(span_of([x for x, _ in points]), span_of([0.0, *(y for _, y in points)]), height=400)
    drawing = plane.drawing(
        plane.frame(x_label="True value", y_label="Predicted minus true"),
        plane.line([(plane.x_range[0], 0.0), (plane.x_range[1], 0.0)], class_="chance"),
        plane.dots(points, radius=2.5, class_="dots s0"),
        alt=f"Error of {len(points)} predictions over the true value; the dashed line is no error",
    )
    return figure(drawing, title=f"{of}: errors" if of else "Errors", names=[])


def interval_bar(value: Any, interval: Any, *, baseline: Any = None) -> Html:
    """A share in [0, 1] as a dot in its interval on a scale from 0 to 1, with a tick for the baseline."""
    if not is_number(value):
        return EMPTY
    plane = Plane(_UNIT, (0.0, 2.0), width=132, height=16, left=6, right=6, top=0, bottom=0)
    bounds = interval if is_interval(interval) else (value, value)
    marks = [
        element("line", x1=6, x2=126, y1=8, y2=8, class_="grid"),
        element("line", x1=plane.x(bounds[0]), x2=plane.x(bounds[1]), y1=8, y2=8, class_="band"),
        element("circle", cx=plane.x(value), cy=8, r=3.5, class_="dot"),
    ]
    if is_number(baseline):
        at = plane.x(baseline)
        marks.insert(2, element("line", x1=at, x2=at, y1=2, y2=14, class_="tickmark"))
    return element("svg", *marks, viewBox="0 0 132 16", class_="bar", aria_hidden="true")


def figure(drawing: Html, *, title: str, names: Sequence[str]) -> Html:
    """A drawing under its title, with a legend of its series where they have names."""
    keys = [
        element("li", element("span", class_=f"key {_series(at)}"), name(item))
        for at, item in enumerate(names[:SERIES])
    ]
    if len(names) > SERIES:
        keys.append(element("li", element("span", class_="key rest"), f"{len(names) - SERIES} more classes"))
    legend = element("ul", *keys, class_="legend") if any(names) else EMPTY
    return element("figure", element("figcaption", title), drawing, legend)


def _histogram_panel(
    class_name: str, *, edges: list[float], counts: list[float], series: str, threshold: float | None
) -> Html:
    plane = roomy_plane((edges[0], edges[-1]), (0.0, max(*counts, 1.0)), height=230)
    total = sum(counts)
    pieces = [plane.frame(x_label="Score", y_label="Photos"), plane.steps(edges, counts, class_=f"area {series}")]
    alt = f"Scores of {number(int(total))} photos of class {class_name}"
    if is_number(threshold) and threshold is not None:
        at = plane.x(threshold)
        anchor, shift = ("end", -6) if threshold > (edges[0] + edges[-1]) / 2 else ("start", 6)
        pieces.append(element("line", x1=at, x2=at, y1=plane.top, y2=plane.height - plane.bottom, class_="chosen"))
        pieces.append(
            element("text", f"threshold {threshold:.3g}", x=at + shift, y=plane.top + 11, class_=f"mark {anchor}")
        )
        alt += f", with the threshold at {threshold:.3g}"
    title = element("figcaption", element("span", class_=f"key {series}"), name(class_name), text(f" ({int(total):,})"))
    return element("figure", title, plane.drawing(*pieces, alt=alt))


def _roc_lines(curves: JsonMapping) -> list[tuple[str, list[tuple[float, float]]]]:
    single = _pairs(table_at(curves, "roc"), "fpr", "tpr")
    if single:
        return [("", single)]
    per_class = table_at(curves, "roc_per_class")
    lines = [(class_name, _pairs(line, "fpr", "tpr")) for class_name, line in per_class.items()]
    return [(class_name, points) for class_name, points in lines if points]


def _pairs(source: Any, x_key: str, y_key: str) -> list[tuple[float, float]]:
    if not isinstance(source, Mapping):
        return []
    both = zip(list_at(source, x_key), list_at(source, y_key), strict=False)
    return [(float(x), float(y)) for x, y in both if is_number(x) and is_number(y)]


def _numbers(values: Any) -> list[float]:
    return [float(value) for value in values if is_number(value)] if isinstance(values, Sequence) else []


def _point(value: Any) -> tuple[float, float] | None:
    pair = _numbers(value)
    return (pair[0], pair[1]) if len(pair) == 2 else None


def _mark(plane: Plane, point: tuple[float, float] | None) -> Html:
    if point is None:
        return EMPTY
    x, y = plane.x(point[0]), plane.y(point[1])
    anchor, shift = ("end", -10) if point[0] > 0.6 else ("start", 10)
    return join(
        [
            element("circle", cx=x, cy=y, r=5, class_="chosen-dot"),
            element("text", "chosen threshold", x=x + shift, y=y + 18, class_=f"mark {anchor}"),
        ]
    )


def _with_point(alt: str, point: tuple[float, float] | None, *, words: tuple[str, str]) -> str:
    if point is None:
        return alt
    return f"{alt}; at the chosen threshold {words[0]} {percent(point[0])}, {words[1]} {percent(point[1])}"


def _series(position: int) -> str:
    return f"s{position}" if position < SERIES else "rest"
