"""Where the bytes of one photo come from: a regular file, a member of a zip archive, or memory.

Origins are small, picklable and read nothing until asked. A file is looked at before it is opened and opened without
waiting, so that folders, pipes, devices and link loops are refused and nothing hangs. Paths are plain strings where
every photo passes: pathlib interns each part of a name, and the table of these words grows with a set.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from teliti.data.addresses import is_address, read_span
from teliti.data.formats.netpbm import write_netpbm
from teliti.data.limits import DEFAULT_LIMITS
from teliti.errors import PhotoRefused, RunError
from teliti.types import Origin

STORED, DEFLATED = 0, 8
"""The compression methods of a zip archive that are read (PKWARE APPNOTE 4.4.5)."""

_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_LOCAL_HEADER = b"PK\x03\x04"
_LOCAL_HEADER_SIZE = 30
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_REASONS = {
    errno.ENOENT: "the file does not exist (any more)",
    errno.ELOOP: "a link that leads back to itself",
    errno.EACCES: "not readable: permission denied",
    errno.EPERM: "not readable: permission denied",
    errno.ENAMETOOLONG: "the name is too long for the file system",
}


@dataclass(frozen=True, slots=True)
class FileOrigin:
    """A regular file.

    Attributes:
        place: The file, by its path or by its name below `root`, so that many photos of a folder share the root's
            string; links are followed.
        root: The file must lie inside this folder after all links are followed; None allows any place.
        beside_root: Files that lie beside it must lie inside this folder; None: inside `root`.
    """

    place: str
    root: str | None = None
    beside_root: str | None = None

    @property
    def path(self) -> str:
        """Where the file is."""
        return self.place if self.root is None else os.path.join(self.root, self.place)  # noqa: PTH118 - see above

    def read_bytes(self) -> bytes:
        """The file's content.

        Raises:
            PhotoRefused: not a regular file, outside `root`, vanished, unreadable, changing, or too large.
        """
        try:
            path = self.path
            if self.root is not None:
                path = os.path.realpath(path, strict=True)
                if not _is_below(path, os.path.realpath(self.root)):
                    raise PhotoRefused("a link that leads outside the folder")
            with open_regular(path) as file:
                size = os.fstat(file.fileno()).st_size
                _check_size(size)
                data = file.read(size + 1)
        except (OSError, RuntimeError, ValueError) as error:
            if isinstance(error, PhotoRefused):
                raise
            raise PhotoRefused(reason_of(error)) from error
        if len(data) != size:
            raise PhotoRefused("the file changed while it was read")
        return data


@dataclass(frozen=True, slots=True)
class ZipOrigin:
    """A member of a zip archive, with what the archive's directory says about it.

    Attributes:
        archive: The archive's path or address.
        member: The member's name, for the reader of a record.
        offset: Where its local header starts.
        packed_size: Bytes in the archive.
        size: Bytes after unpacking; a member that unpacks to more or less is refused.
        checksum: CRC-32 of the unpacked bytes.
        method: `STORED` or `DEFLATED`.
    """

    archive: str
    member: str
    offset: int
    packed_size: int
    size: int
    checksum: int
    method: int

    def read_bytes(self) -> bytes:
        """The member's content; never more than `size` + 1 bytes are unpacked.

        Raises:
            PhotoRefused: the archive vanished or changed, or the member is damaged, too large or not what it says.
        """
        _check_size(self.size)
        _check_size(self.packed_size)
        try:
            if is_address(self.archive):
                packed = self._read_packed(partial(read_span, self.archive))
            else:
                with open_regular(Path(self.archive)) as file:
                    packed = self._read_packed(partial(_read_at, file))
        except OSError as error:
            raise PhotoRefused(f"archive: {reason_of(error)}") from error
        data = self._unpack(packed)
        if len(data) != self.size:
            raise PhotoRefused("the zip member does not have the size that the archive states")
        if zlib.crc32(data) != self.checksum:
            raise PhotoRefused("damaged zip member: wrong checksum")
        return data

    def _read_packed(self, read: Callable[[int, int], bytes]) -> bytes:
        header = read(self.offset, _LOCAL_HEADER_SIZE)
        if len(header) < _LOCAL_HEADER_SIZE or not header.startswith(_LOCAL_HEADER):
            raise PhotoRefused("damaged zip member")
        extra = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        return read(self.offset + _LOCAL_HEADER_SIZE + extra, self.packed_size)

    def _unpack(self, packed: bytes) -> bytes:
        if self.method == STORED:
            return packed
        try:
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, self.size + 1)
        except zlib.error as error:
            raise PhotoRefused("damaged zip member") from error


@dataclass(frozen=True, slots=True)
class ArrayOrigin:
    """A photo that was never encoded: its pixels, given as a PGM or PPM file so that it passes the one image door.

    Attributes:
        pixels: uint8 samples in row order, `height * width * channels` bytes.
        height: Rows.
        width: Columns.
        channels: 1 grey or 3 RGB.
    """

    pixels: bytes
    height: int
    width: int
    channels: int = 1

    def read_bytes(self) -> bytes:
        """The same bytes each time."""
        shape = (self.height, self.width) if self.channels == 1 else (self.height, self.width, self.channels)
        return write_netpbm(np.frombuffer(self.pixels, np.uint8).reshape(shape))


@dataclass(frozen=True, slots=True)
class BytesOrigin:
    """A photo whose encoded bytes are in memory: they were received, or had to be hashed first.

    Attributes:
        data: The encoded file, whole.
    """

    data: bytes

    def read_bytes(self) -> bytes:
        """The same bytes each time."""
        return self.data


def from_anywhere(origin: Origin) -> Origin:
    """The same place, whatever the working folder of the process that reads it."""
    if isinstance(origin, FileOrigin):
        return replace(origin, place=str(Path(origin.path).absolute()))
    if isinstance(origin, ZipOrigin) and not is_address(origin.archive):
        return replace(origin, archive=str(Path(origin.archive).absolute()))
    return origin


def require_reach(origin: Origin) -> None:
    """Make sure that this machine sees the folder or the archive of a photo, before the photo is called missing.

    Raises:
        RunError: it does not.
    """
    if isinstance(origin, FileOrigin):
        place = Path(origin.path).parent
    elif isinstance(origin, ZipOrigin) and not is_address(origin.archive):
        place = Path(origin.archive)
    else:
        return
    if not place.exists():
        raise RunError(
            f'The machine {socket.gethostname()} does not see "{place}".',
            hint="Put the photos in a folder that every machine sees under this path, or give an address (s3://...).",
        )


def open_regular(path: str | Path) -> BinaryIO:
    """The file opened for reading, after and before making sure that it is a regular one.

    Raises:
        PhotoRefused: a folder, pipe, socket or device.
        OSError: it cannot be opened.
    """
    _check_regular(os.stat(path))  # noqa: PTH116 - see above
    file = os.fdopen(os.open(path, _OPEN_FLAGS), "rb")
    try:
        _check_regular(os.fstat(file.fileno()))
    except PhotoRefused:
        file.close()
        raise
    return file


def reason_of(error: Exception) -> str:
    """A short phrase for what the system said about a file."""
    if isinstance(error, OSError):
        return _REASONS.get(error.errno or 0, f"not readable: {error.strerror or error}")
    # Path.resolve tells a link loop by RuntimeError before Python 3.13; ValueError is a name with a zero byte.
    return _REASONS[errno.ELOOP] if isinstance(error, RuntimeError) else "not a valid file name"


def _is_below(path: str, folder: str) -> bool:
    """True where a path lies in a folder; both real and absolute."""
    path, folder = os.path.normcase(path), os.path.normcase(folder)
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _read_at(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length)


def _check_regular(status: os.stat_result) -> None:
    for is_kind, name in _KINDS:
        if is_kind(status.st_mode):
            raise PhotoRefused(f"{name}, not a file")


def _check_size(size: int) -> None:
    if size > DEFAULT_LIMITS.max_bytes:
        raise PhotoRefused(f"{size / 1e6:,.0f} MB is over the limit of {DEFAULT_LIMITS.max_bytes / 1e6:,.0f} MB")
