"""Views without a cue: measured on parts whose texture, colour and outline are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage import color, feature, filters

from teliti.imaging.appearance import blend, decolourise, detexturise, enhance_edges, luminance, salient_edges

SHAPES = [(1, 1), (5, 3), (33, 48)]


def part(*, texture: float = 8.0, side: int = 48) -> np.ndarray:
    """A bright square on dark ground, both with fine texture; (side, side) uint8."""
    photo = np.full((side, side), 70.0)
    photo[side // 4 : -side // 4, side // 4 : -side // 4] = 180.0
    return np.clip(photo + np.random.default_rng(0).normal(0.0, texture, photo.shape), 0, 255).astype(np.uint8)


def colours(shape: tuple[int, int] = (33, 48)) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)


def grey_in_colour() -> np.ndarray:
    return np.repeat(part()[..., None], 3, axis=2)


def test_texture_goes_and_the_step_stays() -> None:
    smooth = detexturise(part()).astype(float)
    ground, square = smooth[:8, :8], smooth[20:28, 20:28]
    assert ground.std() < 0.25 * part()[:8, :8].std()
    assert square.mean() - ground.mean() == pytest.approx(110.0, abs=4.0)
    across = smooth[24, 8:16]
    assert np.abs(np.diff(across)).max() > 80.0  # the outline is still one pixel wide


def test_one_round_is_the_formula_of_the_bilateral_filter() -> None:
    photo = part().astype(float)
    padded = np.pad(photo, 6, mode="edge")
    total, weights = np.zeros_like(photo), np.zeros_like(photo)
    for down in range(-6, 7):
        for right in range(-6, 7):
            if down**2 + right**2 <= 36:
                beside = padded[6 + down : 54 + down, 6 + right : 54 + right]
                weight = np.exp(-(down**2 + right**2) / (2 * 3.0**2) - (beside - photo) ** 2 / (2 * 30.0**2))
                total, weights = total + weight * beside, weights + weight
    np.testing.assert_allclose(detexturise(part(), rounds=1), total / weights, atol=0.51)


def test_three_equal_channels_stay_equal_and_follow_one() -> None:
    colour, grey = detexturise(grey_in_colour()), detexturise(part())
    np.testing.assert_array_equal(colour[..., 0], colour[..., 1])
    np.testing.assert_array_equal(colour[..., 0], colour[..., 2])
    assert np.abs(colour[..., 0].astype(int) - grey).max() <= 1


def test_without_colour_it_is_the_luminance() -> None:
    plain = decolourise(colours())
    np.testing.assert_allclose(plain[..., 1], colours() @ np.array([0.299, 0.587, 0.114]), atol=1.0)
    np.testing.assert_array_equal(plain[..., 0], plain[..., 2])


def test_half_of_the_colour_can_go() -> None:
    half, none = decolourise(colours(), strength=0.5), decolourise(colours())
    np.testing.assert_allclose(half, (colours().astype(float) + none) / 2, atol=0.51)
    assert 0.3 < color.rgb2hsv(half)[..., 1].mean() / color.rgb2hsv(colours())[..., 1].mean() < 0.8


def test_raised_edges_are_those_of_scikit_image() -> None:
    ours = enhance_edges(part(), strength=1.5, sigma=2.0)
    expected = filters.unsharp_mask(part(), radius=2.0, amount=1.5, preserve_range=True)
    inside = np.s_[10:-10, 10:-10]
    np.testing.assert_allclose(ours[inside], np.clip(expected, 0, 255)[inside], atol=1.5)


def test_raised_edges_keep_the_hue() -> None:
    photo = np.stack([part(), part() // 2 + 20, part() // 3 + 30], axis=-1)
    raised = enhance_edges(photo, strength=0.8)
    within = ((raised > 0) & (raised < 255)).all(axis=2)
    apart = raised[..., 0].astype(int) - raised[..., 1]
    assert np.abs(apart - (photo[..., 0].astype(int) - photo[..., 1]))[within].max() <= 1


def test_outlines_lie_on_the_outline() -> None:
    edges = salient_edges(part(texture=0.0))
    assert edges.max() == 255
    outline = ndimage.binary_dilation(part(texture=0.0) > 128) ^ ndimage.binary_erosion(part(texture=0.0) > 128)
    np.testing.assert_array_equal(edges[~ndimage.binary_dilation(outline, iterations=2)], 0)
    assert (edges[outline] > 0).mean() > 0.9


def test_texture_makes_no_outlines() -> None:
    edges = salient_edges(part(texture=8.0))
    canny = feature.canny(part(texture=0.0) / 255.0, sigma=1.0)
    near = ndimage.binary_dilation(canny, iterations=3)
    assert (edges[near] > 0).any()
    assert (edges[~near] > 0).mean() < 0.01


def test_a_weak_edge_shows_only_beside_a_strong_one() -> None:
    photo = np.full((32, 64), 100, dtype=np.uint8)
    photo[:, 20:] += 20  # 10 levels per pixel where it is alone
    assert salient_edges(photo, low=2.0, high=30.0).max() == 0
    photo[12:, 20:] += 80  # the same line, steep from row 12 down
    edges = salient_edges(photo, low=2.0, high=30.0)
    assert edges[2, 19:21].max() > 0


def test_an_even_photo_has_no_outlines() -> None:
    assert salient_edges(np.full((20, 20, 3), 90, dtype=np.uint8)).max() == 0


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("view", [detexturise, decolourise, enhance_edges])
def test_shape_and_dtype_stay(view, shape: tuple[int, int]) -> None:
    for photo in (colours(shape), colours(shape)[..., 0]):
        before = photo.copy()
        result = view(photo)
        assert (result.shape, result.dtype) == (photo.shape, np.uint8)
        np.testing.assert_array_equal(photo, before)


@pytest.mark.parametrize("shape", SHAPES)
def test_outlines_are_grey(shape: tuple[int, int]) -> None:
    assert salient_edges(colours(shape)).shape == shape
    assert salient_edges(colours(shape)).dtype == np.uint8


def test_at_strength_zero_the_photo_itself_comes_back() -> None:
    photo = colours()
    assert decolourise(photo, strength=0.0) is photo
    assert enhance_edges(photo, strength=0.0) is photo
    assert blend(photo, 255 - photo, strength=0.0) is photo


def test_a_blend_lies_between() -> None:
    photo, other = colours(), 255 - colours()
    assert blend(photo, other, strength=1.0) is other
    np.testing.assert_allclose(blend(photo, other, strength=0.25), 0.75 * photo + 0.25 * other, atol=0.51)


def test_the_luminance_of_grey_is_itself() -> None:
    np.testing.assert_array_equal(luminance(grey_in_colour()), part())
    assert luminance(photo := part()) is photo
