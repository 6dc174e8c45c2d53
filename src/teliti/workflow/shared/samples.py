"""The photos of a source with or without labels, for jobs that do not learn: all, or those that are no masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from teliti.data.addresses import is_address
from teliti.data.beside import levels_up, require_masks_apart
from teliti.data.catalog import list_photos, read_catalog
from teliti.data.decode import decode_image
from teliti.data.label_cells import WantedTask
from teliti.data.origins import FileOrigin
from teliti.errors import CatalogError, PhotoRefused
from teliti.recipe import Recipe
from teliti.types import Catalog, Refused, Sample
from teliti.workflow.shared.part_finding import not_photos
from teliti.workflow.shared.photos import leave_out_companions


def read_samples(source: str, patterns: Sequence[str] = (), *, task: WantedTask = "auto") -> Catalog:
    """The labelled photos of a source; a folder, zip or photo without labels gives photos without labels.

    Args:
        source: As for `train`, or a folder, zip or photo without labels.
        patterns: Of files beside the photos; say how far above an unlabelled folder they may lie.
        task: What the labels of a label file are.

    Raises:
        CatalogError: nothing usable there, or a wrong label file.
    """
    try:
        return read_catalog(source, task=task)
    except CatalogError as error:
        path = Path(source)
        is_there = path.exists() or is_address(source)
        is_several = path.is_dir() or is_address(source) or path.suffix.lower() == ".zip"
        if error.problems or not is_there or not (is_several or _is_photo(path)):
            raise
        reason = error.message
    samples, refused = list_photos([source], beside_levels=levels_up(patterns))

    def plain(name: str) -> str:
        return name.removeprefix(f"{source.rstrip('/')}/") if is_several else Path(name).name

    own = tuple(Sample(plain(sample.name), sample.origin) for sample in samples)
    others = tuple(Refused(plain(one.name), one.reason) for one in refused)
    note = f"The photos are taken without labels: {reason}"
    return Catalog(source, own, others, "classification", (), notes=(note,))


def read_own_photos(source: str, recipe: Recipe, *, masks: Sequence[str] = ()) -> Catalog:
    """The photos of a source as `read_samples` gives them, without the masks and boxes that lie beside them.

    Args:
        source: As for `train`, or a folder, zip or photo without labels.
        recipe: Names the masks that its steps read, and by `data.part_mask` what only marks parts.
        masks: Further name patterns.

    Raises:
        RecipeError: a step that cannot be used.
        CatalogError: nothing usable there, a wrong label file, or masks that are the photos themselves.
    """
    patterns = not_photos(recipe, masks)
    catalog = read_samples(source, patterns)
    require_masks_apart([sample.name for sample in catalog.samples], patterns)
    return leave_out_companions(catalog, patterns)


def _is_photo(path: Path) -> bool:
    try:
        decode_image(FileOrigin(str(path)).read_bytes())
    except PhotoRefused:
        return False
    return True
