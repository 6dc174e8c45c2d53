"""Augmented photos per second: rotate, shift, shear, zoom, flip and brightness at 224 px, ours beside the peers.

Each side is a process of its own that waits for the word to run one timed round, so that all sides run in turn in one
run although their OpenCV wheels exclude each other. `python bench_augment.py SIDE PHOTOS` is such a process.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".venv-peers"
SIDE, PHOTOS, ROUNDS, SEED = 224, 64, 15, 7
DEGREES, SHIFT, SHEAR, ZOOM, BRIGHTNESS = 20.0, 0.1, 10.0, 0.1, 0.2
FIXED_DEGREES, FIXED_SCALE = 20.0, 1.1  # what every side does once, so that its picture can be compared
PER_ROUND = {"keras": 24, "torchvision tensor": 64, "torchvision PIL": 64}  # short: a neighbour then hits all sides
USUAL = 384  # photos of a round of the quicker sides
CALM = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "KERAS_BACKEND": "jax",
        "NO_ALBUMENTATIONS_UPDATE": "1", "PYTHONWARNINGS": "ignore"}  # fmt: skip
IN_PEERS = ("keras", "albumentations", "albumentations, its own threads", "albumentations grey")

Work = Callable[[int], None]
Photo = np.ndarray


def run() -> dict:
    """Median rate of each side, and the median of the per-round ratios of ours to it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "photos.npy"
        np.save(file, make_photos())
        peers = _peers_python()
        sides = {name: _Side(name, peers if name in IN_PEERS else Path(sys.executable), file) for name in WORKERS}
        try:
            _compare_pictures(sides)
            timings = _run_in_turn(sides)
        finally:
            for side in sides.values():
                side.close()
    return {
        "name": "Augmentation beside Keras, torchvision, albumentations and bare OpenCV",
        "about": f"Rotate, shift, shear, zoom, flip and brightness of {SIDE}x{SIDE} uint8 photos, fill constant, "
        f"seed {SEED}. {ROUNDS} rounds in turn, each side in its own process; before that every side made one photo "
        "with the same fixed values, and they agreed. Ours counts everything from the photo's name to its pixels, "
        "the seeding of its random numbers included; bare OpenCV gets matrices and tables made beforehand. Rates are "
        "photos per CPU second on one thread (rows per process: per second of the clock), medians; ratios are medians "
        "of the per-round ratios. Grey photos: ours works on one channel; albumentations is measured on the three "
        "equal channels that its loaders give, and on one.",
        "rows": _rows(timings),
    }


def make_photos() -> Photo:
    """(N, side, side, 3) uint8: waves of light with fine noise."""
    random = np.random.default_rng(SEED)
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    photos = np.empty((PHOTOS, SIDE, SIDE, 3), dtype=np.uint8)
    for photo in photos:
        slopes = random.uniform(-12, 12, (3, 2))
        waves = np.stack([np.sin(slope[0] * x + slope[1] * y) for slope in slopes], axis=-1)
        photo[...] = np.clip(128 + 90 * waves + random.normal(0, 6, waves.shape), 0, 255)
    return photos


def _rows(timings: dict[str, list[tuple[float, float]]]) -> list[dict]:
    """One row for each comparison: (whose, against whom, CPU or clock, goal)."""
    comparisons = [
        ("ours", "keras", 0, 10.0),
        ("ours", "torchvision tensor", 0, 2.6),
        ("ours", "torchvision PIL", 0, 2.6),
        ("ours", "albumentations", 0, 0.93),
        ("ours", "bare warp + table", 0, 0.90),
        ("ours", "bare, the calls of ours", 0, None),
        ("ours, two threads", "albumentations, its own threads", 1, 1.8),
        ("ours grey", "albumentations", 0, 2.2),
        ("ours grey", "albumentations grey", 0, None),
        ("ours grey", "bare grey warp + table", 0, None),
    ]
    rows = []
    for own, other, clock, goal in comparisons:
        rates = {name: [_per_round(name) / times[clock] for times in timings[name]] for name in (own, other)}
        ratio = statistics.median(a / b for a, b in zip(rates[own], rates[other], strict=True))
        rows.append(
            {
                "ours": own + (" (per process)" if clock else ""),
                "photos/s": f"{statistics.median(rates[own]):.0f}",
                "beside": other,
                "its photos/s": f"{statistics.median(rates[other]):.0f}",
                "ratio": f"{ratio:.2f}",
                "goal": f">= {goal:g}" if goal else "",
                "reached": ("yes" if ratio >= goal else "NO") if goal else "",
            }
        )
    return rows


