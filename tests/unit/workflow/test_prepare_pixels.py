"""The pixels that enter the network's graph at inspection are those of training, for every prepare step."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

from handmade import CLASSES, SIDE, brightness_network, even_photo
from parts import draw_part
from teliti.bundle import MODEL, WEIGHTS, Bundle, write_bundle
from teliti.cache import RowCache
from teliti.data.decode import decode_image
from teliti.data.decoded import DecodedPhotos
from teliti.data.fingerprints import fingerprint_photos
from teliti.data.folders import list_folder
from teliti.errors import PhotoRefused
from teliti.metrics.decision import Decision
from teliti.predictor import Predictor
from teliti.recipe import ModelRecipe
from teliti.training.features.backbone_file import BackboneFile
from teliti.training.features.engines import EngineChoice
from teliti.training.features.extraction import FeatureSource, compute_features
from teliti.transforms.prepare import STEPS, PrepareChain, build_chain
from teliti.transforms.steps import NumberStep
from teliti.types import Sample, SilentReporter


def brightness_bundle(folder: Path, chain: PrepareChain, *, is_regression: bool = False) -> Bundle:
    """A network that measures brightness behind any prepare steps."""
    decision = Decision(classes=CLASSES, positive="bright", threshold=0.5, rule="fixed", sentence="By hand.")
    facts = {
        "task": "regression" if is_regression else "classification",
        "decision": None if is_regression else decision.to_record(),
        "prepare": chain.to_record(),
        "golden": [],
        "provenance": {},
    }
    files = {MODEL: brightness_network(is_regression=is_regression), WEIGHTS: b""}
    return write_bundle(folder, files=files, facts=facts)


@pytest.mark.parametrize(("combine", "value"), [("max", 200.0), ("mean", 110.0)])
def test_numbers_of_tiles_are_combined_as_in_training(combine: str, value: float, tmp_path: Path) -> None:
    chain = build_chain(
        [{"step": "tile", "size": 8, "overlap": 0.0, "combine": combine}], image_size=(8, 8), fit="crop"
    )
    predictor = Predictor(brightness_bundle(tmp_path / "bundle", chain, is_regression=True))
    photo = np.concatenate([even_photo(20), even_photo(200)], axis=1)
    assert predictor.predict([photo])[0].score == pytest.approx(value)


FACTS = {"backbone": "by hand", "stages": ["head"], "pooling": "avg", "dimensions": 1, "image_size": [SIDE, SIDE]}
STEP_CHAINS: dict[str, list[dict]] = {
    "despeckle": [{"step": "despeckle", "size": 3, "threshold": 10}],
    "fill_holes": [{"step": "binarize"}, {"step": "fill_holes"}],
    "filter": [{"step": "filter", "kernel": "sobel", "negative": "middle"}],
    "mask": [{"step": "binarize"}, {"step": "mask", "background": "blurred"}],
    "mask_from_file": [{"step": "mask_from_file", "background": "mean"}],
    "remove_elements": [{"step": "binarize"}, {"step": "remove_elements", "keep_largest": 1}],
    "segment": [{"step": "segment", "method": "kmeans"}, {"step": "mask"}],
    "tile": [{"step": "clahe"}, {"step": "tile", "size": 20}],
    "upright": [{"step": "upright", "long_side": "horizontal"}, {"step": "equalize"}],
}
"""What stands for a step in these tests; any other step stands alone. `frame` closes every chain."""


@pytest.fixture(scope="module")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Colour and grey photos of several formats and sizes, each with a mask beside it."""
    folder = tmp_path_factory.mktemp("bits") / "photos"
    folder.mkdir()
    for number, (height, width) in enumerate([(40, 56), (33, 21), (5, 7)]):
        part = cv2.resize(draw_part(number, scratched=True, side=64), (width, height))
        part[: height // 3] //= 3
        files = {"colour": part, "grey": part[..., 1]}
        for kind, pixels in files.items():
            order = pixels[..., ::-1] if pixels.ndim == 3 else pixels
            suffix = (".png", ".jpg", ".bmp")[number]
            (folder / f"{kind}-{number}{suffix}").write_bytes(cv2.imencode(suffix, order)[1].tobytes())
            mask = np.where(part[..., 0] > 90, 255, 0).astype(np.uint8)
            (folder / f"{kind}-{number}_mask.png").write_bytes(cv2.imencode(".png", mask)[1].tobytes())
    return folder


class Watched:
    """A real session that notes the pixels it is given."""

    def __init__(self, *place: object, **options: object) -> None:
        self._session = _SESSION(*place, **options)

    def get_outputs(self) -> list[object]:
        return self._session.get_outputs()

    def run(self, outputs: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        GIVEN.extend(picture.copy() for picture in inputs["image"])
        return self._session.run(outputs, inputs)


_SESSION = onnxruntime.InferenceSession
GIVEN: list[np.ndarray] = []


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Every picture that enters a network, in order: that of the feature stage, and that of the predictor."""
    GIVEN.clear()
    monkeypatch.setattr(onnxruntime, "InferenceSession", Watched)
    return GIVEN


def take(given: list[np.ndarray]) -> list[np.ndarray]:
    pictures = list(given)
    given.clear()
    return pictures


def learn_from(samples: list[Sample], source: FeatureSource, cache: RowCache) -> None:
    """The way of a photo in training: fingerprinted, its pixels kept, prepared, fed to the engine."""
    decoded = DecodedPhotos()
    marks, refused = fingerprint_photos(samples, cache=cache, threads=1, reporter=SilentReporter(), decoded=decoded)
    assert (refused, len(decoded)) == ([], len(samples))
    digests = [mark.digest for mark in marks]
    compute_features(samples, digests, source, cache=cache, reporter=SilentReporter(), read=decoded.read)


@pytest.mark.parametrize("fit", ["letterbox", "crop"])
@pytest.mark.parametrize("step", STEPS.names())
def test_the_pixels_that_enter_the_graph_are_those_of_training_to_the_last_bit(
    step: str, fit: str, photo_folder: Path, given: list[np.ndarray], tmp_path: Path
) -> None:
    steps = STEP_CHAINS.get(step, [] if step == "frame" else [{"step": step}])
    if "colour" not in STEPS.get(step).takes and step not in STEP_CHAINS:
        steps = [{"step": "binarize"}, *steps]
    chain = build_chain(steps, image_size=(SIDE, SIDE), fit=fit)
    assert step in {record["step"] for record in chain.to_record()}
    bundle = brightness_bundle(tmp_path / "bundle", chain)
    backbone = BackboneFile("by hand", bundle.model_path, ModelRecipe(), 0, FACTS)
    source = FeatureSource(chain, backbone, EngineChoice("onnxruntime", "f32", "1"), threads=1)
    files = list_folder(str(photo_folder)).photos()
    samples = [Sample(name, origin) for name, origin in files.items() if "_mask" not in name]
    assert len(samples) == 6

    learn_from(samples, source, RowCache(tmp_path / "cache"))
    learnt = take(given)
    assert len(learnt) >= 6
    predictor = Predictor(bundle, threads=1)
    by_sample = [answer for _, answer in predictor.predict_samples(samples)]
    doors = {"samples": take(given)}
    assert not any(isinstance(answer, PhotoRefused) for answer in by_sample)
    by_path = predictor.predict([photo_folder / sample.name for sample in samples])
    doors["paths"] = take(given)
    assert by_path == by_sample
    if not chain.beside_patterns:
        predictor.predict([(photo_folder / sample.name).read_bytes() for sample in samples])
        doors["bytes"] = take(given)
        predictor.predict([decode_image((photo_folder / sample.name).read_bytes()) for sample in samples])
        doors["arrays"] = take(given)
    for door, pictures in doors.items():
        assert len(pictures) == len(learnt), door
        for picture, one in zip(pictures, learnt, strict=True):
            np.testing.assert_array_equal(picture, one, err_msg=door)
    has_pixels = not issubclass(STEPS.get(step), NumberStep)
    assert len({picture.tobytes() for picture in learnt}) > (2 if has_pixels else 1)
