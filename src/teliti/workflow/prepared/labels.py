"""How the labels of prepared photos are kept: by class folders where they say it all, else by a label file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from teliti.data.layouts import SPLIT_NAMES
from teliti.files import write_text_atomic
from teliti.types import Catalog, Sample
from teliti.workflow.prepared.folder import LABELS

Layout = Literal["as it was", "class folders", "label file"]
"""As it was: the names say all (class folders, split folders), or there are no labels. Class folders: made here."""


def choose_layout(catalog: Catalog, *, has_tiles: bool) -> Layout:
    """What `read_catalog` reads back to the same labels, parts and groups.

    Class names that are all numbers (of IDX files, for instance) cannot stand in a label file, which would mean a
    regression; such photos get class folders, below split folders where the split was given.

    Args:
        catalog: What was given.
        has_tiles: Tiles of one photo must stay on one side of a split, which only a label file can say.
    """
    if all(sample.label is None for sample in catalog.samples):
        return "as it was"
    in_names = all(_name_says_label(sample, is_split=catalog.has_given_split) for sample in catalog.samples)
    if in_names and not has_tiles:
        return "as it was"
    if catalog.task == "classification" and all(map(_is_numeric, catalog.classes)):
        return "as it was" if in_names else "class folders"
    return "label file"


def place_file(sample: Sample, layout: Layout) -> str:
    """The photo's name in the folder, its ending not yet changed."""
    if layout != "class folders":
        return sample.name
    return "/".join(part for part in (sample.split, str(sample.label), sample.name) if part)


def write_labels(out: Path, catalog: Catalog, made: Mapping[str, Sequence[str]]) -> Path:
    """`labels.csv`: path, label, and split and group where there are any; read back by `read_catalog`.

    Cells stand as they are: an apostrophe before a formula would change a label.

    Args:
        out: The folder.
        catalog: What was given.
        made: The files made of each photo; several of one photo become a group.
    """
    tiled = any(len(files) > 1 for files in made.values())
    grouped = ["group"] if tiled or any(sample.group for sample in catalog.samples) else []
    several = [f"label_{name}" for name in (catalog.classes if catalog.task == "multilabel" else catalog.number_names)]
    columns = ["path", *(several or ["label"]), *(["split"] if catalog.has_given_split else []), *grouped]
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(columns)
    for sample in catalog.samples:
        label = repr(sample.label) if isinstance(sample.label, float) else sample.label
        values: dict[str, object] = {
            "label": label,
            **_columns_of(sample, catalog),
            "split": sample.split,
            "group": sample.group or (sample.name if tiled else ""),
        }
        for file in made.get(sample.name, ()):
            writer.writerow([file, *(values[column] for column in columns[1:])])
    path = out / LABELS
    write_text_atomic(path, page.getvalue())
    return path


def _columns_of(sample: Sample, catalog: Catalog) -> dict[str, object]:
    """One column for each label, 0 or 1, or for each of several numbers."""
    if catalog.task == "multilabel":
        return {f"label_{name}": int(name in sample.class_names) for name in catalog.classes}
    return {f"label_{name}": repr(own) for name, own in zip(catalog.number_names, sample.numbers, strict=False)}


def _name_says_label(sample: Sample, *, is_split: bool) -> bool:
    parts = sample.name.split("/")
    depth = 2 if is_split else 1
    says_split = not is_split or SPLIT_NAMES.get(parts[0].lower()) == sample.split
    return len(parts) > depth and parts[depth - 1] == sample.label and says_split and sample.group is None


def _is_numeric(name: str) -> bool:
    try:
        float(name.replace(",", "."))
    except ValueError:
        return False
    return True
