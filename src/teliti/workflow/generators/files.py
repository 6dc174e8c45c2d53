"""Photos of a generator that come from files or arrays: listed, loaded, and handed out with their targets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from teliti.data.decode import decode_image, read_image_header
from teliti.data.listing import is_hidden_name, is_photo_name
from teliti.data.origins import FileOrigin
from teliti.errors import PhotoRefused, UserError
from teliti.imaging.framing import crop_to_fill, resize
from teliti.transforms.generator import DataFormat, GeneratorSettings
from teliti.transforms.generator_pictures import (
    CHANNELS,
    ColorMode,
    Interpolation,
    array_from,
    open_like_keras,
    resize_picture,
)
from teliti.types import IntArray

KERAS_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff")
_PILLOW_NAMES = {
    "jpeg": "JPEG",
    "png": "PNG",
    "bmp": "BMP",
    "tiff": "TIFF",
    "webp": "WEBP",
    "netpbm": "PPM",
    "gif": "GIF",
}


@dataclass(frozen=True, kw_only=True)
class PhotoLoading:
    """How a file becomes an array.

    Attributes:
        target_size: (height, width) in pixels.
        color_mode: rgb, rgba or grayscale.
        interpolation: A filter of Pillow, or None for the house's resize: area when shrinking, cubic when growing.
        keep_aspect_ratio: Take the largest central part of the size's aspect ratio first.
        data_format: Where the channels stand.
        like_keras: Decode by Pillow alone, as Keras does: camera orientation ignored, no limits beyond the header's.
    """

    target_size: tuple[int, int]
    color_mode: ColorMode
    interpolation: Interpolation | None
    keep_aspect_ratio: bool
    data_format: DataFormat
    like_keras: bool

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("color_mode", self.color_mode, tuple(CHANNELS)),
            ("interpolation", self.interpolation, (None, *get_args(Interpolation))),
        ):
            if value not in allowed:
                raise UserError(
                    f"{name} must be one of {', '.join(map(str, allowed))}, got {value!r}.", hint="Choose one of them."
                )
        object.__setattr__(self, "target_size", tuple(int(side) for side in self.target_size))
        if len(self.target_size) != 2 or min(self.target_size) < 1:
            raise UserError(
                f"target_size must be (height, width) in pixels, got {self.target_size}.", hint="Use (224, 224)."
            )

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Of one loaded photo."""
        channels = CHANNELS[self.color_mode]
        return (*self.target_size, channels) if self.data_format == "channels_last" else (channels, *self.target_size)

    def load(self, path: str) -> NDArray[Any]:
        """The photo: uint8, or float32 as Keras reads it; in [0, 255].

        Raises:
            PhotoRefused: it cannot be read.
        """
        data = FileOrigin(path).read_bytes()
        photo = self._load_like_keras(data) if self.like_keras else self._load(data)
        return photo if self.data_format == "channels_last" else photo.transpose(2, 0, 1)

    def _load(self, data: bytes) -> NDArray[Any]:
        image = decode_image(data)
        if self.interpolation is None:
            image = (crop_to_fill if self.keep_aspect_ratio else resize)(image, self.target_size)
        else:
            picture = self._resized(Image.fromarray(image), self.interpolation)
            image = np.asarray(picture)
        if self.color_mode == "grayscale":
            return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)[:, :, None]
        if self.color_mode == "rgba":
            return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2RGBA), dtype=np.uint8)
        return image

    def _load_like_keras(self, data: bytes) -> NDArray[Any]:
        name, _ = read_image_header(data)
        try:
            picture = open_like_keras(data, pillow_format=_PILLOW_NAMES[name], color_mode=self.color_mode)
        except (OSError, SyntaxError, ValueError) as error:
            raise PhotoRefused(f"damaged: {error}") from error
        return array_from(self._resized(picture, self.interpolation or "nearest"))

    def _resized(self, picture: Image.Image, interpolation: Interpolation) -> Image.Image:
        return resize_picture(
            picture, self.target_size, interpolation=interpolation, keep_aspect_ratio=self.keep_aspect_ratio
        )


def photo_loading(
    settings: GeneratorSettings,
    target_size: tuple[int, int],
    color_mode: ColorMode,
    *,
    interpolation: Interpolation | None,
    keep_aspect_ratio: bool = False,
) -> PhotoLoading:
    """How the files of a generator become arrays.

    Raises:
        UserError: an argument without a meaning.
    """
    return PhotoLoading(
        target_size=target_size,
        color_mode=color_mode,
        interpolation=interpolation,
        keep_aspect_ratio=keep_aspect_ratio,
        data_format=settings.data_format,
        like_keras=settings.keras_compatible,
    )


