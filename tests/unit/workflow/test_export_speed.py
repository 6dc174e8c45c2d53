"""What an export says of its speed, and what it recommends."""

from __future__ import annotations

import pytest

from teliti.workflow.exports.speed import _recommend

EIGHT = "exported model.xml"


@pytest.mark.parametrize(("bf16", "is_preferred"), [(120.0, True), (80.0, False), (None, False)])
def test_bf16_is_recommended_where_it_is_faster_than_eight_bits(bf16: float | None, is_preferred: bool) -> None:
    rates = {"onnxruntime f32": 40.0, EIGHT: 100.0, "openvino f32": 50.0}
    sentence = _recommend(rates if bf16 is None else rates | {"openvino bf16": bf16}, 50.0)
    assert "Eight bits are 2.00 times as fast as the float network in the same engine." in sentence
    assert ("prefer it to int8" in sentence) is is_preferred


def test_a_float_export_that_gains_nothing_says_so() -> None:
    assert "no faster than the bundle itself" in _recommend({"onnxruntime f32": 40.0, EIGHT: 30.0}, None)
    gains = _recommend({"onnxruntime f32": 40.0, EIGHT: 60.0}, None)
    assert gains == "It answers 60 photos a second on one core, the bundle's own file 40."
