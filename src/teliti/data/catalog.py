"""From what the user gives to the photos of a job: one call for labelled photos, one for photos to predict.

Which reader is used follows from the source alone: a built-in name, a folder (class folders, split folders, IDX
files), a label file, an IDX file, or a zip archive of any of these.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from teliti.data.addresses import is_address, list_address
from teliti.data.archives import is_archive_name, list_archive
from teliti.data.beside import climb
from teliti.data.folders import list_folder
from teliti.data.idx import catalog_from_idx, is_idx_name
from teliti.data.label_cells import WantedTask, write_label
from teliti.data.labels_csv import catalog_from_csv, has_label_header, refuse_unlisted
from teliti.data.layouts import LAYOUT_HINT, catalog_from_folders, has_split_folders
from teliti.data.listing import Listing
from teliti.data.origins import FileOrigin
from teliti.data.samples import builtin_names, read_builtin
from teliti.errors import CatalogError, PhotoRefused
from teliti.registry import closest
from teliti.types import Catalog, Origin, Refused, Sample

_LABEL_SUFFIXES = {".csv", ".tsv"}


def read_catalog(source: str, *, use_group: bool = True, task: WantedTask = "auto") -> Catalog:
    """The labelled photos of a source.

    Args:
        source: A folder, label file, IDX file, zip archive, built-in name, or a folder, label file or zip archive of an
            object store by its address. A built-in name wins over a folder of that name; write `./elpv` for the folder.
        use_group: Keep the `group` column of a label file.
        task: What its labels are, where they do not say it themselves.

    Raises:
        CatalogError: nothing usable there, labels of another task, or a wrong label file; `problems` has every error
            found.
        MissingExtraError: the package of a built-in set is not installed.
    """
    if source in builtin_names():
        return _with_task(read_builtin(source), task)
    if is_address(source):
        catalog = _read_address(source, use_group=use_group, task=task)
        return _checked(_with_task(replace(catalog, source=source), task))
    path = _existing(source)
    if path.is_dir():
        catalog = _read_folder(list_folder(source), use_group=use_group, task=task)
    elif path.suffix.lower() in _LABEL_SUFFIXES:
        catalog = _read_label_file(path, use_group=use_group, task=task)
    elif is_archive_name(path.name):
        catalog = _read_archive(_without_wrapper(list_archive(source)), use_group=use_group, task=task)
    elif is_idx_name(path.name):
        catalog = _read_idx_file(path)
    else:
        raise CatalogError(
            f'"{source}" must be a folder, a .csv, .zip or IDX file, or one of {", ".join(builtin_names())}.',
            hint=LAYOUT_HINT,
        )
    return _checked(_with_task(replace(catalog, source=source), task))


def list_photos(paths: Sequence[str], *, beside_levels: int = 0) -> tuple[list[Sample], list[Refused]]:
    """The unlabelled photos behind files, folders (all below them) and zip archives, in the given order.

    A file that is named directly is always offered to the image door; in folders and archives the suffix decides.

    Args:
        paths: What the user gave.
        beside_levels: Files beside a photo may lie so many levels above a given folder, see `data.beside.levels_up`.

    Raises:
        CatalogError: a path that does not exist, a damaged archive, or no photos at all.
    """
    samples: list[Sample] = []
    refused: list[Refused] = []
    known: set[str] = set()
    for given in paths:
        found, not_used = _photos_behind(given, beside_levels)
        refused += not_used
        for name, origin in found.items():
            if name in known:
                refused.append(Refused(name, "given twice"))
            else:
                known.add(name)
                samples.append(Sample(name, origin))
    if not samples and not refused:
        raise CatalogError(
            f"{' '.join(map(_quoted, paths)) or 'The list of paths'} must hold photos, got no files at all.",
            hint="Give photos, folders of photos or zip archives.",
        )
    return samples, refused


def _photos_behind(given: str, beside_levels: int) -> tuple[dict[str, Origin], list[Refused]]:
    if is_address(given) and not is_archive_name(given):
        listing = list_address(given)
        name = posixpath.basename(given)
        return ({given: listing.files[name]}, []) if set(listing.files) == {name} else _named_below(given, listing)
    if is_address(given):
        return _named_below(given, list_archive(given))
    path = _existing(given)
    if not path.is_dir() and not is_archive_name(path.name):
        return {given: FileOrigin(given)}, []
    beside_root = str(climb(path.resolve(), beside_levels))
    listing = list_folder(given, beside_root=beside_root) if path.is_dir() else list_archive(given)
    return _named_below(given, listing)


def _named_below(given: str, listing: Listing) -> tuple[dict[str, Origin], list[Refused]]:
    """The photos of a listing and what is refused, each under the name that the user would give it."""
    prefix = given.rstrip("/") or "/"
    found = {f"{prefix}/{name}": origin for name, origin in listing.photos().items()}
    return found, [Refused(f"{prefix}/{item.name}", item.reason) for item in (*listing.refused, *listing.others())]


def _existing(source: str) -> Path:
    path = Path(source)
    try:
        path.lstat()
    except (OSError, ValueError) as error:
        near = closest(source, builtin_names())
        suggestion = f'Did you mean the built-in set "{near}"?' if near else "Check the path."
        raise CatalogError(f"{_quoted(source)} does not exist.", hint=suggestion) from error
    return path


def _read_folder(listing: Listing, *, use_group: bool, task: WantedTask) -> Catalog:
    """IDX files, class folders, or a label file beside photos that are not in class folders."""
    if any(is_idx_name(name) for name in _top(listing)):
        return catalog_from_idx(listing)
    with_photos = {name.split("/")[0] for name in listing.photos() if "/" in name}
    name = None if len(with_photos) > 1 else _label_file_of(listing)
    return _read_listed_labels(listing, name, use_group=use_group, task=task) if name else catalog_from_folders(listing)


def _read_archive(listing: Listing, *, use_group: bool, task: WantedTask) -> Catalog:
    """As a folder, but a label file comes first: inside an archive it cannot be named by itself."""
    if any(is_idx_name(name) for name in _top(listing)):
        return catalog_from_idx(listing)
    name = _label_file_of(listing)
    return _read_listed_labels(listing, name, use_group=use_group, task=task) if name else catalog_from_folders(listing)


def _read_address(address: str, *, use_group: bool, task: WantedTask) -> Catalog:
    """A folder of an object store, or a zip archive or a label file in one."""
    name = posixpath.basename(address)
    if is_archive_name(name):
        return _read_archive(_without_wrapper(list_archive(address)), use_group=use_group, task=task)
    if Path(name).suffix.lower() in _LABEL_SUFFIXES:
        listing = list_address(posixpath.dirname(address))
        if name not in listing.files:
            raise CatalogError(f"{_quoted(address)} does not exist.", hint="Check the address.")
        return catalog_from_csv(
            _read(listing, name), source=name, find=listing.files.get, use_group=use_group, task=task
        )
    return _read_folder(list_address(address), use_group=use_group, task=task)


def _top(listing: Listing) -> list[str]:
    return [name for name in listing.files if "/" not in name]


def _label_file_of(listing: Listing) -> str | None:
    """The one file at the top with the header of a label file."""
    candidates = [name for name in _top(listing) if Path(name).suffix.lower() in _LABEL_SUFFIXES]
    found = [name for name in candidates if has_label_header(_read(listing, name))]
    return found[0] if len(found) == 1 else None


def _read_listed_labels(listing: Listing, name: str, *, use_group: bool, task: WantedTask) -> Catalog:
    """The one label file at the top of a folder or archive; photos that it does not list are refused."""
    catalog = catalog_from_csv(
        _read(listing, name), source=name, find=listing.files.get, use_group=use_group, task=task
    )
    others = [item for item in listing.others() if item.name != name]
    unlisted = refuse_unlisted(catalog, iter(listing.photos()))
    refused = sorted((*listing.refused, *others, *unlisted), key=lambda item: item.name)
    note = f'The labels come from "{name}".'
    return replace(catalog, refused=tuple(refused), notes=(note, *catalog.notes))


def _read_label_file(path: Path, *, use_group: bool, task: WantedTask) -> Catalog:
    root = path.parent.resolve()

    def find(name: str) -> Origin | None:
        place = root / name
        try:
            place.lstat()
        except (OSError, ValueError):
            return None
        return FileOrigin(name, str(root))

    try:
        data = FileOrigin(str(path)).read_bytes()
    except PhotoRefused as error:
        raise CatalogError(
            f"{_quoted(str(path))} could not be read: {error.reason}.", hint="Check the file."
        ) from error
    return catalog_from_csv(data, source=path.name, find=find, use_group=use_group, task=task)


def _read_idx_file(path: Path) -> Catalog:
    """One pair: the named file and its partner in the same folder."""
    folder = list_folder(str(path.parent))
    key = path.name.lower().replace("labels", "images").replace("idx1", "idx3").removesuffix(".gz")
    pair = {
        name: origin
        for name, origin in folder.files.items()
        if is_idx_name(name)
        and name.lower().replace("labels", "images").replace("idx1", "idx3").removesuffix(".gz") == key
    }
    return catalog_from_idx(Listing(str(path), pair))


def _without_wrapper(listing: Listing) -> Listing:
    """The archive's content without the one folder that packers like to put around it."""
    tops = {name.split("/")[0] for name in listing.files}
    if len(tops) != 1 or any("/" not in name for name in listing.files):
        return listing
    (top,) = tops
    files = {name.removeprefix(f"{top}/"): origin for name, origin in listing.files.items()}
    inner = {name.split("/")[0] for name in files if "/" in name}
    is_layout = len(inner) > 1 or has_split_folders(inner) or any("/" not in name for name in files)
    has_photos_only_below = not any("/" not in name for name in Listing("", files).photos())
    return Listing(listing.source, files, listing.refused) if is_layout and has_photos_only_below else listing


