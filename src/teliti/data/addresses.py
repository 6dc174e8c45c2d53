"""Photos behind an address such as `s3://bucket/photos`: an object store, or whatever else fsspec reads.

A folder there is a listing like one on disk, so that all layouts work. Nothing is copied: each machine reads the photos
that it needs. The credentials are those that the store's own library finds on each machine.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from teliti.data.limits import DEFAULT_LIMITS
from teliti.data.listing import Listing, is_hidden_name
from teliti.errors import CatalogError, MissingExtraError, PhotoRefused
from teliti.runtime import require
from teliti.types import Origin

_SEPARATOR = "://"
_MOST_BYTES = DEFAULT_LIMITS.max_bytes


def is_address(source: str) -> bool:
    """True for `protocol://place`, which no path is taken for."""
    protocol, found, _ = source.partition(_SEPARATOR)
    return bool(found) and protocol.replace("+", "").replace("::", "").isalnum()


@dataclass(frozen=True, slots=True)
class AddressOrigin:
    """One file of an object store.

    Attributes:
        address: In full.
    """

    address: str

    def read_bytes(self) -> bytes:
        """The file's content.

        Raises:
            PhotoRefused: it is gone, too large, or the store does not give it.
        """
        with _refusing():
            system, path = _open(self.address)
            with system.open(path, "rb") as file:
                data: bytes = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise PhotoRefused(f"over the limit of {_MOST_BYTES / 1e6:,.0f} MB")
        return data


def list_address(address: str) -> Listing:
    """Every file below a folder of a store, or the one file at the address under its own name.

    Raises:
        MissingExtraError: fsspec is not installed.
        CatalogError: there is nothing, or the store does not answer.
    """
    address = address.rstrip("/")
    refuse_zip_chain(address)
    try:
        system, root = _open(address)
        found = [str(path) for path in system.find(root)]
    except MissingExtraError:
        raise
    except (ImportError, ValueError) as error:
        raise CatalogError(
            f'"{address}" must be an address that fsspec can open, got {_said(error)}.',
            hint="Install what the store needs, for instance s3fs or gcsfs.",
        ) from error
    except Exception as error:
        raise CatalogError(f'"{address}" could not be listed: {_said(error)}.', hint="Check the address.") from error
    if not found:
        raise CatalogError(f'"{address}" does not exist, or holds no files.', hint="Check the address.")
    root = root.rstrip("/")
    if found == [root]:
        return Listing(address, {posixpath.basename(root): AddressOrigin(address)})
    files: dict[str, Origin] = {}
    for path in sorted(found):
        name = path.removeprefix(f"{root}/")
        if not any(is_hidden_name(part) for part in name.split("/")):
            files[name] = AddressOrigin(f"{address}/{name}")
    tops = sorted({name.split("/")[0] for name in files if "/" in name})
    return Listing(address, files, folders=tuple(tops))


def refuse_zip_chain(address: str) -> None:
    """Refuse fsspec's own way to say "inside this zip", whose reader trusts what an archive says.

    Raises:
        CatalogError: the address is one.
    """
    if address.startswith(("zip://", "zip::")) and "::" in address:
        raise CatalogError(
            f'"{address}" must be the address of the zip archive itself.', hint='Give what stands after "::".'
        )


def open_address(address: str) -> BinaryIO:
    """One file of a store, opened for reading here and there.

    Raises:
        MissingExtraError: fsspec is not installed.
        PhotoRefused: it is gone, or the store does not give it.
    """
    with _refusing():
        system, path = _open(address)
        opened: BinaryIO = system.open(path, "rb")
        return opened


def read_span(address: str, start: int, length: int) -> bytes:
    """Some bytes of a file of a store, and no others; fewer where the file ends.

    Raises:
        MissingExtraError: fsspec is not installed.
        PhotoRefused: it is gone, or the store does not give it.
    """
    with _refusing():
        system, path = _open(address)
        return bytes(system.cat_file(path, start=start, end=start + length))


def version_of(address: str) -> str:
    """Something that changes with the file.

    Raises:
        MissingExtraError: fsspec is not installed.
        PhotoRefused: it is gone, or the store does not answer.
    """
    with _refusing():
        system, path = _open(address)
        return str(system.ukey(path))


def find_beside_address(origin: AddressOrigin, name: str) -> AddressOrigin:
    """The file of a relative name beside one of a store.

    Raises:
        PhotoRefused: the name leads above the store's top.
    """
    protocol, _, place = origin.address.partition(_SEPARATOR)
    beside = posixpath.normpath(f"{PurePosixPath(place).parent}/{name}")
    if beside.startswith(".."):
        raise PhotoRefused(f'"{name}" lies outside the store of the photos')
    return AddressOrigin(f"{protocol}{_SEPARATOR}{beside}")


@contextmanager
def _refusing() -> Iterator[None]:
    """Whatever a store says, as a refusal."""
    try:
        yield
    except (MissingExtraError, PhotoRefused):
        raise
    except FileNotFoundError as error:
        raise PhotoRefused("the file does not exist (any more)") from error
    except Exception as error:
        raise PhotoRefused(f"not readable: {_said(error)}") from error


def _open(address: str) -> tuple[Any, str]:
    fsspec = require("fsspec", extra="cluster", purpose="read photos from an address")
    system, path = fsspec.core.url_to_fs(address)
    return system, str(path)


def _said(error: Exception) -> str:
    words = " ".join(str(error).split())
    return (words or type(error).__name__).rstrip(".")
