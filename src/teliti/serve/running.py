"""From a command to a listening service and back: address, token, signals, an orderly end."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teliti.errors import UserError
from teliti.runtime import default_threads, is_loopback, require
from teliti.types import Record

if TYPE_CHECKING:
    import uvicorn

    from teliti.journal.store import Journal
    from teliti.serve.guard import GuardOptions
    from teliti.serve.service import Service
    from teliti.sessions import EngineWish

TOKEN_VARIABLE = "TELITI_TOKEN"  # noqa: S105 - a variable's name
LOG = logging.getLogger("teliti.serve")
_SHORTEST_TOKEN, _LONGEST_TOKEN = 16, 512
_MOST_WORKERS = 8
_DRAIN_S = 8
_SLOW_S, _LOOK_S, _KEEP_ALIVE_S = 15.0, 1.0, 20


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How the service is reached, and what computes.

    Attributes:
        host: The address to listen at.
        port: 0 takes a free one.
        token_file: Holds the token; unset: the variable TELITI_TOKEN, or a random one on loop-back.
        allow_hosts: Further host names that requests may use.
        max_waiting: Requests in hand; more are told to come again.
        engine: What computes; see `Inspector`.
        photos_per_call: How many photos that wait go through the network together at most; None: as is fastest here.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token_file: Path | None = None
    allow_hosts: Sequence[str] = field(default_factory=tuple)
    max_waiting: int = 128
    engine: EngineWish = "auto"
    photos_per_call: int | None = None


def serve(
    folders: Mapping[str, Path],
    *,
    journal: Callable[[], Journal] | None,
    options: ServeOptions | None = None,
    on_ready: Callable[[Record], None] = lambda record: None,  # noqa: ARG005
) -> None:
    """Serve bundles until SIGTERM; what is in hand then is answered.

    Args:
        folders: Bundle by name; the first is the default.
        journal: Opens the journal that keeps every verdict; None keeps none.
        options: How it is reached.
        on_ready: Told {"schema", "url", "token", "models", "journal"} when it listens; `token` is null unless it was
            made for this run.

    Raises:
        UserError: the address is taken or needs a token; a bundle or the token cannot be used.
        RunError: a bundle fails its self-test.
        StorageError: the journal cannot be written.
        MissingExtraError: the web libraries are not installed.
    """
    for library in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        require(library, extra="serve", purpose="answer requests")
    options = options or ServeOptions()
    token, is_random = choose_token(options)
    listener = _listen(options.host, options.port)
    try:
        _serve(folders, journal, options=options, listener=listener, token=(token, is_random), on_ready=on_ready)
    finally:
        listener.close()


def choose_token(options: ServeOptions) -> tuple[str, bool]:
    """The token, and whether it was made up for this run.

    Raises:
        UserError: an address that others reach without a token, an unreadable file, a weak token.
    """
    given = os.environ.get(TOKEN_VARIABLE)
    where = f"the variable {TOKEN_VARIABLE}"
    if options.token_file is not None:
        where = f'"{options.token_file}"'
        try:
            given = options.token_file.read_text(encoding="ascii")
        except (OSError, UnicodeError) as error:
            raise UserError(f"The token file {where} cannot be read.", hint="It must be one line of ASCII.") from error
    if given is None:
        if not is_loopback(options.host):
            raise UserError(
                f"--host {options.host} is reached from other machines, so a token must be given.",
                hint=f"Give --token-file FILE or the variable {TOKEN_VARIABLE}; `openssl rand -hex 32` makes one.",
            )
        return secrets.token_urlsafe(32), True
    token = given.strip()
    if not _SHORTEST_TOKEN <= len(token) <= _LONGEST_TOKEN or not token.isascii() or not token.isprintable():
        raise UserError(
            f"The token in {where} must have {_SHORTEST_TOKEN} to {_LONGEST_TOKEN} printable ASCII characters.",
            hint="`openssl rand -hex 32` makes one.",
        )
    return token, False


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise UserError(f"--port must be 0 to 65535, got {port}.", hint="0 takes a free one.")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=1024)
    except (OSError, UnicodeError) as error:
        said = getattr(error, "strerror", None) or "no such address"
        raise UserError(
            f"The service cannot listen at {host}:{port}: {said}.", hint="Choose another --port; 0 takes a free one."
        ) from error


def _serve(
    folders: Mapping[str, Path],
    journal: Callable[[], Journal] | None,
    *,
    options: ServeOptions,
    listener: socket.socket,
    token: tuple[str, bool],
    on_ready: Callable[[Record], None],
) -> None:
    from teliti.serve.models import Computing, Models
    from teliti.serve.service import Service, ServiceLimits

    workers = min(default_threads(), _MOST_WORKERS)
    models = Models(folders, computing=Computing(options.engine, options.photos_per_call, threads=workers))
    opened = None if journal is None else journal()
    try:
        service = Service(
            models,
            journal=opened,
            limits=ServiceLimits(max_waiting=options.max_waiting),
            workers=workers,
        )
        ready = {
            "schema": 1,
            "url": _url(listener),
            "token": token[0] if token[1] else None,
            "models": models.to_record()["models"],
            "journal": None if opened is None else opened.shown,
        }
        try:
            server = _make_server(service, _guard(options, token[0]))
            with _signals(service):
                asyncio.run(_run(server, listener, lambda: on_ready(ready)))
        finally:
            service.close()
    finally:
        if opened is not None:
            opened.close()


def _guard(options: ServeOptions, token: str) -> GuardOptions:
    from teliti.serve.guard import LOCAL_NAMES, GuardOptions

    names = {*LOCAL_NAMES, options.host, *options.allow_hosts}
    return GuardOptions(token, names=names, any_address=not is_loopback(options.host))


def _make_server(service: Service, guard: GuardOptions) -> uvicorn.Server:
    import uvicorn

    from teliti.serve.app import build_app
    from teliti.serve.guard import HEADER_BYTES

    config = uvicorn.Config(
        build_app(service, guard),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # whoever sends X-Forwarded-For must not become loop-back by it
        h11_max_incomplete_event_size=HEADER_BYTES,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_DRAIN_S,
    )
    return uvicorn.Server(config)


async def _run(server: uvicorn.Server, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    watching = asyncio.create_task(_cut_slow(server))
    gc.collect()
    try:
        gc.freeze()  # what the service consists of stays: a search through all of it would hold answers up for 0.1 s
        if server.started:
            on_ready()
        await serving
    finally:
        watching.cancel()
        gc.unfreeze()


async def _cut_slow(server: uvicorn.Server) -> None:
    """Cut connections that send no whole header or take no answer for long: uvicorn has no time limit for either."""
    since: dict[Any, float] = {}
    while True:
        await asyncio.sleep(_LOOK_S)
        now = time.monotonic()
        slow = [one for one in server.server_state.connections if _is_idle(one) or _is_unread(one)]
        since = {one: since.get(one, now) for one in slow}
        for one in [one for one, began in since.items() if now - began > _SLOW_S]:
            one.transport.abort()  # whoever takes nothing would hold up an orderly end for ever


def _is_unread(connection: Any) -> bool:
    """True while a part of an answer waits for its reader, also when everything else is over."""
    return bool(connection.transport.get_write_buffer_size())


def _is_idle(connection: Any) -> bool:
    """True while a header is awaited that no other limit is on."""
    cycle = connection.cycle
    return (cycle is None or cycle.response_complete) and connection.timeout_keep_alive_task is None


@contextmanager
def _signals(service: Service) -> Iterator[None]:
    """SIGTERM ends the service in order and with exit code 0; SIGHUP opens every bundle anew."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: None)}  # uvicorn's own while it serves
    if hasattr(signal, "SIGHUP"):
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: _reload(service))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _reload(service: Service) -> None:
    async def reload() -> None:
        for served in service.models.all():
            try:
                await service.reload(served.name)
            except Exception:
                LOG.exception("model %s was not exchanged", served.name)

    asyncio.get_running_loop().create_task(reload())


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
