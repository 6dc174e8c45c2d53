"""Receivers of verdicts for tests, on the loop-back address: a web server and a small MQTT broker."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hook(ThreadingHTTPServer):
    """A web server that keeps what is posted; `answers` are given first, then 204."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _HookHandler)
        self.posted: list[dict] = []
        self.keys: list[str] = []
        self.answers: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/verdicts?token=secret"


class _HookHandler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = self.server.answers.pop(0) if self.server.answers else 204
        if answer == 204:
            self.server.posted.append(body)
            self.server.keys.append(self.headers["Idempotency-Key"])
        self.send_response(answer)
        if answer == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        raise AssertionError("a redirection was followed")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running_hook() -> Iterator[Hook]:
    with Hook() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class Broker:
    """As much of MQTT 3.1.1 as a publisher with quality of service 1 needs; one client at a time."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self.published: list[tuple[str, dict]] = []
        self.logins: list[bytes] = []
        self.is_silent = False

    @property
    def port(self) -> int:
        return self._socket.getsockname()[1]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with client, client.makefile("rb") as stream, suppress(OSError):
                self._answer(client, stream)

    def _answer(self, client: socket.socket, stream) -> None:
        while head := stream.read(1):
            kind, body = head[0] >> 4, stream.read(_length(stream))
            if kind == 1:  # CONNECT
                self.logins.append(body)
                client.sendall(b"\x20\x02\x00\x00")
            elif kind == 3:  # PUBLISH
                size = int.from_bytes(body[:2], "big")
                topic, number, payload = body[2 : 2 + size], body[2 + size : 4 + size], body[4 + size :]
                assert (head[0] >> 1) & 3 == 1, "quality of service 1"
                if not self.is_silent:
                    self.published.append((topic.decode(), json.loads(payload)))
                    client.sendall(b"\x40\x02" + number)
            elif kind == 12:  # PINGREQ
                client.sendall(b"\xd0\x00")
            elif kind == 14:  # DISCONNECT
                return


def _length(stream) -> int:
    value = shift = 0
    while True:
        byte = stream.read(1)[0]
        value |= (byte & 127) << shift
        if byte < 128:
            return value
        shift += 7


@contextmanager
def running_broker() -> Iterator[Broker]:
    broker = Broker()
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
