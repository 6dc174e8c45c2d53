"""`teliti check` on planted faults and on many photos: what share is found, what is found wrongly, speed and memory.

The planted part needs a folder of labelled photos beside the built-in elpv: name it in TELITI_BENCH_STEEL (for instance
NEU-DET as class folders). Rows whose photos are not there are left out. TELITI_BENCH_CHECK=scale or =planted runs one
half. Labels are flipped by three seeds, and the medians count; the features come from the cache from the second on.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from teliti.data.catalog import read_catalog
from teliti.data.decode import decode_photo
from teliti.types import Sample

SEED, FLIPPED, COPIES = 7, 0.05, 60
FLIP_SEEDS = (7, 8, 9)
SIZES = ((1000, 300), (10_000, 300), (20_000, 300), (100_000, 64))  # photos, and pixels of a side
RATED, MOST_MB = 10_000, 2048
FLAT, MOST_GROWTH_MB = ((1000, 300), (20_000, 300)), 10
GOALS = {"steel": (0.8, 0.6), "elpv": (0.5, 0.45)}
_CHILD = """
import json, resource, sys, time
from teliti.workflow.check import check
begin = time.perf_counter()
record = check(sys.argv[1], features=False)
seconds = time.perf_counter() - begin
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"photos": record["photos"], "seconds": seconds, "megabytes": peak}))
"""


def run() -> dict:
    """Rows of found and wrongly found faults, and of photos per second with the largest memory."""
    half = os.environ.get("TELITI_BENCH_CHECK", "")
    rows = []
    if half != "scale":
        sources = {"elpv": "elpv"} | ({"steel": steel} if (steel := os.environ.get("TELITI_BENCH_STEEL")) else {})
        for name, source in sources.items():
            rows += _planted(name, source)
    if half != "planted":
        rows += _scales()
    return {
        "name": "Check: planted faults, speed and memory",
        "about": f"On copies, seed {SEED}: {FLIPPED:.0%} of the labels moved to another class, by the seeds "
        f"{', '.join(map(str, FLIP_SEEDS))} with the median first; {COPIES} photos copied "
        "byte by byte, saved again as JPEG, halved, and mirrored. Precision of labels counts the set's own errors as "
        "wrong; a false pair is a reported pair of two photos of which neither is a planted copy of the other and "
        "that the untouched set did not already have. Scale: photos made by the bench, without features, "
        "an empty cache, a process each.",
        "rows": rows,
    }


def _planted(name: str, source: str) -> list[dict]:
    work = Path(tempfile.mkdtemp())
    try:
        samples = list(read_catalog(source).samples)
        own = _own_pairs(work, samples)
        row = _flips(name, work, samples)
        return [row, *_copies(name, work, samples, own=own)]
    finally:
        shutil.rmtree(work)


def _flips(name: str, work: Path, samples: list[Sample]) -> dict:
    """Recall and precision of label errors, medians over the seeds with every one in brackets."""
    found = []
    for seed in FLIP_SEEDS:
        labels = _flip_labels(work / "flipped", samples, seed=seed)
        record = _check(work / "flipped", "--features", cache=work / "cache")
        named = {one["paths"][0] for one in record["findings"] if one["kind"] == "label_error"}
        hits = len(named & labels)
        found.append((hits / len(labels), hits / max(1, len(named))))
        shutil.rmtree(work / "flipped")
    recall, precision = np.median(np.array(found), axis=0).tolist()
    goal = GOALS[name]
    each = [" ".join(f"{one[place]:.3f}" for one in found) for place in (0, 1)]
    return {
        "set": name, "fault": f"{len(labels)} flipped labels", "found": f"{recall:.3f} ({each[0]})",
        "wrongly": f"precision {precision:.3f} ({each[1]})", "goal": f">= {goal[0]}, precision >= {goal[1]}",
        "reached": "yes" if recall >= goal[0] and precision >= goal[1] else "NO",
    }  # fmt: skip


def _flip_labels(folder: Path, samples: list[Sample], *, seed: int) -> set[str]:
    """A folder of class folders with some photos in a wrong one; their names."""
    rng = np.random.default_rng(seed)
    classes = sorted({str(sample.label) for sample in samples})
    chosen = set(rng.choice(len(samples), round(FLIPPED * len(samples)), replace=False).tolist())
    flipped = set()
    for at, sample in enumerate(samples):
        label = str(sample.label)
        if at in chosen:
            label = str(rng.choice([name for name in classes if name != label]))
        path = folder / label / f"{at:05d}{Path(sample.name).suffix}"
        _write(path, sample.origin.read_bytes())
        if at in chosen:
            flipped.add(path.relative_to(folder).as_posix())
    return flipped


def _own_pairs(work: Path, samples: list[Sample]) -> set[frozenset[str]]:
    """The pairs that the untouched set has."""
    for at, sample in enumerate(samples):
        _write(work / "plain" / str(sample.label) / f"{at:05d}{Path(sample.name).suffix}", sample.origin.read_bytes())
    return _pairs(_check(work / "plain", "--no-features", cache=work / "cache"))


def _copies(name: str, work: Path, samples: list[Sample], *, own: set[frozenset[str]]) -> list[dict]:
    """Plant copies of four kinds into the plain folder, and count them."""
    rng = np.random.default_rng(SEED)
    chosen = rng.permutation(len(samples))[: 4 * COPIES]
    kinds = {"byte copies": 1.0, "saved again": 0.95, "resized": 0.95, "flipped": 0.8}
    planted: dict[str, set[frozenset[str]]] = {kind: set() for kind in kinds}
    for place, at in enumerate(chosen.tolist()):
        kind = list(kinds)[place % 4]
        sample = samples[at]
        suffix = Path(sample.name).suffix if kind == "byte copies" else ".jpg"
        copy = work / "plain" / str(sample.label) / f"copy-{at:05d}{suffix}"
        _write(copy, _changed(sample.origin.read_bytes(), kind))
        original = f"{sample.label}/{at:05d}{Path(sample.name).suffix}"
        planted[kind].add(frozenset({f"{sample.label}/{copy.name}", original}))
    found = _pairs(_check(work / "plain", "--no-features", cache=work / "cache"))
    rows = []
    for kind, least in kinds.items():
        share = len(planted[kind] & found) / len(planted[kind])
        rows.append({
            "set": name, "fault": f"{len(planted[kind])} {kind}", "found": f"{share:.3f}", "wrongly": "",
            "goal": f">= {least}", "reached": "yes" if share >= least else "NO",
        })  # fmt: skip
    real = set.union(*planted.values()) | own
    false = [pair for pair in found - real if not _follows(pair, real)]
    share = len(false) / max(1, len(found))
    rows.append({
        "set": name, "fault": f"all {len(found)} pairs reported", "found": "", "wrongly": f"{share:.4f} false pairs",
        "goal": "<= 0.005", "reached": "yes" if share <= 0.005 else "NO",
    })  # fmt: skip
    return rows


def _follows(pair: frozenset[str], real: set[frozenset[str]]) -> bool:
    """True where a copy of a photo is paired with what the photo itself is paired with."""
    plain = frozenset(name.replace("copy-", "").rpartition(".")[0] for name in pair)
    known = {frozenset(name.replace("copy-", "").rpartition(".")[0] for name in one) for one in real}
    return plain in known or len(plain) == 1


def _changed(data: bytes, kind: str) -> bytes:
    if kind == "byte copies":
        return data
    image = decode_photo(data)
    if kind == "resized":
        image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    if kind == "flipped":
        image = np.ascontiguousarray(image[:, ::-1])
    bgr = image[..., ::-1] if image.ndim == 3 else image
    return cv2.imencode(".jpg", np.ascontiguousarray(bgr), [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def _pairs(record: dict) -> set[frozenset[str]]:
    kinds = {"duplicate", "label_conflict", "leak"}
    return {frozenset(one["paths"]) for one in record["findings"] if one["kind"] in kinds}


def _scales() -> list[dict]:
    """A row a size, and how much the memory grows between two of them."""
    rows, peaks = [], {}
    for size in SIZES:
        row, peaks[size] = _scale(*size)
        rows.append(row)
    growth = peaks[FLAT[1]] - peaks[FLAT[0]]
    each = growth * 1024 / (FLAT[1][0] - FLAT[0][0])
    rows.append({
        "set": f"{FLAT[1][0]:,} photos against {FLAT[0][0]:,}", "fault": "", "found": f"{each:.2f} KB more a photo",
        "wrongly": f"{growth:.0f} MB more", "goal": f"<= {MOST_GROWTH_MB} MB more",
        "reached": "yes" if growth <= MOST_GROWTH_MB else "NO",
    })  # fmt: skip
    return rows


def _scale(count: int, side: int) -> tuple[dict, float]:
    """Photos per second and the largest resident memory of a fresh process, in MB."""
    work = Path(tempfile.mkdtemp())
    try:
        _make_photos(work / "photos", count, side)
        environment = os.environ | {"TELITI_CACHE": str(work / "cache")}
        time.sleep(1.0)
        command = [sys.executable, "-c", _CHILD, str(work / "photos")]
        answer = json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    finally:
        shutil.rmtree(work)
    rate, memory = answer["photos"] / answer["seconds"], answer["megabytes"]
    goals = {"photos/s >= 250": rate >= 250} if count == RATED else {}
    goals |= {f"<= {MOST_MB:,} MB": memory <= MOST_MB} if count == SIZES[-1][0] else {}
    row = {
        "set": f"{count:,} photos of {side}x{side}", "fault": "", "found": f"{rate:.0f} photos/s",
        "wrongly": f"{memory:.0f} MB", "goal": ", ".join(goals),
        "reached": ("yes" if all(goals.values()) else "NO") if goals else "",
    }  # fmt: skip
    return row, memory


def _make_photos(folder: Path, count: int, side: int) -> None:
    """JPEG photos of two classes, all different: noise of several scales around a bright part."""
    rng = np.random.default_rng(SEED)
    fields = [
        cv2.resize(rng.normal(size=(parts, parts)).astype(np.float32), (2 * side, 2 * side))
        for parts in (8, 24, 80, 300)
    ]
    for at in range(count):
        photo = np.full((side, side), 110.0, np.float32)
        for field, strength in zip(fields, (30, 18, 10, 8), strict=True):
            top, left = rng.integers(0, side, 2)
            photo += strength * field[top : top + side, left : left + side]
        place = rng.integers(4 * side // 15, 11 * side // 15, 2).tolist()
        cv2.circle(photo, place, int(rng.integers(side // 15, side // 5)), 200.0, -1)
        data = cv2.imencode(".jpg", np.clip(photo, 0, 255).astype(np.uint8))[1].tobytes()
        _write(folder / ("good", "bad")[at % 2] / f"{at:06d}.jpg", data)


def _check(folder: Path, *words: str, cache: Path) -> dict:
    environment = os.environ | {"TELITI_CACHE": str(cache)}
    command = [sys.executable, "-m", "teliti", "check", str(folder), *words, "--json", "--quiet"]
    return dict(json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout))


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
