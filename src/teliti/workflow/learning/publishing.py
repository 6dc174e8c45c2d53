"""A run's files for people: tables, report, model card; and the pictures that a report shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from teliti.data.beside import beside_of
from teliti.data.decode import decode_image
from teliti.data.label_cells import write_label
from teliti.errors import PhotoRefused
from teliti.files import spreadsheet_cell, write_text_atomic
from teliti.report.page import render_report
from teliti.report.pictures import ReportPictures, shrink_to
from teliti.transforms.prepare import PrepareChain
from teliti.types import Label, Record, Sample, UInt8Image
from teliti.workflow.shared.photos import Photos
from teliti.workflow.shared.plan import SplitPlan
from teliti.workflow.shared.run_folder import RunFolder
from teliti.workflow.shared.sealed import SPLITS_FILE

SAMPLES_PER_CLASS = 6
SHEET_PHOTOS = 60
_SHEET_SIDE = 320  # pixels; larger photos are shrunk at once, so that a sheet of them needs little memory


def write_inputs(folder: RunFolder, photos: Photos, plan: SplitPlan) -> None:
    """`refused.csv` and `splits.csv`: every given file stands in exactly one of them."""
    folder.write_table("refused.csv", ("path", "reason"), [(r.name, r.reason) for r in photos.refused])
    folds: Sequence[object] = [""] * len(photos.samples) if plan.folds is None else plan.folds.tolist()
    rows = [
        (sample.name, _cell(sample.label), part if plan.folds is None else "fold", fold, group, mark.digest.hex())
        for sample, part, fold, group, mark in zip(
            photos.samples, plan.parts, folds, plan.groups.tolist(), photos.fingerprints, strict=True
        )
    ]
    folder.write_table(SPLITS_FILE, ("path", "label", "split", "fold", "group", "sha256"), rows)


def what_changed(folder: RunFolder, photos: Photos) -> str:
    """What became of a run's photos since `write_inputs`: a clause that names the first that is gone, changed or new.

    Args:
        folder: Of the run.
        photos: As they are now.
    """
    if not (folder.path / SPLITS_FILE).is_file():
        return "and some have changed"
    before = {row["path"]: (row["label"], row["sha256"]) for row in folder.read_table(SPLITS_FILE)}
    now = {
        spreadsheet_cell(sample.name): (_written(_cell(sample.label)), mark.digest.hex())
        for sample, mark in zip(photos.samples, photos.fingerprints, strict=True)
    }
    for names, became in (
        ([name for name in before if name not in now], "gone or not readable"),
        ([name for name, own in now.items() if before.get(name, own)[1] != own[1]], "changed"),
        ([name for name, own in now.items() if before.get(name, own)[0] != own[0]], "labelled anew"),
        ([name for name in now if name not in before], "new"),
    ):
        if names:
            others = f" and {len(names) - 1} more are" if len(names) > 1 else " is"
            return f'and "{names[0]}"{others} {became}'
    return "and files beside them have changed"


def _written(cell: object) -> str:
    """As `RunFolder.write_table` has it in its file."""
    return spreadsheet_cell(cell) if isinstance(cell, str) else str(cell)


def _cell(label: Label | None) -> object:
    """Several labels or numbers as in a label file."""
    return write_label(label) if isinstance(label, tuple) else label


def write_report(folder: RunFolder, record: Record, pictures: ReportPictures) -> None:
    """`report.html`."""
    write_text_atomic(folder.report, render_report(record, pictures))


def gather_pictures(record: Record, samples: Sequence[Sample], chain: PrepareChain) -> ReportPictures:
    """Decode what the report shows: some photos of each class, the mistakes, one photo as the network sees it.

    Args:
        record: With classes and mistakes.
        samples: All usable photos.
        chain: The prepare steps.
    """
    by_name = {sample.name: sample for sample in samples}
    mistakes = {m["name"]: _thumbnail(by_name[m["name"]]) for m in record.get("mistakes", []) if m["name"] in by_name}
    sheets: dict[str, list[tuple[str, UInt8Image]]] = {}
    classes = record.get("classes") or [""]
    per_class = max(1, min(SAMPLES_PER_CLASS, SHEET_PHOTOS // len(classes)))
    for name in classes[:SHEET_PHOTOS]:
        own = [sample for sample in samples if not name or name in sample.class_names]
        chosen = [own[i] for i in np.linspace(0, len(own) - 1, min(per_class, len(own))).astype(int)]
        shown = [(sample.name, _thumbnail(sample)) for sample in chosen]
        sheets[name or "photos"] = [(title, image) for title, image in shown if image is not None]
    view = _network_view(samples[len(samples) // 2], chain)
    return ReportPictures(sheets, {name: image for name, image in mistakes.items() if image is not None}, view)


def _thumbnail(sample: Sample) -> UInt8Image | None:
    try:
        return shrink_to(decode_image(sample.origin.read_bytes()), _SHEET_SIDE)
    except PhotoRefused:  # it was readable a moment ago; the report goes on without its picture
        return None


def _network_view(sample: Sample, chain: PrepareChain) -> tuple[str, UInt8Image, UInt8Image] | None:
    try:
        image = decode_image(sample.origin.read_bytes())
        return sample.name, image, chain.views(image, beside_of(sample.origin))[0]
    except PhotoRefused:
        return None
