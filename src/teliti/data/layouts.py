"""Class folders and split folders: what the folder names of a listing say about its photos.

`CLASS/.../photo` gives classes; `train|val|valid|validation|test/CLASS/.../photo` (any case) also gives the split.
A folder below a class folder belongs to the class.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import PurePosixPath

from teliti.data.listing import Listing
from teliti.errors import CatalogError
from teliti.types import Catalog, Refused, Sample, Split

SPLIT_NAMES: dict[str, Split] = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
LAYOUT_HINT = (
    "Make one folder for each class, for instance good and defective, put the photos inside, "
    "and give the folder that holds these folders."
)


def catalog_from_folders(listing: Listing) -> Catalog:
    """The catalog of class folders or of split folders of class folders.

    Raises:
        CatalogError: no photos, or photos without class folders.
    """
    photos = listing.photos()
    _require_photos(listing, count=len(photos))
    with_photos = {name.split("/")[0] for name in photos if "/" in name}
    if not with_photos:
        raise CatalogError(
            f'"{listing.source}" must hold class folders, got {len(photos):,} photos and no folders with photos.',
            hint=LAYOUT_HINT,
        )
    is_split = has_split_folders(with_photos)
    depth = 2 if is_split else 1
    samples: list[Sample] = []
    refused = [*listing.refused, *_others_by_folder(listing, with_photos)]
    for name, origin in photos.items():
        parts = name.split("/")
        split = SPLIT_NAMES.get(parts[0].lower()) if is_split else None
        if is_split and split is None:
            refused.append(Refused(name, "not in a train, val or test folder"))
        elif len(parts) <= depth:
            refused.append(Refused(name, "not in a class folder"))
        else:
            samples.append(Sample(name, origin, sys.intern(parts[depth - 1]), split))  # a class is one string
    refused.sort(key=lambda item: item.name)
    classes = tuple(sorted({str(sample.label) for sample in samples}))
    return Catalog(
        listing.source, tuple(samples), tuple(refused), "classification", classes,
        has_given_split=is_split, notes=_notes_on_empty(listing, with_photos), labels_from="names of class folders",
    )  # fmt: skip


def has_split_folders(folders: set[str]) -> bool:
    """True when the folder names hold `train` and at least one of val and test."""
    parts = {SPLIT_NAMES.get(folder.lower()) for folder in folders}
    return "train" in parts and bool(parts & {"val", "test"})


def _require_photos(listing: Listing, *, count: int) -> None:
    if count:
        return
    suffixes = Counter(PurePosixPath(name).suffix.lower() or "no suffix" for name in listing.files)
    found = ", ".join(f"{number:,} x {suffix}" for suffix, number in suffixes.most_common(5))
    what = f"only other files ({found})" if found else "no files at all"
    raise CatalogError(f'"{listing.source}" must hold photos in class folders, got {what}.', hint=LAYOUT_HINT)


def _others_by_folder(listing: Listing, with_photos: set[str]) -> list[Refused]:
    """Other files one by one; those of a top folder without any photo (annotations, papers) as that one folder."""
    refused = []
    counts: Counter[str] = Counter()
    for item in listing.others():
        top, inside, _ = item.name.partition("/")
        if inside and top not in with_photos:
            counts[top] += 1
        else:
            refused.append(item)
    return refused + [
        Refused(top, f"a folder of {count:,} files, none of them a photo") for top, count in counts.items()
    ]


def _notes_on_empty(listing: Listing, with_photos: set[str]) -> tuple[str, ...]:
    return tuple(
        f'The folder "{folder}" holds no photos and is left out.'
        for folder in listing.folders
        if folder not in with_photos
    )
