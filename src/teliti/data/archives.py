"""A zip archive as a listing: nothing is unpacked to disk, and no member is trusted.

Refused one by one: names that lead outside, links, encrypted, overlapping or repeated members, sizes that promise a
bomb. Refused as a whole: archives that are damaged or over the caps. Source: PKWARE APPNOTE 6.3.10.
"""

from __future__ import annotations

import re
import stat
import struct
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from teliti.data.addresses import is_address, open_address, refuse_zip_chain
from teliti.data.limits import DEFAULT_LIMITS
from teliti.data.listing import Listing, is_hidden_name
from teliti.data.origins import DEFLATED, STORED, ZipOrigin, open_regular, reason_of
from teliti.errors import CatalogError, MissingExtraError, PhotoRefused
from teliti.types import Origin, Refused

MAX_MEMBERS = 500_000
MAX_TOTAL_BYTES = 64 * 1024**3
_MAX_RATIO = 500
_FREE_BYTES = 16 * 1024**2  # below this a member may be packed as tightly as it likes
_ENCRYPTED, _UTF8 = 0x1, 0x800
_DRIVE = re.compile(r"[A-Za-z]:")
_ERRORS = (
    zipfile.BadZipFile, OSError, ValueError, RuntimeError, struct.error, LookupError, OverflowError, MemoryError,
)  # fmt: skip


@dataclass
class _Reading:
    files: dict[str, Origin] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    end: int = 0


def is_archive_name(name: str) -> bool:
    """True where a path or an address is taken for a zip archive."""
    return PurePosixPath(name).suffix.lower() == ".zip"


def list_archive(archive: str) -> Listing:
    """Every member of the archive that may be read.

    Args:
        archive: Its path, or its address: of a store only the archive's directory is read.

    Raises:
        CatalogError: not a zip archive, damaged, too many members, or too large when unpacked.
        MissingExtraError: an address, and fsspec is not installed.
    """
    members = _read_directory(archive)
    total = sum(member.file_size for member in members)
    if len(members) > MAX_MEMBERS:
        raise _archive_error(archive, f"{len(members):,} members are over the limit of {MAX_MEMBERS:,}")
    if total > MAX_TOTAL_BYTES:
        raise _archive_error(
            archive, f"{total / 1e9:,.0f} GB unpacked are over the limit of {MAX_TOTAL_BYTES / 1e9:,.0f} GB"
        )
    reading = _Reading()
    for member in sorted(members, key=lambda member: member.header_offset):
        _take(archive, member, reading)
    files = {name: reading.files[name] for name in sorted(reading.files)}
    refused = tuple(sorted(reading.refused, key=lambda item: item.name))
    return Listing(archive, files, refused, tuple(sorted(reading.folders)))


def _read_directory(archive: str) -> list[zipfile.ZipInfo]:
    try:
        refuse_zip_chain(archive)
        opened = open_address(archive) if is_address(archive) else open_regular(Path(archive))
        with opened as file, zipfile.ZipFile(file) as directory:
            return directory.infolist()
    except (CatalogError, MissingExtraError):
        raise
    except PhotoRefused as error:
        raise _archive_error(archive, error.reason) from error
    except _ERRORS as error:
        cause = reason_of(error) if isinstance(error, OSError) else "damaged, cut short, or not a zip archive"
        raise _archive_error(archive, cause) from error
    except Exception as error:
        if not is_address(archive):
            raise
        raise _archive_error(archive, f"not readable: {error}") from error  # the store's own kind of error


def _take(archive: str, member: zipfile.ZipInfo, reading: _Reading) -> None:
    """One member into the reading, in the order in which members lie in the file."""
    name = _name_of(member)
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if not parts or any(is_hidden_name(part) for part in parts if part != ".."):
        return
    if not _is_safe(name, parts):
        reading.refused.append(Refused(name, "the name leads outside the archive"))
        return
    if member.is_dir() or name.endswith("/"):
        reading.folders.add(parts[0])
        return
    name = "/".join(parts)
    reason = _refusal(member, overlaps=member.header_offset < reading.end, is_known=name in reading.files)
    if reason:
        reading.refused.append(Refused(name, reason))
        return
    reading.end = member.header_offset + 30 + member.compress_size
    if len(parts) > 1:
        reading.folders.add(parts[0])
    reading.files[name] = ZipOrigin(
        archive=archive, member=name, offset=member.header_offset, packed_size=member.compress_size,
        size=member.file_size, checksum=member.CRC, method=member.compress_type,
    )  # fmt: skip


def _refusal(member: zipfile.ZipInfo, *, overlaps: bool, is_known: bool) -> str:
    """Why a member is not read, or nothing."""
    ratio_limit = max(_FREE_BYTES, member.compress_size * _MAX_RATIO)
    size, limit = member.file_size / 1e6, DEFAULT_LIMITS.max_bytes / 1e6
    rules = (
        (stat.S_ISLNK(member.external_attr >> 16), "a link in an archive is not followed"),
        (bool(member.flag_bits & _ENCRYPTED), "encrypted"),
        (
            member.compress_type not in {STORED, DEFLATED},
            f"zip compression method {member.compress_type} is not supported",
        ),
        (size > limit, f"{size:,.0f} MB is over the limit of {limit:,.0f} MB"),
        (member.file_size > ratio_limit, "unpacks to more than 500 times its size: a decompression bomb"),
        (overlaps, "overlaps another member of the archive"),
        (is_known, "the name occurs twice in the archive"),
    )
    return next((reason for applies, reason in rules if applies), "")


def _name_of(member: zipfile.ZipInfo) -> str:
    """The name with forward slashes; UTF-8 also where the archive forgot to say so, other bytes kept."""
    name = member.orig_filename
    if not member.flag_bits & _UTF8:
        name = name.encode("cp437", "replace").decode("utf-8", "surrogateescape")
    return name.replace("\\", "/")


def _is_safe(name: str, parts: list[str]) -> bool:
    return not (name.startswith("/") or ".." in parts or "\0" in name or _DRIVE.match(name))


def _archive_error(archive: str, cause: str) -> CatalogError:
    return CatalogError(f'"{archive}" could not be read as a zip archive: {cause}.', hint="Pack the photos anew.")
