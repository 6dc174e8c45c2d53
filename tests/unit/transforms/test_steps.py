"""What steps share: the original moves along, a mask is put on it, backgrounds, names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest

from teliti.errors import RecipeError
from teliti.transforms.steps import GeometryStep, MaskStep, PixelStep, Working, name_of


class Left(GeometryStep):
    step: Literal["left"] = "left"

    def place(self, photo: Working) -> Callable[[np.ndarray], np.ndarray]:
        middle = photo.image.shape[1] // 2
        return lambda image: image[:, :middle]


class Invert(PixelStep):
    step: Literal["invert"] = "invert"

    def apply(self, image: np.ndarray) -> np.ndarray:
        return 255 - image


class Given(MaskStep):
    step: Literal["given"] = "given"

    def mask(self, photo: Working) -> np.ndarray:
        return np.where(photo.image[..., 0] > 127, 255, 0).astype(np.uint8)


@pytest.fixture
def photo() -> Working:
    image = np.random.default_rng(5).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    return Working(image, image)


def test_pixel_steps_change_the_image_and_geometric_steps_move_the_original_along(photo: Working) -> None:
    after = Left().run(Invert().run(photo))
    np.testing.assert_array_equal(after.image, 255 - photo.image[:, :5])
    np.testing.assert_array_equal(after.original, photo.original[:, :5])


def test_an_image_that_is_still_the_original_is_moved_once(photo: Working) -> None:
    after = Left().run(photo)
    assert after.original is after.image


def test_a_mask_is_put_on_the_original(photo: Working) -> None:
    inside = photo.original[..., 0] < 128  # where the inverted image is bright
    masked = Given(value=7).run(Invert().run(photo)).image
    np.testing.assert_array_equal(masked[inside], photo.original[inside])
    assert set(masked[~inside].ravel()) == {7}


@pytest.mark.parametrize(
    ("background", "expected"),
    [("constant", lambda _: np.zeros(3)), ("neutral", lambda _: np.full(3, 128)), ("mean", lambda i: i.mean((0, 1)))],
)
def test_the_background_has_the_colour_that_was_asked_for(photo: Working, background: str, expected) -> None:
    outside = photo.original[..., 0] <= 127
    masked = Given(background=background).run(photo).image
    np.testing.assert_allclose(masked[outside], np.broadcast_to(expected(photo.original), (outside.sum(), 3)), atol=0.5)
    np.testing.assert_array_equal(masked[~outside], photo.original[~outside])


def test_a_blurred_background_is_the_photo_without_detail(photo: Working) -> None:
    from scipy.ndimage import gaussian_filter

    outside = photo.original[..., 0] <= 127
    masked = Given(background="blurred", blur=2.0).run(photo).image
    expected = gaussian_filter(photo.original.astype(float), sigma=(2, 2, 0), mode="nearest", truncate=6)
    np.testing.assert_allclose(masked[outside], expected[outside], atol=2.0)


def test_a_mask_with_nothing_in_it_leaves_the_photo_whole() -> None:
    dark = np.full((4, 4, 3), 20, dtype=np.uint8)
    assert Given(value=255).run(Working(dark, dark)).image is dark


def test_a_mask_of_another_size_is_refused(photo: Working) -> None:
    small = Working(photo.image[:4, :5], photo.original)
    with pytest.raises(RecipeError, match=r"The mask is 4x5 and the photo 12x10\. A step before it changed the size"):
        Given().run(small)


def test_a_step_knows_its_name() -> None:
    assert name_of(Left()) == "left"
