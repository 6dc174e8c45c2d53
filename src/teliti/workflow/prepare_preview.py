"""One sheet of pictures: what every prepare step makes of some photos, to be looked at before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from teliti.data.beside import beside_of
from teliti.data.decode import decode_image
from teliti.data.label_cells import write_label
from teliti.errors import PhotoRefused, UserError
from teliti.files import storage_error, write_bytes_atomic
from teliti.recipe import Recipe, load_recipe
from teliti.report.sheet import SheetRow, draw_sheet, encode_sheet, is_sheet
from teliti.transforms.prepare import PrepareChain
from teliti.types import Record, Refused, Reporter, Sample, SilentReporter
from teliti.workflow.prepare import check_apart
from teliti.workflow.prepared.folder import SHEET, SUFFIX
from teliti.workflow.prepared.pictures import image_chain
from teliti.workflow.prepared.writing import no_photo, refusals
from teliti.workflow.shared.samples import read_own_photos

DEFAULT_PHOTOS, MOST_PHOTOS = 4, 50
DEFAULT_SHEET = Path(f"prepare-{SHEET}")


def preview(
    source: str | Path,
    *,
    recipe: Recipe | str | Path | None = None,
    out: str | Path | None = None,
    photos: int = DEFAULT_PHOTOS,
    reporter: Reporter | None = None,
) -> Record:
    """Write one PNG with a row for each of a few photos: the original, then the picture after every step.

    The photos are taken from all classes in turn, evenly over each of them.

    Args:
        source: As for `prepare`.
        recipe: A recipe, or the path of one.
        out: The PNG file, or a folder to put preview.png into; None: prepare-preview.png in the current folder. An
            earlier sheet is replaced, any other file is not.
        photos: How many, 1 to 50.
        reporter: Told how far it is.

    Returns:
        {"schema", "source", "sheet", "photos" (names in the order of the rows), "steps", "left_out", "refused",
        "refused_photos"}.

    Raises:
        RecipeError: no steps, or steps that cannot be used.
        CatalogError: no photo that can be used.
        UserError: too many photos, or a file of that name that is no sheet.
    """
    reporter = reporter or SilentReporter()
    if not 1 <= photos <= MOST_PHOTOS:
        raise UserError(
            f"The number of photos must be 1 to {MOST_PHOTOS}, got {photos}.", hint=f"Choose 1 to {MOST_PHOTOS} photos."
        )
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(None if recipe is None else Path(recipe))
    images = image_chain(chosen)
    target = sheet_target(str(source), out)
    catalog = read_own_photos(str(source), chosen)
    rows, refused = _draw_rows(in_turn(catalog.samples, photos), images.chain, reporter=reporter)
    if not rows:
        raise no_photo(str(source), [*refused, *catalog.refused], what="can be shown", hint="Give other photos.")
    write_bytes_atomic(target, encode_sheet(draw_sheet(list(rows.values()))))
    if images.left_out:
        reporter.note(f"Left out, because they give numbers and not a picture: {', '.join(images.left_out)}.")
    return {
        "schema": 1,
        "source": catalog.source,
        "sheet": str(target),
        "photos": list(rows),
        "steps": images.chain.to_record(),
        "left_out": list(images.left_out),
        **refusals(refused),
    }


def in_turn(samples: Sequence[Sample], count: int) -> list[Sample]:
    """At most `count` samples: the classes in turn, each class's own spread evenly over it."""
    by_label: dict[object, list[Sample]] = {}
    for sample in samples:
        by_label.setdefault(sample.label if sample.class_names else None, []).append(sample)
    each = -(-count // max(1, len(by_label)))
    spread = [_evenly(own, each) for own in by_label.values()]
    chosen = [sample for turn in zip_longest(*spread) for sample in turn if sample is not None]
    return chosen[:count]


def _evenly(samples: Sequence[Sample], count: int) -> list[Sample]:
    wanted = min(count, len(samples))
    return [samples[(2 * place + 1) * len(samples) // (2 * wanted)] for place in range(wanted)]


def _draw_rows(
    samples: Sequence[Sample], chain: PrepareChain, *, reporter: Reporter
) -> tuple[dict[str, SheetRow], list[Refused]]:
    """Rows by photo name, and the photos that cannot be used."""
    rows, refused = dict[str, SheetRow](), list[Refused]()
    with reporter.task("Drawing photos", len(samples)) as advance:
        for sample in samples:
            try:
                rows[sample.name] = _row(sample, chain)
            except PhotoRefused as refusal:
                refused.append(Refused(sample.name, refusal.reason))
            advance(1)
    return rows, refused


def _row(sample: Sample, chain: PrepareChain) -> SheetRow:
    image = decode_image(sample.origin.read_bytes())
    steps = [
        (f"{number} {name}", picture)
        for number, (name, picture) in enumerate(chain.trace(image, beside_of(sample.origin)), start=1)
    ]
    label = "" if sample.label is None else f"   [{write_label(sample.label)}]"
    return SheetRow(f"{sample.name}{label}", [("original", image), *steps])


def sheet_target(source: str, out: str | Path | None, *, default: Path = DEFAULT_SHEET) -> Path:
    """Where a sheet goes; an existing file must be a sheet.

    Args:
        source: The photos; a sheet must not lie among them.
        out: A PNG file or a folder; None takes `default`.
        default: A PNG file.

    Raises:
        UserError: another kind of file, a file that is no sheet, or a place inside the photos' own folder.
    """
    path = default if out is None else Path(out)
    if path.suffix and path.suffix.lower() != SUFFIX and not path.is_dir():
        raise UserError(f'A preview sheet must be a {SUFFIX} file, got "{path}".', hint="Name a .png file or a folder.")
    if path.suffix.lower() != SUFFIX or path.is_dir():
        path /= SHEET
    check_apart(source, path)
    try:
        is_foreign = path.exists() and not (path.is_file() and is_sheet(path.read_bytes()))
    except OSError as error:
        raise storage_error(path, error) from error
    if is_foreign:
        raise UserError(f'"{path}" is there already and is no preview sheet.', hint="Name another file for the sheet.")
    return path
