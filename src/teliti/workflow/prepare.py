"""Prepare: the recipe's deterministic steps applied to every photo and written as PNG, names and labels kept.

Training on the written photos sees the same pixels as training on the originals with these steps in the recipe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from teliti.data.samples import builtin_names
from teliti.errors import UserError
from teliti.files import sha256_hex
from teliti.recipe import Recipe, load_recipe
from teliti.runtime import default_threads
from teliti.types import Catalog, Record, Refused, Reporter, Sample, SilentReporter
from teliti.workflow.prepared.folder import Made, PreparedFolder, name_files, open_prepared_folder
from teliti.workflow.prepared.labels import Layout, choose_layout, place_file, write_labels
from teliti.workflow.prepared.pictures import ImageChain, image_chain, picture_files, prepare_elsewhere
from teliti.workflow.prepared.writing import (
    Written,
    findable,
    folder_notes,
    no_photo,
    refusals,
    write_photos,
    write_refused,
)
from teliti.workflow.shared.run_folder import RunFolder
from teliti.workflow.shared.samples import read_own_photos
from teliti.workflow.shared.stopwatch import Stopwatch

if TYPE_CHECKING:
    from teliti.tuning.engines import Engine
    from teliti.tuning.machines import Machines

_AHEAD = 2  # encoded photos that a thread may have waiting


def prepare(
    source: str | Path,
    out: str | Path,
    *,
    recipe: Recipe | str | Path | None = None,
    engine: Engine | Machines | None = None,
    workers: int | None = None,
    reporter: Reporter | None = None,
) -> Record:
    """Write every photo as the recipe's steps make it; a second start does what is missing.

    Args:
        source: Labelled photos as for `train`, or a folder, zip or photo without labels.
        out: A new or empty folder, or one from an earlier start with the same photos and steps.
        recipe: A recipe, or the path of one.
        engine: Where pictures are made: an engine, or which machines; None: this process, which also writes them.
        workers: Portions of photos at a time, on an engine.
        reporter: Told how far it is.

    Returns:
        JSON-ready: what was written where, "data" (what to give to `train`), "kept" (photos that were there already),
        "refused_photos", "told_apart" (file by photo name), "stale" (files of photos that are gone), "notes".

    Raises:
        RecipeError, CatalogError: no steps or wrong ones; no usable photos.
        UserError: `out` holds other files, or was made by other steps.
        StorageError: the disk is full.
    """
    reporter, watch = reporter or SilentReporter(), Stopwatch()
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(None if recipe is None else Path(recipe))
    images = image_chain(chosen)
    catalog = read_own_photos(str(source), chosen)
    out = Path(out)
    check_apart(catalog.source, out)
    layout = choose_layout(catalog, has_tiles=images.chain.tile is not None)
    targets, told_apart = _target_files(catalog, layout)
    folder = open_prepared_folder(out, source=findable(catalog.source), steps=images.chain.to_record())
    with RunFolder(out).locked():
        written, refused = _write_photos(
            folder, catalog, targets, images=images, recipe=chosen, engine=engine, workers=workers, reporter=reporter
        )
        made = {name: tuple(folder.made[name].files) for name in targets if name in folder.made}
        labels = write_labels(out, catalog, made) if layout == "label file" else None
    stale = folder.forgotten(targets)
    notes = [*_notes(catalog, images, layout), *folder_notes(stale=stale, blocked=written.blocked)]
    _say(notes := [*notes, *_told_apart_note(told_apart)], reporter)
    return {
        "schema": 1,
        "source": catalog.source,
        "out": str(out),
        "data": str(labels or out),
        "steps": images.chain.to_record(),
        "left_out": list(images.left_out),
        **_counts(made, written.photos, refused),
        "labels": None if labels is None else str(labels),
        "told_apart": told_apart,
        "stale": stale,
        "notes": notes,
        "seconds": watch.to_record(),
    }


def _write_photos(
    folder: PreparedFolder,
    catalog: Catalog,
    targets: dict[str, str],
    *,
    images: ImageChain,
    recipe: Recipe,
    engine: Engine | Machines | None,
    workers: int | None,
    reporter: Reporter,
) -> tuple[Written, list[Refused]]:
    """What was written now, and every file that was given and is not used, listed in `refused.csv`, too."""

    def make(sample: Sample) -> Made | None:
        data = sample.origin.read_bytes()
        digest = sha256_hex(data)
        file = targets[sample.name]
        if folder.is_current(sample.name, digest, file=file, has_tiles=images.chain.tile is not None):
            return None
        return folder.put(sample.name, digest, picture_files(data, sample, file=file, chain=images.chain))

    if engine is None:
        threads = recipe.train.threads or default_threads()
        written = write_photos(
            folder, catalog.samples, make, title="Preparing photos", threads=threads, ahead=_AHEAD, reporter=reporter
        )
    else:
        written = prepare_elsewhere(folder, catalog.samples, targets, recipe=recipe, engine=engine, workers=workers,
                                    reporter=reporter)  # fmt: skip
    everything = [*catalog.refused, *written.refused]
    write_refused(folder.path, everything)
    if len(written.refused) == len(catalog.samples):
        raise no_photo(catalog.source, everything, what="could be prepared", hint="refused.csv in OUT names them all.")
    return written, everything


def _counts(made: Mapping[str, Sequence[str]], written: int, refused: Sequence[Refused]) -> Record:
    return {
        "photos": len(made),
        "files": sum(map(len, made.values())),
        "written": written,
        "kept": len(made) - written,
        **refusals(refused),
    }


def _say(notes: Sequence[str], reporter: Reporter) -> None:
    for note in notes:
        reporter.note(note)


def check_apart(source: str, out: Path) -> None:
    """Refuse a place inside the photos' own folder: what is written there would be a photo of the next run.

    Raises:
        UserError: `out` lies there.
    """
    data, target = Path(source).resolve(), out.resolve()
    if source not in builtin_names() and data.is_dir() and target.is_relative_to(data):
        raise UserError(
            f'OUT must not lie inside the photos\' own folder "{source}", got "{out}".',
            hint="Choose a folder beside it: photos written there would become photos of DATA.",
        )


def _notes(catalog: Catalog, images: ImageChain, layout: Layout) -> list[str]:
    notes = list(catalog.notes)
    if images.left_out:
        notes.append(
            f"Left out, because they give numbers and not a picture: {', '.join(images.left_out)}. Keep them in the "
            "recipe when you train on the prepared photos."
        )
    if images.chain.tile is not None:
        notes.append(
            "Every tile is a file and has the label of its photo, also where it shows nothing of a defect. "
            + ("The group column keeps the tiles of a photo on one side of a split." if layout == "label file" else "")
        )
    return [note.strip() for note in notes]


def _target_files(catalog: Catalog, layout: Layout) -> tuple[dict[str, str], dict[str, str]]:
    """File by photo name; and the same for the photos whose files had to be told apart."""
    placed = {sample.name: place_file(sample, layout) for sample in catalog.samples}
    files, told_apart = name_files(list(placed.values()))
    told = set(told_apart)
    return (
        {name: files[place] for name, place in placed.items()},
        {name: files[place] for name, place in placed.items() if place in told},
    )


def _told_apart_note(told_apart: Mapping[str, str]) -> list[str]:
    if not told_apart:
        return []
    return [
        f"{len(told_apart)} photos would have got the same file name and keep their own ending before .png, "
        f'for instance "{next(iter(told_apart.values()))}".'
    ]
