"""Another engine, or several photos a call: used only where they answer as they must, and never what decides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from handmade import even_photo, write_brightness_bundle
from teliti import predictor as predictor_module
from teliti.bundle import Bundle
from teliti.errors import UserError
from teliti.predictor import Predictor
from teliti.sessions import OnnxRuntimeSession
from teliti.workflow import predict as job


class Shifted:
    """An engine whose probability of the second class is a little off, and which notes how many photos came a call.

    With `among_others` only that of photos that do not come alone.
    """

    def __init__(self, bundle: Bundle, shift: float, *, among_others: bool = False) -> None:
        self._own, self._shift, self._among_others = OnnxRuntimeSession(bundle.model_path), shift, among_others
        self.engine = "onnxruntime" if among_others else "openvino"
        self.outputs, self.calls = self._own.outputs, []

    def run(self, names: Sequence[str], batch: np.ndarray) -> list[np.ndarray]:
        self.calls.append(len(batch))
        values = dict(zip(names, self._own.run(names, batch), strict=True))
        shift = 0.0 if self._among_others and len(batch) == 1 else self._shift
        values["probs"] = values["probs"] + np.array([-shift, shift], np.float32)
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


def judge(predictor: Predictor, greys: Sequence[int]) -> list:
    return predictor.judge_prepared([predictor.prepare_photo(even_photo(grey)) for grey in greys])


def test_a_verdict_does_not_depend_on_the_neighbours(bundle: Bundle) -> None:
    session = Shifted(bundle, 5e-5, among_others=True)  # it would reject the photo of grey 128, but not alone
    predictor, own = Predictor(bundle, threads=1, session=session).in_batches(4), Predictor(bundle, threads=1)
    assert predictor.photos_per_call == 4
    session.calls.clear()
    greys = [10, 128, 250, 30, 40, 200]
    together = judge(predictor, greys)
    assert session.calls == [4, 1, 2]  # the photo of grey 128 again, alone
    for ours, reference in zip(together, judge(own, greys), strict=True):
        assert (ours.verdict, ours.label) == (reference.verdict, reference.label)
        assert ours.score == pytest.approx(reference.score, abs=1e-4)
    assert together[1] == judge(own, [128])[0]


def test_photos_that_go_singly_get_the_same_bits_in_company(trained_bundle: Path, parts_folder: Path) -> None:
    photos = sorted(parts_folder.rglob("*.png"))[::6]
    predictor = Predictor.open(trained_bundle, threads=1)
    prepared = [predictor.prepare_photo(photo) for photo in photos]
    assert predictor.judge_prepared(prepared) == [predictor.judge_prepared([one])[0] for one in prepared]


def test_a_real_bundle_gives_the_same_verdicts_together(trained_bundle: Path, parts_folder: Path) -> None:
    predictor = Predictor.open(trained_bundle, threads=1).in_batches(4)
    prepared = [predictor.prepare_photo(photo) for photo in sorted(parts_folder.rglob("*.png"))[::6]]
    assert (len(prepared), predictor.photos_per_call) == (8, 4)
    for ours, photo in zip(predictor.judge_prepared(prepared), prepared, strict=True):
        alone = predictor.judge_prepared([photo])[0]
        assert (ours.verdict, ours.label) == (alone.verdict, alone.label)
        assert ours.score == pytest.approx(alone.score, abs=1e-5)


def test_a_network_that_does_not_bear_company_gets_none(bundle: Bundle) -> None:
    session = Shifted(bundle, 0.01, among_others=True)
    assert Predictor(bundle, threads=1, session=session).in_batches(4).photos_per_call == 1


def test_who_goes_singly_in_any_case(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(predictor_module, "choose_batch", lambda *_, threads, **__: asked.append(threads) or 8)
    other = Predictor(bundle, threads=1, session=Shifted(bundle, 0.0))
    assert other.in_batches().photos_per_call == 1
    assert asked == []
    assert Predictor(bundle, threads=2).in_batches().photos_per_call == 8
    assert asked == [2]
    with pytest.raises(UserError, match="Photos a call must be 1 to 64, got 0"):
        Predictor(bundle, threads=1).in_batches(0)
    with pytest.raises(UserError, match="Photos a call must be 1 to 64, got 65"):
        Predictor(bundle, threads=1).in_batches(65)


def test_a_network_that_gives_no_numbers_fails_its_golden_photos(bundle: Bundle, with_openvino) -> None:
    assert not Predictor(bundle, threads=1, session=Shifted(bundle, np.nan)).self_test()["passed"]
    with_openvino(np.nan)
    assert Predictor(bundle, threads=1).by_engine("auto").session.engine == "onnxruntime"
    company = Shifted(bundle, np.nan, among_others=True)
    assert Predictor(bundle, threads=1, session=company).in_batches(4).photos_per_call == 1