def _per_round(name: str) -> int:
    return PER_ROUND.get(name, USUAL)


def _run_in_turn(sides: dict[str, _Side]) -> dict[str, list[tuple[float, float]]]:
    timings: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for counted in range(-1, ROUNDS):
        for name, side in sides.items():
            times = side.round(_per_round(name))
            if counted >= 0:
                timings[name].append(times)
    return timings


def _compare_pictures(sides: dict[str, _Side]) -> None:
    """The one photo with fixed values: every side must show the same, away from the rim."""
    ours = sides["ours"].fixed()
    middle = np.s_[40:-40, 40:-40]
    for name, side in sides.items():
        picture = side.fixed().reshape(SIDE, SIDE, -1)
        difference = np.abs(picture[middle].astype(int) - ours[middle][..., : picture.shape[2]]).max()
        if difference > 2:
            raise SystemExit(f"{name} makes another picture than ours: {difference} grey levels apart.")


def _peers_python() -> Path:
    """The interpreter of the peers' environment, made on first use."""
    python = PEERS / "bin" / "python"
    quiet = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    uv = [sys.executable, "-m", "uv"]
    if not python.exists():
        subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(PEERS)], check=True, env=quiet)
    wanted = str(ROOT / "bench" / "peers.txt")
    subprocess.run([*uv, "pip", "install", "-q", "--python", str(python), "-r", wanted], check=True, env=quiet)
    return python


class _Side:
    """One side's process."""

    def __init__(self, name: str, python: Path, photos: Path) -> None:
        self._name, self._folder = name, photos.parent
        self._process = subprocess.Popen(
            [str(python), __file__, name, str(photos)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, **CALM},
        )  # fmt: skip
        if self._answer() != "ready":
            raise SystemExit(f"{name} did not start.")

    def round(self, count: int) -> tuple[float, float]:
        """CPU seconds and seconds of the clock for `count` photos."""
        self._say(f"round {count}")
        cpu, clock = self._answer().split()
        return float(cpu), float(clock)

    def fixed(self) -> Photo:
        """The first photo with the fixed values."""
        file = self._folder / "fixed.npy"
        self._say(f"fixed {file}")
        self._answer()
        return np.load(file)

    def close(self) -> None:
        self._process.communicate(timeout=30)

    def _say(self, words: str) -> None:
        print(words, file=self._process.stdin, flush=True)

    def _answer(self) -> str:
        answer = self._process.stdout.readline().strip()
        if not answer:
            raise SystemExit(f"{self._name} ended without an answer.")
        return answer


# What follows runs in the sides' processes. Each worker makes (work on a count of photos, the photo of fixed values).


def _chain(photos: Photo, *, threads: int = 1) -> tuple[Work, Photo]:
    import cv2

    from teliti.transforms.augment import build_augment, photo_rng

    cv2.setNumThreads(1)
    chain = build_augment([
        {"step": "rotate", "degrees": DEGREES, "fill": "constant"},
        {"step": "shift", "width": SHIFT, "height": SHIFT},
        {"step": "shear", "horizontal": SHEAR},
        {"step": "zoom", "scale": ZOOM, "keep_shape": False},
        {"step": "flip", "horizontal": 0.5, "vertical": 0.5},
        {"step": "brightness", "factor": BRIGHTNESS},
    ])  # fmt: skip
    names = [f"part-{number}.png" for number in range(len(photos))]

    def share(views: range) -> None:
        for view in views:
            i = view % len(photos)
            chain(photos[i], photo_rng(SEED, names[i], view))

    pool = ThreadPoolExecutor(threads)

    def work(count: int) -> None:
        if threads == 1:
            share(range(count))
        else:
            list(pool.map(share, [range(first, count, threads) for first in range(threads)]))

    return work, _fixed_by_ours(photos[0])


