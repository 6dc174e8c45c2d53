"""Two engines, one answer; and a sentence for a file that is no network."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from teliti import runtime, sessions
from teliti.bundle import MODEL
from teliti.errors import BundleError, MissingExtraError
from teliti.sessions import (
    OnnxRuntimeSession,
    OpenVinoSession,
    choose_batch,
    choose_engine,
    measure_batches,
    measure_engines,
)

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


@pytest.mark.parametrize(
    ("rates", "chosen"),
    [
        ({"1": 1.0}, 1),
        ({"1": 1.0, "2": 1.05}, 1),
        ({"1": 1.0, "2": 1.5, "4": 1.6}, 2),
        ({"1": 1.0, "2": 1.5, "4": 2.0, "8": 3.0}, 8),
    ],
)
def test_a_call_takes_twice_as_many_while_that_is_clearly_faster(rates, chosen, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TELITI_CACHE", str(tmp_path))
    asked: list[int] = []
    monkeypatch.setattr(sessions, "measure_batches", lambda *_, threads, **__: asked.append(threads) or rates)
    session = Timed()
    for _ in range(2):
        assert choose_batch(session, digest="d", image_size=(8, 8), threads=2) == chosen
    assert asked == [2]  # kept


class Timed:
    """A network whose call takes a while for itself and a while for each photo, on a clock of its own."""

    engine = "onnxruntime"
    outputs = frozenset({"probs"})

    def __init__(self, *, call_s: float = 0.0, each_s: float = 0.0) -> None:
        self._call_s, self._each_s, self.now = call_s, each_s, 0.0

    def run(self, _: object, batch: np.ndarray) -> list[np.ndarray]:
        self.now += self._call_s + self._each_s * len(batch)
        return []

    def perf_counter(self) -> float:
        return self.now


def test_photos_a_call_are_measured_until_more_gain_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(**seconds: float) -> tuple[dict[str, float], float]:
        network = Timed(**seconds)
        monkeypatch.setattr(sessions, "time", network)
        return measure_batches(network, image_size=(8, 8), threads=1), network.now

    assert measure(each_s=0.004)[0] == {"1": 1.0, "2": 1.0}
    gains, took_s = measure(call_s=0.003, each_s=0.001)
    assert gains == pytest.approx({"1": 1.0, "2": 1.6, "4": 2.286, "8": 2.909}, abs=0.001)
    assert took_s <= 0.5
    assert set(measure(call_s=0.008, each_s=0.002)[0]) == {"1", "2", "4"}  # eight would take too long to measure
    assert measure(each_s=0.2) == ({"1": 1.0}, 0.4)  # a slow network goes singly: a start waits for two photos of it
