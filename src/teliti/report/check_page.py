"""A check's record as one self-contained HTML page: what was found by severity, with the photos, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from teliti.report.check_figures import curve_figure, map_figure
from teliti.report.figures import interval_bar
from teliti.report.frame import Section, frame_page
from teliti.report.markup import EMPTY, Html, element, join, name
from teliti.report.pictures import picture
from teliti.report.reading import list_at, table_at, tables_at
from teliti.report.tables import bullets, callout, table
from teliti.report.wording import count, is_number, number, percent, percent_interval
from teliti.types import JsonMapping, Record, UInt8Image

MOST_CARDS = 24
"""Photos that are shown of one kind; the others stand in the table beside the page."""

_TONES = {"error": "Errors", "warning": "Warnings", "info": "Worth knowing"}


def render_check(record: Record, pictures: Mapping[str, UInt8Image]) -> str:
    """The page of a check.

    Args:
        record: From `check`.
        pictures: By photo name, (H, W, 3) or (H, W) uint8; a photo without one is shown by its name.
    """
    content = [
        ("summary", "What was found", _summary(record)),
        *_kinds(record, pictures),
        ("properties", "Can the label be told from something else?", _properties(record)),
        ("curve", "Would more photos help?", _curve(record)),
        ("split", "What a careless split would claim", _price(record)),
        ("map", "Map of the photos", _map(record, pictures)),
        ("classes", "Classes", _classes(record)),
    ]
    source = str(record.get("source", ""))
    notes = [
        name(source),
        count(record.get("photos", 0), "photo"),
        count(record.get("refused", 0), "file") + " not used",
    ]
    return frame_page(
        f"Check of {Path(source).name or source}",
        eyebrow="Teliti check",
        notes=notes,
        sections=[Section(*one) for one in content if one[2]],
        version=record.get("version"),
    )


def _summary(record: JsonMapping) -> Html:
    rows = tables_at(record, "summary")
    reason = table_at(record, "features").get("reason")
    left_out = f"Label errors, outliers, the map and the learning curve were left out: {reason}." if reason else None
    hint = element("p", left_out, class_="hint") if left_out else None
    if not rows:
        return join([callout("Nothing was found.", tone="good"), hint])
    pieces = []
    for severity, heading in _TONES.items():
        own = [row for row in rows if row.get("severity") == severity]
        cells = [[str(row.get("title")), str(row.get("advice")), number(row.get("count"))] for row in own]
        if cells:
            pieces.append(table(heading, head=["Finding", "What to do", "Findings"], rows=cells, numeric_from=2))
    return join([*pieces, hint])


def _kinds(record: JsonMapping, pictures: Mapping[str, UInt8Image]) -> list[tuple[str, str, Html]]:
    """One section a kind, in the order of the summary."""
    sections = []
    for row in tables_at(record, "summary"):
        kind, severity = row.get("kind"), row.get("severity")
        own = [
            one for one in tables_at(record, "findings") if (one.get("kind"), one.get("severity")) == (kind, severity)
        ]
        with_photos = [one for one in own if list_at(one, "paths") and kind != "label_file"]
        others = [str(one.get("message")) for one in own if one not in with_photos]
        cards = [_card(one, pictures) for one in with_photos[:MOST_CARDS]]
        rest = len(with_photos) - len(cards)
        more = element("p", f"{rest:,} more stand in findings.csv.", class_="hint") if rest else None
        sheet = element("div", *cards, class_="sheet wide") if cards else None
        content = join([element("p", str(row.get("advice"))), bullets(others, class_="prose"), sheet, more])
        sections.append((f"{severity}-{kind}", f"{row.get('title')} ({number(row.get('count'))})", content))
    return sections


def _card(finding: JsonMapping, pictures: Mapping[str, UInt8Image]) -> Html:
    """One finding: its photo, or the pair, with the sentence."""
    paths = [str(path) for path in list_at(finding, "paths")][:2]
    shown = [
        picture(pictures[path], alt=f"Photo {path}")
        if path in pictures
        else element("div", "no picture", class_="no-picture")
        for path in paths
    ]
    names = [element("span", name(path), class_="file") for path in paths]
    suggestion = table_at(finding, "suggestion")
    said = None
    if suggestion.get("action") == "relabel":
        said = element("span", "suggested: ", name(suggestion.get("label")), class_="tag")
    caption = element("figcaption", *names, element("span", str(finding.get("message"))), said)
    return element("figure", *shown, caption, class_="photo pair-photo" if len(shown) > 1 else "photo")


def _properties(record: JsonMapping) -> Html:
    rows = [
        [
            str(row.get("property")), percent(row.get("score")), percent_interval(row.get("interval")),
            interval_bar(row.get("score"), row.get("interval"), baseline=row.get("chance")),
            percent(row.get("chance")), number(row.get("p_value")),
        ]
        for row in tables_at(record, "properties")
    ]  # fmt: skip
    if not rows:
        return EMPTY
    head = ["Property", "Balanced accuracy", "95 % interval", "", "Guessing", "p, corrected"]
    hint = element(
        "p", "How well one property alone tells the class, judged on photos left out. Tick: guessing.", class_="hint"
    )
    return join([table("One property at a time", head=head, rows=rows), hint])


def _curve(record: JsonMapping) -> Html:
    curve = table_at(record, "learning_curve")
    rows = [
        [
            percent(row.get("share")),
            number(row.get("photos")),
            percent(row.get("score")),
            percent_interval(row.get("interval")),
        ]
        for row in tables_at(curve, "rows")
    ]
    if not rows:
        return EMPTY
    double = table_at(curve, "double")
    rows.append(
        [
            "200.0 %, forecast",
            number(double.get("photos")),
            percent(double.get("score")),
            percent_interval(double.get("interval")),
        ]
    )
    head = ["Share of the photos", "Photos learnt from", "Balanced accuracy", "95 % interval"]
    return join(
        [
            element("p", str(curve.get("sentence"))),
            curve_figure(curve),
            table("Learning curve on photos left out", head=head, rows=rows),
        ]
    )


def _price(record: JsonMapping) -> Html:
    price = table_at(record, "split_price")
    if not is_number(price.get("grouped")):
        return EMPTY
    rows = [
        ["Random split", percent(price.get("random"))],
        ["Groups and near-duplicates kept together", percent(price.get("grouped"))],
    ]
    return table("Accuracy by out-of-fold answers", head=["Split", "Accuracy"], rows=rows)


def _map(record: JsonMapping, pictures: Mapping[str, UInt8Image]) -> Html:
    figure = map_figure(table_at(record, "map"))
    if not figure:
        return EMPTY
    cards = []
    for place, cluster in enumerate(tables_at(record, "clusters"), start=1):
        example = str(cluster.get("example"))
        classes = table_at(cluster, "classes")
        mixed = ", ".join(f"{number(photos)} {label}" for label, photos in classes.items())
        shown = picture(pictures[example], alt=f"Photo {example}") if example in pictures else None
        words = f"Group {place}: {count(cluster.get('photos'), 'photo')}"
        caption = element("figcaption", element("span", words), element("span", name(mixed)) if mixed else None)
        cards.append(element("figure", shown, caption, class_="photo"))
    hint = element("p", "The middle photo of each group of photos that look alike:", class_="hint")
    return join([figure, hint, element("div", *cards, class_="sheet")])


def _classes(record: JsonMapping) -> Html:
    rows = [[name(label), number(photos)] for label, photos in table_at(record, "classes").items()]
    return table("Photos per class", head=["Class", "Photos"], rows=rows) if rows else EMPTY
