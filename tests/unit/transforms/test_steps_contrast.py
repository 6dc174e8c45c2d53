"""The contrast steps: each does what its function does, for the parameters that it was given."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from teliti.imaging.contrast import apply_clahe, apply_gamma, equalize_histogram, flatten_illumination
from teliti.transforms.steps import STEPS, Working
from teliti.transforms.steps_contrast import Clahe, Equalize, FlattenIllumination, Gamma


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(1).integers(20, 200, (24, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("step", "function"),
    [
        (
            Clahe(clip_limit=3.0, tile_grid=(2, 5)),
            lambda image: apply_clahe(image, clip_limit=3.0, tile_grid=(2, 5)),
        ),
        (Equalize(), equalize_histogram),
        (Gamma(gamma=2.2), lambda image: apply_gamma(image, 2.2)),
        (FlattenIllumination(), lambda image: flatten_illumination(image, method="divide", sigma=0.2)),
        (
            FlattenIllumination(method="subtract", sigma=0.4),
            lambda image: flatten_illumination(image, method="subtract", sigma=0.4),
        ),
    ],
    ids=lambda value: getattr(value, "step", ""),
)
def test_a_step_is_its_function_on_the_image_alone(step, function, photo: np.ndarray) -> None:
    for image in (photo, np.ascontiguousarray(photo[..., 0])):
        done = step.run(Working(image=image, original=photo))
        np.testing.assert_array_equal(done.image, function(image))
        assert done.original is photo


@pytest.mark.parametrize("name", ["clahe", "equalize", "gamma", "flatten_illumination"])
def test_contrast_belongs_to_colour_and_grey_and_keeps_the_kind(name: str) -> None:
    step = STEPS.get(name)
    assert step.takes == {"colour", "grey"}
    assert [step().gives(kind) for kind in ("colour", "grey")] == ["colour", "grey"]


def test_the_record_of_a_step_is_all_its_parameters() -> None:
    record = Clahe().model_dump(mode="json")
    assert record == {"step": "clahe", "clip_limit": 2.0, "tile_grid": [8, 8]}
    assert Clahe.model_validate(record) == Clahe()


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("clahe", {"clip_limit": 0}, "greater than 0"),
        ("clahe", {"tile_grid": [0, 8]}, "greater than or equal to 1"),
        ("gamma", {"gamma": 0.0}, "greater than or equal to 0.05"),
        ("gamma", {"gamma": "bright"}, "valid number"),
        ("flatten_illumination", {"method": "multiply"}, "'divide' or 'subtract'"),
        ("flatten_illumination", {"sigma": 2}, "less than or equal to 1"),
        ("equalize", {"levels": 256}, "not permitted"),
    ],
)
def test_a_parameter_out_of_range_is_refused(name: str, values: dict, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        STEPS.get(name).model_validate({"step": name, **values})
