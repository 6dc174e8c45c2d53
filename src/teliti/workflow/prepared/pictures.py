"""What a photo becomes: the recipe's image steps, and PNG files of their pictures. In this process or on an engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from teliti.data.beside import beside_of
from teliti.data.decode import decode_image
from teliti.data.origins import from_anywhere, require_reach
from teliti.errors import PhotoRefused, RecipeError, RunError
from teliti.files import sha256_hex
from teliti.recipe import Recipe
from teliti.transforms.prepare import PrepareChain, build_chain, chain_without_frame
from teliti.tuning.machines import Machines, opened
from teliti.tuning.portions import do_portions
from teliti.types import Reporter, Sample, UInt8Image
from teliti.workflow.prepared.folder import Made, PreparedFolder, name_tiles
from teliti.workflow.prepared.writing import Written, keep_answers

if TYPE_CHECKING:
    from teliti.tuning.engines import Ask, Engine

_COMPRESSION = 3  # of zlib: half the time of 6 for a few percent more bytes
_PORTION = 8  # photos in a task: their pictures travel back together


@dataclass(frozen=True)
class ImageChain:
    """The steps that make pictures, and what was left out.

    Attributes:
        chain: Image steps; the closing frame only where the recipe names an image size.
        left_out: Names of the steps that yield numbers.
    """

    chain: PrepareChain
    left_out: tuple[str, ...]


def image_chain(recipe: Recipe) -> ImageChain:
    """The part of a recipe's chain that makes pictures.

    Without data.image_size every photo keeps the size that its steps give it; with it, the closing frame is added.

    Raises:
        RecipeError: nothing to do, steps that cannot be used, or tiles that would not be of one size.
    """
    steps, size = [step.model_dump() for step in recipe.prepare], recipe.data.image_size
    if size == "auto":
        chain = chain_without_frame(steps)
    else:
        image_size = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        chain = build_chain(steps, image_size=image_size, fit=recipe.data.fit)
    if not chain.image_steps:
        raise RecipeError(
            "The recipe must have a [[prepare]] step that makes a picture, or data.image_size, got neither.",
            hint="Name a recipe with --recipe, or set it here: --set 'prepare=[{step = \"clahe\"}]'",
        )
    if chain.tile is not None and size == "auto":
        after = chain.image_steps[chain.image_steps.index(chain.tile) + 1 :]
        if any(step.moves or not step.keeps_size for step in after):
            raise RecipeError(
                "A step after tile changes the size of each tile by itself, so the tiles would not be of one size.",
                hint="Set data.image_size, or put that step before tile.",
            )
    return ImageChain(PrepareChain(chain.image_steps), tuple(str(step.model_dump()["step"]) for step in chain.numbers))


def picture_files(data: bytes, sample: Sample, *, file: str, chain: PrepareChain) -> dict[str, bytes]:
    """The PNG files of one photo, by name.

    Args:
        data: The photo's file.
        sample: The photo.
        file: Name of its file; of tiles what their names begin with.
        chain: From `image_chain`.

    Raises:
        PhotoRefused: it cannot be decoded, or a step refuses it.
    """
    pictures = chain.views(decode_image(data), beside_of(sample.origin))
    names = [file] if chain.tile is None else name_tiles(file, len(pictures))
    return {name: encode_photo(picture) for name, picture in zip(names, pictures, strict=True)}


def encode_photo(image: UInt8Image) -> bytes:
    """A PNG file that decodes to exactly these pixels; grey where the channels are equal.

    Args:
        image: (H, W, 3) uint8 RGB.

    Raises:
        RunError: OpenCV could not encode it.
    """
    first = image[..., 0]
    is_grey = bool((first == image[..., 1]).all() and (first == image[..., 2]).all())
    stored = first if is_grey else image[..., ::-1]
    done, encoded = cv2.imencode(".png", np.ascontiguousarray(stored), [cv2.IMWRITE_PNG_COMPRESSION, _COMPRESSION])
    if not done:
        raise RunError(f"A picture of shape {image.shape} could not be encoded.", hint="Please report this.")
    return encoded.tobytes()


@dataclass(frozen=True)
class PictureJob:
    """One photo to prepare.

    Attributes:
        sample: The photo.
        file: See `picture_files`.
        known: SHA-256 of the photo whose pictures lie there whole; None where there are none.
    """

    sample: Sample
    file: str
    known: str | None


@dataclass(frozen=True)
class Pictures:
    """What came of one photo.

    Attributes:
        sha256: Of its file.
        files: By name; None where `known` was right.
    """

    sha256: str
    files: Mapping[str, bytes] | None


@dataclass(frozen=True)
class Preparing:
    """Makes the pictures of some photos; a `Work` for any engine.

    Attributes:
        recipe: With the steps.
    """

    recipe: Recipe

    def __call__(self, jobs: Sequence[PictureJob], ask: Ask) -> list[Pictures | PhotoRefused]:  # noqa: ARG002
        """One answer a photo, in order.

        Raises:
            RunError: this machine does not see the folder of a photo.
        """
        chain = image_chain(self.recipe).chain
        for job in jobs:
            require_reach(job.sample.origin)
        return [_do(job, chain) for job in jobs]


def prepare_elsewhere(
    folder: PreparedFolder,
    samples: Sequence[Sample],
    targets: Mapping[str, str],
    *,
    recipe: Recipe,
    engine: Engine | Machines,
    workers: int | None,
    reporter: Reporter,
) -> Written:
    """Make every photo's pictures on an engine and write them here; what lies there already is not made again.

    Args:
        folder: Locked by the caller.
        samples: The photos.
        targets: File by photo name.
        recipe: With the steps.
        engine: Where.
        workers: Portions at a time; None: one for each core.
        reporter: Told how far it is.

    Raises:
        RunError: a machine could not do its part.
        StorageError: the disk is full or the folder is not writable.
    """
    has_tiles = image_chain(recipe).chain.tile is not None

    def job(sample: Sample) -> PictureJob:
        made, file = folder.made.get(sample.name), targets[sample.name]
        is_there = made is not None and folder.is_current(sample.name, made.sha256, file=file, has_tiles=has_tiles)
        known = made.sha256 if made is not None and is_there else None
        return PictureJob(replace(sample, origin=from_anywhere(sample.origin)), file, known)

    def answers() -> Iterator[tuple[int, Made | PhotoRefused | None]]:
        with opened(engine, workers=workers, threads=1) as own:
            found = do_portions(
                [job(sample) for sample in samples], Preparing(recipe), engine=own, title="Preparing photos",
                reporter=reporter, portion=_PORTION,
            )  # fmt: skip
            for index, pictures in found:
                yield index, _kept(folder, samples[index].name, pictures)

    return keep_answers(folder, samples, answers())


def _kept(folder: PreparedFolder, name: str, pictures: Pictures | PhotoRefused) -> Made | PhotoRefused | None:
    if isinstance(pictures, PhotoRefused):
        return pictures
    if pictures.files is None:
        return None
    try:
        return folder.put(name, pictures.sha256, pictures.files)
    except PhotoRefused as refusal:
        return refusal


def _do(job: PictureJob, chain: PrepareChain) -> Pictures | PhotoRefused:
    try:
        data = job.sample.origin.read_bytes()
        digest = sha256_hex(data)
        if digest == job.known:
            return Pictures(digest, None)
        return Pictures(digest, picture_files(data, job.sample, file=job.file, chain=chain))
    except PhotoRefused as refusal:
        return refusal
