"""Heads score the same in numpy, torch and ONNX, survive storage, and refuse what does not fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.numpy import load, save
from scipy.spatial.distance import cdist
from scipy.special import softmax

from teliti.errors import BundleError, UserError
from teliti.models.heads import HeadWeights, gaussian_kernel, head_module, squared_distances
from teliti.models.onnx_graph import export_module


def make_head(kind: str, *, columns: int = 1, dims: int = 12, is_regression: bool = False) -> HeadWeights:
    rng = np.random.default_rng(3)
    supports = rng.normal(size=(9, dims)).astype(np.float32) * 0.2 if kind == "rbf" else None
    rows = dims if supports is None else len(supports)
    return HeadWeights(
        rng.normal(size=dims).astype(np.float32),
        rng.uniform(0.1, 0.4, size=dims).astype(np.float32),
        rng.normal(size=(rows, columns)).astype(np.float32),
        rng.normal(size=columns).astype(np.float32),
        supports=supports,
        limit=0.9,
        is_regression=is_regression,
    )


def photos(count: int = 7, dims: int = 12) -> np.ndarray:
    return np.random.default_rng(5).normal(size=(count, dims)).astype(np.float32) * 3


HEADS = [
    make_head("linear"),
    make_head("linear", columns=4),
    make_head("rbf"),
    make_head("rbf", columns=3),
    make_head("linear", is_regression=True),
    make_head("rbf", is_regression=True),
]


KNOTS = np.array([[-3.0, -1.0, 0.5, 2.0], [-4.0, -0.5, 0.0, 3.0]], np.float32)
BENT = [replace(make_head("linear"), bend=KNOTS), replace(make_head("rbf", columns=3), bend=KNOTS)]
"""Heads whose log-odds go through a curve at last."""


def formula(head: HeadWeights, features: np.ndarray) -> np.ndarray:
    """The docstring's formula in float64, with scipy's distances."""
    z = np.clip((features.astype(np.float64) - head.mean) * head.scale, -head.limit, head.limit)
    inputs = z if head.supports is None else np.exp(-cdist(z, head.supports, "sqeuclidean"))
    outputs = inputs @ head.weight + head.bias
    is_binary = outputs.shape[1] == 1 and not head.is_regression
    return np.concatenate([np.zeros_like(outputs), outputs], axis=1) if is_binary else outputs


@pytest.mark.parametrize("head", HEADS)
def test_logits_follow_the_formula(head: HeadWeights) -> None:
    logits = head.logits(photos())
    assert logits.dtype == np.float32
    assert logits.shape == (7, head.num_outputs)
    np.testing.assert_allclose(logits, formula(head, photos()), atol=1e-5)


@pytest.mark.parametrize("head", HEADS[:4])
def test_probs_are_the_softmax_of_the_logits(head: HeadWeights) -> None:
    probs = head.probs(photos())
    np.testing.assert_allclose(probs, softmax(formula(head, photos()), axis=1), atol=1e-6)
    np.testing.assert_allclose(probs.sum(axis=1), 1.0, atol=1e-6)


def test_two_classes_have_a_zero_column_first() -> None:
    logits = make_head("rbf").logits(photos())
    assert logits.shape == (7, 2)
    assert not logits[:, 0].any()
    assert logits[:, 1].all()


def test_many_photos_score_as_each_alone() -> None:
    head, many = make_head("rbf", columns=3), photos(count=4100)  # more than two blocks
    together = head.logits(many)
    assert together.shape == (4100, 3)
    for row in (0, 2047, 2048, 4099):
        np.testing.assert_allclose(together[row], head.logits(many[row : row + 1])[0], atol=1e-5)


def test_no_photos_give_no_rows() -> None:
    assert make_head("linear", columns=4).logits(photos(count=0)).shape == (0, 4)
    assert make_head("rbf").logits(photos(count=0)).shape == (0, 2)


def test_one_wild_feature_cannot_move_a_score_far() -> None:
    head, normal = make_head("linear"), photos(count=1)
    wild, wilder = normal.copy(), normal.copy()
    wild[0, 0], wilder[0, 0] = 1e4, 1e30
    np.testing.assert_array_equal(head.logits(wild), head.logits(wilder))
    assert abs(head.logits(wild)[0, 1] - head.logits(normal)[0, 1]) <= 2 * head.limit * abs(head.weight[0, 0]) + 1e-6


def test_a_constant_feature_is_ignored() -> None:
    head = make_head("rbf")
    muted = HeadWeights(
        head.mean, head.scale * (np.arange(12) > 0), head.weight, head.bias, supports=head.supports, limit=0.9
    )
    changed = photos()
    changed[:, 0] += 100.0
    np.testing.assert_array_equal(muted.logits(photos()), muted.logits(changed))


@pytest.mark.parametrize("head", HEADS + BENT)
def test_torch_gives_the_same_numbers(head: HeadWeights) -> None:
    with torch.inference_mode():
        answer = head_module(head)(torch.from_numpy(photos()))
    logits, probs = (answer, None) if head.is_regression else answer
    np.testing.assert_allclose(logits.numpy(), head.logits(photos()), atol=1e-5)
    if probs is not None:
        np.testing.assert_allclose(probs.numpy(), head.probs(photos()), atol=1e-6)


@pytest.mark.parametrize("head", [HEADS[1], HEADS[2], *BENT])
def test_onnx_gives_the_same_numbers_for_any_batch_size(head: HeadWeights) -> None:
    names = ["logits", "probs"]
    graph = export_module(head_module(head), torch.zeros((2, 12)), input_name="features", output_names=names)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    for count in (1, 2, 7):
        logits, probs = session.run(names, {"features": photos(count)})
        np.testing.assert_allclose(logits, head.logits(photos(count)), atol=1e-5)
        np.testing.assert_allclose(probs, head.probs(photos(count)), atol=1e-6)


@pytest.mark.parametrize("head", HEADS + BENT)
def test_weights_survive_safetensors_to_the_last_bit(head: HeadWeights) -> None:
    back = HeadWeights.from_arrays(load(save(head.to_arrays())))
    assert back.kind == head.kind
    assert back.num_features == 12
    assert back.is_regression == head.is_regression
    np.testing.assert_array_equal(back.logits(photos()), head.logits(photos()))


def test_a_curve_is_what_log_odds_go_through() -> None:
    straight, bent = (head.logits(photos()) for head in (make_head("linear"), BENT[0]))
    inside = (straight[:, 1] > -3.0) & (straight[:, 1] < 2.0)
    assert inside.any()
    np.testing.assert_allclose(bent[inside, 1], np.interp(straight[inside, 1], *KNOTS), atol=1e-5)
    assert not bent[:, 0].any()


@pytest.mark.parametrize("knots", [np.ones((3, 4)), np.ones((2, 1)), np.array([[0, 1, 2], [0, 2, 1]])])
def test_a_curve_that_does_not_rise_is_refused(knots: np.ndarray) -> None:
    with pytest.raises(BundleError, match="must fit each other, got shapes"):
        HeadWeights.from_arrays(make_head("linear").to_arrays() | {"bend": knots.astype(np.float32)})


def test_squared_distances_are_exact_and_never_negative() -> None:
    rows, others = photos(count=5), np.concatenate([photos(count=3), photos(count=5)])
    found = squared_distances(rows, others)
    np.testing.assert_allclose(found, cdist(rows, others, "sqeuclidean"), rtol=1e-4, atol=1e-3)
    assert (found >= 0.0).all()


def test_kernel_falls_from_one_with_distance() -> None:
    rows = np.array([[0.0, 0.0], [3.0, 4.0]], np.float32)
    kernel = gaussian_kernel(rows, rows, width=0.1)
    np.testing.assert_allclose(kernel, [[1.0, np.exp(-2.5)], [np.exp(-2.5), 1.0]], rtol=1e-5)


def test_features_of_another_length_are_refused() -> None:
    with pytest.raises(UserError, match=r"must have shape \(N, 12\), got \(7, 5\)\. Use the backbone"):
        make_head("linear").logits(photos(dims=5))


def test_a_regression_head_offers_no_probabilities() -> None:
    with pytest.raises(UserError, match="must come from a classification head, got a regression head"):
        make_head("rbf", is_regression=True).probs(photos())


def test_missing_weights_are_named() -> None:
    arrays = make_head("linear").to_arrays()
    del arrays["scale"]
    with pytest.raises(BundleError, match="got none named scale"):
        HeadWeights.from_arrays(arrays)


@pytest.mark.parametrize(
    ("name", "shape"), [("scale", (11,)), ("weight", (8, 1)), ("bias", (2,)), ("supports", (9, 11)), ("mean", (3, 4))]
)
def test_weights_that_do_not_fit_are_refused(name: str, shape: tuple[int, ...]) -> None:
    arrays = make_head("rbf").to_arrays()
    arrays[name] = np.ones(shape, np.float32)
    with pytest.raises(BundleError, match="must fit each other, got shapes"):
        HeadWeights.from_arrays(arrays)
