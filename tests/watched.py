"""A line for tests: a camera that drops photos in every way there is, and `teliti watch` as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from parts import encode_png

SOURCE = Path(__file__).parents[1] / "src"


def part_photo(number: int) -> bytes:
    """A photo that no other number has; every third is bright, which is a reject."""
    noise = np.random.default_rng(number).integers(0, 40, (8, 8, 3))
    return encode_png((noise + (200 if number % 3 == 0 else 20)).astype(np.uint8))


def expected_verdict(number: int) -> str:
    """What the bundle of `handmade` says of that photo."""
    return "reject" if number % 3 == 0 else "pass"


def part_name(number: int) -> str:
    return f"part-{number:05d}.png"


def drop_photo(folder: Path, number: int, *, pause_s: float) -> None:
    """Drop a photo as cameras do: at once, renamed into place, or half of it first and the rest later."""
    data, path = part_photo(number), folder / part_name(number)
    if number % 4 == 0:
        path.write_bytes(data)
    elif number % 4 == 1:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            time.sleep(pause_s)
            file.write(data[len(data) // 2 :])
    else:
        hidden = path.with_suffix(".png.part")
        hidden.write_bytes(data)
        hidden.rename(path)


def start_watch(*words: str | Path, **environment: str) -> subprocess.Popen[str]:
    """`teliti watch` with these words, by ONNX Runtime; its streams are the caller's to read."""
    return subprocess.Popen(
        [sys.executable, "-m", "teliti", "watch", "--engine", "onnxruntime", *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(SOURCE), **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_until(is_so: Callable[[], bool], *, seconds: float, process: subprocess.Popen[str] | None = None) -> None:
    """Wait, at most so long, and no longer than the process lives."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if process is not None and process.poll() is not None:
            raise AssertionError(f"the watch ended with {process.returncode}: {process.communicate()[1]}")
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def photos_in(folders: Sequence[Path]) -> int:
    """How many finished photos lie there."""
    return sum(1 for folder in folders if folder.is_dir() for path in folder.iterdir() if path.name[0] != ".")
