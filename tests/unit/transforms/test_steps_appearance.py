"""Appearance as prepare steps: the functions of `imaging.appearance` under checked parameters."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from teliti.imaging.appearance import decolourise, detexturise, enhance_edges, salient_edges
from teliti.transforms.steps import STEPS
from teliti.transforms.steps_appearance import Decolourise, Detexturise, EnhanceEdges, SalientEdges


def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (24, 31, 3), dtype=np.uint8)


def test_each_step_is_its_function() -> None:
    np.testing.assert_array_equal(Detexturise(rounds=1).apply(photo()), detexturise(photo(), rounds=1))
    np.testing.assert_array_equal(Decolourise(strength=0.5).apply(photo()), decolourise(photo(), strength=0.5))
    np.testing.assert_array_equal(EnhanceEdges(sigma=2.0).apply(photo()), enhance_edges(photo(), sigma=2.0))
    np.testing.assert_array_equal(SalientEdges(high=20.0).apply(photo()), salient_edges(photo(), high=20.0))


@pytest.mark.parametrize("step", [Detexturise(strength=0.0), Decolourise(strength=0.0), EnhanceEdges(strength=0.0)])
def test_without_strength_the_photo_itself_comes_back(step) -> None:
    image = photo()
    assert step.apply(image) is image


def test_only_the_edge_map_changes_the_kind() -> None:
    assert SalientEdges().gives("colour") == "grey"
    assert {kind().gives("colour") for kind in (Detexturise, Decolourise, EnhanceEdges)} == {"colour"}


@pytest.mark.parametrize("kind", [Decolourise, EnhanceEdges, SalientEdges])
def test_a_grey_photo_may_run_in_one_channel(kind) -> None:
    grey = photo()[..., 0]
    three, one = kind().apply(np.repeat(grey[..., None], 3, axis=2)), kind().apply(grey)
    assert kind.channelwise
    np.testing.assert_array_equal(three if three.ndim == 2 else three[..., 1], one)


def test_the_recipe_finds_them_by_name() -> None:
    for name in ("detexturise", "decolourise", "enhance_edges", "salient_edges"):
        assert STEPS.get(name)().step == name


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [(Detexturise, {"strength": 1.1}), (Detexturise, {"rounds": 0}), (Decolourise, {"strength": -0.1}),
     (EnhanceEdges, {"sigma": 0}), (SalientEdges, {"low": 0})],
)  # fmt: skip
def test_values_outside_their_ranges_are_refused(kind, parameters: dict) -> None:
    with pytest.raises(ValidationError, match="should be"):
        kind(**parameters)
