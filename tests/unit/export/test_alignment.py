"""What rounding does to all photos alike is taken out of the features, in both formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from handmade import brightness_network, even_photo
from teliti.export.alignment import Alignment, align_onnx, align_openvino, fit_alignment, novelty_factor
from teliti.export.formats import open_exported, read_openvino, write_onnx, write_openvino
from teliti.sessions import Session

GREYS = (10, 90, 250)
BATCH = np.stack([even_photo(grey) for grey in GREYS])


@pytest.fixture(params=["onnx", "openvino"])
def aligned(request: pytest.FixtureRequest, tmp_path: Path) -> Session:
    """The brightness network whose only feature is doubled and 3 larger."""
    change = Alignment(np.array([2.0], np.float32), np.array([3.0], np.float32))
    source = tmp_path / "source.onnx"
    source.write_bytes(brightness_network(is_regression=True))
    if request.param == "onnx":
        path = write_onnx(align_onnx(onnx.load(source), change), tmp_path, facts={})
    else:
        path = write_openvino(align_openvino(read_openvino(source), change), tmp_path, facts={})
    return open_exported(path, threads=1)


def test_the_head_reads_the_aligned_features(aligned: Session) -> None:
    features, values = aligned.run(["features", "value"], BATCH)
    np.testing.assert_allclose(features[:, 0], [2 * grey + 3 for grey in GREYS])
    np.testing.assert_allclose(values, features)  # the network's head hands its feature on


def test_lines_are_found_and_constant_features_are_shifted() -> None:
    rng = np.random.default_rng(0)
    own = rng.normal(size=(200, 3)).astype(np.float32)
    own[:, 2] = 4.0
    wanted = own * np.array([0.5, -2.0, 1.0], np.float32) + np.array([1.0, 0.0, 0.25], np.float32)
    alignment = fit_alignment(own, wanted)
    np.testing.assert_allclose(alignment.factor, [0.5, -2.0, 1.0], rtol=1e-5)
    np.testing.assert_allclose(alignment.offset, [1.0, 0.0, 0.25], atol=1e-5)


def test_novelty_is_scaled_by_the_median() -> None:
    own = np.array([1.0, 2.0, 4.0], np.float32)
    assert novelty_factor(own, own * np.array([0.5, 0.9, 2.0], np.float32)) == pytest.approx(0.9)
