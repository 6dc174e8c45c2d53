"""Bundles made by hand for tests: a network that only measures brightness, so that every answer is known.

A photo's score is its mean grey value divided by 255; the class `bright` is the positive one. The regression bundle
predicts the mean grey value itself.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
from numpy.typing import NDArray

from parts import encode_png
from teliti.bundle import MODEL, WEIGHTS, Bundle, write_bundle
from teliti.metrics.decision import Decision
from teliti.metrics.label_decision import LabelsDecision
from teliti.metrics.review import Review
from teliti.transforms.prepare import build_chain

CLASSES = ("dark", "bright")
SIDE = 8
_START = """
<ir_version: 10, opset_import: ["" : 20]>
brightness (uint8[N, 8, 8, 3] image) => ({outputs}, float[N, 1] features) {{
  axes = Constant <value = int64[3] {{1, 2, 3}}> ()
  last = Constant <value = int64[1] {{1}}> ()
  full = Constant <value = float {{255.0}}> ()
  one = Constant <value = float {{1.0}}> ()
  pixels = Cast <to = 1> (image)
  mean = ReduceMean <keepdims = 0> (pixels, axes)
  features = Unsqueeze (mean, last)
"""
_SCORES = """
  score = Div (mean, full)
  bright = Unsqueeze (score, last)
  dark = Sub (one, bright)
  probs = Concat <axis = 1> (dark, bright)
  logits = Log (probs)
}
"""
_NUMBERS = """
  value = Identity (features)
}
"""
_OUTPUTS = "float[N, 2] logits, float[N, 2] probs, float[N] score"


def brightness_network(*, is_regression: bool = False) -> bytes:
    """The network as ONNX."""
    start = _START.format(outputs="float[N, 1] value" if is_regression else _OUTPUTS)
    model = onnx.parser.parse_model(start + (_NUMBERS if is_regression else _SCORES))
    onnx.checker.check_model(model)
    return model.SerializeToString()


def even_photo(grey: int, *, side: int = SIDE) -> NDArray[np.uint8]:
    """A photo of one grey value, (side, side, 3) uint8."""
    return np.full((side, side, 3), grey, dtype=np.uint8)


def write_brightness_bundle(
    folder: Path,
    *,
    threshold: float | None = 0.5,
    is_regression: bool = False,
    golden: tuple[int, ...] = (30, 200),
    grey: tuple[float, float] | None = None,
    has_labels: bool = False,
) -> Bundle:
    """A whole bundle around the network, with golden photos of these grey values; scores within `grey` are reviewed.

    With `has_labels` a photo may have several labels: each class is one, and a bright photo is a reject.
    """
    review = Review() if grey is None else Review(*grey, sentence="By hand.")
    decision: Decision | LabelsDecision = Decision(
        CLASSES, "bright", threshold=threshold, rule="fixed", sentence="By hand.", review=review
    )
    if has_labels:
        decision = LabelsDecision(CLASSES, (threshold or 0.5,) * 2, "bright", rule="fixed", sentence="By hand.")
    task = "multilabel" if has_labels else "classification"
    outputs = {grey: [float(grey)] if is_regression else [1 - grey / 255, grey / 255] for grey in golden}
    photos = {f"golden/{number}": encode_png(even_photo(grey)) for number, grey in enumerate(golden)}
    facts = {
        "task": "regression" if is_regression else task,
        "decision": None if is_regression else decision.to_record(),
        "prepare": build_chain([], image_size=(SIDE, SIDE), fit="letterbox").to_record(),
        "golden": [
            {"file": file, "name": f"grey-{grey}.png", "outputs": outputs[grey]}
            for file, grey in zip(photos, golden, strict=True)
        ],
        "provenance": {"made": "by hand"},
    }
    files = {MODEL: brightness_network(is_regression=is_regression), WEIGHTS: b"", **photos}
    return write_bundle(folder, files=files, facts=facts)
