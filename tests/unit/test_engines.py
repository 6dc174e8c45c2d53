"""Another engine under the predictor: used only where it answers as it must, and never the one that decides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from handmade import even_photo, write_brightness_bundle
from teliti import predictor as predictor_module
from teliti.bundle import Bundle
from teliti.predictor import Predictor
from teliti.sessions import OnnxRuntimeSession
from teliti.workflow import predict as job


class Shifted:
    """An engine whose probability of the second class is a little off, and which counts its photos."""

    engine = "openvino"

    def __init__(self, bundle: Bundle, shift: float) -> None:
        self._own, self._shift, self.photos = OnnxRuntimeSession(bundle.model_path), shift, 0
        self.outputs = self._own.outputs

    def run(self, names: Sequence[str], batch: np.ndarray) -> list[np.ndarray]:
        self.photos += len(batch)
        values = dict(zip(names, self._own.run(names, batch), strict=True))
        values["probs"] = values["probs"] + np.array([-self._shift, self._shift], np.float32)
        return [values[name] for name in names]


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """Its threshold is the score of a photo of grey 128, to the last digit but one."""
    return write_brightness_bundle(tmp_path / "bundle", threshold=128.0 / 255.0 + 1e-5)


@pytest.fixture
def with_openvino(bundle: Bundle, monkeypatch: pytest.MonkeyPatch):
    def use(shift: float) -> Shifted:
        session = Shifted(bundle, shift)
        monkeypatch.setattr(predictor_module, "OpenVinoSession", lambda *_, **__: session)
        choice = {"name": "openvino", "photos_per_s": {"onnxruntime": 1.0, "openvino": 2.0}}
        monkeypatch.setattr(predictor_module, "choose_engine", lambda *_, **__: choice)
        return session

    return use


def test_a_verdict_does_not_depend_on_the_engine(bundle: Bundle, with_openvino) -> None:
    session = with_openvino(5e-5)  # it would reject the photo of grey 128
    fast = Predictor(bundle, threads=1).by_engine("auto")
    assert fast.engine["name"] == "openvino"
    alone = Predictor(bundle, threads=1, session=session)
    assert alone.predict([even_photo(128)])[0].verdict == "reject"
    assert fast.predict([even_photo(128)])[0].verdict == "pass"
    assert fast.predict([even_photo(128)]) == Predictor(bundle, threads=1).predict([even_photo(128)])


def test_the_other_engine_computes_what_is_clear(bundle: Bundle, with_openvino) -> None:
    with_openvino(5e-5)
    fast, own = Predictor(bundle, threads=1).by_engine("auto"), Predictor(bundle, threads=1)
    for grey in (10, 250):
        ours, reference = fast.predict([even_photo(grey)])[0], own.predict([even_photo(grey)])[0]
        assert ours.verdict == reference.verdict
        assert ours.score - reference.score == pytest.approx(5e-5, rel=0.01)


def test_an_engine_that_fails_a_golden_photo_is_not_used(bundle: Bundle, with_openvino) -> None:
    with_openvino(0.01)
    predictor = Predictor(bundle, threads=1).by_engine("auto")
    assert (predictor.engine["name"], predictor.session.engine) == ("onnxruntime", "onnxruntime")
    assert predictor.engine["photos_per_s"] == {"onnxruntime": 1.0, "openvino": 2.0}


def test_a_real_bundle_gets_the_same_verdicts_from_openvino(trained_bundle: Path, parts_folder: Path) -> None:
    photos = sorted(parts_folder.rglob("*.png"))[::6]
    fast, own = Predictor.open(trained_bundle, threads=1, engine="openvino"), Predictor.open(trained_bundle, threads=1)
    assert fast.engine["name"] == "openvino"
    for ours, reference in zip(fast.predict(photos), own.predict(photos), strict=True):
        assert (ours.verdict, ours.label) == (reference.verdict, reference.label)
        assert ours.score == pytest.approx(reference.score, abs=1e-5)


def test_few_photos_do_not_wait_for_another_engine(
    bundle: Bundle, with_openvino, parts_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_openvino(0.0)
    notes: list[str] = []

    class Listener(job.SilentReporter):
        def note(self, message: str) -> None:
            notes.append(message)

    assert job.predict(bundle.path, parts_folder)["engine"]["name"] == "onnxruntime"
    monkeypatch.setattr(job, "_MANY", 40)
    assert job.predict(bundle.path, parts_folder, reporter=Listener())["engine"]["name"] == "openvino"
    assert notes == ["Computed by openvino: photos a second of the network alone: onnxruntime 1, openvino 2."]
