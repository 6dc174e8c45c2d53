"""Photos whole, without their background, and without their part: what a net is shown to see where its evidence is.

What is covered becomes mid-grey. A hole must tell nothing by its shape: the background alone is shown with the photo's
own part covered and, at the same time, with the part of one photo of every other class, so that photos of all classes
have the same kind of hole. Where photos have several labels, a background is shown for each: with the part of one photo
that has the label where this one has not, or the other way round. The part alone keeps its own outline, which belongs
to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from teliti.data.decoded import DecodedPhotos
from teliti.imaging.framing import PADDING_VALUE
from teliti.transforms.steps import Working
from teliti.transforms.steps_mask import Mask
from teliti.types import Sample, UInt8Image

View = Literal["whole", "part", "background"]
SEED = 7
_SHOWN = 4
_RIM = 0.02  # of the longer side: so far around the part is covered too
_NEUTRAL = Mask(background="neutral")


@dataclass(frozen=True)
class Views:
    """Photos with the masks of their parts.

    Attributes:
        samples: (N) those that can be used.
        members: (N, K) bool, the classes or labels of each photo.
        has_several: True where a photo may have several labels.
        masks: (N) (H, W) uint8, 255 for the part; all 0 where nothing is marked.
        decoded: Pixels of the photos.
    """

    samples: tuple[Sample, ...]
    members: NDArray[np.bool_]
    has_several: bool
    masks: tuple[UInt8Image, ...]
    decoded: DecodedPhotos

    def show(self, number: int, view: View, *, label: int | None = None) -> UInt8Image:
        """A photo in one of the views, (H, W, 3) or (H, W) uint8; of several labels the background of one."""
        photo = self.decoded.read(self.samples[number])
        if view == "whole":
            return photo
        if view == "part":
            own = self.masks[number]
            return _under(photo, own if own.any() else _fitted(self._others(number), photo))
        return _under(photo, 255 - self.hole(number, photo, label=label))

    def hole(self, number: int, photo: UInt8Image, *, label: int | None = None) -> UInt8Image:
        """(H, W) uint8, 255 where the background view is covered: the parts and a rim around them."""
        union = _fitted([self.masks[number], *self._others(number, label)], photo)
        rim = 2 * max(1, round(_RIM * max(photo.shape[:2]))) + 1
        return np.asarray(cv2.dilate(union, np.ones((rim, rim), np.uint8)), dtype=np.uint8)

    def shown(self) -> list[tuple[Sample, dict[str, UInt8Image]]]:
        """One photo of each class or label, of four at most, in every view."""
        first: dict[int, int] = {}
        for label, own in enumerate(self.members.T):
            at = next((at for at in np.flatnonzero(own).tolist() if at not in first), None)
            if at is not None and len(first) < _SHOWN:
                first[at] = label
        return [
            (
                self.samples[at],
                {view: self.show(at, view, label=label if self.has_several else None) for view in get_args(View)},
            )
            for at, label in first.items()
        ]

    def _others(self, number: int, label: int | None = None) -> list[UInt8Image]:
        """The mask of one photo of every other class, always the same ones for the same photo.

        Of labels: of one photo that has the label where this one has not, or the other way round; without one, so for
        every label.
        """
        draw = np.random.default_rng((SEED, number))
        own = self.members[number]
        if self.has_several:
            asked = [self.members[:, k] != own[k] for k in (range(len(own)) if label is None else [label])]
        else:
            asked = [self.members[:, k] for k in range(len(own)) if not own[k]]
        return [self.masks[int(draw.choice(np.flatnonzero(of)))] for of in asked if of.any()]


def _fitted(masks: Sequence[UInt8Image], photo: UInt8Image) -> UInt8Image:
    """The union of masks, each brought to the photo's size."""
    height, width = photo.shape[:2]
    union: UInt8Image = np.zeros((height, width), dtype=np.uint8)
    for mask in masks:
        same = mask if mask.shape == union.shape else cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
        union[np.asarray(same) > 0] = 255
    return union


def _under(photo: UInt8Image, mask: UInt8Image) -> UInt8Image:
    """The photo where the mask is, mid-grey elsewhere; all of it mid-grey where the mask is empty."""
    if not mask.any():
        return np.full_like(photo, PADDING_VALUE)
    return _NEUTRAL.run(Working(mask, photo, kind="binary")).image
