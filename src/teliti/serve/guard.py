"""Who may ask: checked for every path and method before the application sees a request.

`Host` must name this service, else another site's name was pointed here (DNS rebinding). `Origin` must be this service,
else another site's page asks in a visitor's browser. Then the token. Every answer gets a request id and headers that
leave a browser no room; every request one line in the log, without token, query or body.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import json
import logging
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from teliti.serve.problems import RequestError, to_document

LOG = logging.getLogger("teliti.serve")
PUBLIC = frozenset({"/", "/page.js", "/page.css", "/healthz", "/readyz", "/openapi.json"})
METRICS = "/metrics"
HEADER_BYTES = 16 * 1024
"""Of address and header lines together; the HTTP parser holds it only while a header is incomplete."""
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _CONTENT_POLICY.encode("ascii")),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-real-ip")
_FREE_GUESSES, _WITHIN_S, _DELAY_S = 10, 60.0, 0.5
_MOST_DELAYED, _MOST_CLIENTS = 64, 1024
_LONGEST_PATH = 200
_NEVER_DROPPED = {b"expect", b"transfer-encoding"}  # a body that waits to be asked for, and one of no known end
_DROP_S, _DROP_BYTES = 5.0, 64 * 1024**2


@dataclass(frozen=True)
class GuardOptions:
    """Who may ask.

    Attributes:
        token: The secret that requests carry.
        names: Host names of this service.
        any_address: Accept every numeric address as a host name: a name can be pointed elsewhere, a number cannot.
    """

    token: str = field(repr=False)
    names: Collection[str] = LOCAL_NAMES
    any_address: bool = False


class Guard:
    """The application behind its checks.

    Args:
        app: Sees only requests that may be answered.
        options: Who may ask.
        on_answer: Told the status of each answer.
        admit: Told the path of a request that has the token; raises RequestError where it is too much now. Asked
            here, a refusal costs half of what it costs behind the application's routes.
    """

    def __init__(
        self,
        app: ASGIApp,
        options: GuardOptions,
        *,
        on_answer: Callable[[int], None],
        admit: Callable[[str], None] = lambda path: None,  # noqa: ARG005
    ) -> None:
        self._app = app
        self._admit = admit
        self._names = {name.lower() for name in options.names}
        self._any_address = options.any_address
        self._token = _digest(options.token.encode("utf-8"))
        self._on_answer = on_answer
        self._guesses = _Guesses()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(receive, send, request_id)
        answer.is_body_read = any(key in _NEVER_DROPPED for key, _ in scope["headers"])
        began = time.perf_counter()
        try:
            await self._answer(scope, answer)
        except Exception:
            LOG.exception("request %s failed", request_id)
            if answer.status is None:
                await _send_problem(RequestError(500, "Something unexpected went wrong."), request_id, answer.send)
        finally:
            self._on_answer(answer.status or 499)  # 499: the client left
            LOG.info(
                "%s %s %s %s %.1f ms",
                request_id, scope["method"], _shown(scope), answer.status, (time.perf_counter() - began) * 1000,
            )  # fmt: skip

    async def _answer(self, scope: Scope, answer: _Answer) -> None:
        try:
            self._check_place(scope)
            await self._check_token(scope)
            self._admit(scope["path"])
        except RequestError as refusal:
            await _send_problem(refusal, answer.request_id, answer.send)
            return
        await self._app(scope, answer.receive, answer.send)

    def _check_place(self, scope: Scope) -> None:
        lines = (len(name) + len(value) for name, value in scope["headers"])
        if len(scope["path"]) + len(scope["query_string"]) + sum(lines) > HEADER_BYTES:
            raise RequestError(431, f"Address and headers must have at most {HEADER_BYTES // 1024} KB.")
        hosts = _values(scope, b"host")
        name = _host_name(hosts[0]) if len(hosts) == 1 else None
        if name is None or not (name in self._names or (self._any_address and _is_address(name))):
            raise RequestError(421, "The Host header must name this service.", hint="`teliti serve --allow-host`.")
        for origin in _values(scope, b"origin"):
            parts = _split(origin)
            if parts is None or parts != _split(f"//{hosts[0]}"):
                raise RequestError(403, "Requests from other sites' pages are not answered.")
        if {"cross-site", "same-site"} & set(_values(scope, b"sec-fetch-site")) and scope["path"] != "/":
            raise RequestError(403, "Requests from other sites' pages are not answered.")

    async def _check_token(self, scope: Scope) -> None:
        path = scope["path"]
        if path in PUBLIC or (path == METRICS and _is_local(scope)):
            return
        given = _values(scope, b"authorization")
        kind, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        if kind.lower() == "bearer" and hmac.compare_digest(_digest(token.strip().encode("latin-1")), self._token):
            return
        if given:
            await self._guesses.slow_down(str((scope.get("client") or ("",))[0]))
        raise RequestError(
            401,
            "The request must carry the service's token.",
            hint="Authorization: Bearer TOKEN; the service prints it at its start, or reads it from --token-file.",
            headers={"WWW-Authenticate": "Bearer"},
        )


class _Guesses:
    """Wrong tokens by client: after a few each one takes its time, and only so many are waiting."""

    def __init__(self) -> None:
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._delayed = 0

    async def slow_down(self, client: str) -> None:
        times = self._times.setdefault(client, deque(maxlen=_FREE_GUESSES))
        self._times.move_to_end(client)
        if len(self._times) > _MOST_CLIENTS:
            self._times.popitem(last=False)
        now = time.monotonic()
        is_guessing = len(times) == _FREE_GUESSES and now - times[0] < _WITHIN_S
        times.append(now)
        if not is_guessing:
            return
        if self._delayed >= _MOST_DELAYED:
            raise RequestError(429, "Too many wrong tokens.", headers={"Retry-After": "60"})
        self._delayed += 1
        try:
            await asyncio.sleep(_DELAY_S)
        finally:
            self._delayed -= 1


class _Answer:
    """Sends an answer with the headers of every answer, and remembers its status.

    An answer that is given before the request's body was read ends when the body has come, for a while: a connection
    that is closed with bytes unread is reset, and a client that is still sending would never see why.
    """

    def __init__(self, receive: Receive, send: Send, request_id: str) -> None:
        self._receive = receive
        self._send = send
        self.request_id = request_id
        self.status: int | None = None
        self.is_body_read = False

    async def receive(self) -> Message:
        message = await self._receive()
        self.is_body_read = self.is_body_read or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = [*_HEADERS, (b"x-request-id", self.request_id.encode("ascii"))]
            message = {**message, "headers": [*message.get("headers", []), *own]}
        is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if is_last and not self.is_body_read:
            await self._send({**message, "more_body": True})
            await self._drop_body()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _drop_body(self) -> None:
        dropped = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(_DROP_S):
                while not self.is_body_read and dropped < _DROP_BYTES:
                    dropped += len((await self.receive()).get("body", b""))


async def _send_problem(refusal: RequestError, request_id: str, send: Send) -> None:
    body = json.dumps(to_document(refusal, request_id=request_id)).encode("ascii")
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **refusal.headers}
    raw = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _digest(data: bytes) -> bytes:
    """Equal lengths for the comparison, so that it tells nothing of the token's."""
    return hashlib.sha256(data).digest()


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _host_name(host: str) -> str | None:
    parts = _split(f"//{host}")
    return None if parts is None else parts[0]


def _split(url: str) -> tuple[str, int | None] | None:
    """Lower-case host name, and port where it is not the scheme's own; None where there is none."""
    try:
        parts = urlsplit(url)
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not name or parts.username is not None or parts.path or parts.query or parts.fragment:
        return None
    return name.lower(), None if port in {80, 443} else port


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_local(scope: Scope) -> bool:
    """True for a client on this machine that does not speak for another one."""
    if any(key in _FORWARDED for key, _ in scope["headers"]):
        return False
    try:
        return ipaddress.ip_address((scope.get("client") or ("",))[0]).is_loopback
    except ValueError:
        return False


def _shown(scope: Scope) -> str:
    return ascii(scope["path"][:_LONGEST_PATH])[1:-1]
