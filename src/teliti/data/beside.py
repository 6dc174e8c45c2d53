"""Pictures that lie beside a photo: masks by a name pattern, in the same folder or zip archive and never outside it.

Where they may lie: labelled photos have their data folder, and files beside them stay inside it; a zip archive is
closed. Photos without labels may be given by any folder, so there the pattern says it: a file beside a photo may lie
as many levels above the photo's folder as the pattern has `..`, and no link leads further.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath

from teliti.data.addresses import AddressOrigin, find_beside_address, is_address, version_of
from teliti.data.archives import list_archive
from teliti.data.decode import decode_photo
from teliti.data.listing import Listing
from teliti.data.loading import map_ahead
from teliti.data.origins import FileOrigin, ZipOrigin, reason_of
from teliti.errors import CatalogError, PhotoRefused
from teliti.types import Origin, Sample, UInt8Image

_STEM = "{stem}"
_APART_HINT = "Give the masks an ending or a folder of their own, for instance {stem}_mask.png; and give the photos."


def find_beside(origin: Origin, pattern: str) -> Origin:
    """Where the file that lies beside a photo is; it need not exist.

    Args:
        origin: The photo's.
        pattern: A relative path from the photo's folder with forward slashes; `{stem}` stands for the photo's name
            without its ending, `..` may lead up to the data folder.

    Raises:
        PhotoRefused: it lies outside the data folder, an archive does not hold it, it is the photo itself, or the
            photo is no file.
    """
    if _is_itself(_place_of(origin), pattern):
        raise PhotoRefused(f'"{_name(_place_of(origin), pattern)}" is the photo itself, and no file beside it')
    if isinstance(origin, FileOrigin):
        return _find_file(origin, pattern)
    if isinstance(origin, ZipOrigin):
        name = _name(origin.member, pattern)
        beside = _list_now(origin.archive).files.get(_beside_name(origin.member, pattern))
        if beside is None:
            raise PhotoRefused(f'"{name}" does not lie beside it in the archive')
        return beside
    if isinstance(origin, AddressOrigin):
        return find_beside_address(origin, _name(origin.address, pattern))
    raise PhotoRefused("it is no file, so that no file lies beside it")


def read_beside(origin: Origin, pattern: str) -> bytes:
    """The file that lies beside a photo; arguments as for `find_beside`.

    Raises:
        PhotoRefused: there is no such file, it lies outside the data folder, or the photo is no file.
    """
    beside = find_beside(origin, pattern)
    try:
        return beside.read_bytes()
    except PhotoRefused as refusal:
        raise _refuse(origin, pattern, refusal.reason) from refusal


def beside_of(origin: Origin) -> Callable[[str], UInt8Image]:
    """A reader of the pictures beside one photo: name pattern to (H, W) grey or (H, W, 3) RGB uint8.

    The reader raises `PhotoRefused` as `read_beside` does, and where the file is no picture.
    """

    def read(pattern: str) -> UInt8Image:
        return _decode(origin, pattern, read_beside(origin, pattern))

    return read


def names_file(how: str) -> bool:
    """True where a way to find parts is the name pattern of files beside the photos, and no method's name."""
    return _STEM in how


def levels_up(patterns: Sequence[str]) -> int:
    """How many levels above a photo's folder the files of these name patterns may lie: the most `..` of any."""
    return max((PurePosixPath(posixpath.normpath(pattern)).parts.count("..") for pattern in patterns), default=0)


def climb(folder: Path, levels: int) -> Path:
    """The folder that many levels above an absolute one, or the topmost."""
    above = (folder, *folder.parents)
    return above[min(levels, len(above) - 1)]


def _decode(origin: Origin, pattern: str, data: bytes) -> UInt8Image:
    try:
        return decode_photo(data)
    except PhotoRefused as refusal:
        raise _refuse(origin, pattern, refusal.reason) from refusal


def _find_file(origin: FileOrigin, pattern: str) -> FileOrigin:
    path = Path(origin.path)
    name = _name(path.name, pattern)
    try:
        folder = path.parent.resolve()
        given = origin.beside_root or origin.root
        root = climb(folder, levels_up([pattern])) if given is None else Path(given).resolve()
        is_inside = (folder / name).resolve().is_relative_to(root)
    except (OSError, RuntimeError, ValueError) as error:
        raise _refuse(origin, pattern, reason_of(error)) from error
    if not is_inside:
        raise PhotoRefused(f'"{name}" lies outside the folder of the photos')
    return FileOrigin(str(folder / name), root=str(root))


def _refuse(origin: Origin, pattern: str, reason: str) -> PhotoRefused:
    return PhotoRefused(f'"{_name(_place_of(origin), pattern)}" beside it: {reason}')


def _place_of(origin: Origin) -> str:
    """The path, member or address of a photo, with forward slashes; empty where it has none."""
    if isinstance(origin, ZipOrigin):
        return origin.member
    return Path(origin.path).as_posix() if isinstance(origin, FileOrigin) else getattr(origin, "address", "")


def _name(photo: str, pattern: str) -> str:
    """What the pattern says for a photo's name or path."""
    file = photo.rpartition("/")[2]
    stem, _, ending = file.rpartition(".")
    return pattern.replace(_STEM, stem if stem and ending else file)


