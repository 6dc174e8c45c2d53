"""The drawing plane of a figure: scales, ticks, frame, as SVG that takes its colours from the style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from teliti.report.markup import Html, element, join

_STEPS = (1.0, 2.0, 5.0, 10.0)
_LEFT = 52
_TITLE, _DIGIT = 28, 7  # room of a vertical axis' title with its gaps, and of a digit
_MANY = 1e7  # from here on a tick is written as a power
Points = Iterable[tuple[float, float]]
Tick = tuple[float, str]


@dataclass(frozen=True, slots=True)
class Plane:
    """A rectangle of data coordinates inside a figure.

    Attributes:
        x_range: Smallest and largest data value from left to right.
        y_range: Smallest and largest data value from bottom to top.
        width: Of the whole figure, in its own units.
        height: Of the whole figure, in its own units.
        left: Space for the labels of the vertical axis.
        bottom: Space for the labels of the horizontal axis.
        top: Space above.
        right: Space to the right.
    """

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    width: int = 420
    height: int = 320
    left: int = _LEFT
    bottom: int = 46
    top: int = 12
    right: int = 14

    def x(self, value: float) -> float:
        """Horizontal position of a data value, kept inside the plane."""
        return self.left + _share(value, self.x_range) * (self.width - self.left - self.right)

    def y(self, value: float) -> float:
        """Vertical position of a data value, kept inside the plane."""
        return self.height - self.bottom - _share(value, self.y_range) * (self.height - self.bottom - self.top)

    def line(self, points: Points, *, class_: str) -> Html:
        """A line through data points."""
        steps = [f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in points]
        return element("path", d="M" + "L".join(steps), class_=class_)

    def steps(self, edges: Sequence[float], counts: Sequence[float], *, class_: str) -> Html:
        """The outline of a histogram, closed on the base line.

        Args:
            edges: Bin borders, one more than counts, ascending.
            counts: Height of each bin.
            class_: Its class in the style sheet.
        """
        base = self.y(self.y_range[0])
        parts = [f"M{self.x(edges[0]):.1f} {base:.1f}"]
        parts += [f"V{self.y(count):.1f}H{self.x(edge):.1f}" for edge, count in zip(edges[1:], counts, strict=False)]
        return element("path", d="".join(parts) + f"V{base:.1f}Z", class_=class_)

    def dots(self, points: Points, *, radius: float, class_: str) -> Html:
        """One circle per data point."""
        circles = [element("circle", cx=self.x(x), cy=self.y(y), r=radius) for x, y in points]
        return element("g", *circles, class_=class_)

    def frame(
        self,
        *,
        x_label: str,
        y_label: str,
        x_ticks: Sequence[Tick] | None = None,
        y_ticks: Sequence[Tick] | None = None,
    ) -> Html:
        """Grid, ticks, tick labels and axis titles.

        Args:
            x_label: Title of the horizontal axis.
            y_label: Title of the vertical axis.
            x_ticks: Data value and label of each tick; None takes round values.
            y_ticks: The same from bottom to top.
        """
        bottom, right = self.height - self.bottom, self.width - self.right
        pieces = []
        for value, words in _round_ticks(self.y_range) if y_ticks is None else y_ticks:
            at = self.y(value)
            pieces.append(element("line", x1=self.left, x2=right, y1=at, y2=at, class_="grid"))
            pieces.append(_label(words, x=self.left - 8, y=at + 4, class_="tick end"))
        for value, words in _round_ticks(self.x_range) if x_ticks is None else x_ticks:
            at = self.x(value)
            pieces.append(element("line", x1=at, x2=at, y1=bottom, y2=bottom + 5, class_="axis"))
            pieces.append(_label(words, x=at, y=bottom + 18, class_="tick middle"))
        pieces.append(element("line", x1=self.left, x2=right, y1=bottom, y2=bottom, class_="axis"))
        pieces.append(_label(x_label, x=(self.left + right) / 2, y=self.height - 8, class_="title middle"))
        middle = (self.top + bottom) / 2
        turn = f"rotate(-90 14 {middle:.1f})"
        pieces.append(element("text", y_label, x=14, y=middle, transform=turn, class_="title middle"))
        return join(pieces)

    def drawing(self, *content: Html, alt: str) -> Html:
        """The whole figure with its description for those who do not see it."""
        box = f"0 0 {self.width} {self.height}"
        return element("svg", *content, viewBox=box, role="img", aria_label=alt, class_="chart")


def roomy_plane(
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    *,
    height: int,
    width: int = 420,
    left: int = _LEFT,
    top: int = 12,
    y_ticks: Sequence[Tick] | None = None,
) -> Plane:
    """A plane whose vertical axis has room for its ticks beside its title.

    Args:
        x_range: Smallest and largest data value from left to right.
        y_range: Smallest and largest data value from bottom to top.
        height: Of the whole figure, in its own units.
        width: Of the whole figure, in its own units.
        left: Space for the labels of the vertical axis, at least.
        top: Space above.
        y_ticks: As `frame` will be given them.
    """
    longest = max(len(words) for _, words in (_round_ticks(y_range) if y_ticks is None else y_ticks))
    return Plane(x_range, y_range, width=width, height=height, left=max(left, _TITLE + _DIGIT * longest), top=top)


def ticks(span: tuple[float, float], *, at_most: int = 6) -> list[float]:
    """Round values inside a range, at most so many: multiples of 1, 2 or 5 times a power of ten."""
    low, high = span
    if not high > low:
        return [low]
    rough = (high - low) / (at_most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in _STEPS if factor * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def log_ticks(span: tuple[float, float]) -> list[Tick]:
    """Ticks of an axis of decimal logarithms: powers of ten, or where there are fewer than two, what lies between."""
    powers = [value for value in ticks(span) if value.is_integer()]
    if len(powers) < 2:
        return [(value, f"{10.0**value:.2g}") for value in ticks(span, at_most=4)]
    return [(value, f"{10.0**value:g}" if -4 <= value <= 4 else f"1e{value:.0f}") for value in powers]


def tick_text(value: float) -> str:
    """A tick's label, as short as it is exact."""
    return f"{value:,.0f}" if float(value).is_integer() and 1000 <= abs(value) < _MANY else f"{value:.6g}"


def span_of(values: Sequence[float]) -> tuple[float, float]:
    """Smallest and largest value with a little room on both sides; never empty."""
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or 0.5
    return low - room, high + room


def _round_ticks(span: tuple[float, float]) -> list[Tick]:
    return [(value, tick_text(value)) for value in ticks(span)]


def _label(words: str, *, x: float, y: float, class_: str) -> Html:
    return element("text", words, x=x, y=y, class_=class_)


def _share(value: float, span: tuple[float, float]) -> float:
    low, high = span
    return min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 0.0
