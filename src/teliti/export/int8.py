"""Eight-bit networks by NNCF's post-training quantisation: convolutions and matrix products of the backbone.

The head, its calibration and everything behind them stay in floating point. The ranges are measured on calibration
photos, by one of three rules; what then still differs on average is taken out of the features (`alignment`). The first
convolutions may stay in floating point, too: they see the photo itself, have few channels, and every later layer
inherits what they round away. Whether the result may be used is not decided here.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from teliti.export.formats import read_openvino
from teliti.models.onnx_graph import HEAD_PREFIX
from teliti.runtime import require
from teliti.sessions import INPUT
from teliti.types import UInt8Image

if TYPE_CHECKING:
    import openvino
    from onnx import ModelProto

MOST_PHOTOS = 300
Ranges = Literal["largest", "histogram", "usual"]
"""How the range of an activation follows from calibration photos: the largest value of all, the range with the least
squared error of its histogram, or the mean of each photo's largest value (NNCF's own default, which cuts most)."""
RANGES: tuple[Ranges, ...] = ("largest", "histogram", "usual")
FLOATING = (0.1, 0.35)
"""Shares of the convolutions that stay in floating point, tried in turn where eight bits everywhere change too much."""
_ESTIMATORS: dict[Ranges, str | None] = {"largest": "MINMAX", "histogram": "HISTOGRAM", "usual": None}


def quantize_openvino(
    path: Path, pictures: Sequence[UInt8Image], *, ranges: Ranges, floating: float = 0.0
) -> openvino.Model:
    """An int8 OpenVINO model of an ONNX network.

    Args:
        path: The bundle's `model.onnx`.
        pictures: (H, W, 3) uint8 RGB, prepared: what the ranges are measured on.
        ranges: How.
        floating: Share of the convolutions, from the photo on, that stay in floating point, in [0, 1].

    Raises:
        MissingExtraError: OpenVINO or NNCF is not installed.
    """
    items, model = [picture[None] for picture in pictures], read_openvino(path)
    layers = [one.get_friendly_name() for one in model.get_ordered_ops() if "Convolution" in one.get_type_name()]
    names = layers[: ceil(floating * len(layers))]
    return _quantize(model, items, ranges=ranges, names=names, patterns=[f"{HEAD_PREFIX}.*"])


def quantize_onnx(path: Path, pictures: Sequence[UInt8Image], *, ranges: Ranges, floating: float = 0.0) -> ModelProto:
    """An int8 ONNX network, with quantise and dequantise operators around each eight-bit layer.

    Args:
        path: The bundle's `model.onnx`.
        pictures: (H, W, 3) uint8 RGB, prepared: what the ranges are measured on.
        ranges: How.
        floating: Share of the convolutions, from the photo on, that stay in floating point, in [0, 1].

    Raises:
        MissingExtraError: onnx or NNCF is not installed.
    """
    onnx = require("onnx", extra="quantize", purpose="quantise the network")
    require("nncf", extra="quantize", purpose="quantise the network")
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="teliti-int8-") as folder:
        simpler = Path(folder) / "simpler.onnx"  # constants folded; NNCF wants the type of every tensor
        quant_pre_process(str(path), str(simpler), skip_symbolic_shape=True)
        model = onnx.load(simpler)
    head = [node.name for node in model.graph.node if node.name.startswith(HEAD_PREFIX)]
    layers = [node.name for node in model.graph.node if node.op_type == "Conv"]
    names = [*head, *layers[: ceil(floating * len(layers))]]
    items = [{INPUT: one[None]} for one in pictures]
    quantized: ModelProto = _quantize(model, items, ranges=ranges, names=names, patterns=[])
    return quantized


def _quantize(model: Any, items: Sequence[Any], *, ranges: Ranges, names: list[str], patterns: list[str]) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):  # NNCF tells of every layer, and draws progress bars of its own
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # looks for a compiler for CUDA
        nncf = require("nncf", extra="quantize", purpose="quantise the network")
        nncf.set_log_level(logging.ERROR)
        return nncf.quantize(
            model,
            nncf.Dataset(items),
            subset_size=min(len(items), MOST_PHOTOS),
            ignored_scope=nncf.IgnoredScope(names=names, patterns=patterns, validate=False),
            advanced_parameters=_advanced(nncf, ranges),
        )


def _advanced(nncf: Any, ranges: Ranges) -> Any:
    estimator = _ESTIMATORS[ranges]
    if estimator is None:
        return nncf.AdvancedQuantizationParameters()
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    chosen = getattr(RangeEstimatorParametersSet, estimator)
    return nncf.AdvancedQuantizationParameters(activations_range_estimator_params=chosen)
