"""The decision: three verdicts, costs, every threshold, and whether probabilities mean what they say."""

from __future__ import annotations

from typing import Any

import numpy as np

from teliti.report.axes import Plane
from teliti.report.consequences import amount, decision_sentences, explorer_note, preset_sentences
from teliti.report.figures import figure
from teliti.report.markup import EMPTY, Html, element, join, unbroken
from teliti.report.reading import table_at, tables_at
from teliti.report.tables import bullets, table
from teliti.report.wording import is_interval, is_number, number, percent
from teliti.types import JsonMapping

SHOWN_ROWS = 15
_UNIT = (0.0, 1.0)


def deciding(record: JsonMapping) -> Html:
    """The whole section; empty where no verdict was decided on."""
    if not table_at(record, "decision"):
        return EMPTY
    figures = [figure_ for figure_ in (thresholds_figure(record), reliability_figure(record)) if figure_]
    pieces = [
        unbroken(bullets(decision_sentences(record), class_="prose")),
        cost_table(record),
        element("div", *figures, class_="pair") if figures else EMPTY,
        unbroken(bullets(preset_sentences(record), class_="prose")),
        explorer_table(record),
    ]
    return join([piece for piece in pieces if piece])


def cost_table(record: JsonMapping) -> Html:
    """What this inspector and simpler policies cost."""
    rows = tables_at(record, "decision", "economy", "rows")
    if not rows:
        return EMPTY
    head = ["Policy", "Cost", "95 % interval", "Defects passed", "Good parts rejected", "Shown to a person"]
    cells = []
    for row in rows:
        interval = row.get("interval")
        spread = f"{amount(interval[0])} to {amount(interval[1])}" if is_interval(interval) else "certain"
        counts = [amount(row.get(key)) for key in ("misses", "false_alarms", "looks")]
        cells.append([str(row.get("policy")), amount(row.get("cost")), spread, *counts])
    unit = table_at(record, "decision", "economy").get("unit", "")
    return table(f"Expected cost {unit}, by the test part", head=head, rows=cells)


def explorer_table(record: JsonMapping) -> Html:
    """Some of the thresholds with their confusion matrix and consequences, the chosen one among them."""
    rows = _some(tables_at(record, "decision", "explorer", "rows"), chosen=table_at(record, "threshold").get("value"))
    if not rows:
        return EMPTY
    has_cost = any(is_number(row.get("cost")) for row in rows)
    has_band = any(row.get("reviewed") for row in rows)
    head = ["Threshold", "Defects found", "Good ones rejected", "Recall", "Precision", "Specificity"]
    head += (["Shown to a person"] if has_band else []) + (["Cost"] if has_cost else [])
    of_defects, of_good = (table_at(record, "decision", "explorer").get(key) for key in ("positives", "negatives"))
    cells = []
    for row in rows:
        mark = " (chosen)" if row["threshold"] == table_at(record, "threshold").get("value") else ""
        cell = [
            f"{row['threshold']:.3f}{mark}",
            f"{number(row.get('true_positives'))} of {number(of_defects)}",
            f"{number(row.get('false_positives'))} of {number(of_good)}",
        ]
        cell += [percent(row.get(key)) for key in ("recall", "precision", "specificity")]
        cell += ([percent(row.get("reviewed"))] if has_band else []) + ([amount(row.get("cost"))] if has_cost else [])
        cells.append(cell)
    note = element("p", explorer_note(record, shown=len(rows)), class_="hint")
    return join([table("What other thresholds would do on the test part", head=head, rows=cells), note])


def thresholds_figure(record: JsonMapping) -> Html:
    """Recall, precision and specificity over the threshold."""
    rows = tables_at(record, "decision", "explorer", "rows")
    if len(rows) < 2:
        return EMPTY
    plane = Plane(_UNIT, _UNIT)
    names = ["recall", "precision", "specificity"]
    lines = [
        plane.line([(row["threshold"], row[key]) for row in rows if is_number(row.get(key))], class_=f"curve s{at}")
        for at, key in enumerate(names)
    ]
    chosen = table_at(record, "threshold").get("value")
    mark = plane.line([(chosen, 0.0), (chosen, 1.0)], class_="chance") if is_number(chosen) else EMPTY
    at = f"; the chosen threshold is {chosen:.3g}" if is_number(chosen) else ""
    drawing = plane.drawing(
        plane.frame(x_label="Threshold", y_label="Share"), *lines, mark,
        alt=f"Recall, precision and specificity over the threshold{at}",
    )  # fmt: skip
    return figure(drawing, title="Every threshold", names=names)


def reliability_figure(record: JsonMapping) -> Html:
    """Observed share over stated probability with Wilson's intervals; on the diagonal both agree."""
    bins = tables_at(record, "decision", "reliability", "bins")
    if not bins:
        return EMPTY
    plane = Plane(_UNIT, _UNIT)
    points = [(row["stated"], row["observed"]) for row in bins]
    bars = [
        plane.line([(row["stated"], row["interval"][0]), (row["stated"], row["interval"][1])], class_="curve s0")
        for row in bins
        if is_interval(row.get("interval"))
    ]
    drawing = plane.drawing(
        plane.frame(x_label="Stated probability", y_label="Observed share"),
        plane.line([(0, 0), (1, 1)], class_="chance"), *bars, plane.dots(points, radius=4, class_="dots s0"),
        alt="Reliability: " + ", ".join(f"stated {x:.2f} observed {y:.2f}" for x, y in points),
    )  # fmt: skip
    return figure(drawing, title="Do probabilities mean what they say?", names=[])


def _some(rows: list[dict[str, Any]], *, chosen: object) -> list[dict[str, Any]]:
    if not rows:
        return []
    places = set(np.linspace(0, len(rows) - 1, min(len(rows), SHOWN_ROWS)).round().astype(int).tolist())
    return [row for at, row in enumerate(rows) if at in places or row.get("threshold") == chosen]