def _fixed_by_ours(photo: Photo) -> Photo:
    from teliti.transforms.augment import build_augment

    scale = (FIXED_SCALE, FIXED_SCALE)
    turned = {"step": "rotate", "degrees": (FIXED_DEGREES, FIXED_DEGREES)}
    return build_augment([turned, {"step": "zoom", "scale": scale}])(photo, np.random.default_rng(0))


def _bare(photos: Photo, *, like_ours: bool = False) -> tuple[Work, Photo]:
    import cv2

    from teliti.imaging.geometry import about_centre, compose, invert, rotation

    cv2.setNumThreads(1)
    random, size = np.random.default_rng(SEED), (SIDE, SIDE)
    matrices, tables, factors = [], [], []
    for _ in photos:
        turn = rotation(random.uniform(-DEGREES, DEGREES), size)
        zoom = about_centre((random.uniform(1 - ZOOM, 1 + ZOOM), 0.0, 0.0, random.uniform(1 - ZOOM, 1 + ZOOM)), size)
        matrices.append(np.array(invert(compose(turn, zoom))).reshape(2, 3))
        factors.append(random.uniform(1 - BRIGHTNESS, 1 + BRIGHTNESS))
        tables.append(np.clip(np.rint(np.arange(256) * factors[-1]), 0, 255).astype(np.uint8))
    flags, border = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_CONSTANT

    def one(photo: Photo, i: int) -> Photo:
        return cv2.LUT(cv2.warpAffine(photo, matrices[i], (SIDE, SIDE), flags=flags, borderMode=border), tables[i])

    def four(photo: Photo, i: int) -> Photo:
        wide = cv2.cvtColor(photo, cv2.COLOR_RGB2RGBA)
        wide = cv2.warpAffine(wide, matrices[i], (SIDE, SIDE), flags=flags, borderMode=border)
        return cv2.convertScaleAbs(cv2.cvtColor(wide, cv2.COLOR_RGBA2RGB), alpha=factors[i])

    if photos.ndim == 4 and any(np.abs(one(photos[i], i).astype(int) - four(photos[i], i)).max() > 1 for i in range(8)):
        raise SystemExit("Three and four channels are warped to different pixels.")
    call = four if like_ours else one

    def work(count: int) -> None:
        for i in range(count):
            call(photos[i % len(photos)], i % len(photos))

    angle = invert(compose(rotation(FIXED_DEGREES, size), about_centre((FIXED_SCALE, 0.0, 0.0, FIXED_SCALE), size)))
    back = np.array(angle).reshape(2, 3)
    return work, cv2.warpAffine(photos[0], back, (SIDE, SIDE), flags=flags, borderMode=border)


def _keras(photos: Photo) -> tuple[Work, Photo]:
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    generator = ImageDataGenerator(
        rotation_range=DEGREES, width_shift_range=SHIFT, height_shift_range=SHIFT, shear_range=SHEAR, zoom_range=ZOOM,
        horizontal_flip=True, vertical_flip=True, brightness_range=(1 - BRIGHTNESS, 1 + BRIGHTNESS),
        fill_mode="constant",
    )  # fmt: skip
    np.random.seed(SEED)  # the only generator that it knows

    def work(count: int) -> None:
        for i in range(count):
            generator.random_transform(photos[i % len(photos)])

    values = {"theta": FIXED_DEGREES, "zx": 1 / FIXED_SCALE, "zy": 1 / FIXED_SCALE}
    return work, np.rint(generator.apply_transform(photos[0], values)).astype(np.uint8)


