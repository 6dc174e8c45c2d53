"""The exported file against torch: the same numbers, the same verdicts, and a difference that is found."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from safetensors.numpy import load_file

from teliti import runtime
from teliti.bundle import MODEL, WEIGHTS
from teliti.data.decode import decode_image
from teliti.errors import MissingExtraError, ParityError
from teliti.export import LOGIT_TOLERANCE, Parity, build_graph, check_parity
from teliti.export.torch_session import trained_session
from teliti.metrics.decision import Decision
from teliti.metrics.number_rule import ONE_NUMBER
from teliti.models.heads import HeadWeights
from teliti.models.novelty import NoveltyWeights
from teliti.predictor import Predictor
from teliti.recipe import ModelRecipe
from teliti.training.features.backbone_file import BackboneFile, prepare_backbone

SIZE = (64, 64)


@pytest.fixture(scope="module")
def backbone() -> BackboneFile:
    return prepare_backbone(ModelRecipe(stages=("head",), pooling="avg"), image_size=SIZE, seed=7)


@pytest.fixture(scope="module")
def predictor(trained_bundle: Path) -> Predictor:
    return Predictor.open(trained_bundle, threads=1)


@pytest.fixture(scope="module")
def head(trained_bundle: Path) -> HeadWeights:
    return HeadWeights.from_arrays(load_file(trained_bundle / WEIGHTS))


@pytest.fixture(scope="module")
def novelty(trained_bundle: Path) -> NoveltyWeights:
    weights = NoveltyWeights.from_arrays(load_file(trained_bundle / WEIGHTS))
    assert weights is not None
    return weights


@pytest.fixture(scope="module")
def photos(predictor: Predictor, parts_folder: Path) -> list[np.ndarray]:
    """Ten prepared photos of both classes, (1, H, W, 3) each."""
    paths = sorted(parts_folder.rglob("*.png"))[::5]
    return [predictor.bundle.chain.views(decode_image(path.read_bytes())) for path in paths]


def make_head(num_outputs: int, *, rbf: bool = False, is_regression: bool = False) -> HeadWeights:
    """A head with random weights for 1280 features."""
    draw = np.random.default_rng(num_outputs)
    rows = 5 if rbf else 1280
    return HeadWeights(
        mean=draw.normal(size=1280).astype(np.float32),
        scale=(0.02 * draw.uniform(0.5, 1.5, 1280)).astype(np.float32),
        weight=draw.normal(size=(rows, num_outputs)).astype(np.float32),
        bias=draw.normal(size=num_outputs).astype(np.float32),
        supports=0.02 * draw.normal(size=(5, 1280)).astype(np.float32) if rbf else None,
        is_regression=is_regression,
    )


def run(graph: bytes, image: np.ndarray, outputs: list[str]) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"]).run(outputs, {"image": image})


def test_the_shipped_file_and_torch_agree(
    predictor: Predictor,
    backbone: BackboneFile,
    head: HeadWeights,
    novelty: NoveltyWeights,
    photos: list[np.ndarray],
) -> None:
    """R23: logits and verdicts of the exported graph and of torch."""
    parity, scores = check_parity(predictor, backbone, head, photos=photos, novelty=novelty)
    assert parity.holds
    assert (parity.photos, parity.changed_verdicts) == (10, 0)
    assert parity.max_abs_difference < 1e-4
    expected = np.concatenate([predictor.score_batch(pictures).outputs for pictures in photos])
    np.testing.assert_array_equal(scores.outputs, expected)
    batch = np.concatenate(photos)
    [features] = run((predictor.bundle.path / MODEL).read_bytes(), batch, ["features"])
    np.testing.assert_allclose(scores.novelty, novelty.measure(features), rtol=1e-5)


def test_edge_sizes_and_a_batch_of_seven(
    predictor: Predictor, backbone: BackboneFile, head: HeadWeights, novelty: NoveltyWeights
) -> None:
    """R23: photos of every odd size against torch, one at a time and seven at once."""
    draw = np.random.default_rng(7)
    sizes = [(1, 1), (1, 300), (2000, 1), (3, 2), (63, 65), (64, 64), (129, 7)]
    images = [draw.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    pictures = [predictor.bundle.chain.views(image) for image in images]
    parity, scores = check_parity(predictor, backbone, head, photos=pictures, novelty=novelty)
    assert (parity.photos, parity.changed_verdicts) == (7, 0)
    batch = np.concatenate(pictures)
    [exported] = run((predictor.bundle.path / MODEL).read_bytes(), batch, ["logits"])
    [trained] = trained_session(backbone.load(), head, novelty, calls=1).run(["logits"], batch)
    for logits in (trained, scores.logits):
        assert (np.abs(exported - logits) <= LOGIT_TOLERANCE * np.maximum(1.0, np.abs(logits))).all()


@pytest.mark.parametrize("change", [{"bias": 0.01}, {"bias": 20.0}, {"weight": 0.001}])
def test_another_head_than_the_shipped_one_is_found(
    change: dict,
    predictor: Predictor,
    backbone: BackboneFile,
    head: HeadWeights,
    novelty: NoveltyWeights,
    photos: list[np.ndarray],
) -> None:
    altered = replace(head, **{name: getattr(head, name) + np.float32(by) for name, by in change.items()})
    with pytest.raises(
        ParityError,
        match=r"answers differently from the trained one: \d+ of 10 verdicts changed, logits differ by up to",
    ) as caught:
        check_parity(predictor, backbone, altered, photos=photos, novelty=novelty)
    assert caught.value.hint == "Please report this with the run folder; do not use its bundle."


def test_a_network_whose_numbers_ran_away_is_told_from_a_wrong_export(
    predictor: Predictor, backbone: BackboneFile, head: HeadWeights, novelty: NoveltyWeights, photos: list[np.ndarray]
) -> None:
    """Weights so large that their sums cancel: what is left is rounding."""
    signs = np.where(np.arange(head.weight.shape[0]) % 2, 1.0, -1.0)[:, None]
    spoilt = replace(head, weight=(head.weight + 1e6 * signs).astype(np.float32))
    with pytest.raises(ParityError, match="answers differently from the trained one") as caught:
        check_parity(predictor, backbone, spoilt, photos=photos, novelty=novelty)
    assert (caught.value.hint or "").startswith("Its numbers grew so large while it learnt that rounding moves its")
    assert "Lower train.lr" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("difference", "changed", "holds"),
    [(0.0, 0, True), (LOGIT_TOLERANCE, 0, True), (2 * LOGIT_TOLERANCE, 0, False), (0.0, 1, False)],
)
def test_parity_holds_when_logits_agree_and_no_verdict_changed(difference: float, changed: int, holds: bool) -> None:
    parity = Parity(3, max_abs_difference=0.0, max_logit_difference=difference, changed_verdicts=changed)
    assert parity.holds is holds
    assert json.loads(json.dumps(parity.to_record())) == parity.to_record()


def test_several_rejected_classes_share_the_score(backbone: BackboneFile, photos: list[np.ndarray]) -> None:
    decision = Decision(classes=("a", "b", "c"), pass_classes=("b",), threshold=0.4)
    weights = make_head(3, rbf=True)
    graph = build_graph(backbone, weights, decision)
    logits, probs, score, features = run(graph, np.concatenate(photos[:4]), ["logits", "probs", "score", "features"])
    assert features.shape == (4, 1280)
    np.testing.assert_allclose(logits, weights.logits(features), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(probs, weights.probs(features), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(score, decision.score(probs), atol=1e-6)
    metadata = {entry.key: entry.value for entry in onnx.load_from_string(graph).metadata_props}
    assert Decision.from_record(json.loads(metadata["decision"])) == decision


def test_a_regression_has_one_value(backbone: BackboneFile, photos: list[np.ndarray]) -> None:
    weights = make_head(1, is_regression=True)
    value, features = run(build_graph(backbone, weights, ONE_NUMBER), np.concatenate(photos[:4]), ["value", "features"])
    assert value.shape == (4, 1)
    np.testing.assert_allclose(value, weights.logits(features), rtol=1e-4, atol=1e-4)


def test_the_same_inspector_gives_the_bytes_of_the_shipped_file(
    trained_bundle: Path, predictor: Predictor, backbone: BackboneFile, head: HeadWeights, novelty: NoveltyWeights
) -> None:
    assert (
        build_graph(backbone, head, predictor.bundle.answers, novelty=novelty) == (trained_bundle / MODEL).read_bytes()
    )


@pytest.mark.parametrize(("library", "purpose"), [("torch", "export the head"), ("onnx", "write the network")])
def test_without_the_extra_the_sentence_has_the_install_command(
    library: str, purpose: str, backbone: BackboneFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "is_installed", lambda name: name != library)
    with pytest.raises(MissingExtraError, match=f"{library} is needed to {purpose} and is not installed"):
        build_graph(backbone, make_head(1), ONE_NUMBER)
