"""Occlusion: cover one place after the other and see how much the answer loses. It asks any network, as it is.

Source: M. D. Zeiler and R. Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014, section 4.2. What
it tells is what the network's answer depends on, place by place; two places that show the same hide each other.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from teliti.types import FloatArray, UInt8Image

CELLS = 7
PASSES = 1 + (CELLS + 1) ** 2
"""How often the network is asked for one map."""
_RED = (220.0, 30.0, 30.0)
_MOST_INK = 0.65


def occlusion_map(picture: UInt8Image, evidence: Callable[[UInt8Image], float]) -> FloatArray:
    """How much of the evidence is lost where each place is covered.

    Squares of two by two cells are covered with the picture's mean colour, one at a time, half over each other and
    over the border, so that every cell lies in four of them.

    Args:
        picture: (H, W, 3) uint8 RGB, at least 7 pixels each way.
        evidence: Of a picture (H, W, 3) uint8: any number that grows with what is asked after.

    Returns:
        (7, 7) float32, the mean loss of the four squares over a cell: above 0 the place speaks for it, below 0 against.
    """
    height, width = picture.shape[:2]
    rows, columns = (np.linspace(0, side, CELLS + 1).round().astype(int) for side in (height, width))
    colour = picture.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    whole = evidence(picture)
    loss = np.zeros((CELLS, CELLS), dtype=np.float32)
    for row in range(-1, CELLS):
        for column in range(-1, CELLS):
            down, across = slice(max(row, 0), min(row + 2, CELLS)), slice(max(column, 0), min(column + 2, CELLS))
            covered = picture.copy()
            covered[rows[down.start] : rows[down.stop], columns[across.start] : columns[across.stop]] = colour
            loss[down, across] += whole - evidence(covered)
    mean: FloatArray = loss / 4
    return mean


def draw_heat(picture: UInt8Image, attribution: FloatArray) -> UInt8Image:
    """The picture with red where a place speaks for what was asked after, strongest where it speaks most.

    Args:
        picture: (H, W, 3) uint8 RGB.
        attribution: (R, C) float.

    Returns:
        (H, W, 3) uint8 RGB; the picture as it is where nothing speaks for it.
    """
    largest = float(attribution.max())
    if largest <= 0:
        return picture
    heatmap = np.clip(attribution / largest, 0, 1).astype(np.float32)
    height, width = picture.shape[:2]
    ink = _MOST_INK * np.clip(cv2.resize(heatmap, (width, height), interpolation=cv2.INTER_LINEAR), 0, 1)[..., None]
    drawn: UInt8Image = np.rint(picture * (1 - ink) + np.array(_RED) * ink).astype(np.uint8)
    return drawn
