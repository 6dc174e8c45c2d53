"""Uploads are decoded in child processes: a photo that crashes, hangs or bloats a codec ends its child alone.

Over the pipes: the child writes `READY` once; then for each photo `REQUEST` (its size) and the bytes go in, `ANSWER`
(a kind, a size) and the payload come out. No pickle: pixels travel as a PGM or PPM file, reasons as UTF-8.
"""

from __future__ import annotations

import os
import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from teliti.errors import PhotoRefused, RunError

READY = b"R"
REQUEST, ANSWER = struct.Struct(">Q"), struct.Struct(">BQ")
PIXELS, REFUSED = 0, 1
_START_S = 10.0
_HEADER_BYTES = 64  # of the PGM or PPM file
_LONGEST_REASON = 4096
_ONE_THREAD = {"OPENCV_FOR_THREADS_NUM": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class DecoderLimits:
    """What one photo may cost.

    Attributes:
        max_bytes: Its encoded size.
        max_pixels: Height times width.
        seconds: Wall time of decoding.
        memory_bytes: Memory of decoding.
    """

    max_bytes: int = 32 * 1024**2
    max_pixels: int = 50_000_000
    seconds: float = 5.0
    memory_bytes: int = 1024**3


class Decoder:
    """One child process, started anew when it has died. For one thread at a time; `close` from any.

    Args:
        limits: What one photo may cost.
        command: The program to run instead of our child.
    """

    def __init__(self, limits: DecoderLimits, *, command: Sequence[str] | None = None) -> None:
        self._limits = limits
        own = [sys.executable, "-P", "-m", "teliti.serve.decoder_child"]
        words = (limits.max_bytes, limits.max_pixels, limits.memory_bytes)
        self._command = [*(command or own), *map(str, words)]
        self._is_closed = False
        self._is_ready = False
        self._process: subprocess.Popen[bytes] | None = None
        with suppress(RunError):  # told at the first photo
            self._start()

    @property
    def pid(self) -> int | None:
        """The child's process id; None when there is none."""
        return None if self._process is None else self._process.pid

    def decode(self, data: bytes) -> bytes:
        """The photo as PGM or PPM.

        Raises:
            PhotoRefused: it cannot be used, or the child did not survive it.
            RunError: no child can be started.
        """
        if len(data) > self._limits.max_bytes:
            raise PhotoRefused(f"{len(data) / 1e6:,.1f} MB is over the limit of {self._limits.max_bytes / 1e6:,.1f} MB")
        process = self._running()
        with _killed_after(process, self._limits.seconds) as is_late:
            try:
                kind, payload = self._ask(process, data)
            except (OSError, EOFError) as error:
                self._restart()
                if is_late.is_set():
                    raise PhotoRefused(f"decoding it took longer than {self._limits.seconds:g} s") from error
                raise PhotoRefused("the decoder did not survive it: damaged, or made to do harm") from error
        if kind != PIXELS:
            raise PhotoRefused(payload.decode("utf-8", "replace"))
        return payload

    def close(self) -> None:
        """End the child."""
        self._is_closed = True
        self._end()

    def _ask(self, process: subprocess.Popen[bytes], data: bytes) -> tuple[int, bytes]:
        pipe_in, pipe_out = _pipes(process)
        pipe_in.write(REQUEST.pack(len(data)))
        pipe_in.write(data)
        pipe_in.flush()
        kind, size = ANSWER.unpack(_read(pipe_out, ANSWER.size))
        if size > (3 * self._limits.max_pixels + _HEADER_BYTES if kind == PIXELS else _LONGEST_REASON):
            raise EOFError("an answer of impossible size")
        return kind, _read(pipe_out, size)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._start()
        process = self._process
        if process is None:
            raise _cannot_start()
        if not self._is_ready:
            with _killed_after(process, _START_S):
                try:
                    self._is_ready = _read(_pipes(process)[1], len(READY)) == READY
                except (OSError, EOFError):
                    self._is_ready = False
            if not self._is_ready:
                self._end()
                raise _cannot_start()
        return process

    def _restart(self) -> None:
        self._end()
        with suppress(RunError):  # told at the next photo
            self._start()

    def _start(self) -> None:
        """Start a child without waiting until it is ready."""
        self._is_ready = False
        if self._is_closed:
            raise _cannot_start()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                self._command,
                env=_surroundings(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise _cannot_start() from error

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in _pipes(process):
            with suppress(OSError):  # what was not written has no reader any more
                pipe.close()


class Decoders:
    """Several children for several threads.

    Args:
        count: How many.
        limits: What one photo may cost.
        command: The program to run instead of our child.
    """

    def __init__(self, count: int, *, limits: DecoderLimits, command: Sequence[str] | None = None) -> None:
        self.all = tuple(Decoder(limits, command=command) for _ in range(count))
        self._free: queue.LifoQueue[Decoder] = queue.LifoQueue()
        for decoder in self.all:
            self._free.put(decoder)

    def decode(self, data: bytes, *, wait_s: float | None = None) -> bytes:
        """The photo as PGM or PPM, by the next child that is free.

        Raises:
            PhotoRefused: it cannot be used.
            RunError: no child can be started, or none was free in time.
        """
        try:
            decoder = self._free.get(timeout=wait_s)
        except queue.Empty as error:
            raise RunError("Every photo decoder is busy.", hint="Send fewer photos at once.") from error
        try:
            return decoder.decode(data)
        finally:
            self._free.put(decoder)

    def close(self) -> None:
        """End every child."""
        for decoder in self.all:
            decoder.close()


@contextmanager
def _killed_after(process: subprocess.Popen[bytes], seconds: float) -> Iterator[threading.Event]:
    """Kill the process when the block takes longer; the event says that it did."""
    is_late = threading.Event()

    def kill() -> None:
        is_late.set()
        process.kill()

    timer = threading.Timer(seconds, kill)
    timer.daemon = True
    timer.start()
    try:
        yield is_late
    finally:
        timer.cancel()


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise EOFError("no pipes")
    return process.stdin, process.stdout


def _read(pipe: IO[bytes], size: int) -> bytes:
    data = pipe.read(size)
    if len(data) != size:
        raise EOFError("the child ended")
    return data


def _surroundings() -> dict[str, str]:
    """The environment without our own variables: among them are the token and the journal's address."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TELITI_")} | _ONE_THREAD


def _cannot_start() -> RunError:
    return RunError("The photo decoder cannot be started.", hint="Nothing was passed. Start the service anew.")
