"""Engines: one number per photo whatever the engine, the batch, the place in it or the threads; and the probe."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from teliti import runtime
from teliti.errors import MissingExtraError, RecipeError
from teliti.recipe import ModelRecipe
from teliti.training.features import engines
from teliti.training.features.backbone_file import BackboneFile, prepare_backbone
from teliti.training.features.engines import PHOTOS_PER_CALL, EngineChoice, choose_engine, open_engine

SIDE = 64
NAMES = ("openvino", "onnxruntime", "torch")


@pytest.fixture(scope="module")
def backbone() -> BackboneFile:
    return prepare_backbone(ModelRecipe(stages=("head",), pooling="avg"), image_size=(SIDE, SIDE), seed=7)


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    """(8, 64, 64, 3) uint8, all different."""
    return np.random.default_rng(0).integers(0, 256, (8, SIDE, SIDE, 3), dtype=np.uint8)


def cut(name: str, photos: np.ndarray) -> list[np.ndarray]:
    """Batches of the engine's own size, of four photos where it takes many."""
    size = min(4, PHOTOS_PER_CALL[name])
    return [photos[start : start + size] for start in range(0, len(photos), size)]


def compute(name: str, backbone: BackboneFile, batches: list[np.ndarray], *, threads: int = 1) -> list[np.ndarray]:
    engine = open_engine(EngineChoice(name, "f32", ""), backbone, threads=threads)
    return list(engine.run(batches))


@pytest.fixture(scope="module")
def expected(backbone: BackboneFile, photos: np.ndarray) -> np.ndarray:
    """ONNX Runtime's features of the photos, (8, 1280)."""
    return np.concatenate(compute("onnxruntime", backbone, cut("onnxruntime", photos)))


@pytest.mark.parametrize("name", ["openvino", "torch"])
def test_every_engine_gives_the_numbers_of_onnx_runtime(
    name: str, backbone: BackboneFile, photos: np.ndarray, expected: np.ndarray
) -> None:
    features = np.concatenate(compute(name, backbone, cut(name, photos)))
    assert features.dtype == np.float32
    assert np.abs(features - expected).max() <= 1e-4 * max(1.0, np.abs(expected).max())
    assert expected.std() > 0.05


@pytest.mark.parametrize("name", NAMES)
def test_a_photo_gets_the_same_bits_beside_any_others_and_at_any_place(
    name: str, backbone: BackboneFile, photos: np.ndarray
) -> None:
    order = [0, 1, 2, 3, 4, 5, 6, 0, 7, 0, 0, 2]  # photo 0 first, last and in the middle of a batch of four
    features = np.concatenate(compute(name, backbone, cut(name, photos[order])))
    for again in (7, 9, 10):
        np.testing.assert_array_equal(features[again], features[0])


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_the_bits_do_not_depend_on_the_threads_and_the_order_is_kept(
    name: str, backbone: BackboneFile, photos: np.ndarray
) -> None:
    batches = cut(name, photos) * 2
    alone = np.concatenate(compute(name, backbone, batches, threads=1))
    together = np.concatenate(compute(name, backbone, batches, threads=3))
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(alone[8:], alone[:8])


@pytest.mark.parametrize("name", NAMES)
def test_an_engine_takes_batches_as_they_come_and_not_all_at_once(
    name: str, backbone: BackboneFile, photos: np.ndarray
) -> None:
    taken = []

    def batches():
        for number in range(20):
            taken.append(number)
            yield photos[: PHOTOS_PER_CALL[name]]

    engine = open_engine(EngineChoice(name, "f32", ""), backbone, threads=2)
    next(iter(engine.run(batches())))
    assert len(taken) <= 6


@pytest.mark.parametrize("name", NAMES)
def test_no_photos_give_no_features(name: str, backbone: BackboneFile) -> None:
    assert compute(name, backbone, []) == []


