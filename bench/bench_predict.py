"""From the bytes of a photo to its verdict, beside bare ONNX Runtime and a bare decoder; a folder beside its limits.

Latency: the same JPEG of 300x300 through `Predictor.predict` and through `cv2.imdecode` and one ONNX Runtime session
of one thread, in turn; then two callers of each at once. Folder: photos a second of `predict_samples` on two threads
beside what decoding, prepare steps and network allow together, each measured alone on as many threads.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

import teliti
from teliti.data.catalog import list_photos
from teliti.data.decode import decode_photo
from teliti.predictor import Predictor
from teliti.recipe import parse_recipe
from teliti.runtime import available_cores
from teliti.sessions import measure_engines

SIDE, PHOTOS, FOLDER_PHOTOS, ROUNDS = 300, 40, 240, 5


def run() -> dict[str, Any]:
    """Rows for one and two callers, for a folder in each engine, and for the probe."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_photos(folder / "photos", FOLDER_PHOTOS)
        recipe = parse_recipe({"data": {"image_size": SIDE, "folds": 0}, "train": {"engine": "onnxruntime"}})
        bundle = Path(teliti.train(str(folder / "photos"), recipe=recipe, out=folder / "run")["bundle"])
        rows = [_latency(bundle, folder / "photos", callers=callers) for callers in (1, 2)]
        threads = min(2, available_cores())
        rows += [_folder(bundle, folder / "photos", threads=threads, engine=one) for one in ("onnxruntime", "openvino")]
        rates = measure_engines(bundle / "model.onnx", image_size=(SIDE, SIDE), threads=threads)
        told = ", ".join(f"{engine} {rate:g}" for engine, rate in rates.items())
        rows.append({"what": "the probe, photos/s of the network alone", "ours": told, "bare": "", "ratio": ""})
    return {
        "name": "From bytes to verdict",
        "about": f"EfficientNet-Lite0, features of the last four stages, {SIDE}x{SIDE} JPEG photos of the "
        f"network's own size. Medians of {ROUNDS} rounds in turn of {PHOTOS} photos each. Bare: "
        "cv2.imdecode and an ONNX Runtime session of one thread that computes the same outputs. Limits of a folder: "
        "decoding and prepare steps alone, network alone, both in turn on as many threads.",
        "rows": rows,
    }


def _latency(bundle: Path, photos: Path, *, callers: int) -> dict[str, str]:
    predictor = Predictor.open(bundle, threads=1)
    data = [path.read_bytes() for path in sorted(photos.rglob("*.jpg"))[:PHOTOS]]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(bundle / "model.onnx"), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs() if output.name != "features"]

    def bare(photo: bytes) -> None:
        pixels = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR_RGB)
        session.run(names, {"image": pixels[None]})

    def ours(photo: bytes) -> None:
        predictor.predict([photo])

    ratios, ms = [], {"ours": [], "bare": []}
    for number in range(ROUNDS + 1):
        times = {"ours": _p50(ours, data, callers), "bare": _p50(bare, data, callers)}
        if number:  # the first round warms up
            ratios.append(times["ours"] / times["bare"])
            for side, seconds in times.items():
                ms[side].append(1000.0 * seconds)
    said = {side: f"{statistics.median(own):.2f} ms" for side, own in ms.items()}
    what = "one photo, p50, one caller" if callers == 1 else f"one photo, p50, {callers} callers at once"
    return {"what": what, **said, "ratio": f"{statistics.median(ratios):.3f}"}


def _p50(call: Callable[[bytes], None], data: Sequence[bytes], callers: int) -> float:
    def times(_: int) -> list[float]:
        own = []
        for photo in data:
            start = time.perf_counter()
            call(photo)
            own.append(time.perf_counter() - start)
        return own

    with ThreadPoolExecutor(callers) as pool:
        return statistics.median(seconds for own in pool.map(times, range(callers)) for seconds in own)


def _folder(bundle: Path, photos: Path, *, threads: int, engine: Any) -> dict[str, str]:
    predictor = Predictor.open(bundle, threads=threads, engine=engine)
    samples, _ = list_photos([str(photos)])
    chain = predictor.bundle.chain

    def read(sample: Any) -> np.ndarray:
        return chain.views(decode_photo(sample.origin.read_bytes()))

    pictures = [read(sample) for sample in samples[:PHOTOS]]
    shares, rates, limits = [], [], []
    for number in range(ROUNDS + 1):
        reading = _rate(read, samples, threads)
        network = _rate(predictor.score_photo, pictures, threads)
        start = time.perf_counter()
        count = sum(1 for _ in predictor.predict_samples(samples))
        rate = count / (time.perf_counter() - start)
        if number:
            limit = 1.0 / (1.0 / reading + 1.0 / network)
            rates.append(rate)
            limits.append(limit)
            shares.append(rate / limit)
    return {
        "what": f"{FOLDER_PHOTOS} photos of a folder, {threads} threads, {predictor.engine['name']}",
        "ours": f"{statistics.median(rates):.0f} photos/s",
        "bare": f"{statistics.median(limits):.0f} photos/s",
        "ratio": f"{statistics.median(shares):.3f}",
    }


def _rate(work: Callable[[Any], Any], items: Sequence[Any], threads: int) -> float:
    """Photos a second of one part alone, the items shared among the threads."""
    parts = [items[number::threads] for number in range(threads)]

    def all_of(part: Sequence[Any]) -> None:
        for item in part:
            work(item)

    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(all_of, parts))
    return len(items) / (time.perf_counter() - start)


def _write_photos(folder: Path, count: int) -> None:
    rng = np.random.default_rng(7)
    for number in range(count):
        kind = ("good", "scratch")[number % 2]
        (folder / kind).mkdir(parents=True, exist_ok=True)
        plate = cv2.blur(rng.normal(150.0, 30.0, (SIDE, SIDE, 3)).astype(np.float32), (9, 1))
        if kind == "scratch":
            start, end = (tuple(int(v) for v in rng.integers(40, SIDE - 40, 2)) for _ in range(2))
            cv2.line(plate, start, end, (40.0, 40.0, 40.0), 3)
        cv2.imwrite(str(folder / kind / f"{number:03}.jpg"), np.clip(plate, 0, 255).astype(np.uint8))


if __name__ == "__main__":
    os.environ.setdefault("TELITI_THREADS", "2")
    for row in run()["rows"]:
        print(row)
