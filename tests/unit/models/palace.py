"""The photo of a palace that ships with scikit-learn, as networks that know ImageNet's classes are shown it."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

PALACE = 698  # ImageNet's class index


def palace_photo() -> torch.Tensor:
    """(1, 224, 224, 3) uint8: shorter side to 256, bicubic, the central square."""
    photo = Image.fromarray(load_sample_image("china.jpg"))
    photo = photo.resize((int(256 * photo.width / photo.height), 256), Image.Resampling.BICUBIC)
    left, top = round((photo.width - 224) / 2), 16
    return torch.from_numpy(np.array(photo.crop((left, top, left + 224, top + 224))))[None]
