"""A comparison of two bundles as one self-contained HTML page: what changed, whether it is worse, and the photos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from teliti.report.frame import Section, frame_page
from teliti.report.markup import EMPTY, Html, element, join, name
from teliti.report.pictures import picture
from teliti.report.reading import is_regression, list_at, table_at, tables_at
from teliti.report.tables import bullets, callout, table
from teliti.report.wording import count, is_interval, is_number, number, number_interval, percent
from teliti.types import JsonMapping, Record, UInt8Image

MOST_CARDS = 24
"""Photos that are shown of one kind; the others stand in the table beside the page."""

_ERRORS = (("errors", "Wrong answers"), ("missed", "Defects that pass"), ("false_alarms", "Good parts rejected"))


def render_flips(record: Record, pictures: Mapping[str, UInt8Image], titles: Mapping[str, tuple[str, str]]) -> str:
    """The page of a comparison.

    Args:
        record: From `compare`.
        pictures: By photo name, (H, W, 3) uint8; a photo without one is shown by its name.
        titles: Title and meaning of each kind of change.
    """
    content = [
        ("summary", "What changed", _summary(record)),
        ("numbers", "Errors side by side", join([_errors(record), _amounts(record), _cost(record)])),
        ("labels", "Label by label", _labels(record)),
        ("directions", "From which verdict to which", _directions(record, titles)),
        *_kinds(record, pictures, titles),
    ]
    source = str(record.get("source", ""))
    notes = [
        element("span", "old: ", name(record.get("old"))),
        element("span", "new: ", name(record.get("new"))),
        count(record.get("photos", 0), "photo"),
        count(record.get("refused", 0), "file") + " not used",
    ]
    return frame_page(
        f"Old and new bundle on {Path(source).name or source}",
        eyebrow="Teliti compare",
        notes=notes,
        sections=[Section(*one) for one in content if one[2]],
        version=record.get("version"),
    )


def shown_photos(record: JsonMapping) -> list[str]:
    """Names of the photos whose pictures the page shows."""
    return [str(one.get("path")) for _, own in _by_kind(record) for one in own[:MOST_CARDS]]


def _summary(record: JsonMapping) -> Html:
    reasons = [str(one) for one in list_at(table_at(record, "worse"), "reasons")]
    verdict = callout(f"NEW is shown to be worse. {' '.join(reasons)}", tone="error") if reasons else None
    said = [str(one) for one in list_at(record, "sentences") if not (reasons and str(one).startswith("NEW is shown"))]
    return join([verdict, bullets(said, class_="prose")])


def _errors(record: JsonMapping) -> Html:
    rows = []
    for key, title in _ERRORS:
        one = table_at(record, key)
        if is_number(one.get("photos")) and one.get("photos"):
            cells = [number(one.get(part)) for part in ("photos", "old", "new", "only_old", "only_new")]
            rows.append([title, *cells, _points(one.get("interval")), number(one.get("p"))])
    if not rows:
        return EMPTY
    head = ["", "Photos", "Old", "New", "Gone", "Added", "Difference, 95 % interval", "p"]
    hint = "Wrong answers are counted before any person looks. p: McNemar's exact test of gone against added."
    return join([table("The same photos, twice", head=head, rows=rows), element("p", hint, class_="hint")])


def _amounts(record: JsonMapping) -> Html:
    rows = [
        [
            str(one["name"]),
            *(number(one.get(part)) for part in ("photos", "old", "new", "smaller", "larger")),
            number_interval(one.get("interval")),
            number(one.get("p")),
        ]
        for one in tables_at(record, "amounts")
        if one.get("photos")
    ]
    if not rows:
        return EMPTY
    head = ["", "Photos", "Old", "New", "Nearer", "Farther", "Difference, 95 % interval", "p"]
    hint = (
        "Old and new are mean absolute errors. p: Fisher's randomisation test, how often so large a difference would "
        "come from swapping old and new by a coin, photo by photo."
    )
    return join([table("The same photos, twice", head=head, rows=rows), element("p", hint, class_="hint")])


def _labels(record: JsonMapping) -> Html:
    found = tables_at(record, "labels")
    if not found:
        return EMPTY
    parts = {"gained": "Gain it", "lost": "Lose it", "old": "Wrong, old", "new": "Wrong, new", "p": "p"}
    kept = {key: title for key, title in parts.items() if key in found[0]}
    rows = [[name(one["label"]), *(number(one[key]) for key in kept)] for one in found]
    hint = "Of many labels one in twenty looks changed by chance at p below 0.05." if "p" in kept else ""
    written = table("Photos that gain or lose each label", head=["Label", *kept.values()], rows=rows)
    return join([written, element("p", hint, class_="hint") if hint else EMPTY])


def _cost(record: JsonMapping) -> Html:
    cost = table_at(record, "cost")
    if not is_number(cost.get("difference")):
        return EMPTY
    interval = cost.get("interval")
    between = f"{interval[0]:+,.4g} to {interval[1]:+,.4g}" if is_interval(interval) else ""
    row = [f"Cost {cost.get('unit')}", number(cost.get("old")), number(cost.get("new")), between]
    return table("What the verdicts cost", head=["", "Old", "New", "Difference, 95 % interval"], rows=[row])


def _directions(record: JsonMapping, titles: Mapping[str, tuple[str, str]]) -> Html:
    rows = [
        [
            join([name(one.get("old")), " \N{RIGHTWARDS ARROW} ", name(one.get("new"))]),
            titles.get(str(one.get("kind")), ("", ""))[0],
            number(one.get("photos")),
        ]
        for one in tables_at(record, "directions")
    ]
    if not rows:
        return EMPTY
    share = f"{percent(record.get('share'))} of the photos change their verdict"
    return table(share, head=["Verdict", "What it means", "Photos"], rows=rows, numeric_from=2)


def _kinds(
    record: JsonMapping, pictures: Mapping[str, UInt8Image], titles: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[str, str, Html]]:
    for kind, own in _by_kind(record):
        title, meaning = titles.get(kind, ("Changed numbers" if is_regression(record) else "Changed verdicts", ""))
        rest = len(own) - MOST_CARDS
        content = [
            element("p", meaning) if meaning else None,
            element("div", *(_card(one, pictures) for one in own[:MOST_CARDS]), class_="sheet wide"),
            element("p", f"{rest:,} more stand in flips.csv.", class_="hint") if rest > 0 else None,
        ]
        yield kind or "changed", f"{title} ({len(own):,})", join(content)


def _by_kind(record: JsonMapping) -> list[tuple[str, list[JsonMapping]]]:
    kinds: dict[str, list[JsonMapping]] = {}
    for one in tables_at(record, "flips"):
        kinds.setdefault(str(one.get("kind") or ""), []).append(one)
    return list(kinds.items())


def _card(flip: JsonMapping, pictures: Mapping[str, UInt8Image]) -> Html:
    path, label = str(flip.get("path")), flip.get("label")
    shown = picture(pictures[path], alt=f"Photo {path}") if path in pictures else None
    known = ", ".join(map(str, label)) if isinstance(label, list) else label
    caption = element(
        "figcaption",
        element("span", name(path), class_="file"),
        element("span", "label: ", name(known)) if known is not None else None,
        *(_said(which, table_at(flip, which)) for which in ("old", "new")),
        element("span", "a bundle was trained with it", class_="tag") if flip.get("tested") is False else None,
    )
    return element("figure", shown or element("div", "no picture", class_="no-picture"), caption, class_="photo")


def _said(which: str, said: JsonMapping) -> Html:
    score = f" {said.get('score'):.3f}" if is_number(said.get("score")) else ""
    labels = ", ".join(map(str, list_at(said, "labels")))
    found = element("span", " (", name(labels), ")") if labels and labels != said.get("verdict") else None
    return element("span", f"{which}: ", name(said.get("verdict")), found, score)


def _points(interval: object) -> str:
    return f"{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f} points" if is_interval(interval) else ""
