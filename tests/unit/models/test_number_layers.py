"""Number steps in the graph: torch and the exported file give the numbers of the arithmetic in float64."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from teliti.models.number_layers import NumberLayers
from teliti.models.onnx_graph import export_module
from teliti.transforms.prepare import build_chain
from teliti.transforms.steps import STEPS, NumberStep
from teliti.transforms.steps_numbers import FittedNumbers, apply_numbers, fit_numbers

SIZE = (8, 8)
RESCALE = {"step": "rescale", "factor": 0.01, "offset": -0.7}
CHAINS: dict[str, list[dict]] = {
    "rescale": [{"step": "rescale"}],
    "rescale and shift": [RESCALE],
    "center by sample": [{"step": "center", "by": "sample"}],
    "center by sample and channel": [{"step": "center", "by": "sample", "per_channel": True}],
    "center by feature": [{"step": "center"}],
    "standardize by sample": [{"step": "standardize", "by": "sample"}],
    "standardize by sample and channel": [{"step": "standardize", "by": "sample", "per_channel": True, "eps": 0.5}],
    "standardize by feature": [{"step": "standardize"}],
    "zca": [{"step": "zca", "eps": 1.0}],
    "zca of nearly nothing": [{"step": "zca"}],
    "rescale, standardize": [{"step": "rescale"}, {"step": "standardize"}],
    "center, zca": [{"step": "center", "by": "sample"}, {"step": "zca", "eps": 0.1}],
    "all of them": [
        RESCALE,
        {"step": "center", "by": "sample", "per_channel": True},
        {"step": "center"},
        {"step": "standardize", "by": "sample"},
        {"step": "standardize", "eps": 0.01},
        {"step": "zca", "eps": 0.1},
        {"step": "rescale", "factor": 3.0},
    ],
}


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    """(300, 8, 8, 3) uint8: smooth shapes under noise, some dark, some bright; one of a single value."""
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[:8, :8] / 8
    many = []
    for _ in range(300):
        (a, b), level = rng.normal(size=2), rng.uniform(60, 180)
        shape = level + 40 * (a * rows + b * columns)[..., None] * rng.uniform(0.6, 1.0, 3)
        many.append(shape + rng.normal(0, 12, (8, 8, 3)))
    many[7] = np.full((8, 8, 3), 90.0)
    return np.clip(np.rint(many), 0, 255).astype(np.uint8)


def fit(name: str, photos: np.ndarray) -> FittedNumbers:
    return fit_numbers(build_chain(CHAINS[name], image_size=SIZE, fit="stretch").numbers, list(photos))


def layers_of(fitted: FittedNumbers) -> NumberLayers:
    return NumberLayers([step.model_dump(mode="json") for step in fitted.steps], fitted.arrays).eval()


def assert_agree(given: np.ndarray, exact: np.ndarray) -> None:
    """To 1e-4 of the photos' own range of numbers."""
    assert given.shape == exact.shape
    assert given.dtype == np.float32
    assert np.abs(exact).max() > 0
    np.testing.assert_allclose(given, exact, rtol=1e-4, atol=1e-4 * np.abs(exact).max())


def test_every_number_step_is_tried() -> None:
    names = {name for name in STEPS.names() if issubclass(STEPS.get(name), NumberStep)}
    assert {record["step"] for chain in CHAINS.values() for record in chain} == names


@pytest.mark.parametrize("name", CHAINS)
def test_torch_gives_the_numbers_of_the_arithmetic(name: str, photos: np.ndarray) -> None:
    fitted = fit(name, photos[:200])
    new = photos[200:]
    with torch.inference_mode():
        given = layers_of(fitted)(torch.from_numpy(new).to(torch.float32)).numpy()
    assert_agree(given, apply_numbers(fitted, new))


@pytest.mark.parametrize("name", ["standardize by sample", "standardize by sample and channel", "center by sample"])
def test_a_photo_of_one_value_becomes_zeros(name: str, photos: np.ndarray) -> None:
    with torch.inference_mode():
        given = layers_of(fit(name, photos))(torch.full((1, *SIZE, 3), 90.0))
    np.testing.assert_array_equal(given.numpy(), 0.0)


def test_a_channel_that_is_constant_in_training_is_only_centred(photos: np.ndarray) -> None:
    constant = photos.copy()
    constant[..., 1] = 77
    fitted = fit("standardize by feature", constant)
    new = photos[:20]
    with torch.inference_mode():
        given = layers_of(fitted)(torch.from_numpy(new).to(torch.float32)).numpy()
    np.testing.assert_allclose(given[..., 1], new[..., 1].astype(float) - 77, atol=1e-4)
    assert_agree(given, apply_numbers(fitted, new))


class _FromPixels(nn.Module):
    """Number layers as they stand in a network: pixels in."""

    def __init__(self, layers: NumberLayers) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image.to(torch.float32))


def test_the_exported_graph_gives_them_too_for_any_number_of_photos(photos: np.ndarray) -> None:
    fitted = fit("all of them", photos[:200])
    example = torch.zeros((2, *SIZE, 3), dtype=torch.uint8)
    graph = export_module(_FromPixels(layers_of(fitted)), example, input_name="image", output_names=["numbers"])
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    for new in (photos[200:], photos[200:201]):
        assert_agree(session.run(["numbers"], {"image": new})[0], apply_numbers(fitted, new))
