"""The one inference path: the same answer by every door, refusals in their place, golden photos that notice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx.parser
import pytest

import teliti
from handmade import even_photo, write_brightness_bundle
from parts import encode_png
from teliti.bundle import MANIFEST, MODEL, Golden, amend_envelope, open_bundle, write_bundle
from teliti.data.origins import FileOrigin
from teliti.errors import BundleError, PhotoRefused, TelitiError, UserError
from teliti.metrics.envelope import Envelope, Limits
from teliti.metrics.number_rule import NumberRule
from teliti.predictor import Predictor
from teliti.types import Sample

SOURCE = Path(teliti.__file__).parents[1]


@pytest.fixture
def brightness(tmp_path: Path) -> Predictor:
    """Says how bright a photo is."""
    return Predictor(write_brightness_bundle(tmp_path / "bundle"), threads=1)


@pytest.fixture(scope="module")
def trained(trained_bundle: Path) -> Predictor:
    return Predictor.open(trained_bundle, threads=1)


@pytest.fixture(scope="module")
def parts(parts_folder: Path) -> list[Path]:
    return sorted(parts_folder.rglob("*.png"))


def as_samples(paths: list[Path]) -> list[Sample]:
    return [Sample(path.name, FileOrigin(str(path))) for path in paths]


def write_greys(folder: Path, greys: list[int | None]) -> list[Sample]:
    """One photo per grey value; None is a file that is no photo."""
    folder.mkdir(exist_ok=True)
    paths = []
    for number, grey in enumerate(greys):
        paths.append(folder / f"{number:03d}.png")
        paths[-1].write_bytes(b"no photo" if grey is None else encode_png(even_photo(grey, side=10)))
    return as_samples(paths)


def test_a_prediction_has_the_known_numbers(brightness: Predictor) -> None:
    dark, bright = brightness.predict([even_photo(51), even_photo(204)])
    assert bright.score == pytest.approx(0.8)
    assert bright.probs == {"dark": pytest.approx(0.2), "bright": pytest.approx(0.8)}
    assert (bright.verdict, bright.label, bright.reasons) == ("reject", "bright", ())
    assert (dark.verdict, dark.label, dark.score) == ("pass", "dark", pytest.approx(0.2))


def test_arrays_bytes_and_paths_agree_to_the_last_bit(brightness: Predictor, tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    path = tmp_path / "photo.png"
    path.write_bytes(encode_png(photo))
    answers = brightness.predict([photo, path.read_bytes(), path, str(path)])
    assert len({answer.score for answer in answers}) == 1


def test_one_photo_alone_is_the_same_photo_in_a_batch(trained: Predictor, parts: list[Path]) -> None:
    together = trained.predict(parts)
    alone = [trained.predict([path])[0] for path in parts[:: len(parts) // 6]]
    for one, other in zip(alone, together[:: len(parts) // 6], strict=True):
        assert abs(one.score - other.score) <= 1e-5
        assert one.verdict == other.verdict


def test_no_photos_give_no_predictions(brightness: Predictor) -> None:
    assert brightness.predict([]) == []
    assert list(brightness.predict_samples([])) == []


def test_the_threads_change_nothing(trained_bundle: Path, trained: Predictor, parts: list[Path]) -> None:
    assert Predictor.open(trained_bundle, threads=3).predict(parts) == trained.predict(parts)


def test_samples_and_photos_get_the_same_answers(trained: Predictor, parts: list[Path]) -> None:
    answers = dict(trained.predict_samples(as_samples(parts)))
    assert [answers[index] for index in range(len(parts))] == trained.predict(parts)


REFUSED_AT = {
    "none": set(),
    "first": {0},
    "last": {39},
    "eight in a row": set(range(8, 16)),
    "every other": set(range(0, 40, 2)),
    "all": set(range(40)),
}


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("refused", REFUSED_AT.values(), ids=REFUSED_AT)
def test_refused_photos_keep_their_place(
    refused: set[int], threads: int, brightness: Predictor, tmp_path: Path
) -> None:
    brightness.threads = threads
    greys = [None if number in refused else 5 * number for number in range(40)]
    answers = list(brightness.predict_samples(write_greys(tmp_path / "photos", greys)))
    assert [index for index, _ in answers] == list(range(40))
    for (_, answer), grey in zip(answers, greys, strict=True):
        if grey is None:
            assert isinstance(answer, PhotoRefused)
            assert answer.reason.startswith("not an image")
        else:
            assert answer.score == pytest.approx(grey / 255)


def test_photos_are_read_as_they_are_needed_and_not_all_at_once(brightness: Predictor, tmp_path: Path) -> None:
    read: list[str] = []

    class Watched(FileOrigin):
        __slots__ = ()

        def read_bytes(self) -> bytes:
            read.append(self.path)
            return FileOrigin.read_bytes(self)

    samples = write_greys(tmp_path / "photos", [100] * 200)
    watched = [replace(sample, origin=Watched(sample.origin.path)) for sample in samples]
    answers = brightness.predict_samples(watched)
    next(answers)
    assert len(read) < 100
    answers.close()


def test_a_photo_that_cannot_be_used_is_refused(brightness: Predictor, tmp_path: Path) -> None:
    with pytest.raises(PhotoRefused, match="not an image"):
        brightness.predict([b"no photo"])
    with pytest.raises(UserError, match=r'none\.png" cannot be used: the file does not exist'):
        brightness.predict([tmp_path / "none.png"])


def test_a_pipe_in_the_place_of_a_photo_does_not_hang(brightness: Predictor, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(PhotoRefused, match="a named pipe, not a file"):
        brightness.predict([tmp_path / "pipe.png"])


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
    ],
)
def test_an_array_of_another_kind_says_how_it_must_look(array: np.ndarray, brightness: Predictor) -> None:
    with pytest.raises(UserError, match=r"A photo array must be uint8 RGB of shape \(H, W, 3\), got") as caught:
        brightness.predict([array])
    assert caught.value.hint == "Scale other ranges to 0..255 and repeat a grey channel three times."


def test_a_verdict_that_is_not_the_most_probable_class_says_why(tmp_path: Path) -> None:
    strict = Predictor(write_brightness_bundle(tmp_path / "strict", threshold=0.1))
    lenient = Predictor(write_brightness_bundle(tmp_path / "lenient", threshold=0.9))
    assert strict.predict([even_photo(51)])[0].reasons == ("score 0.200 is at or above the threshold 0.100",)
    assert lenient.predict([even_photo(204)])[0].reasons == ("score 0.800 is below the threshold 0.900",)
    assert strict.predict([even_photo(51)])[0].verdict == "reject"
    assert lenient.predict([even_photo(204)])[0].verdict == "pass"


def test_a_regression_predicts_the_number(tmp_path: Path) -> None:
    predictor = Predictor(write_brightness_bundle(tmp_path / "bundle", is_regression=True))
    answer = predictor.predict([even_photo(77)])[0]
    assert (answer.score, answer.verdict, answer.label, answer.probs) == (pytest.approx(77.0), None, None, {})
    assert answer.to_record() == {"verdict": None, "label": None, "probs": {}, "score": answer.score, "reasons": []}


def test_raw_answers_are_float32_with_logits(brightness: Predictor) -> None:
    scores = brightness.score_batch(np.stack([even_photo(51), even_photo(204)]))
    assert scores.outputs.dtype == scores.logits.dtype == np.float32
    np.testing.assert_allclose(scores.outputs, [[0.8, 0.2], [0.2, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(scores.logits, np.log(scores.outputs), rtol=1e-6)


def test_a_record_is_json(brightness: Predictor) -> None:
    record = brightness.predict([even_photo(204)])[0].to_record()
    assert json.loads(json.dumps(record)) == record
    assert list(record) == ["verdict", "label", "probs", "score", "reasons"]


def test_the_golden_photos_get_their_scores(brightness: Predictor, trained: Predictor) -> None:
    for predictor in (brightness, trained):
        test = predictor.self_test()
        assert test["passed"]
        assert test["photos"] >= 2
        assert test["max_abs_difference"] <= 1e-5


def test_a_golden_score_that_is_another_fails_the_self_test(trained_bundle: Path) -> None:
    bundle = open_bundle(trained_bundle)
    first = bundle.golden[0]
    altered = replace(first, outputs=(first.outputs[0] + 0.001, first.outputs[1] - 0.001))
    test = Predictor(replace(bundle, golden=(altered, *bundle.golden[1:]))).self_test()
    assert not test["passed"]
    assert test["max_abs_difference"] == pytest.approx(0.001, abs=1e-5)


@pytest.mark.parametrize(("off", "passed"), [(0.015, True), (0.025, False), (float("nan"), False)])
def test_a_number_may_be_off_by_a_part_of_its_scale(off: float, passed: bool, tmp_path: Path) -> None:
    bundle = write_brightness_bundle(tmp_path / "bundle", is_regression=True, golden=(30, 200))
    altered = replace(bundle.golden[0], outputs=(30.0 + off,))
    predictor = Predictor(replace(bundle, golden=(altered, *bundle.golden[1:])))
    assert predictor.self_test()["passed"] is passed  # 1e-4 of 200
    numbers = Predictor(replace(bundle, answers=NumberRule(("weight", "gap")), golden=(
        Golden("golden/0", "a", (20_000.0, 0.001)), Golden("golden/1", "b", (1.0, 0.002)),
    )))  # fmt: skip
    assert numbers.is_golden(np.array([20_001.0, 0.001]), (20_000.0, 0.001))
    assert not numbers.is_golden(np.array([20_000.0, 0.00101]), (20_000.0, 0.001))


STRANGE = {
    "another shape": ("probs = Concat <axis = 1> (dark, bright, bright)", "must answer .* numbers, got"),
    "no such sizes": (
        "odd = Constant <value = int64[2] {-1, 7}> ()\n  probs = Reshape (pixels, odd)",
        "could not be computed by onnxruntime: .*Reshape",
    ),
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_network_whose_hash_fits_is_one_sentence(name: str, tmp_path: Path) -> None:
    """S2: whatever the engine says of it, or it answers, is a sentence at the self-test."""
    (code, said), good = STRANGE[name], write_brightness_bundle(tmp_path / "good")
    text = f"""<ir_version: 10, opset_import: ["" : 20]>
    strange (uint8[N, 8, 8, 3] image) => (float[N, 2] logits, float[A, B] probs) {{
      last = Constant <value = int64[2] {{-1, 192}}> ()
      flat = Reshape (image, last)
      pixels = Cast <to = 1> (flat)
      bright = ReduceMax <keepdims = 1, noop_with_empty_axes = 0> (pixels)
      dark = Identity (bright)
      logits = Concat <axis = 1> (dark, bright)
      {code}
    }}"""
    facts = {key: good.manifest[key] for key in ("task", "decision", "prepare", "golden")}
    files = {name: (good.path / name).read_bytes() for name in ("golden/0", "golden/1")}
    network = onnx.parser.parse_model(text).SerializeToString()
    strange = write_bundle(tmp_path / "strange", files={MODEL: network, **files}, facts=facts)
    with pytest.raises(TelitiError, match=said) as caught:
        Predictor(strange).self_test()
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("where", ["../secret.bin", "{tmp_path}/secret.bin", "link.bin"])
def test_a_network_reads_nothing_outside_its_bundle(where: str, tmp_path: Path) -> None:
    """S2: weights that a network says lie elsewhere are not read, although its hash fits."""
    good = write_brightness_bundle(tmp_path / "bundle")
    (tmp_path / "secret.bin").write_bytes(bytes(16))
    (good.path / "link.bin").symlink_to(tmp_path / "secret.bin")
    model = onnx.load(good.model_path)
    model.graph.initializer.append(onnx.TensorProto(name="w", data_type=1, dims=[4], data_location=1))
    for key, value in (("location", where.format(tmp_path=tmp_path)), ("offset", "0"), ("length", "16")):
        model.graph.initializer[-1].external_data.add(key=key, value=value)
    model.graph.node.append(onnx.helper.make_node("Identity", ["w"], ["unused"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("unused", 1, [4]))
    facts = {key: good.manifest[key] for key in ("task", "decision", "prepare")}
    evil = write_bundle(good.path, files={MODEL: model.SerializeToString()}, facts={**facts, "golden": []})
    with pytest.raises(BundleError, match=r"could not be loaded: .*[Ee]xternal data") as caught:
        Predictor(evil)
    assert "\n" not in caught.value.message


def test_a_network_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    bundle = write_brightness_bundle(tmp_path / "bundle")
    facts = {key: bundle.manifest[key] for key in ("task", "decision", "prepare")}
    broken = write_bundle(tmp_path / "broken", files={MODEL: b"no network"}, facts={**facts, "golden": []})
    with pytest.raises(BundleError, match=r'model\.onnx" could not be loaded: ') as caught:
        Predictor(broken)
    assert caught.value.hint == "Retrain the bundle."
    assert "\n" not in caught.value.message


def test_open_checks_the_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is not a bundle"):
        Predictor.open(tmp_path)
    folder = write_brightness_bundle(tmp_path / "bundle").path
    (folder / MANIFEST).write_text("{}")
    with pytest.raises(BundleError, match="cannot be opened"):
        Predictor.open(str(folder))


def test_predicting_loads_no_training_library(trained_bundle: Path, parts: list[Path]) -> None:
    code = (
        "import sys; from teliti.predictor import Predictor\n"
        "Predictor.open(sys.argv[1]).predict([sys.argv[2]])\n"
        "print(sorted({'torch', 'timm', 'sklearn', 'onnx', 'openvino', 'matplotlib'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(trained_bundle), str(parts[0])], text=True,
                          env={**os.environ, "PYTHONPATH": str(SOURCE)}, capture_output=True, check=True)  # fmt: skip
    assert done.stdout == "[]\n"


LIGHTS = Envelope({"light": Limits(60.0, 200.0, (100.0,) * 11)}, 20)


def test_a_photo_outside_the_envelope_is_warned_of_and_keeps_its_verdict(tmp_path: Path) -> None:
    write_brightness_bundle(tmp_path / "bundle")
    amend_envelope(tmp_path / "bundle", LIGHTS)
    dark, usual, bright = Predictor.open(tmp_path / "bundle", threads=2).predict([even_photo(g) for g in (30, 90, 220)])
    assert dark.warnings == ("too dark: light 30 of 255, limit 60",)
    assert (usual.warnings, usual.conditions["light"]) == ((), pytest.approx(90.0))
    assert bright.warnings == ("too bright: light 220 of 255, limit 200",)
    assert [one.verdict for one in (dark, usual, bright)] == ["pass", "pass", "reject"]
    assert bright.to_record()["warnings"] == list(bright.warnings)
    assert dark.reasons == ()


def test_a_photo_outside_is_shown_to_a_person_where_the_bundle_says_so(tmp_path: Path) -> None:
    write_brightness_bundle(tmp_path / "bundle")
    amend_envelope(tmp_path / "bundle", replace(LIGHTS, action="review"))
    predictor = Predictor.open(tmp_path / "bundle", threads=1)
    dark, usual = predictor.predict([even_photo(30), even_photo(90)])
    assert (dark.verdict, dark.reasons, usual.verdict) == ("review", ("too dark: light 30 of 255, limit 60",), "pass")
    assert (dark.label, dark.score) == ("dark", pytest.approx(30 / 255))


def test_a_photo_outside_is_shown_to_a_person_whatever_its_labels_but_a_number_stays_one(tmp_path: Path) -> None:
    for name, kind in {"labels": {"has_labels": True}, "numbers": {"is_regression": True}}.items():
        write_brightness_bundle(tmp_path / name, **kind)
        amend_envelope(tmp_path / name, replace(LIGHTS, action="review"))
    predictor = Predictor.open(tmp_path / "labels", threads=1)
    dark, usual, bright = predictor.predict([even_photo(30), even_photo(150), even_photo(220)])
    assert [one.verdict for one in (dark, usual, bright)] == ["review", "reject", "review"]
    assert [one.labels for one in (dark, usual, bright)] == [("dark",), ("bright",), ("bright",)]
    assert bright.reasons[0] == "too bright: light 220 of 255, limit 200"
    assert bright.reasons[1].startswith("bright 0.863 is at or above its threshold")
    (number,) = Predictor.open(tmp_path / "numbers", threads=1).predict([even_photo(30)])
    assert (number.verdict, number.score, number.warnings) == (None, pytest.approx(30), dark.warnings)


def test_a_bundle_without_envelope_measures_nothing(brightness: Predictor) -> None:
    (answer,) = brightness.predict([even_photo(30)])
    assert (answer.conditions, answer.warnings) == ({}, ())
    assert "warnings" not in answer.to_record()


def test_conditions_stay_with_their_photos_where_some_are_refused(tmp_path: Path) -> None:
    write_brightness_bundle(tmp_path / "bundle")
    amend_envelope(tmp_path / "bundle", LIGHTS)
    greys = [None, 30, 90, None, None, 220, 150]
    answers = Predictor.open(tmp_path / "bundle", threads=2).predict_samples(write_greys(tmp_path / "photos", greys))
    lights = [None if isinstance(answer, PhotoRefused) else answer.conditions["light"] for _, answer in answers]
    assert lights == [None if grey is None else pytest.approx(grey) for grey in greys]


def test_a_trained_bundle_warns_of_dark_blurred_and_tiny_photos_and_of_no_training_photo(
    trained: Predictor, parts: list[Path]
) -> None:
    assert trained.bundle.envelope is not None
    assert trained.bundle.envelope.action == "warn"
    assert [answer.warnings for answer in trained.predict(parts)] == [()] * len(parts)
    photo = cv2.imread(str(parts[0]))[..., ::-1]
    changed = [photo // 4, cv2.GaussianBlur(photo, (0, 0), 4.0), photo[::3, ::3]]
    said = [" ".join(answer.warnings) for answer in trained.predict(list(map(np.ascontiguousarray, changed)))]
    assert "too dark" in said[0]
    assert "too blurred" in said[1]
    assert "too few pixels: longer side 16" in said[2]
