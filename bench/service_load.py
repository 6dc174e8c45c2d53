"""Clients for a service under load: one event loop, raw HTTP, so that the clients cost little beside the service.

`ask_at_once` keeps a number of clients busy (closed loop); `ask_at_rate` sends at a rate whatever comes back (open
loop), each request on a connection of its own; `ask_in_halves` holds requests in hand.
Every answer is checked to be the answer to its request: it must have the serial number and the SHA-256 of the photo
that was sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        status: 0 where the connection was cut without one.
        seconds: From before connecting, or from sending on a connection that is kept, to the last byte.
        is_own: True when it names the serial number and the hash of its request; a 503 names none.
        says_why: True when it gives a reason: for its photo, or for the request.
        says_when: True when it says after how many seconds to come again (`Retry-After`).
    """

    status: int
    seconds: float
    is_own: bool = False
    says_why: bool = False
    says_when: bool = False


@dataclass(frozen=True)
class Target:
    """A service to ask.

    Attributes:
        port: Of the loop-back address.
        token: That it wants.
    """

    port: int
    token: str


def ask_at_once(target: Target, photos: Sequence[bytes], *, requests: int, clients: int) -> list[Answer]:
    """So many requests by so many clients at once; every other client keeps its connection."""
    return asyncio.run(_at_once(target, photos, requests=requests, clients=clients))


def ask_at_rate(target: Target, photos: Sequence[bytes], *, rate: float, seconds: float) -> list[Answer]:
    """So many requests a second for so long, sent on time whatever is answered."""
    return asyncio.run(_at_rate(target, photos, rate=rate, seconds=seconds))


def ask_in_halves(
    target: Target, photos: Sequence[bytes], *, requests: int, half_sent: threading.Event, pause_s: float = 0.5
) -> list[Answer]:
    """So many requests at once, each sent in two halves; the event is set between them."""

    async def between() -> None:
        await asyncio.sleep(pause_s)  # for the service to take the first halves
        half_sent.set()
        await asyncio.sleep(pause_s)

    return asyncio.run(_in_halves(target, photos, requests=requests, between=between))


async def _in_halves(
    target: Target, photos: Sequence[bytes], *, requests: int, between: Callable[[], Awaitable[None]]
) -> list[Answer]:
    connections = [await asyncio.open_connection("127.0.0.1", target.port) for _ in range(requests)]
    wanted = [(number, photos[number % len(photos)]) for number in range(requests)]
    raw = [_request(target, number, photo) for number, photo in wanted]
    for (_, writer), data in zip(connections, raw, strict=True):
        writer.write(data[: len(data) // 2])
    await between()
    began = time.perf_counter()
    for (_, writer), data in zip(connections, raw, strict=True):
        writer.write(data[len(data) // 2 :])
    answers = [
        _answer(reader, number, photo, began=began)
        for (reader, _), (number, photo) in zip(connections, wanted, strict=True)
    ]
    return await asyncio.gather(*answers)


async def _at_once(target: Target, photos: Sequence[bytes], *, requests: int, clients: int) -> list[Answer]:
    numbers = iter(range(requests))
    answers: list[Answer] = []

    async def client(keeps: bool) -> None:
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        for number in numbers:
            began = time.perf_counter()
            connection = connection or await asyncio.open_connection("127.0.0.1", target.port)
            photo = photos[number % len(photos)]
            connection[1].write(_request(target, number, photo))
            answers.append(await _answer(connection[0], number, photo, began=began))
            if not keeps or answers[-1].status == 0:
                connection[1].close()
                connection = None
        if connection is not None:
            connection[1].close()

    await asyncio.gather(*(client(one % 2 == 0) for one in range(clients)))
    return answers


async def _at_rate(target: Target, photos: Sequence[bytes], *, rate: float, seconds: float) -> list[Answer]:
    began = time.perf_counter()
    asking = []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        asking.append(asyncio.create_task(_ask_once(target, photos[number % len(photos)], number)))
    return await asyncio.gather(*asking)


async def _ask_once(target: Target, photo: bytes, number: int) -> Answer:
    began = time.perf_counter()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    except OSError:
        return Answer(0, time.perf_counter() - began)
    writer.write(_request(target, number, photo))
    try:
        return await _answer(reader, number, photo, began=began)
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader, number: int, photo: bytes, *, began: float) -> Answer:
    try:
        head, body = await _read(reader)
    except (OSError, asyncio.IncompleteReadError):
        return Answer(0, time.perf_counter() - began)
    seconds = time.perf_counter() - began
    document: dict[str, Any] = json.loads(body)
    photos = document.get("photos", [])
    own = (str(number), hashlib.sha256(photo).hexdigest())
    return Answer(
        int(head.split()[1]),
        seconds,
        is_own=[(one["serial"], one["photo_hash"]) for one in photos] == [own],
        says_why=all(one["reasons"] for one in photos) if photos else bool(document.get("error", {}).get("message")),
        says_when=_header(head, "retry-after").isdigit(),
    )


async def _read(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """The head of an answer in lower case, and its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    return head, await reader.readexactly(int(_header(head, "content-length")))


def _header(head: str, name: str) -> str:
    """Its value; empty where there is none."""
    return head.partition(f"\r\n{name}:")[2].partition("\r\n")[0].strip()


def _request(target: Target, number: int, photo: bytes) -> bytes:
    head = (
        f"POST /v1/predict?serial={number} HTTP/1.1\r\nHost: 127.0.0.1:{target.port}\r\n"
        f"Authorization: Bearer {target.token}\r\nContent-Length: {len(photo)}\r\n\r\n"
    )
    return head.encode("ascii") + photo
