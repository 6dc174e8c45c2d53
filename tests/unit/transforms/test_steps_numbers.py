"""Number steps: fitted on the training photos only, saved as arrays, applied in order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from teliti.errors import BundleError, RecipeError, UserError
from teliti.transforms.prepare import build_chain
from teliti.transforms.steps_numbers import FittedNumbers, apply_numbers, fit_numbers


def steps_of(*records: dict):
    return build_chain(records, image_size=(6, 5), fit="stretch").numbers


@pytest.fixture
def photos() -> list[np.ndarray]:
    rng = np.random.default_rng(8)
    return [rng.integers(low, low + 90, (6, 5, 3), dtype=np.uint8) for low in rng.integers(0, 160, 70)]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"step": "rescale"}, lambda x, _: x / 255),
        ({"step": "rescale", "factor": 2.0, "offset": -3.0}, lambda x, _: 2 * x - 3),
        ({"step": "center", "by": "sample"}, lambda x, _: x - x.mean((1, 2, 3), keepdims=True)),
        ({"step": "center", "by": "sample", "per_channel": True}, lambda x, _: x - x.mean((1, 2), keepdims=True)),
        ({"step": "center"}, lambda x, train: x - train.mean((0, 1, 2))),
        (
            {"step": "standardize", "by": "sample"},
            lambda x, _: (x - x.mean((1, 2, 3), keepdims=True)) / (x.std((1, 2, 3), keepdims=True) + 1e-6),
        ),
        ({"step": "standardize"}, lambda x, train: (x - train.mean((0, 1, 2))) / (train.std((0, 1, 2)) + 1e-6)),
    ],
)
def test_each_step_is_its_formula(record: dict, expected, photos: list[np.ndarray]) -> None:
    train, new = np.stack(photos[:50]), np.stack(photos[50:])
    numbers = apply_numbers(fit_numbers(steps_of(record), photos[:50]), new)
    assert numbers.dtype == np.float32
    np.testing.assert_allclose(numbers, expected(new.astype(float), train.astype(float)), rtol=1e-6, atol=1e-6)


def test_whitening_makes_the_training_photos_uncorrelated() -> None:
    rng = np.random.default_rng(1)
    many = [rng.integers(0, 256, (6, 5, 3), dtype=np.uint8) for _ in range(400)]
    rows = apply_numbers(fit_numbers(steps_of({"step": "zca"}), many), np.stack(many)).reshape(400, -1)
    np.testing.assert_allclose(rows.T @ rows / 400, np.eye(90), atol=1e-3)


def test_steps_are_fitted_on_what_the_steps_before_them_give(photos: list[np.ndarray]) -> None:
    steps = steps_of(
        {"step": "rescale"}, {"step": "standardize", "by": "sample"}, {"step": "center"}, {"step": "standardize"}
    )
    fitted = fit_numbers(steps, photos)
    numbers = apply_numbers(fitted, np.stack(photos))
    np.testing.assert_allclose(fitted.arrays[3]["mean"], 0, atol=1e-12)
    np.testing.assert_allclose(numbers.mean((0, 1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(numbers.std((0, 1, 2)), 1, atol=1e-5)


def test_the_arrays_are_saved_and_read_back(photos: list[np.ndarray]) -> None:
    steps = steps_of({"step": "rescale"}, {"step": "standardize"}, {"step": "zca"})
    fitted = fit_numbers(steps, photos)
    saved = fitted.to_arrays()
    assert {name: (array.shape, array.dtype.name) for name, array in saved.items()} == {
        "numbers.1.mean": ((3,), "float64"),
        "numbers.1.std": ((3,), "float64"),
        "numbers.2.mean": ((3,), "float64"),
        "numbers.2.matrix": ((90, 90), "float32"),
    }
    assert all(array.flags.c_contiguous for array in saved.values())
    again = FittedNumbers.from_arrays(steps, {**saved, "head.weight": np.zeros(4)})
    batch = np.stack(photos[:9])
    np.testing.assert_array_equal(apply_numbers(again, batch), apply_numbers(fitted, batch))


@pytest.mark.parametrize("damage", [lambda a: a.pop("numbers.0.std"), lambda a: a.update({"numbers.0.std": np.eye(3)})])
def test_arrays_that_are_not_whole_are_refused(damage, photos: list[np.ndarray]) -> None:
    steps = steps_of({"step": "standardize"})
    saved = fit_numbers(steps, photos).to_arrays()
    damage(saved)
    with pytest.raises(BundleError, match=r"standardize has lost its numbers: numbers\.0\.std is missing or damaged"):
        FittedNumbers.from_arrays(steps, saved)


def test_photos_are_gone_through_once_for_each_step_that_learns_and_never_kept(photos: list[np.ndarray]) -> None:
    taken = 0

    def stream() -> Iterator[np.ndarray]:
        nonlocal taken
        for photo in photos:
            taken += 1
            yield photo

    fit_numbers(steps_of({"step": "rescale"}, {"step": "standardize", "by": "sample"}), stream())
    assert taken == 0
    fit_numbers(steps_of({"step": "rescale"}, {"step": "standardize"}), stream())
    assert taken == len(photos)
    with pytest.raises(UserError, match=r"Fitting center and zca takes 2 passes over the photos, and an iterator has"):
        fit_numbers(steps_of({"step": "center"}, {"step": "zca"}), stream())


@pytest.mark.parametrize("name", ["center", "standardize", "zca"])
def test_no_training_photos_is_an_error(name: str) -> None:
    with pytest.raises(UserError, match="Number steps are fitted on the training photos, got none"):
        fit_numbers(steps_of({"step": name}), [])


def test_whitening_is_refused_before_anything_is_read() -> None:
    with pytest.raises(RecipeError, match=r"prepare step 1 \(zca\): .*Set data\.image_size to 22 or less"):
        build_chain([{"step": "zca", "max_megabytes": 10}], image_size=(24, 24), fit="crop")
    steps = steps_of({"step": "zca", "max_megabytes": 10})
    with pytest.raises(UserError, match=r"over the limit of 0\.01 GB"):
        fit_numbers(steps, iter([np.zeros((64, 64, 3), dtype=np.uint8)]))


def test_no_steps_give_the_pixels_as_numbers(photos: list[np.ndarray]) -> None:
    batch = np.stack(photos[:3])
    np.testing.assert_array_equal(apply_numbers(fit_numbers((), photos), batch), batch.astype(np.float32))
