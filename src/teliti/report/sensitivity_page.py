"""The page of a sensitivity table: heat map, cells with their intervals, cells at chance, cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from teliti.report.frame import Section, frame_page
from teliti.report.making import environment, recipe
from teliti.report.markup import EMPTY, Html, element, join
from teliti.report.reading import table_at, tables_at
from teliti.report.search_page import measure_words
from teliti.report.tables import bullets, callout, facts, scrolling, table
from teliti.report.wording import MISSING, count, is_number, number, number_interval, seconds
from teliti.types import JsonMapping, Record

NOISE = "inside the noise"
_SHADES = 8
_TITLES = {"prepare": "Preparation", "train.epochs": "Epochs", "train.batch_size": "Batch size",
           "train.lr": "Learning rate", "augment": "Augmentation", "several": "Several of these"}  # fmt: skip


def render_sensitivity(record: Record) -> str:
    """One HTML document, without script or outside link.

    Args:
        record: Of `teliti sensitivity`, as in its sensitivity.json.
    """
    measure = measure_words(record["measure"])
    sections = [
        ("map", f"{measure} by network and choice", _heat_map(record, measure)),
        ("chance", "Cells at chance or failed", _at_chance(record)),
        ("cells", "Every cell", _cells(record, measure)),
        ("cost", "Cost", _cost(record)),
        ("environment", "Environment", environment(record)),
        ("recipe", "Make it again", recipe(record)),
    ]
    told = [
        count(len(tables_at(record, "rows")), "cell"), count(record["repeats"], "repeat"),
        count(record["photos"], "photo"),
    ]  # fmt: skip
    shown = [Section(*one) for one in sections if one[2]]
    return frame_page(
        str(record["title"]),
        eyebrow="Teliti sensitivity table",
        notes=told,
        sections=shown,
        version=record.get("version"),
    )


def _heat_map(record: JsonMapping, measure: str) -> Html:
    rows, entries = tables_at(record, "rows"), tables_at(record, "table")
    known = [float(row["mean"]) for row in rows if is_number(row["mean"])]
    if not known or not entries:
        return EMPTY
    span = min(known), max(known)
    columns = list(dict.fromkeys((str(entry["factor"]), str(entry["value"])) for entry in entries))
    networks = list(dict.fromkeys(str(entry["network"]) for entry in entries))
    found = {(str(e["network"]), str(e["factor"]), str(e["value"])): e for e in entries}
    factors = list(dict.fromkeys(factor for factor, _ in columns))
    wide = {factor: sum(own == factor for own, _ in columns) for factor in factors}
    groups = [element("th", "", scope="col"), *(
        element("th", _TITLES.get(factor, factor), scope="colgroup", colspan=wide[factor]) for factor in factors
    )]  # fmt: skip
    titles = [element("th", "Network", scope="col"), *(element("th", value, scope="col") for _, value in columns)]
    body = [
        element("tr", element("th", network, scope="row"), *(
            _cell(found.get((network, *column)), rows, span, more=bool(record["more_is_better"])) for column in columns
        ))
        for network in networks
    ]  # fmt: skip
    caption = f"{measure}: mean and 95 % interval; darker is better"
    head = element("thead", element("tr", *groups), element("tr", *titles))
    drawn = element("table", element("caption", caption), head, element("tbody", *body), class_="heat")
    note = (
        "The first value of each choice is the base's, the same cell in every group. A grey cell differs from its "
        f"network's base by no more than chance can do. In brackets: the {record['course']}, which has no repeats."
    )
    return join([scrolling(drawn, label=caption), element("p", note), element("p", str(record["design"]))])


def _cell(entry: Mapping[str, Any] | None, rows: Sequence[Any], span: tuple[float, float], *, more: bool) -> Html:
    if entry is None:
        return element("td", MISSING)
    row = rows[int(entry["cell"])]
    if not is_number(row["mean"]):
        return element("td", "failed", class_="noise")
    low, high = span
    share = (float(row["mean"]) - low) / (high - low) if high > low else 1.0
    shade = round((share if more else 1.0 - share) * (_SHADES - 1))
    difference = row["difference"]
    quiet = difference is not None and difference["verdict"] == NOISE
    course = f" ({entry['course']:.2f})" if is_number(entry["course"]) else ""
    return element(
        "td",
        element("strong", number(row["mean"])),
        course,
        element("br"),
        element("small", number_interval(row["interval"]) if row["interval"] else ""),
        element("small", " at chance") if row["at_chance"] else None,
        class_="noise" if quiet else f"shade{shade}",
    )


def _at_chance(record: JsonMapping) -> Html:
    flagged = [row for row in tables_at(record, "rows") if row["at_chance"] or row["trouble"]]
    if not flagged:
        return EMPTY
    said = [f"{_name(row)}: {row['cause']}" for row in flagged]
    chance = record.get("chance")
    guessing = sum(bool(row["at_chance"]) for row in flagged)
    lead = f"{count(guessing, 'cell')} not shown to be better than the best constant answer ({number(chance)})."
    return join([callout(lead) if is_number(chance) and guessing else EMPTY, bullets(said)])


def _cells(record: JsonMapping, measure: str) -> Html:
    rows = [
        [
            _name(row),
            number(row["mean"]) if is_number(row["mean"]) else "failed",
            number_interval(row["interval"]) if row["interval"] else "",
            _difference(row["difference"]),
            str(row["repeats"]),
            seconds(row["seconds"]) if is_number(row["seconds"]) else MISSING,
            f"{row['energy_wh']:.2f} Wh" if is_number(row["energy_wh"]) else MISSING,
        ]
        for row in tables_at(record, "rows")
    ]
    head = ["Cell", measure, "95 % interval", "Against its base", "Repeats", "Time of a training", "Energy of one"]
    return table("Every cell", head=head, rows=rows) if rows else EMPTY


def _difference(found: Mapping[str, Any] | None) -> str:
    return "base" if found is None else f"{found['mean']:+.3f}, {found['verdict']}"


def _cost(record: JsonMapping) -> Html:
    pairs: list[tuple[str, str | None]] = [
        ("Trainings at a time", str(record["workers"])),
        ("Watts stated for the machine", number(record["watts"])),
    ]
    for name, cost in table_at(record, "cost").items():
        said = f"{1000 * cost['photo_s']:.1f} ms a photo and epoch, {cost['size']:,} numbers"
        pairs.append((str(name), said))
    note = "Energy is an estimate: the stated watts, shared by the trainings at a time, x the time of a training."
    return join([facts(pairs), element("p", note)])


def _name(row: Mapping[str, Any]) -> str:
    network, *others = row["factors"].values()
    varied = [f"{key} {row['factors'][key]}" for key in row["varied"]]
    return f"{network}, {', '.join(varied)}" if varied else f"{network}, base ({', '.join(map(str, others))})"
