"""The figures of a check: the learning curve with its forecast, and the map of the photos."""

from __future__ import annotations

from teliti.report.axes import Plane, span_of
from teliti.report.figures import MOST_DOTS, SERIES, figure
from teliti.report.markup import EMPTY, Html, element, join
from teliti.report.reading import list_at, table_at, tables_at
from teliti.report.wording import is_interval, is_number, percent
from teliti.types import JsonMapping


def curve_figure(curve: JsonMapping) -> Html:
    """Balanced accuracy over the photos learnt from, with intervals, and the forecast for twice as many.

    Args:
        curve: The record of `learning_curve`.
    """
    rows = [row for row in tables_at(curve, "rows") if is_number(row.get("photos")) and is_number(row.get("score"))]
    double = table_at(curve, "double")
    if len(rows) < 2 or not is_number(double.get("score")):
        return EMPTY
    ends = [end for row in (*rows, double) for end in (list_at(row, "interval") or [row["score"]])]
    plane = Plane((0.0, 1.05 * float(double["photos"])), span_of([float(end) for end in ends]), height=300, left=70)
    points = [(float(row["photos"]), float(row["score"])) for row in rows]
    forecast = (float(double["photos"]), float(double["score"]))
    drawing = plane.drawing(
        plane.frame(x_label="Photos learnt from", y_label="Balanced accuracy"),
        *(_interval(plane, row) for row in (*rows, double)),
        plane.line(points, class_="curve s0"),
        plane.line([points[-1], forecast], class_="chance"),
        plane.dots(points, radius=3.5, class_="dots s0"),
        plane.dots([forecast], radius=3.5, class_="dots rest"),
        alt=f"Learning curve: {percent(points[-1][1])} with {points[-1][0]:.0f} photos, forecast "
        f"{percent(forecast[1])} with {forecast[0]:.0f}",
    )
    return element("div", figure(drawing, title="Learning curve; dashed: forecast", names=[]), class_="pair")


def map_figure(drawn: JsonMapping) -> Html:
    """Every photo as a dot, near where it looks alike, in the colour of its class.

    Args:
        drawn: {"method", "points", "labels"}.
    """
    pairs = list(zip(list_at(drawn, "points"), list_at(drawn, "labels"), strict=False))
    if not pairs:
        return EMPTY
    step = -(-len(pairs) // MOST_DOTS)
    pairs = pairs[::step]
    names = sorted({label for _, label in pairs if isinstance(label, str)})
    plane = Plane((-0.02, 1.02), (-0.02, 1.02), width=560, height=420, left=8, bottom=8, top=8, right=8)
    groups = []
    for at, class_name in enumerate(names or [None]):
        own = [
            (float(point[0]), float(point[1])) for point, label in pairs if class_name is None or label == class_name
        ]
        groups.append(plane.dots(own, radius=2.5, class_=f"dots s{at}" if at < SERIES else "dots rest"))
    method = str(drawn.get("method"))
    alt = f"Map of {len(pairs)} photos by {method}: photos that look alike lie together"
    title = f"Photos that look alike lie together ({method})" + (f", 1 of {step} shown" if step > 1 else "")
    return element("div", figure(plane.drawing(*groups, alt=alt), title=title, names=names), class_="pair map")


def _interval(plane: Plane, row: JsonMapping) -> Html:
    interval = row.get("interval")
    if not is_interval(interval):
        return EMPTY
    at = plane.x(float(row["photos"]))
    low, high = (plane.y(float(end)) for end in list_at(row, "interval"))
    return join([element("line", x1=at, x2=at, y1=low, y2=high, class_="axis")])
