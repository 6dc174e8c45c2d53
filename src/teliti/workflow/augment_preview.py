"""One sheet of pictures: a few photos and what augmentation makes of them, to be looked at before it is used."""

from __future__ import annotations

from pathlib import Path

from teliti.data.decode import decode_image
from teliti.data.label_cells import write_label
from teliti.errors import PhotoRefused, UserError
from teliti.files import sha256_hex, write_bytes_atomic
from teliti.recipe import Recipe, load_recipe
from teliti.report.sheet import SheetRow, draw_sheet, encode_sheet
from teliti.transforms.augment import AugmentChain, photo_rng
from teliti.types import Record, Refused, Reporter, Sample, SilentReporter
from teliti.workflow.augment import photo_chain, seed_of
from teliti.workflow.prepare_preview import in_turn, sheet_target
from teliti.workflow.prepared.folder import SHEET
from teliti.workflow.prepared.writing import no_photo, refusals
from teliti.workflow.shared.samples import read_own_photos

DEFAULT_PHOTOS, MOST_PHOTOS, MOST_VIEWS = 4, 50, 12
DEFAULT_SHEET = Path(f"augment-{SHEET}")


def preview_augmented(
    source: str | Path,
    *,
    recipe: Recipe | str | Path | None = None,
    policy: str | Path | None = None,
    out: str | Path | None = None,
    photos: int = DEFAULT_PHOTOS,
    views: int = 5,
    seed: int | None = None,
    reporter: Reporter | None = None,
) -> Record:
    """Write one PNG with a row for each of a few photos: the photo, then its first views.

    The views are those that `augment` writes with the same seed.

    Args:
        source: As for `augment`.
        recipe: A recipe with [[augment]] entries, or the path of one.
        policy: A policy file, whose entries are used instead of the recipe's.
        out: The PNG file, or a folder to put preview.png into; None: augment-preview.png in the current folder. An
            earlier sheet is replaced, any other file is not.
        photos: How many, 1 to 50.
        views: Of each photo, 1 to 12.
        seed: The recipe's when None.
        reporter: Told how far it is.

    Returns:
        {"schema", "source", "sheet", "photos" (names in the order of the rows), "steps", "seed", "refused",
        "refused_photos"}.

    Raises:
        RecipeError: no augmentation, or one that cannot be used.
        CatalogError: no photo that can be used.
        UserError: too many photos or views, or a file of that name that is no sheet.
    """
    _check(photos, views)
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(None if recipe is None else Path(recipe))
    chain, seed = photo_chain(chosen, policy), seed_of(chosen, seed)
    target, catalog = sheet_target(str(source), out, default=DEFAULT_SHEET), read_own_photos(str(source), chosen)
    rows, names, refused = [], list[str](), list[Refused]()
    with (reporter or SilentReporter()).task("Drawing photos", photos) as advance:
        for sample in in_turn(catalog.samples, photos):
            try:
                rows.append(_row(sample, chain, seed=seed, views=views))
                names.append(sample.name)
            except PhotoRefused as refusal:
                refused.append(Refused(sample.name, refusal.reason))
            advance(1)
    if not rows:
        raise no_photo(catalog.source, [*refused, *catalog.refused], what="can be shown", hint="Give other photos.")
    write_bytes_atomic(target, encode_sheet(draw_sheet(rows)))
    return {
        "schema": 1,
        "source": catalog.source,
        "sheet": str(target),
        "photos": names,
        "steps": chain.to_record(),
        "seed": seed,
        **refusals(refused),
    }


def _check(photos: int, views: int) -> None:
    for name, value, most in (("--count", photos, MOST_PHOTOS), ("--views", views, MOST_VIEWS)):
        if not 1 <= value <= most:
            raise UserError(f"{name} of a sheet must be 1 to {most}, got {value}.", hint=f"Choose 1 to {most}.")


def _row(sample: Sample, chain: AugmentChain, *, seed: int, views: int) -> SheetRow:
    data = sample.origin.read_bytes()
    image, key = decode_image(data), bytes.fromhex(sha256_hex(data))
    size = (image.shape[0], image.shape[1])
    drawn = [chain.draw(photo_rng(seed, key, view), size) for view in range(views)]
    is_one = len(chain.operations) == 1  # the words of several do not fit above a picture
    titles = [chain.describe(draw) if is_one else f"view {view}" for view, draw in enumerate(drawn)]
    pictures = [(title, chain.apply(image, draw).image) for title, draw in zip(titles, drawn, strict=True)]
    label = "" if sample.label is None else f"   [{write_label(sample.label)}]"
    return SheetRow(f"{sample.name}{label}", [("original", image), *pictures])
