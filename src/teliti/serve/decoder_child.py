"""The child process that decodes uploads: `python -m teliti.serve.decoder_child MAX_BYTES MAX_PIXELS MEMORY`.

A photo from outside meets image codecs here and nowhere else. The child may not write files, start processes or take
more memory than it is given; when a codec brings it down, only this process ends. It ends by itself when its parent
does. What goes over the pipes stands in `teliti.serve.decoder`.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import BinaryIO

from teliti.errors import PhotoRefused
from teliti.serve.decoder import ANSWER, PIXELS, READY, REFUSED, REQUEST
from teliti.serve.pace import give_way
from teliti.workflow.uncompressed import uncompress_photo

_DOT = b"P5\n1 1\n255\n0"
_FILES = 64


def main(words: list[str]) -> int:
    """Decode what comes in until the pipe closes."""
    max_bytes, max_pixels, memory_bytes = map(int, words)
    for number in (signal.SIGINT, signal.SIGTERM):  # they reach the whole group; the parent drains and closes the pipe
        signal.signal(number, signal.SIG_IGN)
    requests, answers = _take_pipes()
    uncompress_photo(_DOT, max_bytes=max_bytes, max_pixels=max_pixels)
    limit_process(memory_bytes)
    give_way()
    answers.write(READY)
    answers.flush()
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        (size,) = REQUEST.unpack(head)
        data = requests.read(size)
        try:
            kind, payload = PIXELS, uncompress_photo(data, max_bytes=max_bytes, max_pixels=max_pixels)
        except PhotoRefused as refusal:
            kind, payload = REFUSED, refusal.reason.encode("utf-8", "replace")
        except MemoryError:
            kind, payload = REFUSED, b"decoding it takes more memory than one photo may have"
        answers.write(ANSWER.pack(kind, len(payload)))
        answers.write(payload)
        answers.flush()
    return 0


def limit_process(memory_bytes: int) -> None:
    """Take away what decoding does not need; on systems without such limits nothing happens.

    Args:
        memory_bytes: Address space beyond what is taken already.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_NOFILE: _FILES}
    if hasattr(resource, "RLIMIT_NPROC"):
        limits[resource.RLIMIT_NPROC] = 0
    if (taken := _address_space()) is not None:
        limits[resource.RLIMIT_AS] = taken + memory_bytes
    for limit, wanted in limits.items():
        _, hard = resource.getrlimit(limit)
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(limit, (value, value))


def _address_space() -> int | None:
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The two pipes, out of reach of a library that prints."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    return requests, answers


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