def _read(listing: Listing, name: str) -> bytes:
    try:
        return listing.files[name].read_bytes()
    except PhotoRefused as error:
        raise CatalogError(f"{_quoted(name)} could not be read: {error.reason}.", hint="Check the file.") from error


def _with_task(catalog: Catalog, wanted: WantedTask) -> Catalog:
    if wanted not in {"auto", catalog.task}:
        raise CatalogError(
            f"data.task must suit the labels of {_quoted(catalog.source)}, which are for {catalog.task}, got {wanted}.",
            hint="Several labels or numbers a photo stand in a label file; or leave data.task out.",
        )
    return catalog


def _checked(catalog: Catalog) -> Catalog:
    """What every labelled catalog must fulfil, whatever it was read from."""
    labels = {sample.label for sample in catalog.samples}
    if len(labels) < 2:
        what = "different numbers" if catalog.task == "regression" else "classes"
        found = f'one: "{write_label(next(iter(labels)))}"' if labels else "none"
        raise CatalogError(
            f"{_quoted(catalog.source)} must have photos of at least two {what}, got {found}.",
            hint="The labels must differ." if catalog.task == "regression" else LAYOUT_HINT,
        )
    if catalog.has_given_split:
        _check_split(catalog)
    return catalog


def _check_split(catalog: Catalog) -> None:
    trained = [sample for sample in catalog.samples if sample.split == "train"]
    if not trained:
        raise CatalogError(
            f"{_quoted(catalog.source)} must have photos in its train part, got none.", hint="Name one part train."
        )
    known = {name for sample in trained for name in sample.class_names}
    unknown = [name for name in catalog.classes if name not in known]
    if unknown:
        raise CatalogError(
            f"{_quoted(catalog.source)} must have photos of every class in its train part, "
            f"got none of {', '.join(map(_quoted, unknown))}.",
            hint="Move some photos of that class to the train part, or leave the class out.",
        )


def _quoted(name: str) -> str:
    return f'"{name}"'
