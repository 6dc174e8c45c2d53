"""Prepared photos per second: CLAHE, Otsu, opening and crop, ours beside scikit-image and the bare OpenCV calls."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
from skimage import color, exposure, filters, morphology, transform

from teliti.transforms.prepare import build_chain

SIDE, PHOTOS, ROUNDS, SEED = 224, 32, 31, 7
CLIP, GRID, ELEMENT, MARGIN = 2.0, 8, 5, 0.05
PER_ROUND = {"ours": 128, "bare": 128, "scikit-image": 6}  # short rounds: a neighbour on the machine hits all sides
GOALS = {("colour", "scikit-image"): 18.0, ("colour", "bare"): 0.9}
STEPS = [
    {"step": "clahe", "clip_limit": CLIP, "tile_grid": [GRID, GRID]},
    {"step": "grey"},
    {"step": "binarize", "method": "otsu", "polarity": "bright"},
    {"step": "morphology", "operation": "open", "shape": "ellipse", "size": [ELEMENT, ELEMENT]},
    {"step": "crop_to_part", "margin": MARGIN},
]

CLAHE = cv2.createCLAHE(CLIP, (GRID, GRID))
ELLIPSE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (ELEMENT, ELEMENT))
Photo = np.ndarray
Size = tuple[int, int]


def run() -> dict:
    """Median rate of each side for colour and for grey photos, and medians of the per-round ratios."""
    cv2.setNumThreads(1)
    rows = []
    for kind, photos in (("colour", make_photos()), ("grey", list(np.stack(make_photos())[..., 0].copy()))):
        chain = build_chain(STEPS, image_size=(SIDE, SIDE), fit="letterbox")
        sides: dict[str, Callable[[Photo], Photo]] = {"ours": chain, "bare": bare, "scikit-image": scikit_image}
        _compare_pictures(sides, photos)
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(ROUNDS):
            for name, side in sides.items():
                begin = time.process_time()
                for i in range(PER_ROUND[name]):
                    side(photos[i % len(photos)])
                rates[name].append(PER_ROUND[name] / (time.process_time() - begin))
        rows += [_row(kind, name, rates) for name in ("scikit-image", "bare")]
    return {
        "name": "Classical preparation beside scikit-image and bare OpenCV",
        "about": f"CLAHE ({GRID}x{GRID} tiles), luminance, Otsu, opening with a {ELEMENT}x{ELEMENT} ellipse, crop to "
        f"the part, letterbox to {SIDE}x{SIDE}, on {PHOTOS} photos of that size; {ROUNDS} rounds in turn in one "
        "process, one thread. Before that ours and the bare calls gave equal pixels, and scikit-image found the same "
        "part (its CLAHE works on another plane of colour photos). Rates are photos per CPU second, medians; ratios "
        "are medians of the per-round ratios.",
        "rows": rows,
    }


def make_photos() -> list[Photo]:
    """(side, side, 3) uint8 photos: a bright part, turned, on dark ground, under uneven light and noise."""
    random = np.random.default_rng(SEED)
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    photos = []
    for _ in range(PHOTOS):
        angle, centre = random.uniform(0, np.pi), random.uniform(90, 134, 2)
        across = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
        along = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
        part = (np.abs(across) < random.uniform(35, 50)) & (np.abs(along) < random.uniform(35, 50))
        light = (60 + 130 * part) * (0.85 + 0.3 * x / SIDE)
        photo = light[..., None] * random.uniform(0.85, 1.0, 3) + random.normal(0, 5, (SIDE, SIDE, 3))
        photos.append(np.clip(photo, 0, 255).astype(np.uint8))
    return photos


def bare(photo: Photo) -> Photo:
    """The OpenCV calls alone, as one would write them for these photos."""
    if photo.ndim == 3:
        lab = cv2.cvtColor(photo, cv2.COLOR_RGB2LAB)
        lab[..., 0] = CLAHE.apply(lab[..., 0])
        grey = cv2.cvtColor(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), cv2.COLOR_RGB2GRAY)
    else:
        grey = CLAHE.apply(photo)
    _, mask = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, ELLIPSE)
    left, top, width, height = cv2.boundingRect(mask)
    grow = round(MARGIN * max(width, height))
    part = mask[max(0, top - grow) : top + height + grow, max(0, left - grow) : left + width + grow]
    inner, start = _letterbox(part.shape)
    framed = np.full((SIDE, SIDE, 3), 128, dtype=np.uint8)
    framed[start[0] : start[0] + inner[0], start[1] : start[1] + inner[1]] = cv2.resize(
        cv2.cvtColor(part, cv2.COLOR_GRAY2RGB), inner[::-1], interpolation=cv2.INTER_CUBIC
    )
    return framed


def scikit_image(photo: Photo) -> Photo:
    """The same chain by scikit-image."""
    even = exposure.equalize_adapthist(photo, kernel_size=SIDE // GRID, clip_limit=0.01)
    grey = color.rgb2gray(even) if even.ndim == 3 else even
    mask = morphology.opening(grey > filters.threshold_otsu(grey), morphology.disk(ELEMENT // 2))
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    grow = round(MARGIN * max(rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1))
    part = mask[max(0, rows[0] - grow) : rows[-1] + 1 + grow, max(0, columns[0] - grow) : columns[-1] + 1 + grow]
    inner, start = _letterbox(part.shape)
    framed = np.full((SIDE, SIDE), 128, dtype=np.uint8)
    resized = transform.resize(part.astype(np.float32), inner, order=1)
    framed[start[0] : start[0] + inner[0], start[1] : start[1] + inner[1]] = np.rint(255 * resized)
    return np.repeat(framed[..., None], 3, axis=2)


def _letterbox(shape: Size) -> tuple[Size, Size]:
    """Size of the photo in the frame, and its upper left corner."""
    scale = min(SIDE / shape[0], SIDE / shape[1])
    inner = (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale)))
    return inner, ((SIDE - inner[0]) // 2, (SIDE - inner[1]) // 2)


def _compare_pictures(sides: dict[str, Callable[[Photo], Photo]], photos: list[Photo]) -> None:
    for photo in photos:
        ours = sides["ours"](photo)
        if not np.array_equal(ours, sides["bare"](photo)):
            raise SystemExit("Ours and the bare OpenCV calls make different pictures.")
        agree = (np.abs(ours.astype(int) - sides["scikit-image"](photo)) < 64).mean()
        if agree < 0.9:
            raise SystemExit(f"scikit-image finds another part: {agree:.2f} of the pixels agree.")


def _row(kind: str, other: str, rates: dict[str, list[float]]) -> dict:
    ratio = statistics.median(a / b for a, b in zip(rates["ours"], rates[other], strict=True))
    goal = GOALS.get((kind, other))
    return {
        "photos": kind,
        "ours, photos/s": f"{statistics.median(rates['ours']):.0f}",
        "beside": other if other != "bare" else "bare OpenCV calls",
        "its photos/s": f"{statistics.median(rates[other]):.0f}",
        "ratio": f"{ratio:.2f}",
        "goal": f">= {goal:g}" if goal else "",
        "reached": ("yes" if ratio >= goal else "NO") if goal else "",
    }