def _beside_name(photo: str, pattern: str) -> str:
    """The normalised name of the file beside a photo, by the photo's name."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(photo), _name(photo, pattern)))


def _is_itself(photo: str, pattern: str) -> bool:
    return bool(photo) and _beside_name(photo, pattern) == posixpath.normpath(photo)


def _list_now(archive: str) -> Listing:
    """The archive's listing, read again when the archive changed."""
    if is_address(archive):
        return _list(archive, (version_of(archive),))
    try:
        status = Path(archive).stat()
    except OSError as error:
        raise PhotoRefused(f"archive: {reason_of(error)}") from error
    return _list(str(Path(archive).absolute()), (status.st_ino, status.st_size, status.st_mtime_ns))


@lru_cache(maxsize=4)
def _list(archive: str, version: tuple[int | str, ...]) -> Listing:  # noqa: ARG001 - part of the cache's key
    try:
        return list_archive(archive)
    except CatalogError as error:
        raise PhotoRefused(f"archive: {error.message}") from error


def check_companions(
    samples: Sequence[Sample],
    sizes: Sequence[tuple[int, int]],
    patterns: Sequence[str],
    *,
    threads: int,
) -> list[bytes | PhotoRefused]:
    """Whether the files beside each photo are there, can be decoded and have the photo's size; reads all of them.

    Args:
        samples: Photos that can be used.
        sizes: (height, width) of each.
        patterns: Name patterns of the files beside each photo.
        threads: For reading and decoding.

    Returns:
        For each photo the SHA-256 of these files, 32 bytes a pattern, or why it cannot be used.
    """

    def check(item: tuple[Sample, tuple[int, int]]) -> bytes | PhotoRefused:
        sample, size = item
        digests = []
        try:
            for pattern in patterns:
                data = read_beside(sample.origin, pattern)
                height, width = _decode(sample.origin, pattern, data).shape[:2]
                if (height, width) != size:
                    raise _refuse(sample.origin, pattern, f"{height}x{width}, and the photo is {size[0]}x{size[1]}")
                digests.append(hashlib.sha256(data).digest())
        except PhotoRefused as refusal:
            return refusal
        return b"".join(digests)

    return list(map_ahead(check, zip(samples, sizes, strict=True), threads=threads))


def without_companions(samples: Sequence[Sample], patterns: Sequence[str]) -> tuple[list[Sample], int]:
    """The samples that are not themselves a file that lies beside another one, for instance its mask.

    Args:
        samples: Photos of one source, or of one call.
        patterns: Name patterns of the files beside each photo.

    Returns:
        The photos, and how many files were left out.

    Raises:
        CatalogError: nothing else is there.
    """
    names = [sample.name for sample in samples]
    companions = find_companions(names, names, patterns)
    kept = [sample for sample in samples if posixpath.normpath(sample.name) not in companions]
    if samples and not kept:
        raise CatalogError(
            f"The files must be photos, got {len(samples):,} that are all masks by the name pattern "
            f"{' or '.join(map(_quoted, patterns))}.",
            hint=_APART_HINT,
        )
    return kept, len(samples) - len(kept)


def find_companions(names: Iterable[str], photos: Sequence[str], patterns: Sequence[str]) -> set[str]:
    """Which of the names are those of files that lie beside photos, whether the photo's file is there or not.

    A file in the photos' own folder that a pattern only gives back itself is none: "a.png" is the mask of "a.jpg" by
    "{stem}.png" where there is an "a.jpg", else a photo. Memory: of the names that end as a pattern does, so that
    looking for boxes costs nothing where only photos are.

    Args:
        names: Of files.
        photos: Of the photos.
        patterns: Name patterns of the files beside each photo.

    Returns:
        Normalised names.
    """
    endings = tuple({pattern.rpartition(_STEM)[2].rpartition("/")[2] for pattern in patterns})
    asked = {posixpath.normpath(name) for name in names if name.endswith(endings)} if endings else set()
    if not asked:
        return set()
    return asked.intersection(
        _beside_name(photo, pattern)
        for pattern in patterns
        for photo in photos
        if "/" in pattern or not _is_itself(photo, pattern)
    )


def require_masks_apart(names: Sequence[str], patterns: Sequence[str]) -> None:
    """Refuse a name pattern that gives back every photo itself.

    Raises:
        CatalogError: it does.
    """
    for pattern in patterns:
        if names and all(_is_itself(name, pattern) for name in names):
            raise CatalogError(
                f'The masks must be other files than the photos, got the name pattern "{pattern}", which is that of '
                f'the photos themselves ("{names[0]}").',
                hint=_APART_HINT,
            )


def is_mask_name(name: str, patterns: Sequence[str]) -> bool:
    """True for a file name that alone, without the photo, says that it is a mask: it has the pattern's own words.

    By "{stem}_mask.png" "a_mask.png" is one. By "{stem}.png" nothing is: a photo could have such a name as well.

    Args:
        name: Of a file in the photos' folder.
        patterns: Name patterns of the files beside each photo; those in other folders say nothing.
    """
    for pattern in patterns:
        before, _, after = posixpath.normpath(pattern).partition(_STEM)
        words = before + after.rpartition(".")[0]
        is_long_enough = len(name) > len(before) + len(after)
        if words and "/" not in before + after and is_long_enough and name.startswith(before) and name.endswith(after):
            return True
    return False


def _quoted(pattern: str) -> str:
    return f'"{pattern}"'
