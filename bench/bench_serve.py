"""The service on a clean machine: size on disk, seconds to the first answer, memory, and what it does under load."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from service_load import Answer, Target, ask_at_once, ask_at_rate, ask_in_halves

import teliti
from teliti.recipe import parse_recipe

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "a-token-for-the-benchmark"  # noqa: S105
STARTS, REQUESTS, AT_ONCE, OVERLOAD_S, IN_FLIGHT = 5, 10_000, 64, 60, 32
PHOTOS, WARM_UP, SMALL = 256, 512, 300
GROWTH_MB, ACCEPTED_S, REFUSED_S, NORMAL_S = 64, 5.0, 0.1, 5.0
SPREAD, SETTLED_S = 20, 2.0


def run() -> dict[str, Any]:
    """One EfficientNet-Lite0 bundle in an environment that holds `teliti[serve]` alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = _write_photos(folder / "photos")
        recipe = parse_recipe({"data": {"image_size": 224, "folds": 0}, "train": {"engine": "onnxruntime"}})
        bundle = Path(teliti.train(str(folder / "photos"), recipe=recipe, out=folder / "run")["bundle"])
        python = _install(folder / "environment")
        size = sum(path.stat().st_size for path in (folder / "environment").rglob("*") if not path.is_symlink())
        starts = [_seconds_to_first_answer(python, bundle, photos[0]) for _ in range(STARTS)]
        rows = [
            _row("installed, base and serve, bytecode included", f"{size / 1e6:.0f} MB", "<= 450 MB"),
            _row(
                "start to first verdict, median and largest",
                f"{statistics.median(starts):.2f} s, {max(starts):.2f} s",
                "<= 4 s",
            ),
            *measure_load(python, bundle, photos),
        ]
    return {
        "name": "The service: size, start, memory, load",
        "about": "An empty environment with the wheel's extra `serve` and the pinned versions; one EfficientNet-Lite0 "
        f"bundle, 300 x 300 JPEG photos, the journal in SQLite. Clients on the same cores. {STARTS} starts; "
        f"{REQUESTS:,} requests from {AT_ONCE} clients, every tenth with a photo that is none, every second client on "
        "one connection, the others on one a request; then three times as many a second as were answered then, for "
        f"{OVERLOAD_S} s, each on a connection of its own; then SIGTERM with {IN_FLIGHT} requests in hand. An answer "
        "is its request's own when it has the serial number and the SHA-256 of the photo that was sent. Memory is the "
        "proportional set size of the service and its decoder children; descriptors are the open files, pipes and "
        "connections of all of them.",
        "rows": rows,
    }


def measure_load(python: Path, bundle: Path, photos: list[bytes]) -> list[dict[str, str]]:
    """What one service does under load, from its start to SIGTERM."""
    process, port = _start(python, bundle)
    target = Target(port, TOKEN)
    try:
        ask_at_once(target, photos, requests=WARM_UP, clients=8)
        before, open_before = _memory_mb(process.pid), _descriptors(process.pid)
        capacity_began = time.perf_counter()
        ask_at_once(target, photos, requests=SMALL, clients=AT_ONCE)
        capacity = SMALL / (time.perf_counter() - capacity_began)
        mixed = _with_bad(photos)
        began = time.perf_counter()
        answers = ask_at_once(target, mixed, requests=REQUESTS, clients=AT_ONCE)
        rate = REQUESTS / (time.perf_counter() - began)
        after = _memory_mb(process.pid)
        time.sleep(SETTLED_S)  # the ends of the last connections
        opened = _descriptors(process.pid) - open_before
        return [
            _row("memory after 512 photos", f"{before:.0f} MB", "<= 500 MB"),
            _row("requests a second, photos alone and with a tenth bad", f"{capacity:.0f}, {rate:.0f}", ""),
            *_rows_of_load(answers, growth=after - before),
            _row("descriptors before the load, more after it", f"{open_before}, {opened}", "no more"),
            *_overloaded(target, photos, rate=3 * rate),
            _row("memory at the end", f"{_memory_mb(process.pid):.0f} MB", "<= 500 MB"),
            *_ended(process, target, photos),
        ]
    finally:
        process.kill()
        process.wait()


