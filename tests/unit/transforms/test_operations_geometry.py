"""Each geometric augmentation: where it takes the pixels, and where its values lie."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from teliti.imaging.geometry import IDENTITY, Affine, as_matrix, warp
from teliti.transforms.operations_geometry import CropAndPad, Flip, Rotate, Shear, Shift, Turn, Zoom

SIZE = (40, 60)
units = st.floats(0.0, 1.0, exclude_max=True)


def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def agrees(matrix: Affine, **parameters) -> bool:
    """Equal to torchvision's affine up to rounding, wherever the source lies inside the photo.

    Torchvision counts angles clockwise; where a source lies across the rim it mixes in its fill, and we do not.
    """
    settings = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0], **parameters}
    layers = np.concatenate([photo(), np.full((*SIZE, 1), 255, np.uint8)], axis=2)
    tensor = torch.from_numpy(layers).permute(2, 0, 1).float()
    moved = functional.affine(tensor, **settings, interpolation=InterpolationMode.BILINEAR, fill=0.0)
    expected = moved.permute(1, 2, 0).numpy()
    inside = expected[..., 3] > 254.99
    difference = np.abs(warp(photo(), matrix) - expected[..., :3])[inside]
    return bool(inside.mean() > 0.2 and difference.max() <= 0.6)


@pytest.mark.parametrize("degrees", [-170.0, -33.0, 12.5, 90.0])
def test_rotating_is_torchvisions(degrees: float) -> None:
    assert agrees(Rotate().matrix({"degrees": degrees}, SIZE), angle=-degrees)


@pytest.mark.parametrize(("width", "height"), [(0.1, -0.05), (-0.5, 0.25)])
def test_shifting_is_torchvisions(width: float, height: float) -> None:
    matrix = Shift().matrix({"width": width, "height": height}, SIZE)
    assert agrees(matrix, translate=[width * SIZE[1], height * SIZE[0]])


@pytest.mark.parametrize("scale", [0.6, 1.7])
def test_zooming_is_torchvisions(scale: float) -> None:
    assert agrees(Zoom().matrix({"width": scale, "height": scale}, SIZE), scale=scale)


@pytest.mark.parametrize("degrees", [-35.0, 20.0])
def test_shearing_is_torchvisions(degrees: float) -> None:
    matrix = Shear().matrix({"horizontal": degrees, "vertical": 0.0}, SIZE)
    assert agrees(matrix, shear=[-degrees, 0.0])


def test_flipping_both_ways_is_numpys() -> None:
    values = {"horizontal": True, "vertical": True}
    np.testing.assert_array_equal(warp(photo(), Flip().matrix(values, SIZE)), photo()[::-1, ::-1])


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_turning_is_numpys(quarters: int) -> None:
    square = photo()[:, :40]
    np.testing.assert_array_equal(
        warp(square, Turn().matrix({"quarters": quarters}, (40, 40))), np.rot90(square, quarters)
    )


def test_a_turned_oblong_keeps_its_size_and_its_middle() -> None:
    turned = warp(photo(), Turn().matrix({"quarters": 1}, SIZE))
    assert turned.shape == (*SIZE, 3)
    np.testing.assert_array_equal(turned[:, 10:50], np.rot90(photo())[10:50])


def test_cropping_is_cutting_and_resizing() -> None:
    values = {"left": -0.25, "top": -0.25, "right": -0.25, "bottom": -0.25}
    ours = warp(photo(), CropAndPad().matrix(values, SIZE)).astype(float)
    cut = torch.from_numpy(photo()[10:30, 15:45]).permute(2, 0, 1).float()
    expected = functional.resize(cut, [*SIZE], InterpolationMode.BILINEAR, antialias=False).permute(1, 2, 0).numpy()
    inside = np.s_[1:-1, 1:-1]  # at the rim ours still sees the photo beyond the cut
    np.testing.assert_allclose(ours[inside], expected[inside], atol=0.51)


def test_padding_shows_the_whole_photo_smaller() -> None:
    values = {"left": 0.5, "top": 0.5, "right": 0.5, "bottom": 0.5}
    ours = warp(photo(), CropAndPad(pad=0.5).matrix(values, SIZE), fill="constant")
    assert ours[10:30, 15:45].min() >= 0
    np.testing.assert_array_equal(ours[:9], 0)
    np.testing.assert_array_equal(ours[:, :14], 0)
    assert ours[11:29, 16:44].mean() == pytest.approx(photo().mean(), abs=3)


@given(st.lists(units, min_size=4, max_size=4))
def test_drawn_values_stay_in_their_ranges(numbers: list[float]) -> None:
    assert abs(Rotate(degrees=15).draw(numbers)["degrees"]) <= 15.0
    assert abs(Shift(width=0.2).draw(numbers)["width"]) <= 0.2
    assert 0.7 <= Zoom(scale=0.3).draw(numbers)["width"] <= 1.3
    assert 10.0 <= Shear(horizontal=(10, 20)).draw(numbers)["horizontal"] <= 20.0
    assert Turn(quarters=(1, 3)).draw(numbers)["quarters"] in {1, 3}
    assert all(-0.1 <= share <= 0.3 for share in CropAndPad(crop=0.1, pad=0.3).draw(numbers).values())


def test_a_zoom_keeps_the_shape_unless_told_otherwise() -> None:
    kept, free = Zoom(scale=0.3).draw([0.1, 0.9]), Zoom(scale=0.3, keep_shape=False).draw([0.1, 0.9])
    assert kept["width"] == kept["height"]
    assert free["width"] < free["height"]


@pytest.mark.parametrize(
    "operation",
    [Flip(horizontal=0.0), Turn(quarters=(0,)), Rotate(degrees=0), Shift(width=0, height=0), Zoom(scale=0),
     Shear(horizontal=0), CropAndPad(crop=0.0)],
    ids=lambda operation: operation.step,
)  # fmt: skip
@given(st.lists(units, min_size=4, max_size=4), st.integers(1, 99), st.integers(1, 99))
def test_without_strength_it_is_the_identity(operation, numbers: list[float], height: int, width: int) -> None:
    matrix = operation.matrix(operation.draw(numbers[: operation.units]), (height, width))
    np.testing.assert_array_equal(as_matrix(matrix), as_matrix(IDENTITY))


def test_words_name_the_values() -> None:
    assert Rotate().words({"degrees": 12.345}) == "rotated by 12.3 degrees"
    assert Flip().words({"horizontal": True, "vertical": True}) == "flipped horizontally and flipped vertically"
    assert Flip().words({"horizontal": False, "vertical": False}) == "not flipped"
    assert Turn().words({"quarters": 3}) == "turned by 270 degrees"
    assert Shift().words({"width": 0.1, "height": -0.05}) == "shifted by 10.0 % of the width and -5.0 % of the height"
    assert Zoom().words({"width": 1.1, "height": 0.9}) == "zoomed 1.10 times in width and 0.90 in height"
    assert Shear().words({"horizontal": 3.0, "vertical": 0.0}) == "sheared by 3.0 degrees across and 0.0 down"
    assert CropAndPad().words({"left": -0.1, "top": 0.05}) == "cropped or padded: left -10.0 %, top +5.0 %"
