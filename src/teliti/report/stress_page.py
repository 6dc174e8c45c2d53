"""The pages of a stress: the whole of it with its curves, and the one-page card for whoever sets the camera up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from teliti.report.axes import Plane
from teliti.report.figures import figure
from teliti.report.frame import Section, frame_page
from teliti.report.markup import EMPTY, Html, element, join, name, text, unbroken
from teliti.report.pictures import picture
from teliti.report.reading import is_regression, table_at, tables_at
from teliti.report.stress_words import (
    bounds_sentence,
    clean_sentence,
    error_words,
    kept_sentence,
    level_words,
    limit_sentence,
    short_level,
    title_of,
)
from teliti.report.tables import bullets, callout, facts, table
from teliti.report.wording import MISSING, count, is_number, number, percent, percent_interval
from teliti.types import JsonMapping, Record, UInt8Image

_PROPERTIES = {
    "light": "Light (mean grey level, of 255)",
    "blur": "Blur (0 sharp, 1 without detail)",
    "size": "Longer side (pixels)",
    "scale": "Part (share of the picture's side)",
}
_FROM = {"training": "training photos", "stress": "stress"}


def render_stress(record: Record, pictures: Mapping[str, UInt8Image]) -> str:
    """The page of a stress.

    Args:
        record: Of `teliti stress`.
        pictures: By sweep and "limit" or "first_broken", and under "" the photo as it is; uint8 (H, W, 3) or (H, W).
    """
    sections = [
        ("card", "How far things may go", _limits(record)),
        ("basis", "What this rests on", _basis(record, kept_sentence(record))),
        *(
            (str(row["name"]), title_of(str(row["name"])), _sweep(row, record, pictures))
            for row in tables_at(record, "sweeps")
            if row["levels"]
        ),
        ("envelope", "The envelope", _envelope(record)),
    ]
    return _frame(record, sections, title=f"How far {record['name']} holds", eyebrow="Teliti stress")


def render_card(record: Record) -> str:
    """The camera set-up card, made to be printed on one page.

    Args:
        record: Of `teliti stress`.
    """
    sections = [
        ("card", "How far things may go", _sentences(record)),
        ("basis", "What this rests on", _basis(record)),
        ("envelope", "Watched by predict", _watched(record)),
    ]
    return _frame(record, sections, title=f"Camera set-up for {record['name']}", eyebrow="Teliti camera set-up card")


def _frame(record: JsonMapping, sections: list[tuple[str, str, Html]], *, title: str, eyebrow: str) -> str:
    notes = [
        name(record.get("source", "")),
        count(record.get("photos"), "photo"),
        f"model {str(record.get('model_hash'))[:12]}",
        f"bundle {str(record.get('bundle_hash'))[:12]}",
    ]
    return frame_page(
        title,
        eyebrow=eyebrow,
        notes=notes,
        sections=[Section(*one) for one in sections if one[2]],
        version=record.get("version"),
    )


def _sentences(record: JsonMapping) -> Html:
    return bullets([unbroken(text(limit_sentence(row))) for row in tables_at(record, "sweeps")], class_="prose")


def _watched(record: JsonMapping) -> Html:
    """The envelope as the card has room for it."""
    limits = table_at(record, "envelope", "limits")
    return facts([(_PROPERTIES[key], _span(one)) for key, one in limits.items() if key in _PROPERTIES])


def _span(one: Mapping[str, Any]) -> str:
    ends = [f"{word} {number(one[key])}" for word, key in (("from", "low"), ("to", "high")) if one[key] is not None]
    return " ".join(ends) or "any"


def _limits(record: JsonMapping) -> Html:
    rows = [[title_of(str(row["name"])), limit_sentence(row)] for row in tables_at(record, "sweeps")]
    return table("The last level in a row that holds", head=["What", "How far"], rows=rows, numeric_from=2)


def _basis(record: JsonMapping, *more: str) -> Html:
    warnings = [callout(str(sentence)) for sentence in record.get("warnings") or ()]
    said = [clean_sentence(record), bounds_sentence(record), _LIMITS_OF_THIS, *more]
    return join([*warnings, *(unbroken(element("p", sentence)) for sentence in said)])


_LIMITS_OF_THIS = (
    "One thing was changed at a time, by computing. Two changes at once, shadows, glare, another lens or another "
    "product are not covered."
)


def _sweep(row: Mapping[str, Any], record: JsonMapping, pictures: Mapping[str, UInt8Image]) -> Html:
    sweep, numbers = str(row["name"]), is_regression(record)
    cells = [
        [
            level_words(sweep, one["level"]),
            _with_interval(one, "unchanged"),
            *(_number_cells(one) if numbers else _verdict_cells(one)),
            "yes" if one["holds"] else "no",
        ]
        for one in tables_at(row, "levels")
    ]
    head = ["Numbers unchanged", "Mean absolute error", "Tolerances lost"] if numbers else _VERDICT_HEAD
    measured = table("Each level on the same photos, with 95 % intervals", head=["Level", *head, "Holds"], rows=cells)
    drawn = element("div", _curve(row, record), class_="pair")
    return join([unbroken(element("p", limit_sentence(row), class_="lead")), drawn, _photos(row, pictures), measured])


_VERDICT_HEAD = ["Verdicts unchanged", "Right answers", "Missed", "Points lost"]


def _verdict_cells(one: Mapping[str, Any]) -> list[str]:
    return [_with_interval(one, "accuracy"), _with_interval(one, "miss_rate"), f"{100 * one['loss']:+.1f}"]


def _number_cells(one: Mapping[str, Any]) -> list[str]:
    return [error_words(tables_at(one, "errors")), f"{one['loss']:+.2f}" if is_number(one["loss"]) else MISSING]


def _with_interval(one: Mapping[str, Any], key: str) -> str:
    value = one.get(key)
    return f"{percent(value)} ({percent_interval(one[f'{key}_interval'])})" if is_number(value) else MISSING


def _curve(row: Mapping[str, Any], record: JsonMapping) -> Html:
    sweep, clean, levels = str(row["name"]), table_at(record, "clean"), tables_at(row, "levels")
    start = {"unchanged": 1.0, "accuracy": clean.get("accuracy"), "miss_rate": clean.get("miss_rate")}
    points = [start, *levels]
    first = "Numbers unchanged" if is_regression(record) else "Verdicts unchanged"
    lines = {first: "unchanged", "Right answers": "accuracy", "Missed": "miss_rate"}
    kept = {title: key for title, key in lines.items() if all(is_number(one.get(key)) for one in points)}
    ticks = [(0.0, "as is"), *((at + 1.0, short_level(sweep, one["level"])) for at, one in enumerate(levels))]
    plane = Plane((0.0, max(1.0, len(points) - 1.0)), (0.0, 1.0), height=260, left=64)
    shares = [(share, f"{100 * share:.0f} %") for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    marks = []
    held = next((at for at, one in enumerate(levels) if not one["holds"]), len(levels))
    at = plane.x(float(held))
    marks.append(element("line", x1=at, x2=at, y1=plane.top, y2=plane.height - plane.bottom, class_="chosen"))
    drawing = plane.drawing(
        plane.frame(x_label=title_of(sweep), y_label="Share of photos", x_ticks=ticks, y_ticks=shares),
        *(
            plane.line([(float(x), float(one[key])) for x, one in enumerate(points)], class_=f"curve s{series}")
            for series, key in enumerate(kept.values())
        ),
        *marks,
        alt=f"{', '.join(kept)} over {title_of(sweep).lower()}; the upright line is the last level that holds",
    )
    return figure(drawing, title="The upright line: the last level that holds", names=list(kept))


def _photos(row: Mapping[str, Any], pictures: Mapping[str, UInt8Image]) -> Html:
    sweep = str(row["name"])
    shown = [("as it is", pictures.get("")), ("still holds", pictures.get(f"{sweep} limit"))]
    shown.append(("no longer", pictures.get(f"{sweep} first_broken")))
    cards = [
        element("figure", picture(one, alt=f"{title_of(sweep)}: {said}"), element("figcaption", said), class_="photo")
        for said, one in shown
        if one is not None
    ]
    return element("div", *cards, class_="sheet") if cards else EMPTY


def _envelope(record: JsonMapping) -> Html:
    rows = []
    for key, one in table_at(record, "envelope", "limits").items():
        low = f"{number(one['low'])} ({_FROM[one['low_from']]})" if one["low"] is not None else "none"
        high = f"{number(one['high'])} ({_FROM[one['high_from']]})" if one["high"] is not None else "none"
        rows.append([_PROPERTIES.get(key, key), low, high])
    if not rows:
        return EMPTY
    return table("Measured on every photo before the network", head=["", "At least", "At most"], rows=rows)
