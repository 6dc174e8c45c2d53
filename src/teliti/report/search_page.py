"""The page of a search: the winner and why, its course, what mattered, and every trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from teliti.report.frame import Section, frame_page
from teliti.report.making import environment, recipe
from teliti.report.markup import EMPTY, Html, element, join
from teliti.report.reading import table_at, tables_at
from teliti.report.search_figures import (
    axis_of,
    history_figure,
    importance_figure,
    parallel_figure,
    slice_figures,
)
from teliti.report.tables import callout, facts, folded, table
from teliti.report.wording import MISSING, count, is_number, number, number_interval, seconds
from teliti.types import JsonMapping, Record


def render_search(record: Record) -> str:
    """One HTML document, without script or outside link.

    Args:
        record: Of `teliti tune`, as in its tune.json.
    """
    measure, more = measure_words(record["measure"]), bool(record["more_is_better"])
    rows = tables_at(record, "rows")
    axes = [axis for one in tables_at(record, "space") if (axis := axis_of(one, rows)) is not None]
    sections = [
        ("winner", "The winner", _winner(record, measure)),
        ("finals", "Finalists", _finalists(record, measure)),
        ("course", "Course of the search", history_figure(rows, measure=measure, more_is_better=more)),
        ("importance", "What mattered", _importance(record)),
        ("parallel", "All choices at once", parallel_figure(rows, axes, measure=measure, more_is_better=more)),
        ("slices", "Choice by choice", slice_figures(rows, axes, measure=measure)),
        ("trials", "Every trial", _trials(rows, measure)),
        ("environment", "Environment", environment(record)),
        ("recipe", "Make it again", recipe({**record, "recipe_toml": table_at(record, "best").get("recipe_toml")})),
    ]
    told = [count(len(rows), "trial"), count(record["photos"], "photo"), str(record["task"])]
    shown = [Section(*one) for one in sections if one[2]]
    return frame_page(
        str(record["title"]), eyebrow="Teliti search", notes=told, sections=shown, version=record.get("version")
    )


def _winner(record: JsonMapping, measure: str) -> Html:
    best = table_at(record, "best")
    test = best.get("test")
    rows: list[tuple[str, str | None]] = [(key, str(value)) for key, value in table_at(best, "factors").items()]
    repeats = best.get("repeats")
    rows.append((f"{measure}, mean of {repeats} divisions", _with_interval(best)))
    if isinstance(test, Mapping):
        rows += [(f"{measure_words(key)} on the sealed test part", number(value)) for key, value in test.items()]
    else:
        rows.append(("Sealed test part", "there is none: too few photos"))
    return join([callout(str(best.get("sentence")), tone="good"), facts(rows), element("p", str(record.get("split")))])


def _finalists(record: JsonMapping, measure: str) -> Html:
    winner = table_at(record, "best").get("name")
    rows = [
        [
            str(row["name"]),
            _with_interval(row),
            number(row["size"]),
            seconds(row["seconds"]),
            "yes" if row["within_one_error"] else "no",
            "✓ chosen" if row["name"] == winner else "",
        ]
        for row in tables_at(record, "finalists")
    ]
    head = ["Recipe", f"{measure}, 95 % interval", "Numbers in the model", "Time", "Within one standard error", ""]
    return table("Trained again on the same divisions", head=head, rows=rows) if rows else EMPTY


def _importance(record: JsonMapping) -> Html:
    drawn = [importance_figure(_shares(table_at(record, "importance")))]
    for choice, shares in table_at(record, "importance_under").items():
        words = " or ".join(choice.split("|"))
        drawn.append(importance_figure(_shares(shares), title=f"What mattered among the trials with {words}"))
    if not any(drawn):
        return EMPTY
    note = (
        "How much of the variation of the measure each choice explains (fANOVA): among all trials the choices that "
        "every trial has, and among the trials that made a choice those that come with it."
    )
    return join([*drawn, element("p", note)])


def _shares(importance: Mapping[str, Any]) -> dict[str, float]:
    return {key: float(value) for key, value in importance.items() if is_number(value)}


def _trials(rows: list[dict[str, Any]], measure: str) -> Html:
    names = list(dict.fromkeys(name for row in rows for name in row["factors"]))
    cells = [
        [
            str(row["number"]),
            number(row["mean"]) if is_number(row["mean"]) else str(row["state"]),
            seconds(row["seconds"]),
            *(_short(row["factors"].get(name)) for name in names),
            str(row.get("reason") or ""),
        ]
        for row in rows
    ]
    head = ["Trial", measure, "Time", *names, "Note"]
    return folded(f"{count(len(rows), 'trial')}", table("Trials", head=head, rows=cells)) if cells else EMPTY


def _with_interval(row: Mapping[str, Any]) -> str:
    interval = row.get("interval")
    return number(row["mean"]) + (f" ({number_interval(interval)})" if interval else "")


def _short(value: Any) -> str:
    if value is None:
        return MISSING
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def measure_words(measure: Any) -> str:
    """A measure as a title."""
    known = {"roc_auc": "ROC AUC", "mae": "Mean absolute error", "rmse": "RMSE", "r2": "R2"}
    words = str(measure).replace("_", " ")
    return known.get(str(measure), words[:1].upper() + words[1:])
