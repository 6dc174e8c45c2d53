"""Boxes that follow the pixels of a photo through an affine map.

Boxes are (N, 4) float32 arrays (x_min, y_min, x_max, y_max) in absolute pixels measured at the pixels' EDGES: the
whole photo is (0, 0, width, height). `imaging.geometry` measures at pixel centres, half a pixel away.
"""

from __future__ import annotations

import numpy as np

from teliti.errors import UserError
from teliti.imaging.geometry import Affine
from teliti.types import FloatArray


def check_boxes(boxes_xyxy: FloatArray) -> FloatArray:
    """Boxes as (N, 4) float32, checked.

    Raises:
        UserError: another shape, a value that is not finite, or a corner on the wrong side of the other.
    """
    boxes = np.asarray(boxes_xyxy, dtype=np.float32)
    if boxes.size == 0:
        return boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise UserError(
            f"boxes_xyxy must be an array of shape (N, 4), got {boxes.shape}.",
            hint="Give one row (x_min, y_min, x_max, y_max) for each box.",
        )
    wrong = ~(np.isfinite(boxes).all(axis=1) & (boxes[:, :2] <= boxes[:, 2:]).all(axis=1))
    if wrong.any():
        raise UserError(
            f"boxes_xyxy must have x_min <= x_max and y_min <= y_max, got {boxes[wrong][0].tolist()} "
            f"(row {int(np.flatnonzero(wrong)[0])}).",
            hint="Convert from (x, y, width, height) first if that is what they are.",
        )
    return boxes


def move_boxes(boxes_xyxy: FloatArray, matrix: Affine, size: tuple[int, int]) -> FloatArray:
    """The upright box around each moved box, cut off at the photo's edges.

    A turned box has an upright box larger than itself; a part that was inside stays inside. A box that left the photo
    keeps its row and has no area. With the fills reflect and wrap only the first copy of a part has a box.

    Args:
        boxes_xyxy: (N, 4) float.
        matrix: The map of the pixels, source to result.
        size: (height, width) of the photo in pixels.

    Returns:
        (N, 4) float32 within (0, 0, width, height).
    """
    a, b, c, d, e, f = matrix
    boxes = check_boxes(boxes_xyxy).astype(np.float64)
    x = boxes[:, [0, 2, 0, 2]] - 0.5  # (N, 4) corners, from edges to centres
    y = boxes[:, [1, 1, 3, 3]] - 0.5
    moved_x, moved_y = a * x + b * y + c + 0.5, d * x + e * y + f + 0.5
    hull = np.stack([moved_x.min(axis=1), moved_y.min(axis=1), moved_x.max(axis=1), moved_y.max(axis=1)], axis=1)
    return clip_boxes(hull, size)


def clip_boxes(boxes_xyxy: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Boxes cut off at the photo's edges.

    Args:
        boxes_xyxy: (N, 4) float.
        size: (height, width) of the photo in pixels.

    Returns:
        (N, 4) float32.
    """
    edges = np.array([size[1], size[0], size[1], size[0]], dtype=np.float64)
    return np.clip(boxes_xyxy, 0.0, edges).astype(np.float32)


def box_areas(boxes_xyxy: FloatArray) -> FloatArray:
    """Areas in square pixels: (N, 4) to (N,); 0 for a box that left the photo."""
    return np.asarray((boxes_xyxy[:, 2] - boxes_xyxy[:, 0]) * (boxes_xyxy[:, 3] - boxes_xyxy[:, 1]))
