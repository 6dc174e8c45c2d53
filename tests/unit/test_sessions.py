"""Two engines, one answer; and a sentence for a file that is no network."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from teliti import runtime, sessions
from teliti.bundle import MODEL
from teliti.errors import BundleError, MissingExtraError
from teliti.sessions import OnnxRuntimeSession, OpenVinoSession, choose_engine, measure_engines

BATCH = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)


def test_engines_agree_from_several_threads(trained_bundle: Path) -> None:
    first = OnnxRuntimeSession(trained_bundle / MODEL)
    second = OpenVinoSession(trained_bundle / MODEL, threads=2)
    for session in (first, second):
        assert session.outputs >= {"probs", "logits", "score", "features"}
    expected = first.run(["probs", "logits"], BATCH)
    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(lambda _: second.run(["probs", "logits"], BATCH), range(8)):
            for got, wanted in zip(answer, expected, strict=True):
                np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("opener", [OnnxRuntimeSession, lambda path: OpenVinoSession(path, threads=1)])
def test_a_file_that_is_no_network(opener, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no network")
    with pytest.raises(BundleError, match="could not be loaded"):
        opener(tmp_path / "model.onnx")


def test_openvino_is_an_extra(trained_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "is_installed", lambda name: name != "openvino")
    with pytest.raises(MissingExtraError, match=r"teliti\[quantize\]"):
        OpenVinoSession(trained_bundle / MODEL, threads=1)


def test_the_faster_engine_is_measured_once(trained_bundle: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TELITI_CACHE", str(tmp_path))
    rates = {"onnxruntime": 100.0, "openvino": 150.0}
    asked: list[Path] = []
    monkeypatch.setattr(sessions, "measure_engines", lambda path, **_: asked.append(path) or dict(rates))

    def choose(wish: str = "auto", digest: str = "d") -> dict:
        return choose_engine(wish, trained_bundle / MODEL, digest=digest, image_size=(64, 64), threads=1)

    assert choose() == choose() == {"name": "openvino", "photos_per_s": rates}
    assert len(asked) == 1
    rates["openvino"] = 109.0  # not clearly faster
    assert choose(digest="other")["name"] == "onnxruntime"
    assert choose("openvino") == {"name": "openvino", "photos_per_s": {}}
    monkeypatch.setattr(sessions, "is_installed", lambda _: False)
    assert choose() == {"name": "onnxruntime", "photos_per_s": {}}


def test_both_engines_are_measured(trained_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_PROBE_SECONDS", 0.01)
    rates = measure_engines(trained_bundle / MODEL, image_size=(64, 64), threads=1)
    assert set(rates) == {"onnxruntime", "openvino"}
    assert min(rates.values()) > 0.0
