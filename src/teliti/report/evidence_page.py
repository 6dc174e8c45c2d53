"""Where the evidence is, as a page of its own and as a section: the sentence, the three views, photos in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from teliti.report.figures import interval_bar
from teliti.report.frame import Section, frame_page
from teliti.report.markup import EMPTY, Html, element, join, name
from teliti.report.pictures import picture
from teliti.report.reading import table_at
from teliti.report.tables import Tone, callout, table
from teliti.report.wording import MISSING, count, is_interval, is_number, number, number_interval
from teliti.types import JsonMapping, Record, UInt8Image

_VIEWS = {"whole": "Whole photo", "part": "Part alone", "background": "Background alone"}


Shown = Sequence[tuple[str, Mapping[str, UInt8Image]]]
"""Name of a photo, and by view (H, W, 3) or (H, W) uint8."""


def render_evidence(record: Record, pictures: Shown) -> str:
    """The page.

    Args:
        record: Of `teliti evaluate --evidence`, with `evidence` in it.
        pictures: Photos in each view.
    """
    evidence = table_at(record, "evidence")
    sections = [
        Section("verdict", "Does the net look at the part?", _found(evidence)),
        Section("photos", "What the net was shown", _photos(pictures)),
    ]
    notes = [name(record.get("source", "")), count(evidence.get("photos"), "photo"), f"parts by {evidence.get('how')}"]
    return frame_page(
        "Where the evidence is",
        eyebrow="Teliti evaluation",
        notes=notes,
        sections=[one for one in sections if one.content],
        version=record.get("version"),
    )


def evidence_section(record: JsonMapping, pictures: Shown) -> Html:
    """The same as a section of a run's report; nothing where nobody looked for evidence."""
    evidence = table_at(record, "evidence")
    return join([_found(evidence), _photos(pictures)]) if evidence.get("sentence") else EMPTY


def _found(evidence: JsonMapping) -> Html:
    tone = _TONES.get(str(evidence.get("status")), "warning")
    rows = []
    for view, title in _VIEWS.items():
        found = table_at(evidence, "views", view)
        area, interval = found.get("roc_auc"), found.get("interval")
        if is_number(area):
            spread = number_interval(interval) if is_interval(interval) else MISSING
            rows.append([title, number(area), spread, interval_bar(area, interval, baseline=0.5)])
    rows += _label_rows(evidence)
    head = ["Shown", "ROC AUC", "95 % interval", "0 to 1, the tick is chance"]
    is_labels = bool(evidence.get("labels"))
    title = "How well the labels are told" if is_labels else "How well the classes are told apart"
    measured = table(title, head=head, rows=rows) if rows else EMPTY
    left_out = evidence.get("left_out")
    hints = (
        [element("p", f"Parts by {evidence.get('how')}. {_HOW_LABELS if is_labels else _HOW}", class_="hint")]
        if rows
        else []
    )
    others = evidence.get("not_judged")
    if rows and others and isinstance(others, Sequence):
        hints.append(element("p", f"Not judged: {', '.join(map(str, others))}. {_NOT_JUDGED}", class_="hint"))
    if left_out:
        hints.append(element("p", f"{count(left_out, 'photo')} were left out: no part was found.", class_="hint"))
    return join([callout(str(evidence.get("sentence")), tone=tone), measured, *hints])


def _label_rows(evidence: JsonMapping) -> list[list[str]]:
    """A row for each label by the background, where photos have several."""
    found = table_at(evidence, "views", "background").get("per_label")
    rows: list[list[str]] = []
    for row in found if isinstance(found, Sequence) else ():
        interval = row["interval"]
        spread = number_interval(interval) if is_interval(interval) else MISSING
        bar = interval_bar(row["roc_auc"], interval, baseline=0.5)
        rows.append([f"Background alone: {row['label']}", number(row["roc_auc"]), spread, bar])
    return rows


_TONES: Mapping[str, Tone] = {"cheating": "error", "clean": "good", "hidden": "good"}
_HOW = (
    "What is covered is mid-grey. For the background alone the part of one photo of every other class is covered as "
    "well, so that the hole itself tells nothing. What lies outside the marked part counts as background."
)


_HOW_LABELS = (
    "What is covered is mid-grey. For the background alone each label has a view of its own: the part of one photo "
    "that differs in this label is covered as well, so that the hole itself tells nothing. Intervals of single labels "
    "are widened for their number. What lies outside the marked part counts as background."
)
_NOT_JUDGED = "Asked are at most eight labels, each with at least eight photos that have it and eight that do not."


def _photos(pictures: Shown) -> Html:
    cards = [
        element("figure", picture(image, alt=f"{title}: {said}"), element("figcaption", _VIEWS[said]), class_="photo")
        for title, views in pictures
        for said, image in views.items()
    ]
    return element("div", *cards, class_="sheet") if cards else EMPTY
