"""What an eight-bit network's features have in common with those of the float network, made equal.

Rounding shifts and stretches each feature a little, the same way for every photo; novelty, a distance, grows by what
is left. Both are measured on calibration photos, without labels, and written into the graph in floating point: a
factor and an offset for each feature, and a factor for novelty, so that the bundle's own limits stay right. The idea
is bias correction (M. Nagel and others, "Data-free quantization through weight equalization and bias correction",
2019), at the one place where the head reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from teliti.predictor import NOVELTY
from teliti.runtime import require

if TYPE_CHECKING:
    import openvino
    from onnx import ModelProto

FEATURES = "features"
_Float32 = NDArray[np.float32]
_LEAST_SPREAD = 1e-6  # of a feature's own size; below it the photos say nothing about a factor


@dataclass(frozen=True, eq=False)
class Alignment:
    """A change of each output that is made equal.

    Attributes:
        factor: (D,) float32, of the features.
        offset: (D,) float32, added behind it.
        novelty: Factor of novelty; None where the network does not tell it.
    """

    factor: _Float32
    offset: _Float32
    novelty: float | None = None


def fit_alignment(own: _Float32, wanted: _Float32) -> Alignment:
    """The least-squares line of each feature.

    Args:
        own: (N, D) of the eight-bit network.
        wanted: (N, D) of the float network, of the same photos.
    """
    x, y = own.astype(np.float64), wanted.astype(np.float64)
    spread, size = x.var(axis=0), np.square(x).mean(axis=0)
    shared = ((x - x.mean(axis=0)) * (y - y.mean(axis=0))).mean(axis=0)
    is_told = spread > _LEAST_SPREAD**2 * np.maximum(size, 1e-12)
    factor = np.where(is_told, shared / np.where(is_told, spread, 1.0), 1.0)
    offset = y.mean(axis=0) - factor * x.mean(axis=0)
    return Alignment(factor.astype(np.float32), offset.astype(np.float32))


def novelty_factor(own: _Float32, wanted: _Float32) -> float:
    """The median of how much smaller novelty must become, both (N,) float32 >= 0."""
    tiny = np.float32(1e-9)
    return float(np.exp(np.median(np.log((wanted + tiny) / (own + tiny)))))


def align_openvino(model: openvino.Model, alignment: Alignment) -> openvino.Model:
    """The model with the change in it; the model itself is changed."""
    openvino = require("openvino", extra="quantize", purpose="write an OpenVINO model")
    for name, factor, offset in _changes(alignment):
        source = model.output(name).get_node().input(0).get_source_output()
        readers = list(source.get_target_inputs())
        operators = openvino.opset13
        scaled = operators.multiply(source, operators.constant(factor))
        scaled = operators.add(scaled, operators.constant(offset)).output(0)
        for reader in readers:
            reader.replace_source_output(scaled)
        source.set_names({f"{name}/int8"})
        scaled.set_names({name})
    model.validate_nodes_and_infer_types()
    return model


def align_onnx(model: ModelProto, alignment: Alignment) -> ModelProto:
    """The model with the change in it; the model itself is changed."""
    onnx = require("onnx", extra="quantize", purpose="write the network")
    for name, factor, offset in _changes(alignment):
        nodes = list(model.graph.node)
        place = next(index for index, node in enumerate(nodes) if name in node.output)
        nodes[place].output[list(nodes[place].output).index(name)] = f"{name}/int8"
        for part, array in (("factor", factor), ("offset", offset)):
            model.graph.initializer.append(onnx.numpy_helper.from_array(array, f"{name}/{part}"))
        behind = [
            onnx.helper.make_node("Mul", [f"{name}/int8", f"{name}/factor"], [f"{name}/scaled"], name=f"{name}/mul"),
            onnx.helper.make_node("Add", [f"{name}/scaled", f"{name}/offset"], [name], name=f"{name}/add"),
        ]
        del model.graph.node[:]
        model.graph.node.extend([*nodes[: place + 1], *behind, *nodes[place + 1 :]])
    return model


def _changes(alignment: Alignment) -> list[tuple[str, _Float32, _Float32]]:
    changes = [(FEATURES, alignment.factor, alignment.offset)]
    if alignment.novelty is not None:
        changes.append((NOVELTY, np.array([alignment.novelty], np.float32), np.zeros(1, np.float32)))
    return changes
