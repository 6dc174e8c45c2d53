"""Channel, grey, plane, order and filter steps: their functions with their parameters, kinds in and out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydantic import ValidationError

from teliti.imaging.colour import colour_plane, pick_channel, to_grey
from teliti.imaging.filters import FILTER_NAMES, apply_filter, convolve, to_picture
from teliti.transforms.steps import STEPS, Working
from teliti.transforms.steps_colour import ChannelOrder, ColourPlane, Filter, Grey, PickChannel


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (18, 22, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("step", "function"),
    [
        (PickChannel(channel="b"), lambda image: pick_channel(image, "b")),
        (Grey(), to_grey),
        (ColourPlane(plane="lightness"), lambda image: colour_plane(image, "lightness")),
        (ChannelOrder(), lambda image: image[..., ::-1]),
        (ChannelOrder(order="gbr"), lambda image: image[..., [1, 2, 0]]),
        (Filter(), lambda image: to_picture(apply_filter(image, "sharpen"))),
    ],
    ids=lambda value: getattr(value, "step", ""),
)
def test_a_step_is_its_function_on_the_image_alone(step, function, photo: np.ndarray) -> None:
    done = step.run(Working(image=photo, original=photo))
    np.testing.assert_array_equal(done.image, function(photo))
    assert done.image.dtype == np.uint8
    assert done.original is photo
    assert type(step).model_validate(json.loads(json.dumps(step.model_dump(mode="json")))) == step


@pytest.mark.parametrize("step", [PickChannel(), Grey(), ChannelOrder(), Filter()], ids=lambda step: step.step)
def test_a_grey_photo_runs_in_one_channel(step, photo: np.ndarray) -> None:
    grey = np.ascontiguousarray(photo[..., 0])
    alone, together = step.apply(grey), step.apply(np.dstack([grey] * 3))
    np.testing.assert_array_equal(together if together.ndim == 2 else together[..., 2], alone)
    assert step.channelwise


def test_a_plane_needs_three_channels(photo: np.ndarray) -> None:
    assert not ColourPlane.channelwise
    grey = np.dstack([photo[..., 0]] * 3)
    assert not ColourPlane(plane="saturation").apply(grey).any()


def test_kinds() -> None:
    assert PickChannel.takes == ColourPlane.takes == ChannelOrder.takes == {"colour"}
    assert Grey.takes == Filter.takes == {"colour", "grey", "binary"}
    for step in (PickChannel(), Grey(), ColourPlane()):
        assert step.gives("colour") == "grey"
    assert Grey().gives("binary") == "grey"
    assert ChannelOrder().gives("colour") == "colour"
    assert [Filter().gives(kind) for kind in ("colour", "grey", "binary")] == ["colour", "grey", "grey"]


@pytest.mark.parametrize("name", FILTER_NAMES)
def test_every_filter_by_name(name: str, photo: np.ndarray) -> None:
    got = Filter(kernel=name, border="nearest", negative="absolute").apply(photo)
    np.testing.assert_array_equal(got, np.abs(apply_filter(photo, name, border="nearest")).round().clip(0, 255))


def test_a_kernel_of_ones_own_with_stride_and_padding(photo: np.ndarray) -> None:
    kernel = [[1, 0, -1], [0.5, 0, -0.5]]
    step = Filter.model_validate({"step": "filter", "kernel": kernel, "stride": 2, "padding": 1, "negative": "middle"})
    expected = to_picture(convolve(photo, kernel, stride=2, padding=1), negative="middle")
    np.testing.assert_array_equal(step.apply(photo), expected)
    assert step.model_dump(mode="json")["kernel"] == kernel


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"padding": "valid"},
        {"padding": 0},
        {"padding": 1},
        {"padding": 2},
        {"stride": 2},
        {"stride": 2, "padding": 1},
        {"kernel": "gaussian_5x5", "padding": 2},
        {"kernel": "gaussian_5x5", "padding": 1},
        {"kernel": "sobel", "padding": 1},
        {"kernel": [[2]], "padding": "valid"},
        {"kernel": [[1, 2, 1]], "padding": 1},
    ],
)
def test_a_filter_says_whether_it_keeps_the_size(values: dict, photo: np.ndarray) -> None:
    step = Filter.model_validate({"step": "filter", **values})
    assert step.keeps_size == (step.apply(photo).shape == photo.shape)


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("channel", {"channel": "red"}, "'r', 'g' or 'b'"),
        ("colour_plane", {"plane": "chroma"}, "'hue', 'saturation', 'value', 'lightness', 'a' or 'b'"),
        ("channel_order", {"order": "rgg"}, "'rgb', 'rbg', 'grb', 'gbr', 'brg' or 'bgr'"),
        ("filter", {"kernel": "sharpness"}, r'kernel must be one of .* got \'sharpness\'\. Did you mean "sharpen"\?'),
        ("filter", {"kernel": [[1, 2], [3]]}, "A kernel must be rows of numbers, all of one length"),
        ("filter", {"kernel": [[float("nan")]]}, "A kernel's numbers must be finite, got nan"),
        ("filter", {"kernel": [[1.0] * 33]}, "A kernel must be 31x31 or smaller, got 1x33"),
        ("filter", {"padding": "full"}, 'should be "valid", "same" or a whole number of pixels from 0 to 64'),
        ("filter", {"padding": 65}, "a whole number of pixels from 0 to 64"),
        ("filter", {"padding": True}, "a whole number of pixels from 0 to 64"),
        ("filter", {"padding": [1, 1]}, "a whole number of pixels from 0 to 64"),
        ("filter", {"stride": 0}, "greater than or equal to 1"),
        ("filter", {"border": "black"}, "'zero', 'nearest', 'reflect', 'mirror' or 'wrap'"),
        ("filter", {"negative": "keep"}, "'clip', 'absolute' or 'middle'"),
    ],
)
def test_parameters_that_cannot_be_used_are_refused(name: str, values: dict, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        STEPS.get(name).model_validate({"step": name, **values})
