"""What the inspector learnt from: sample photos, one photo as the network sees it, counts, refusals, duplicates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from teliti.report.markup import EMPTY, Html, element, join, name
from teliti.report.pictures import LARGE_SIZE, ReportPictures, picture
from teliti.report.reading import class_names, list_at, table_at, tables_at
from teliti.report.tables import bullets, callout, facts, folded, table
from teliti.report.wording import MISSING, count, is_number, number
from teliti.types import SPLITS, JsonMapping, UInt8Image

MOST_SAMPLES = 96
MOST_PAIRS = 500
_PARTS = {"train": "Training", "val": "Validation", "test": "Test"}


def samples(pictures: ReportPictures) -> Html:
    """A sheet of sample photos per class; with many classes fewer photos of each."""
    per_class = max(1, MOST_SAMPLES // max(1, len(pictures.samples)))
    sheets = [
        join([element("h3", name(class_name)), _sheet(class_name, photos[:per_class])])
        for class_name, photos in list(pictures.samples.items())[:MOST_SAMPLES]
        if photos
    ]
    return join(sheets)


def network_view(record: JsonMapping, pictures: ReportPictures) -> Html:
    """One photo as it was taken, beside the same photo as the network sees it."""
    if pictures.network_view is None:
        return EMPTY
    title, original, seen = pictures.network_view
    fit = table_at(record, "data").get("fit")
    how = f", fit: {fit}" if fit else ""
    return element(
        "div",
        _view(original, title=title, words="The photo", tail=""),
        _view(seen, title=title, words="As the network sees it", tail=how),
        class_="pair views",
    )


def data(record: JsonMapping) -> Html:
    """Photos per class and part, how they were split, what was kept together, what was refused, notes."""
    section = table_at(record, "data")
    if not section:
        return EMPTY
    size = _size(section)
    notes = [*list_at(section, "notes"), record.get("positive_sentence")]
    pieces = [
        facts(
            [
                ("Source", name(section["source"]) if section.get("source") else None),
                ("Photos used", number(section["photos"]) if is_number(section.get("photos")) else None),
                ("Network's picture", f"{size[0]} by {size[1]} pixels (height by width)" if size else None),
                ("Fit", str(section["fit"]) if section.get("fit") else None),
            ]
        ),
        bullets([str(note) for note in notes if note], class_="prose"),
        _counts(record, section),
        _split(section),
        _duplicates(section),
        _refused(section),
    ]
    return join(pieces)


def _sheet(class_name: str, photos: Sequence[tuple[str, UInt8Image]]) -> Html:
    figures = [
        element(
            "figure",
            picture(image, alt=f"Photo {title} of class {class_name}"),
            element("figcaption", element("span", name(title), class_="file")),
            class_="photo",
        )
        for title, image in photos
    ]
    return element("div", *figures, class_="sheet")


def _view(image: UInt8Image, *, title: str, words: str, tail: str) -> Html:
    height, width = image.shape[:2]
    return element(
        "figure",
        element("figcaption", words),
        picture(image, alt=f"{words}: {title}", size=LARGE_SIZE),
        element("p", name(title), f": {height} by {width} pixels{tail}", class_="hint"),
        class_="photo",
    )


def _counts(record: JsonMapping, section: JsonMapping) -> Html:
    counts = table_at(section, "counts")
    parts = [part for part in (*SPLITS, *(key for key in counts if key not in SPLITS)) if table_at(counts, part)]
    if not parts:
        return EMPTY
    names = list(dict.fromkeys([*class_names(record), *(item for part in parts for item in counts[part])]))
    rows = [
        [name(item), *(_amount(counts[part].get(item)) for part in parts), _total(counts, parts, [item])]
        for item in names
    ]
    photos = table_at(section, "photo_counts")  # of photos that may have several labels, or none
    for key, title in (("without_label", "No label"), ("photos", "All photos")):
        if photos:
            own = {part: {key: table_at(photos, part).get(key)} for part in parts}
            rows.append([title, *(_amount(own[part][key]) for part in parts), _total(own, parts, [key])])
    if len(names) > 1 and not photos:
        rows.append(["All", *(_total(counts, [part], names) for part in parts), _total(counts, parts, names)])
    head = ["Class", *(_PARTS.get(part, part) for part in parts), "All"]
    return table("Photos per class and part", head=head, rows=rows)


def _amount(value: Any) -> str:
    return number(value) if is_number(value) else "0"


def _total(counts: Mapping[str, Any], parts: Sequence[str], names: Sequence[str]) -> str:
    found = [counts[part].get(item) for part in parts for item in names]
    return number(sum(value for value in found if is_number(value)))


def _split(section: JsonMapping) -> Html:
    split = table_at(section, "split")
    sentence = split.get("sentence")
    seed = f" Seed {split['seed']}." if split.get("seed") is not None else ""
    if sentence:
        return element("p", str(sentence), seed)
    words = {"given": "The split came with the data.", "ours": "Teliti made the split.", "folds": "K-fold."}
    said = words.get(str(split.get("origin")))
    return element("p", said, seed) if said else EMPTY


def _duplicates(section: JsonMapping) -> Html:
    found = table_at(section, "duplicates")
    if not found:
        return EMPTY
    crossing, conflicts, pairs = (tables_at(found, key) for key in ("crossing", "label_conflicts", "pairs"))
    pieces = []
    if crossing:
        words = f"Near-duplicate photos on both sides of the given split: {count(len(crossing), 'pair')}. "
        words += "What was learnt from one was tested on the other, so the numbers flatter."
        pieces += [callout(words, tone="error"), _pairs("Pairs that cross the split", crossing)]
    if conflicts:
        words = f"Near-duplicate photos with different labels: {count(len(conflicts), 'pair')}. One label is wrong."
        pieces += [callout(words, tone="error"), _pairs("Pairs with different labels", conflicts)]
    pieces.append(element("p", _kept_together(found, where="found" if crossing else "kept on one side of the split")))
    if pairs != crossing:
        pieces.append(folded(f"Near-duplicate pairs ({len(pairs):,})", _pairs("Near-duplicate pairs", pairs)))
    return join(pieces)


def _kept_together(found: JsonMapping, *, where: str) -> str:
    words = "No near-duplicate photos were found"
    if found.get("searched") is False:
        words = "Near-duplicate photos were not looked for"
    if found.get("groups"):
        words = f"{count(found.get('photos'), 'photo')} in {count(found['groups'], 'group')} of near-duplicates {where}"
    if found.get("user_groups"):
        words += f"; {count(found['user_groups'], 'group')} from the label file kept whole"
    return f"{words}."


def _size(section: JsonMapping) -> list[Any]:
    size = section.get("image_size")
    pair = [size, size] if is_number(size) else list_at(section, "image_size")
    return pair if len(pair) == 2 else []


def _pairs(caption: str, pairs: Sequence[Mapping[str, Any]]) -> Html:
    if not pairs:
        return EMPTY
    rows = [
        [
            name(pair.get("first")),
            name(pair.get("second")),
            str(pair.get("kind", MISSING)),
            number(pair.get("correlation")),
        ]
        for pair in pairs[:MOST_PAIRS]
    ]
    rest = len(pairs) - MOST_PAIRS
    more = element("p", f"{rest:,} more pairs stand in the run's record.", class_="hint") if rest > 0 else None
    head = ["First photo", "Second photo", "Kind", "Correlation"]
    return join([table(caption, head=head, rows=rows, numeric_from=3), more])


def _refused(section: JsonMapping) -> Html:
    rows = [[name(row.get("name")), str(row.get("reason", MISSING))] for row in tables_at(section, "refused")]
    if not rows:
        return element("p", "No photo was refused.") if "refused" in section else EMPTY
    words = f"Refused photos ({len(rows):,})"
    return folded(words, table("Refused photos and why", head=["Photo", "Reason"], rows=rows, numeric_from=2))