def _torchvision(photos: Photo, *, pil: bool) -> tuple[Work, Photo]:
    import torch
    from PIL import Image
    from torchvision.transforms import InterpolationMode, v2

    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    augment = v2.Compose([
        v2.RandomAffine(DEGREES, translate=(SHIFT, SHIFT), scale=(1 - ZOOM, 1 + ZOOM), shear=SHEAR,
                        interpolation=InterpolationMode.BILINEAR),
        v2.RandomHorizontalFlip(),
        v2.RandomVerticalFlip(),
        v2.ColorJitter(brightness=BRIGHTNESS),
    ])  # fmt: skip
    if pil:
        inputs = [Image.fromarray(photo) for photo in photos]
    else:
        inputs = [torch.from_numpy(photo).permute(2, 0, 1).contiguous() for photo in photos]

    def work(count: int) -> None:
        for i in range(count):
            augment(inputs[i % len(photos)])

    fixed = v2.functional.affine(inputs[0], angle=-FIXED_DEGREES, translate=[0, 0], scale=FIXED_SCALE, shear=[0.0, 0.0],
                                 interpolation=InterpolationMode.BILINEAR)  # fmt: skip
    return work, np.asarray(fixed) if pil else fixed.permute(1, 2, 0).numpy()


def _albumentations(photos: Photo, *, own_threads: bool = False) -> tuple[Work, Photo]:
    import albumentations
    import cv2

    if not own_threads:
        cv2.setNumThreads(1)
    each = (1 - ZOOM, 1 + ZOOM)
    augment = albumentations.Compose(
        [
            albumentations.Affine(scale={"x": each, "y": each}, rotate=(-DEGREES, DEGREES), p=1.0,
                                  translate_percent={"x": (-SHIFT, SHIFT), "y": (-SHIFT, SHIFT)},
                                  shear={"x": (-SHEAR, SHEAR), "y": (0.0, 0.0)}),
            albumentations.HorizontalFlip(p=0.5),
            albumentations.VerticalFlip(p=0.5),
            albumentations.RandomBrightnessContrast(brightness_limit=BRIGHTNESS, contrast_limit=0.0, p=1.0),
        ],
        seed=SEED,
    )  # fmt: skip

    def work(count: int) -> None:
        for i in range(count):
            augment(image=photos[i % len(photos)])

    turned = albumentations.Affine(
        scale=FIXED_SCALE, rotate=(FIXED_DEGREES, FIXED_DEGREES), shear=0.0, translate_percent=0.0, p=1.0
    )
    return work, turned(image=photos[0])["image"]


def _one_channel(photos: Photo) -> Photo:
    return np.ascontiguousarray(photos[..., 0])


WORKERS: dict[str, Callable[[Photo], tuple[Work, Photo]]] = {
    "ours": _chain,
    "keras": _keras,
    "torchvision tensor": lambda photos: _torchvision(photos, pil=False),
    "torchvision PIL": lambda photos: _torchvision(photos, pil=True),
    "albumentations": _albumentations,
    "bare warp + table": _bare,
    "bare, the calls of ours": lambda photos: _bare(photos, like_ours=True),
    "ours, two threads": lambda photos: _chain(photos, threads=2),
    "albumentations, its own threads": lambda photos: _albumentations(photos, own_threads=True),
    "ours grey": lambda photos: _chain(_one_channel(photos)),
    "albumentations grey": lambda photos: _albumentations(_one_channel(photos)),
    "bare grey warp + table": lambda photos: _bare(_one_channel(photos)),
}


def main() -> None:
    """Be one side: answer `round COUNT` with CPU and clock seconds, `fixed FILE` by saving the fixed picture."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    work, fixed = WORKERS[sys.argv[1]](np.load(sys.argv[2]))
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "fixed":
            np.save(rest, fixed)
            print("saved", file=answers, flush=True)
        else:
            cpu, clock = time.process_time(), time.perf_counter()
            work(int(rest))
            print(time.process_time() - cpu, time.perf_counter() - clock, file=answers, flush=True)


if __name__ == "__main__":
    main()
