"""`keras_compatible=True` gives what Keras gave: recorded pixels, numbers, draws, batches and previews."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from teliti.workflow.generator import ImageDataGenerator
from unit.transforms.record_keras import MOVING, READINGS, write_files

FOLDER = Path(__file__).parent / "recorded"
ASKED = json.loads((FOLDER / "keras.json").read_text(encoding="utf-8"))
with np.load(FOLDER / "keras.npz") as _file:
    ANSWERS = dict(_file)

PIXEL_TOLERANCE = 1e-4 * 255.0  # of the value range
NUMBER_TOLERANCE = 1e-4


def generator(arguments: dict[str, Any]) -> ImageDataGenerator:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # one switch that sets another
        return ImageDataGenerator(keras_compatible=True, **arguments)


@pytest.fixture(autouse=True)
def _global_generator_kept():
    """NumPy's process-wide generator is left as it was found."""
    state = np.random.get_state()
    yield
    np.random.set_state(state)


@pytest.mark.parametrize("asked", ASKED["transforms"], ids=lambda asked: asked["name"])
def test_equal_parameters_give_equal_pixels(asked: dict) -> None:
    photo = ANSWERS[f"input_{asked['photo']}"].astype(np.float32)
    if asked["arguments"].get("data_format") == "channels_first":
        photo = photo.transpose(2, 0, 1)
    result = generator(asked["arguments"]).apply_transform(photo, asked["parameters"])
    expected = ANSWERS[f"transform_{asked['name']}"]
    assert result.dtype == expected.dtype
    np.testing.assert_allclose(result, expected, rtol=0, atol=PIXEL_TOLERANCE)


@pytest.mark.parametrize(
    "asked", ASKED["draws"], ids=lambda asked: f"{asked['name']}-{asked['arguments']['data_format']}-{asked['seed']}"
)
def test_a_seed_draws_the_same_parameters(asked: dict) -> None:
    drawn = generator(asked["arguments"]).get_random_transform(asked["shape"], seed=asked["seed"])
    assert drawn == asked["drawn"]


@pytest.mark.parametrize("number", range(len(ASKED["numbers"])))
def test_numbers_are_equal(number: int) -> None:
    asked = ASKED["numbers"][number]
    batch = ANSWERS["input_batch"].astype(np.float32)
    if asked["arguments"].get("data_format") == "channels_first":
        batch = batch.transpose(0, 3, 1, 2)
    ours = generator(asked["arguments"])
    ours.fit(batch, **asked["fit"])
    for name in ("mean", "std", "zca_whitening_matrix"):
        if f"numbers_{number}_{name}" in ANSWERS:
            expected = ANSWERS[f"numbers_{number}_{name}"]
            np.testing.assert_allclose(getattr(ours, name), expected, rtol=1e-5, atol=1e-4 * np.abs(expected).max())
    result = ours.standardize(batch.copy() if asked["rank"] == 4 else batch[2].copy())
    expected = ANSWERS[f"numbers_{number}"]
    np.testing.assert_allclose(result, expected, rtol=0, atol=NUMBER_TOLERANCE * np.ptp(expected))


def test_standardize_works_in_place() -> None:
    photo = np.full((4, 4, 3), 51.0, dtype=np.float32)
    assert generator({"rescale": 1 / 255}).standardize(photo) is photo
    assert photo[0, 0, 0] == pytest.approx(0.2)


@pytest.mark.parametrize("number", range(len(ASKED["flows"])))
def test_flow_gives_the_same_batches(number: int, tmp_path: Path) -> None:
    asked = ASKED["flows"][number]
    flow = dict(asked["flow"])
    if flow.pop("save", False):
        flow["save_to_dir"] = tmp_path
    np.random.seed(99)
    labels = np.array([0, 1, 0, 1, 0, 1, 0])
    moving = generator({"validation_split": 0.45, **MOVING})
    reader = moving.flow(ANSWERS["input_batch"], labels, batch_size=2, **flow)
    for place in range(asked["batches"]):
        x, y = reader[place] if asked["by_item"] else next(reader)
        np.testing.assert_array_equal(y, ANSWERS[f"flow_{number}_{place}_y"])
        np.testing.assert_allclose(x, ANSWERS[f"flow_{number}_{place}_x"], rtol=0, atol=PIXEL_TOLERANCE)
    assert np.random.random() == asked["after"]  # as many numbers were drawn
    assert sorted(path.name for path in tmp_path.iterdir()) == asked["saved"]
    for name in asked["saved"]:
        with Image.open(tmp_path / name) as picture:
            np.testing.assert_allclose(np.asarray(picture, int), ANSWERS[f"flow_{number}_saved_{name}"], atol=1)


@pytest.mark.parametrize("name", list(ASKED["folders"]))
def test_folders_are_read_alike(name: str, tmp_path: Path) -> None:
    write_files(tmp_path, ANSWERS["input_files"])
    reader = generator({"validation_split": 0.4, **MOVING}).flow_from_directory(
        tmp_path, target_size=(8, 8), batch_size=4, seed=11, **READINGS[name]
    )
    asked = ASKED["folders"][name]
    assert list(reader.filenames) == asked["filenames"]
    assert list(reader.classes) == asked["classes"]
    assert reader.class_indices == asked["class_indices"]
    x, y = next(reader)
    np.testing.assert_array_equal(y, ANSWERS[f"folder_{name}_y"])
    np.testing.assert_allclose(x, ANSWERS[f"folder_{name}_x"], rtol=0, atol=PIXEL_TOLERANCE)
