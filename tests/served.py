"""A service for tests: in this process behind a test client, or `teliti serve` as a process of its own."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import onnx
from starlette.testclient import TestClient

from handmade import even_photo, write_brightness_bundle
from parts import encode_png
from teliti.bundle import MANIFEST, MODEL
from teliti.files import sha256_hex
from teliti.journal.store import Journal
from teliti.serve.app import build_app
from teliti.serve.decoder import DecoderLimits
from teliti.serve.guard import GuardOptions
from teliti.serve.models import Computing, Models
from teliti.serve.service import Service, ServiceLimits

SOURCE = Path(__file__).parents[1] / "src"
TOKEN = "a-token-for-tests-0123456789"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
DARK, BRIGHT = encode_png(even_photo(40)), encode_png(even_photo(220))
LIMITS = ServiceLimits(
    photo=DecoderLimits(max_bytes=1_000_000, max_pixels=1_000_000, seconds=5.0),
    max_body_bytes=2_000_000, max_photos=4, body_s=1.0, request_s=12.0,
)  # fmt: skip

EVIL_CHILD = """
import os, signal, sys, time
import teliti.serve.decoder_child as child
real = child.uncompress_photo
def uncompress(data, **limits):
    if data == b"segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if data == b"hang":
        time.sleep(60)
    if data == b"memory":
        bytearray(8 << 30)
    if data.startswith(b"slow"):
        time.sleep(0.3)
        data = data[4:]
    return real(data, **limits)
child.uncompress_photo = uncompress
sys.exit(child.main(sys.argv[1:]))
"""
"""The real child, but for marked files: what a codec with a hole would do, or a large photo."""


@dataclass
class Api:
    """A service in this process."""

    service: Service
    client: TestClient
    journal: Journal | None
    bundle: Path

    def predict(self, data: bytes = DARK, query: str = "", **headers: str):
        return self.client.post(f"/v1/predict{query}", content=data, headers={**AUTHORIZED, **headers})

    def verdicts(self) -> list[tuple[str, str | None]]:
        return [(record["photo"], record["verdict"]) for record in self.journal.records(kind="verdict")]


@contextmanager
def running_api(
    folder: Path,
    *,
    limits: ServiceLimits = LIMITS,
    is_regression: bool = False,
    has_journal: bool = True,
    workers: int = 1,
    decoder_command: list[str] | None = None,
    client: tuple[str, int] = ("127.0.0.1", 50000),
    photos_per_call: int = 1,
) -> Iterator[Api]:
    """A service with one brightness bundle named `line`."""
    bundle = write_brightness_bundle(folder / "line", is_regression=is_regression).path
    journal = Journal(folder / "journal.sqlite") if has_journal else None
    models = Models({"line": bundle}, computing=Computing(photos_per_call=photos_per_call))
    service = Service(models, journal=journal, limits=limits, workers=workers, decoder_command=decoder_command)
    app = build_app(service, GuardOptions(TOKEN))
    try:
        with TestClient(app, base_url="http://127.0.0.1:8000", client=client) as connection:
            yield Api(service, connection, journal, bundle)
    finally:
        service.close()
        if journal is not None:
            journal.close()


def evil_command(folder: Path) -> list[str]:
    """The program of `EVIL_CHILD`."""
    path = folder / "evil_child.py"
    path.write_text(EVIL_CHILD, encoding="utf-8")
    return [sys.executable, str(path)]


def exchange_bundle(bundle: Path, *, threshold: float) -> str:
    """Put another network, of another threshold, in the place of a bundle; its hash."""
    other = write_brightness_bundle(bundle, threshold=threshold)
    model = onnx.load(other.model_path)
    model.doc_string = f"threshold {threshold}"
    data = model.SerializeToString()
    other.model_path.write_bytes(data)
    manifest = json.loads((bundle / MANIFEST).read_text(encoding="utf-8"))
    manifest["files"][MODEL] = sha256_hex(data)
    (bundle / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return sha256_hex(data)


@dataclass
class Running:
    """`teliti serve` as a process."""

    process: subprocess.Popen[str]
    ready: dict
    port: int

    def memory_kb(self) -> int:
        """Resident memory of the service and its decoder children."""
        found = 0
        for pid in self._pids():
            with suppress(FileNotFoundError, ProcessLookupError):  # a decoder that ended meanwhile
                status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
                found += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        return found

    def descriptors(self) -> int:
        """Open files, pipes and connections of the service and its decoder children."""
        found = 0
        for pid in self._pids():
            with suppress(FileNotFoundError, ProcessLookupError):
                found += len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return found

    def _pids(self) -> list[str]:
        pid = str(self.process.pid)
        return [pid, *Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]

    def connect(self, timeout: float = 20) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = self.connect()
        try:
            connection.request(method, path, body, {**AUTHORIZED, **headers})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def send(self, raw: bytes) -> int | None:
        """The status of the answer to these bytes; None where the connection is cut without one."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            try:
                connection.sendall(raw)
                answer = connection.recv(65536)
            except (BrokenPipeError, ConnectionResetError):
                return None
        return int(answer.split()[1]) if answer else None


@contextmanager
def running_service(folder: Path, *words: str, threads: int = 2, **environment: str | None) -> Iterator[Running]:
    """`teliti serve` on a free port; its log is in `folder/log.txt`. Ended if it still lives.

    By ONNX Runtime: its start does not import OpenVINO to ask which of them is faster with a network of ten nodes.
    """
    bundle = folder / "line"
    if not bundle.exists():
        write_brightness_bundle(bundle)
    surroundings = {"PYTHONPATH": str(SOURCE), "TELITI_TOKEN": TOKEN, "TELITI_THREADS": str(threads), **environment}
    known = {name: value for name, value in {**os.environ, **surroundings}.items() if value is not None}
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "teliti", "serve", str(bundle), "--port", "0", "--json",
             "--engine", "onnxruntime", *words],
            env=known, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder,
        )  # fmt: skip
        try:
            line = process.stdout.readline()
            assert line, (folder / "log.txt").read_text(encoding="utf-8")
            ready = json.loads(line)
            yield Running(process, ready, int(ready["url"].rpartition(":")[2]))
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close()
