"""The service on a clean machine: size on disk, seconds to the first answer, memory, and what it does under load."""

from __future__ import annotations

import http.client
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

import teliti
from teliti.recipe import parse_recipe

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "a-token-for-the-benchmark"  # noqa: S105
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
STARTS, REQUESTS, AT_ONCE, OVERLOAD_S = 5, 2000, 64, 60
PHOTOS = 256


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
            _row("installed, base and serve", f"{size / 1e6:.0f} MB"),
            _row(
                "start to first verdict, median and largest", f"{statistics.median(starts):.2f} s, {max(starts):.2f} s"
            ),
            *_loaded(python, bundle, photos),
        ]
    return {
        "name": "The service: size, start, memory, load",
        "about": "An empty environment with the wheel's extra `serve` and the pinned versions; one EfficientNet-Lite0 "
        f"bundle, 300 x 300 JPEG photos, the journal in SQLite. Clients on the same cores. {STARTS} starts; "
        f"{REQUESTS:,} requests from {AT_ONCE} clients; then three times as many a second as were answered then, for "
        f"{OVERLOAD_S} s, each on a connection of its own.",
        "rows": rows,
    }


def _loaded(python: Path, bundle: Path, photos: list[bytes]) -> list[dict[str, str]]:
    process, port = _start(python, bundle)
    try:
        for photo in photos:
            _ask(port, photo)
        before = _memory_mb(process.pid)
        began = time.perf_counter()
        with ThreadPoolExecutor(AT_ONCE) as clients:
            answers = list(clients.map(lambda number: _ask(port, photos[number % PHOTOS]), range(REQUESTS)))
        rate = REQUESTS / (time.perf_counter() - began)
        after = _memory_mb(process.pid)
        if {status for status, _ in answers} != {200}:
            raise RuntimeError(f"not every request was answered: {Counter(status for status, _ in answers)}")
        seconds = sorted(took for _, took in answers)
        return [
            _row("memory after 256 photos, the service and its children", f"{before:.0f} MB"),
            _row("memory after the load", f"{after:.0f} MB"),
            _row("photos a second", f"{rate:.0f}"),
            _row("p50, p99", f"{_at(seconds, 0.5) * 1000:.0f} ms, {_at(seconds, 0.99) * 1000:.0f} ms"),
            *_overloaded(port, photos, rate=3 * rate),
            _row("SIGTERM to exit", _stop(process)),
        ]
    finally:
        process.kill()
        process.wait()


def _overloaded(port: int, photos: list[bytes], *, rate: float) -> list[dict[str, str]]:
    answers: list[tuple[int, float]] = []
    clients: list[threading.Thread] = []

    def ask(number: int) -> None:
        answers.append(_ask(port, photos[number % PHOTOS]))

    began = time.perf_counter()
    for number in range(int(rate * OVERLOAD_S)):
        time.sleep(max(0.0, began + number / rate - time.perf_counter()))
        clients.append(threading.Thread(target=ask, args=(number,)))
        clients[-1].start()
    for client in clients:
        client.join()
    recovered = time.perf_counter()
    while _ask(port, photos[0])[1] > 1:
        pass
    recovered = time.perf_counter() - recovered
    accepted = sorted(took for status, took in answers if status == 200)
    refused = sorted(took for status, took in answers if status == 503)
    others = len(answers) - len(accepted) - len(refused)
    return [
        _row("3x overload: accepted, p99", f"{len(accepted):,}, {_at(accepted, 0.99):.2f} s"),
        _row("3x overload: 503, p50 and p99", f"{len(refused):,}, {_shown_ms(refused)}"),
        _row("3x overload: other answers", str(others)),
        _row("normal again after", f"{recovered:.2f} s"),
    ]


def _ask(port: int, photo: bytes) -> tuple[int, float]:
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/v1/predict", photo, HEADERS)
        answer = connection.getresponse()
        answer.read()
    except OSError:
        return 0, time.perf_counter() - began
    finally:
        connection.close()
    return answer.status, time.perf_counter() - began


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
    status, _ = _ask(port, photo)
    took = time.perf_counter() - began
    _stop(process)
    if status != 200:
        raise RuntimeError(f"the first answer was {status}")
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
    words = ["pip", "install", "--quiet", "--python", str(python), "--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([*uv, *words, f"{ROOT}[serve]"], check=True)
    return python


def _memory_mb(pid: int) -> float:
    """Proportional set size of the process and its children: shared pages count once."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    kilobytes = 0
    for one in (pid, *children):
        lines = Path(f"/proc/{one}/smaps_rollup").read_text(encoding="ascii").splitlines()
        kilobytes += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes * 1024 / 1e6


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
    return f"{_at(ranked, 0.5) * 1000:.0f} ms, {_at(ranked, 0.99) * 1000:.0f} ms"


def _row(what: str, measured: str) -> dict[str, str]:
    return {"what": what, "measured": measured}
