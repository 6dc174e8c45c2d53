"""The morphology step: its function with its parameters, on every kind of picture."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from teliti.imaging.morphology import apply_morphology
from teliti.transforms.steps import Working
from teliti.transforms.steps_morphology import Morphology

OPERATIONS = ["erode", "dilate", "open", "close", "gradient", "tophat", "blackhat"]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("shape", ["rectangle", "ellipse", "cross"])
def test_the_step_is_its_function(operation: str, shape: str) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (18, 22, 3), dtype=np.uint8)
    step = Morphology(operation=operation, shape=shape, size=(3, 7), iterations=2)
    for image in (photo, np.ascontiguousarray(photo[..., 0])):
        done = step.run(Working(image=image, original=photo))
        expected = apply_morphology(image, operation, shape=shape, size=(3, 7), iterations=2)
        np.testing.assert_array_equal(done.image, expected)
        assert done.original is photo
    assert Morphology.model_validate(step.model_dump(mode="json")) == step


def test_opening_as_it_comes_removes_thin_things_and_keeps_thick_ones() -> None:
    mask = np.zeros((20, 20), np.uint8)
    mask[2:12, 2:12] = mask[15, :] = 255
    opened = Morphology().apply(mask)
    assert opened[15].sum() == 0
    assert opened[4:10, 4:10].all()


def test_the_kind_is_kept() -> None:
    assert [Morphology().gives(kind) for kind in ("colour", "grey", "binary")] == ["colour", "grey", "binary"]
    assert Morphology.takes == {"colour", "grey", "binary"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"size": [4, 5]}, "height and width must be odd, so that the element has a centre"),
        ({"size": [5, 2]}, "height and width must be odd"),
        ({"size": [0, 5]}, "greater than or equal to 1"),
        ({"size": 5}, "valid tuple"),
        ({"iterations": 0}, "greater than or equal to 1"),
        ({"operation": "thin"}, "'erode', 'dilate', 'open', 'close', 'gradient', 'tophat' or 'blackhat'"),
        ({"shape": "disk"}, "'rectangle', 'ellipse' or 'cross'"),
    ],
)
def test_parameters_that_cannot_be_used_are_refused(values: dict, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Morphology.model_validate({"step": "morphology", **values})
