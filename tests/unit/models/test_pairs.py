"""Lengths as [down, across]: sizes, counts and values of planned and built layers on a photo that is no square."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from teliti.models.layers import build_layers
from teliti.models.shapes import Planned, pair, plan_layers
from teliti.recipe import parse_recipe

SHAPE = (2, 11, 14)
ORACLES = {"max_pool": np.nanmax, "avg_pool": np.nanmean}


def built(entry: dict) -> tuple[Planned, nn.Sequential, int]:
    """The plan of an entry on the photo, the modules that are made of it, and the inputs of the closing layer."""
    layers = parse_recipe({"model": {"layers": [entry]}}).model.layers
    planned = plan_layers(layers, input_shape=SHAPE, num_outputs=2)
    net = build_layers(planned)
    return planned[0], net[:-2], net[-1].in_features


def under_windows(photo: NDArray, places: tuple[int, int], *, border: tuple[int, int], **lengths) -> NDArray:
    """(C, rows, columns, height, width): what lies under each window, NaN where that is beside the photo."""
    kernel, stride, dilation = (pair(lengths.get(name, 1)) for name in ("kernel_size", "stride", "dilation"))
    found = np.full((len(photo), *places, *kernel), np.nan)
    for row, column, down, across in np.ndindex(*places, *kernel):
        y = row * stride[0] - border[0] + down * dilation[0]
        x = column * stride[1] - border[1] + across * dilation[1]
        if 0 <= y < photo.shape[1] and 0 <= x < photo.shape[2]:
            found[:, row, column, down, across] = photo[:, y, x]
    return found


@pytest.fixture(scope="module")
def photo() -> NDArray:
    return np.random.default_rng(0).normal(size=SHAPE)


@pytest.mark.parametrize(
    ("lengths", "padding", "places", "border", "parameters"),
    [  # border: zeros above and to the left
        ({"kernel_size": (3, 5), "stride": (2, 3)}, [1, 2], (6, 5), (1, 2), 3 * (2 * 15 + 1)),
        ({"kernel_size": (3, 2), "dilation": (2, 4)}, "valid", (7, 10), (0, 0), 3 * (2 * 6 + 1)),
        ({"kernel_size": (1, 4), "stride": (1, 2), "dilation": (1, 2)}, [0, 3], (11, 7), (0, 3), 3 * (2 * 4 + 1)),
        ({"kernel_size": (4, 1), "stride": (3, 1)}, [2, 0], (4, 14), (2, 0), 3 * (2 * 4 + 1)),
        ({"kernel_size": (3, 5), "stride": (2, 3)}, "same", (6, 5), (1, 1), 3 * (2 * 15 + 1)),
        ({"kernel_size": (2, 3), "stride": (1, 3), "dilation": (3, 2)}, "same", (11, 5), (1, 1), 3 * (2 * 6 + 1)),
        ({"kernel_size": (5, 3), "dilation": (2, 3)}, "same", (11, 14), (4, 3), 3 * (2 * 15 + 1)),
        ({"kernel_size": (2, 6), "stride": (3, 1)}, "same", (4, 14), (0, 2), 3 * (2 * 12 + 1)),
        ({"kernel_size": 3, "stride": (3, 1)}, "same", (4, 14), (0, 1), 3 * (2 * 9 + 1)),
    ],
)
def test_a_convolution_takes_every_length_as_down_and_across(
    lengths: dict, padding: object, places: tuple, border: tuple, parameters: int, photo: NDArray
) -> None:
    given = {name: list(length) if isinstance(length, tuple) else length for name, length in lengths.items()}
    plan, net, inputs = built({"kind": "conv", "filters": 3, "padding": padding, **given})
    assert plan.output_shape == (3, *places)
    assert inputs == 3 * places[0] * places[1]
    assert plan.num_weights + 3 == parameters == sum(parameter.numel() for parameter in net.parameters())
    windows = np.nan_to_num(under_windows(photo, places, border=border, **lengths))
    expected = np.einsum("fckl,cyxkl->fyx", net[-1].weight.detach().numpy(), windows)
    values = net(torch.from_numpy(photo).float()[None])[0].detach().numpy()
    np.testing.assert_allclose(values, expected, atol=1e-5)  # biases begin at 0


@pytest.mark.parametrize("kind", ORACLES)
@pytest.mark.parametrize(
    ("lengths", "padding", "places", "border"),
    [
        ({"kernel_size": (2, 3), "stride": (2, 3)}, "valid", (5, 4), (0, 0)),
        ({"kernel_size": (3, 2), "stride": (1, 3)}, [1, 0], (11, 5), (1, 0)),
        ({"kernel_size": (3, 4), "stride": (3, 2)}, [0, 2], (3, 8), (0, 2)),
        ({"kernel_size": (3, 2), "stride": (2, 3)}, "same", (6, 5), (1, 0)),
        ({"kernel_size": (2, 5), "stride": (1, 2)}, "same", (11, 7), (0, 1)),
        ({"kernel_size": (3, 5), "stride": (1, 1)}, "same", (11, 14), (1, 2)),
        ({"kernel_size": (4, 3), "stride": (4, 3)}, "same", (3, 5), (0, 0)),
    ],
)
def test_a_pooling_takes_every_length_as_down_and_across(
    kind: str, lengths: dict, padding: object, places: tuple, border: tuple, photo: NDArray
) -> None:
    given = {name: list(length) for name, length in lengths.items()}
    if lengths["stride"] == lengths["kernel_size"]:
        del given["stride"]  # the window's own size when unset
    photo = photo - 5.0  # zeros of a border would be the largest
    plan, net, inputs = built({"kind": kind, "padding": padding, **given})
    assert plan.output_shape == (2, *places)
    assert inputs == 2 * places[0] * places[1]
    assert plan.num_weights == 0
    expected = ORACLES[kind](under_windows(photo, places, border=border, **lengths), axis=(3, 4))
    np.testing.assert_allclose(net(torch.from_numpy(photo)[None])[0].numpy(), expected)


def test_maxout_makes_its_pieces_of_a_window_that_is_no_square() -> None:
    entry = {"kind": "conv", "filters": 3, "kernel_size": [2, 5], "activation": "maxout", "pieces": 4}
    plan, net, _ = built(entry)
    assert plan.output_shape == tuple(net(torch.zeros(1, *SHAPE)).shape[1:]) == (3, 10, 10)
    assert plan.num_weights == net[0].weight.numel() == 12 * 2 * 10
