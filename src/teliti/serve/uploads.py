"""From a request to its photos: one raw body, or the files of the multipart field `photos`. Bounded in every way.

A body must say its length: one that does not could cost much to read before it is known to be too large.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import PurePosixPath

from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from teliti.serve.problems import RequestError
from teliti.serve.service import ServiceLimits
from teliti.workflow.inspection import Photo

FIELD = "photos"
_MULTIPART = "multipart/form-data"
_RAW = ("image/", "application/octet-stream")
_OTHER_FIELDS = 4
_FIELD_BYTES = 4096
_LONGEST_NAME = 255
_HOW = f"Send the photo as the body, Content-Type image/png or the like, or photos as the multipart field `{FIELD}`."


def body_size(request: Request, limits: ServiceLimits) -> int:
    """How long the body says it is, before it is read.

    Raises:
        RequestError: compressed, of unsaid length, or too long.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestError(415, "The body must not be compressed as a whole.", hint="Photos are compressed already.")
    said = request.headers.get("content-length", "")
    if not (said.isascii() and said.isdigit()):
        raise RequestError(400, "The request must say Content-Length.", hint="Send the body whole, not in chunks.")
    if len(said) > 18 or int(said) > limits.max_body_bytes:
        most = limits.max_body_bytes / 1e6
        raise RequestError(413, f"The body must be at most {most:g} MB.", hint="Send fewer or smaller photos at once.")
    return int(said)


async def read_photos(
    request: Request, limits: ServiceLimits, *, name: str | None = None, serial: str | None = None
) -> list[Photo]:
    """The photos of a request, in order.

    Args:
        request: Its body was not read.
        limits: How much may come, and how slowly.
        name: Of a raw photo.
        serial: Serial number of the part; unset: the name without its ending.

    Raises:
        RequestError: not of a form that is understood, too much, or too slow.
    """
    kind = request.headers.get("content-type", "application/octet-stream").partition(";")[0].strip().lower()
    if kind != _MULTIPART and not kind.startswith(_RAW):
        raise RequestError(415, "The body must be a photo or multipart/form-data.", hint=_HOW)
    body = await _read_body(request, limits)
    if kind == _MULTIPART:
        return [_photo(given, data, serial) for given, data in await _parse(request, body, limits)]
    if not body:
        raise RequestError(400, "The request must have a photo, got an empty body.", hint=_HOW)
    return [_photo(name, body, serial)]


async def _read_body(request: Request, limits: ServiceLimits) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_s):
            async for part in request.stream():
                body += part
    except TimeoutError as error:
        raise RequestError(
            408, f"The body must arrive within {limits.body_s:g} s.", headers={"Connection": "close"}
        ) from error
    except ClientDisconnect as error:
        raise RequestError(400, "The body ended too soon.") from error
    return bytes(body)


async def _parse(request: Request, body: bytes, limits: ServiceLimits) -> list[tuple[str | None, bytes]]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body
        yield b""

    parser = MultiPartParser(
        request.headers,
        stream(),
        max_files=limits.max_photos,
        max_fields=_OTHER_FIELDS,
        max_part_size=_FIELD_BYTES,
    )
    parser.spool_max_size = limits.max_body_bytes + 1  # in memory: nothing of a photo comes to the disk
    try:
        form = await parser.parse()
    except (MultiPartException, FormParserError, UnicodeError) as error:
        raise RequestError(
            400,
            f"The form must have at most {limits.max_photos} photos and be whole.",
            hint=_HOW,
        ) from error
    return await _files(form)


async def _files(form: FormData) -> list[tuple[str | None, bytes]]:
    try:
        files = form.getlist(FIELD)
        found = [(one.filename, await one.read()) for one in files if isinstance(one, UploadFile)]
    finally:
        await form.close()
    if not found or len(found) != len(files):
        raise RequestError(400, f"The form must have files in the field `{FIELD}`.", hint=_HOW)
    return found


def _photo(name: str | None, data: bytes, serial: str | None) -> Photo:
    """A photo under the last part of its name, which is shown and kept and never opened."""
    given = PurePosixPath((name or "").replace("\\", "/")).name or "photo"
    for what, text in (("A photo's name", given), ("A serial number", serial or "")):
        if len(text) > _LONGEST_NAME:
            raise RequestError(400, f"{what} must have at most {_LONGEST_NAME} characters, got {len(text):,}.")
    return Photo(given, data, serial or (PurePosixPath(given).stem if name else None))
