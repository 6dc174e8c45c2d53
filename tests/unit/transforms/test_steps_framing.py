"""Steps that move pixels: to the part, upright, to a rectangle, into tiles; and what they refuse."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from teliti.errors import PhotoRefused, RecipeError
from teliti.transforms.prepare import build_chain, chain_from_record
from teliti.transforms.steps import Working
from teliti.transforms.steps_framing import Crop, CropToPart, Frame, Tile, Upright


def bar(angle: float, *, part: int = 220, background: int = 20) -> np.ndarray:
    """A 41x13 bar about the middle of an (80, 90, 3) photo, its long side at `angle` degrees from the x axis.

    Drawn in whole pixels: its smallest rectangle is up to two pixels larger, and up to a seventh of it is not bar.
    """
    image = np.full((80, 90, 3), background, dtype=np.uint8)
    corners = cv2.boxPoints(((45.0, 40.0), (40.0, 12.0), angle))
    cv2.fillPoly(image, [np.rint(corners).astype(np.int32)], (part,) * 3)
    return image


def run(step, image: np.ndarray, kind: str = "colour") -> np.ndarray:
    return step.run(Working(image, image, kind=kind)).image


@pytest.mark.parametrize(("part", "background"), [(220, 20), (20, 220)])
def test_the_part_is_found_whether_bright_or_dark(part: int, background: int) -> None:
    image = bar(0, part=part, background=background)
    rows, columns = np.nonzero(image[..., 0] == part)
    cropped = run(CropToPart(margin=0), image)
    np.testing.assert_array_equal(cropped, image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])
    assert (cropped == part).all()


def test_room_around_the_part_is_pixels_or_a_share_of_its_longer_side() -> None:
    image = bar(0)
    height, width = run(CropToPart(margin=0), image).shape[:2]
    assert run(CropToPart(margin=3, unit="pixels"), image).shape[:2] == (height + 6, width + 6)
    extra = 2 * round(0.1 * width)
    assert run(CropToPart(margin=0.1), image).shape[:2] == (height + extra, width + extra)
    assert run(CropToPart(margin=500, unit="pixels"), image).shape == image.shape


def test_a_binary_picture_says_itself_what_the_part_is() -> None:
    mask = np.full((20, 30), 255, dtype=np.uint8)  # the part covers the edge: Otsu would take it for background
    mask[:, 25:] = 0
    assert run(CropToPart(margin=0), mask, "binary").shape == (20, 25)
    assert run(CropToPart(margin=0), mask, "grey").shape == (20, 5)


@pytest.mark.parametrize("step", [CropToPart(), Upright()])
def test_a_photo_without_a_part_stays_whole(step) -> None:
    image = np.full((9, 12, 3), 77, dtype=np.uint8)
    assert run(step, image) is image
    nothing = np.zeros((9, 12), dtype=np.uint8)
    np.testing.assert_array_equal(run(step, nothing, "binary"), nothing)


@pytest.mark.parametrize("angle", [-40, -17, 0, 8, 30, 40])
def test_a_turned_bar_comes_upright_by_the_smallest_turn(angle: float) -> None:
    upright = run(Upright(margin=0), bar(angle))
    np.testing.assert_allclose(upright.shape[:2], (13, 41), atol=2)
    assert (upright > 120).mean() > 6 / 7  # of the upright rectangle around the turned bar less than half is bar


@pytest.mark.parametrize(("long_side", "shape"), [("vertical", (41, 13)), ("horizontal", (13, 41))])
@pytest.mark.parametrize("angle", [-60, -10, 25, 80])
def test_the_long_side_lies_as_asked(long_side: str, shape: tuple[int, int], angle: float) -> None:
    upright = run(Upright(margin=0, long_side=long_side), bar(angle))
    np.testing.assert_allclose(upright.shape[:2], shape, atol=2)
    assert (upright > 120).mean() > 6 / 7


def test_an_upright_part_is_only_cropped() -> None:
    image = bar(0)
    image[38:40, 40:50] = (10, 200, 30)
    np.testing.assert_array_equal(run(Upright(margin=0), image), run(CropToPart(margin=0), image))


def test_turning_is_a_turn_and_no_mirror() -> None:
    image = bar(30)
    end = (np.array([45.0, 40.0]) + 16 * np.array([np.cos(np.radians(30)), np.sin(np.radians(30))])).round().astype(int)
    cv2.circle(image, end.tolist(), 3, (255, 0, 0), -1)  # a mark at the right end of the bar
    upright = run(Upright(margin=0), image).astype(int)
    columns = np.nonzero((upright[..., 0] - upright[..., 1]).max(axis=0) > 100)[0]
    assert columns.mean() > 0.75 * upright.shape[1]


def test_a_binary_picture_stays_binary_when_it_is_turned() -> None:
    mask = np.where(bar(20)[..., 0] > 100, 255, 0).astype(np.uint8)
    assert set(np.unique(run(Upright(), mask, "binary"))) == {0, 255}


def test_outside_the_photo_the_edge_repeats() -> None:
    image = bar(0)
    wide = run(Upright(margin=60, unit="pixels"), image)
    assert wide.shape[0] > image.shape[0]
    assert (wide[0] == 20).all()


@pytest.mark.parametrize(
    ("step", "rows", "columns"),
    [
        (Crop(top=2, left=3, height=5, width=4, unit="pixels"), slice(2, 7), slice(3, 7)),
        (Crop(top=0.5, height=0.25), slice(10, 15), slice(0, 30)),
        (Crop(left=25, width=99, unit="pixels"), slice(0, 20), slice(25, 30)),
        (Crop(top=0.999, height=0.001), slice(19, 20), slice(0, 30)),
    ],
)
def test_a_fixed_rectangle(step: Crop, rows: slice, columns: slice) -> None:
    image = np.random.default_rng(2).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    np.testing.assert_array_equal(run(step, image), image[rows, columns])


def test_a_rectangle_outside_the_photo_refuses_the_photo() -> None:
    with pytest.raises(PhotoRefused, match="nothing of the photo, 30 pixels wide and 20 high, lies in the rectangle"):
        run(Crop(left=30, unit="pixels"), np.zeros((20, 30, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"step": "crop_to_part", "margin": 5}, 'margin must be at most 1 as a fraction; set unit = "pixels"'),
        ({"step": "crop", "top": 1}, 'top must be below 1 as a fraction; set unit = "pixels" for pixels'),
        ({"step": "crop", "width": 1.5}, 'width must be below 1 as a fraction; set unit = "pixels" for pixels'),
        ({"step": "crop", "width": 1.5, "unit": "pixels"}, "width must be whole pixels"),
        ({"step": "tile", "size": 0}, "size"),
    ],
)
def test_parameters_that_cannot_be_meant(step: dict, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        chain_from_record([step])
    assert said in caught.value.message


def test_tiles_cover_image_and_original_alike() -> None:
    image = np.random.default_rng(2).integers(0, 256, (50, 70), dtype=np.uint8)
    original = 255 - image
    seen = np.zeros((50, 70), dtype=int)
    tiles = Tile(size=32, overlap=0.25).cut(Working(image, original, kind="grey"))
    for tile in tiles:
        assert tile.image.shape == (32, 32)
        np.testing.assert_array_equal(tile.original, 255 - tile.image)
    for rectangle in Tile(size=32, overlap=0.25)._tiles(image):
        seen[rectangle.top : rectangle.bottom, rectangle.left : rectangle.right] += 1
    assert seen.min() == 1


def test_tiles_beyond_all_measure_refuse_the_photo() -> None:
    image = np.zeros((800, 800), dtype=np.uint8)
    with pytest.raises(PhotoRefused, match="it would be cut into 10,000 tiles, over the limit of 4,096"):
        Tile(size=8, overlap=0.0).cut(Working(image, image, kind="grey"))


def test_the_frame_makes_grey_pictures_three_equal_channels() -> None:
    grey = np.random.default_rng(2).integers(0, 256, (9, 7), dtype=np.uint8)
    framed = Frame(height=9, width=7).apply(grey)
    np.testing.assert_array_equal(framed, np.repeat(grey[..., None], 3, axis=2))
    assert Frame(height=9, width=7).gives("binary") == "colour"


def test_a_tile_of_a_masked_photo_has_the_masked_pixels() -> None:
    steps = [{"step": "binarize"}, {"step": "tile", "size": 40, "overlap": 0}, {"step": "mask"}]
    views = build_chain(steps, image_size=(40, 40), fit="stretch").views(bar(0))
    assert views.shape == (6, 40, 40, 3)  # 80x90 by tiles of 40
    assert set(np.unique(views)) == {0, 220}