@dataclass
class FileSource:
    """Photos of files and their targets.

    Attributes:
        names: As the user gave or would write them.
        filepaths: Of the files.
        positions: Places before a subset was taken.
        loading: How a file becomes an array.
        class_mode: What kind of targets is handed out.
        classes: Class index of each photo, or a list of them; empty without classes.
        class_indices: Class name to index.
        targets: For "raw" one array, for "multi_output" a list of arrays; (N, ...) each.
        sample_weight: (N,) or None.
        dtype: Of batches and targets.
    """

    names: Sequence[str]
    filepaths: list[str]
    positions: IntArray
    loading: PhotoLoading
    class_mode: str | None
    dtype: str
    classes: Any = ()
    class_indices: dict[str, int] = field(default_factory=dict)
    targets: Any = None
    sample_weight: NDArray[Any] | None = None
    largest_random: int = 10_000_000

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Of one photo in a batch."""
        return self.loading.image_shape

    @property
    def filenames(self) -> Sequence[str]:
        """Keras's word for `names`."""
        return self.names

    @property
    def samples(self) -> int:
        """The number of photos."""
        return len(self.names)

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_indices)

    @property
    def labels(self) -> Any:
        """The class indices, or the targets of "raw" and "multi_output"."""
        return self.targets if self.class_mode in ("raw", "multi_output") else self.classes

    def load(self, index: int) -> NDArray[Any]:
        """One photo.

        Raises:
            PhotoRefused: it cannot be read.
        """
        return self.loading.load(self.filepaths[index])

    def outputs(self, batch: NDArray[Any], indices: IntArray) -> Any:
        """The batch alone, with targets, or with targets and weights."""
        if self.class_mode is None:
            return batch
        targets = self._targets(batch, indices)
        return (batch, targets) if self.sample_weight is None else (batch, targets, self.sample_weight[indices])

    def _targets(self, batch: NDArray[Any], indices: IntArray) -> Any:
        if self.class_mode == "input":
            return batch.copy()
        if self.class_mode == "raw":
            return self.targets[indices]
        if self.class_mode == "multi_output":
            return [output[indices] for output in self.targets]
        if self.class_mode in ("binary", "sparse"):
            return np.array([self.classes[index] for index in indices], dtype=self.dtype)
        one_hot = np.zeros((len(batch), len(self.class_indices)), dtype=self.dtype)
        for row, index in enumerate(indices):
            one_hot[row, self.classes[index]] = 1.0
        return one_hot


@dataclass
class ArraySource:
    """Photos of an array.

    Attributes:
        x: (N, H, W, C) or (N, C, H, W) float photos.
        extra: Further inputs (N, ...) of each photo.
        y: (N, ...) targets or None.
        sample_weight: (N,) or None.
        positions: Places before a subset was taken.
    """

    x: NDArray[Any]
    extra: list[NDArray[Any]]
    y: NDArray[Any] | None
    sample_weight: NDArray[Any] | None
    positions: IntArray
    largest_random: int = 10_000

    @property
    def names(self) -> list[str]:
        """Made-up names for sentences."""
        return [f"photo {position}" for position in self.positions.tolist()]

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Of one photo."""
        return self.x.shape[1:]

    def load(self, index: int) -> NDArray[Any]:
        """A copy of one photo."""
        return np.array(self.x[index])

    def outputs(self, batch: NDArray[Any], indices: IntArray) -> Any:
        """The batch alone, or with targets and weights; with further inputs the batch is the first of a list."""
        inputs = [batch, *(extra[indices] for extra in self.extra)] if self.extra else batch
        if self.y is None:
            return inputs
        if self.sample_weight is None:
            return inputs, self.y[indices]
        return inputs, self.y[indices], self.sample_weight[indices]


def list_classes(directory: Path, classes: Sequence[str] | None, *, like_keras: bool) -> list[str]:
    """The class folders: those given, else all, sorted.

    Raises:
        UserError: the folder, or a class folder that was named, does not exist.
    """
    if not directory.is_dir():
        raise UserError(f'"{directory}" must be a folder, got none of that name.', hint="Check the path.")
    found = sorted(entry.name for entry in directory.iterdir() if entry.is_dir())
    if not classes:
        return found if like_keras else [name for name in found if not is_hidden_name(name)]
    missing = [name for name in classes if name not in found]
    if missing and not like_keras:
        raise UserError(
            f'Class "{missing[0]}" must have a folder of its own in "{directory}", got none.',
            hint=f"There are {', '.join(found) or 'no folders'}.",
        )
    return list(classes)


def list_photos(directory: Path, class_name: str, *, follow_links: bool, like_keras: bool) -> list[str]:
    """The photos of one class folder and the folders below it, sorted, with the class folder's name in front."""
    found = []
    for folder, files in _walk(directory / class_name, follow_links=follow_links, skip_hidden=not like_keras):
        for name in sorted(files):
            wanted = name.lower().endswith(KERAS_SUFFIXES) if like_keras else _is_photo(name)
            if wanted:
                found.append(os.path.relpath(Path(folder, name), directory))
    return found


def _is_photo(name: str) -> bool:
    return is_photo_name(name) and not is_hidden_name(name)


def _walk(root: Path, *, follow_links: bool, skip_hidden: bool) -> list[tuple[str, list[str]]]:
    """Folders with their files, sorted by path, each once, however links lead."""
    seen: set[str] = set()
    found = []
    for folder, inner, files in os.walk(root, followlinks=follow_links):
        real = os.path.realpath(folder)
        if real in seen:
            inner.clear()
            continue
        seen.add(real)
        inner[:] = [name for name in inner if not (skip_hidden and is_hidden_name(name))]
        found.append((folder, files))
    return sorted(found)
