"""Which layers of a network become eight bits wide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from teliti.export.int8 import quantize_onnx, quantize_openvino

NETWORK = Path(__file__).resolve().parents[2] / "data" / "bundles" / "2" / "model.onnx"
ROUNDED = {"FakeQuantize", "DequantizeLinear"}


def rounded_layers(target: str, floating: float) -> list[bool]:
    """Of each convolution, from the photo on, whether its input is rounded."""
    size = 16
    photos = list(np.random.default_rng(0).integers(0, 256, (6, size, size, 3), dtype=np.uint8))
    if target == "openvino":
        model = quantize_openvino(NETWORK, photos, ranges="largest", floating=floating)
        layers = [one for one in model.get_ordered_ops() if "Convolution" in one.get_type_name()]
        return [one.input_value(0).get_node().get_type_name() in ROUNDED for one in layers]
    graph = quantize_onnx(NETWORK, photos, ranges="largest", floating=floating).graph
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    return [made_by.get(node.input[0]) in ROUNDED for node in graph.node if node.op_type == "Conv"]


@pytest.mark.parametrize("target", ["onnx", "openvino"])
def test_the_first_layers_stay_in_floating_point(target: str) -> None:
    layers = rounded_layers(target, 0.0)
    assert len(layers) > 1
    assert all(layers)
    assert rounded_layers(target, 0.1) == [number >= 1 for number in range(len(layers))]  # at least one