def _with_bad(photos: list[bytes]) -> list[bytes]:
    """The photos with every tenth broken: cut off, another file, or damaged inside."""
    kinds = (lambda data: data[: len(data) // 2], lambda data: b"%PDF-1.7 " + data, lambda data: data[:2] + data[9:])
    return [kinds[at // 10 % 3](data) if at % 10 == 9 else data for at, data in enumerate(photos[: PHOTOS // 10 * 10])]


def _rows_of_load(answers: list[Answer], *, growth: float) -> list[dict[str, str]]:
    statuses = Counter(one.status for one in answers)
    seconds = sorted(one.seconds for one in answers if one.status == 200)
    foreign = sum(not one.is_own for one in answers if one.status in {200, 422})
    said = ", ".join(f"{number:,} of {status}" for status, number in sorted(statuses.items()))
    unasked = sum(number for status, number in statuses.items() if status not in {200, 422, 503})
    reasoned = sum(one.status == 422 and one.says_why for one in answers)
    return [
        _row("answers", said, "no 5xx but 503"),
        _row("answers cut or unasked 5xx", str(unasked), "0"),
        _row("answers that were another request's", str(foreign), "0"),
        _row("bad photos refused with a reason (422)", f"{reasoned:,}", f"{len(answers) // 10:,}"),
        _row(
            "p50, p99",
            f"{_at(seconds, 0.5) * 1000:.0f} ms, {_at(seconds, 0.99) * 1000:.0f} ms",
            f"p99 <= {SPREAD} x p50",
        ),
        _row("memory growth", f"{growth:.0f} MB", f"<= {GROWTH_MB} MB"),
    ]


def _overloaded(target: Target, photos: list[bytes], *, rate: float) -> list[dict[str, str]]:
    answers = ask_at_rate(target, photos, rate=rate, seconds=OVERLOAD_S)
    ended = time.perf_counter()
    while True:
        (probe,) = ask_at_once(target, photos, requests=1, clients=1)
        if probe.status == 200 and probe.seconds <= 1:
            break
    normal = time.perf_counter() - ended
    accepted = sorted(one.seconds for one in answers if one.status == 200)
    refused = sorted(one.seconds for one in answers if one.status == 503)
    unsaid = sum(one.status == 503 and not (one.says_why and one.says_when) for one in answers)
    others = len(answers) - len(accepted) - len(refused)
    late = sum(seconds > REFUSED_S for seconds in refused)
    return [
        _row(f"3x overload, {rate:.0f} a second: accepted, p50 and p99",
             f"{len(accepted):,}, {_at(accepted, 0.5):.2f} s, {_at(accepted, 0.99):.2f} s", f"p99 <= {ACCEPTED_S:g} s"),
        _row("3x overload: 503, p50, p99, largest", f"{len(refused):,}, {_shown_ms(refused)}", "<= 100 ms"),
        _row("3x overload: 503 later than 100 ms", f"{late:,}", "0"),
        _row("3x overload: 503 without reason or Retry-After", f"{unsaid:,}", "0"),
        _row("3x overload: other answers", str(others), "0"),
        _row("3x overload: sent for each one accepted", f"{len(answers) / max(len(accepted), 1):.1f}", "about 3"),
        _row("normal again after", f"{normal:.2f} s", f"<= {NORMAL_S:g} s"),
    ]  # fmt: skip


def _ended(process: subprocess.Popen[str], target: Target, photos: list[bytes]) -> list[dict[str, str]]:
    """SIGTERM while every request is half sent: what follows of it comes after the signal."""
    with ThreadPoolExecutor(1) as aside:
        half_sent = threading.Event()
        asked = aside.submit(ask_in_halves, target, photos, requests=IN_FLIGHT, half_sent=half_sent)
        half_sent.wait(20)
        stopped = _stop(process)
        answers = asked.result()
    answered = sum(one.status == 200 and one.is_own for one in answers)
    return [
        _row(f"SIGTERM with {IN_FLIGHT} requests in hand: answered", str(answered), str(IN_FLIGHT)),
        _row("SIGTERM to exit", stopped, "exit code 0"),
    ]


def _start(python: Path, bundle: Path) -> tuple[subprocess.Popen[str], int]:
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.Popen(
        [str(python), "-m", "teliti", "serve", str(bundle), "--port", "0", "--json", "--quiet"],
        env={**surroundings, "TELITI_TOKEN": TOKEN}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    if process.stdout is None:
        raise RuntimeError("no pipe")
    ready = json.loads(process.stdout.readline())
    return process, int(ready["url"].rpartition(":")[2])


def _seconds_to_first_answer(python: Path, bundle: Path, photo: bytes) -> float:
    began = time.perf_counter()
    process, port = _start(python, bundle)
    (answer,) = ask_at_once(Target(port, TOKEN), [photo], requests=1, clients=1)
    took = time.perf_counter() - began
    _stop(process)
    if answer.status != 200:
        raise RuntimeError(f"the first answer was {answer.status}")
    return took


def _stop(process: subprocess.Popen[str]) -> str:
    began = time.perf_counter()
    process.send_signal(signal.SIGTERM)
    code = process.wait(20)
    return f"{time.perf_counter() - began:.2f} s, exit code {code}"


def _install(environment: Path) -> Path:
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(environment)], check=True)
    python = environment / "bin" / "python"
    words = ["pip", "install", "--quiet", "--compile-bytecode", "--python", str(python)]
    subprocess.run([*uv, *words, "--constraint", str(ROOT / "constraints.txt"), f"{ROOT}[serve]"], check=True)
    return python


def _memory_mb(pid: int) -> float:
    """Proportional set size of the process and its children: shared pages count once."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    kilobytes = 0
    for one in (pid, *children):
        lines = Path(f"/proc/{one}/smaps_rollup").read_text(encoding="ascii").splitlines()
        kilobytes += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes * 1024 / 1e6


def _descriptors(pid: int) -> int:
    """Open files, pipes and connections of the process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return sum(len(list(Path(f"/proc/{one}/fd").iterdir())) for one in (pid, *children))


def _write_photos(folder: Path) -> list[bytes]:
    """Grey plates, every second one with a dark line, as JPEG files of 300 x 300."""
    random = np.random.default_rng(5)
    files = []
    for number in range(PHOTOS):
        plate = cv2.blur(random.normal(150, 12, (300, 300)).astype(np.float32), (9, 1))
        is_scratched = number % 2 == 1
        if is_scratched:
            start, end = (tuple(int(v) for v in random.integers(40, 260, 2)) for _ in range(2))
            cv2.line(plate, start, end, 60.0, 3)
        data = cv2.imencode(".jpg", np.clip(plate, 0, 255).astype(np.uint8))[1].tobytes()
        place = folder / ("scratch" if is_scratched else "good")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:03d}.jpg").write_bytes(data)
        files.append(data)
    return files


def _at(ranked: list[float], share: float) -> float:
    return ranked[min(int(len(ranked) * share), len(ranked) - 1)] if ranked else float("nan")


def _shown_ms(ranked: list[float]) -> str:
    return ", ".join(f"{_at(ranked, share) * 1000:.0f} ms" for share in (0.5, 0.99, 1.0))


def _row(what: str, measured: str, wanted: str) -> dict[str, str]:
    return {"what": what, "measured": measured, "wanted": wanted}