def test_bf16_is_refused_where_an_engine_does_not_offer_it(backbone: BackboneFile) -> None:
    with pytest.raises(
        RecipeError, match=r"train\.precision = bf16 is not offered by engine onnxruntime\. Use f32 or openvino"
    ):
        open_engine(EngineChoice("onnxruntime", "bf16", ""), backbone, threads=1)


def test_openvino_that_takes_another_precision_than_asked_is_refused(
    backbone: BackboneFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = SimpleNamespace(get_property=lambda _: SimpleNamespace(to_string=lambda: "f32"))
    model = SimpleNamespace(reshape=lambda _: None)
    core = SimpleNamespace(compile_model=lambda *_: compiled, read_model=lambda _: model)
    monkeypatch.setattr(engines, "require", lambda *_, **__: SimpleNamespace(Core=lambda: core))
    with pytest.raises(
        RecipeError, match=r"bf16 is not offered by OpenVINO on this processor \(it took f32\)"
    ) as caught:
        open_engine(EngineChoice("openvino", "bf16", ""), backbone, threads=1)
    assert caught.value.hint == "Use train.precision = f32."


@pytest.mark.parametrize("name", ["openvino", "torch"])
def test_an_engine_that_is_not_installed_has_the_install_command(
    name: str, backbone: BackboneFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "is_installed", lambda library: library != name)
    with pytest.raises(MissingExtraError, match=f"{name} is needed to compute features with engine {name}"):
        open_engine(EngineChoice(name, "f32", ""), backbone, threads=1)


@pytest.fixture
def speeds(monkeypatch: pytest.MonkeyPatch, tmp_path):
    """Put numbers in the place of the probe; 0 is an engine that fails."""
    monkeypatch.setenv("TELITI_CACHE", str(tmp_path))
    monkeypatch.setattr(engines.shutil, "which", lambda _: None)
    probed: list[str] = []

    def set_speeds(**photos_per_s: float) -> list[str]:
        def probe(candidate: EngineChoice, *_: object, **__: object) -> dict:
            name, precision = candidate.name, candidate.precision
            probed.append(name)
            note = "" if photos_per_s[name] else "RuntimeError: it broke."
            return {"engine": name, "precision": precision, "photos_per_s": photos_per_s[name], "note": note}

        monkeypatch.setattr(engines, "_probe", probe)
        return probed

    return set_speeds


def choose(backbone: BackboneFile, wanted: str = "auto", *, precision: str = "f32", **choices: Any) -> EngineChoice:
    choices = {"threads": 1, **choices}
    return choose_engine(wanted, precision=precision, backbone=backbone, **choices)


def test_a_named_engine_is_taken_without_a_probe(backbone: BackboneFile, speeds) -> None:
    probed = speeds()
    choice = choose(backbone, "onnxruntime")
    assert (choice.name, choice.precision, choice.probe, probed) == ("onnxruntime", "f32", (), [])
    assert choice.version


def test_auto_takes_the_fastest_and_keeps_what_it_saw(backbone: BackboneFile, speeds) -> None:
    probed = speeds(openvino=50.0, onnxruntime=80.0)
    choice = choose(backbone)
    assert choice.name == "onnxruntime"
    assert [row["photos_per_s"] for row in choice.probe] == [50.0, 80.0]
    assert json.loads(json.dumps(choice.to_record()))["probe"] == list(choice.probe)
    assert choose(backbone) == choice
    assert probed == ["openvino", "onnxruntime"]


def test_other_threads_are_probed_anew(backbone: BackboneFile, speeds) -> None:
    probed = speeds(openvino=50.0, onnxruntime=80.0)
    choose(backbone)
    choose(backbone, threads=2)
    assert len(probed) == 4


def test_an_engine_that_fails_its_probe_is_not_chosen(backbone: BackboneFile, speeds) -> None:
    speeds(openvino=0.0, onnxruntime=1.0)
    assert choose(backbone).name == "onnxruntime"


def test_when_every_engine_fails_the_reasons_are_named(backbone: BackboneFile, speeds) -> None:
    speeds(openvino=0.0, onnxruntime=0.0)
    for _ in range(2):  # a failure is not kept for the next run
        with pytest.raises(RecipeError) as caught:
            choose(backbone)
        assert caught.value.message == (
            "No engine could run the backbone: openvino: RuntimeError: it broke; onnxruntime: RuntimeError: it broke."
        )
    speeds(openvino=1.0, onnxruntime=0.0)
    assert choose(backbone).name == "openvino"


def test_bf16_takes_openvino_and_needs_it(backbone: BackboneFile, speeds, monkeypatch: pytest.MonkeyPatch) -> None:
    probed = speeds(openvino=9.0)
    assert choose(backbone, precision="bf16").name == "openvino"
    assert probed == []  # there is nothing to compare it with
    monkeypatch.setattr(engines, "is_installed", lambda _: False)
    with pytest.raises(RecipeError, match=r"train\.precision = bf16 needs OpenVINO, which is not installed") as caught:
        choose(backbone, precision="bf16")
    assert caught.value.hint == 'Install it with: pip install "teliti[train]", or use f32.'


def test_torch_is_a_candidate_only_beside_a_gpu(
    backbone: BackboneFile, speeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    speeds(openvino=1.0, onnxruntime=2.0, torch=3.0)
    assert choose(backbone).name == "onnxruntime"
    monkeypatch.setattr(engines.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    assert choose(backbone).name == "torch"


def test_the_device_decides_which_engines_compete(
    backbone: BackboneFile, speeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    probed = speeds(openvino=1.0, onnxruntime=2.0, torch=3.0)
    assert (choose(backbone).name, choose(backbone).device) == ("torch", "cuda")
    on_processor = choose(backbone, device="cpu")
    assert (on_processor.name, on_processor.device) == ("onnxruntime", "cpu")
    assert probed == ["openvino", "onnxruntime", "torch", "openvino", "onnxruntime"]
    asked = choose(backbone, device="cuda")
    assert (asked.name, asked.device, asked.probe) == ("torch", "cuda", ())
    assert choose(backbone, "torch", device="cpu").device == "cpu"
    assert choose(backbone, "openvino").device == "cpu"


def test_a_device_that_an_engine_cannot_have_is_refused(
    backbone: BackboneFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(RecipeError, match=r"train\.device must be cpu here, got cuda: torch finds no GPU"):
        choose(backbone, device="cuda")
    with pytest.raises(
        RecipeError, match=r"train\.engine must be torch where train\.device = cuda, got openvino"
    ) as got:
        choose(backbone, "openvino", device="cuda")
    assert got.value.hint == "Set train.device=auto, or leave train.engine out."


def test_the_probe_runs_the_real_engines(backbone: BackboneFile, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("TELITI_CACHE", str(tmp_path))
    monkeypatch.setattr(engines, "_PROBE_SECONDS", 0.05)
    monkeypatch.setattr(engines.shutil, "which", lambda _: None)
    rows = choose(backbone).probe
    assert [row["engine"] for row in rows] == ["openvino", "onnxruntime"]
    assert all(row["photos_per_s"] > 0 and row["note"] == "" for row in rows)


def test_an_engine_that_breaks_is_noted_by_the_probe(
    backbone: BackboneFile, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("no such operator\nand more lines")

    monkeypatch.setenv("TELITI_CACHE", str(tmp_path))
    monkeypatch.setattr(engines, "_PROBE_SECONDS", 0.05)
    monkeypatch.setattr(engines.shutil, "which", lambda _: None)
    monkeypatch.setitem(engines._OPENERS, "openvino", broken)
    rows = choose(backbone).probe
    assert rows[0] == {
        "engine": "openvino",
        "precision": "f32",
        "photos_per_s": 0.0,
        "note": "ValueError: no such operator",
    }
