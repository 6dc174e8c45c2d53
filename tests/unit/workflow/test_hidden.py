"""Dense layers in front of the closing one: where they stand in every kind of network, and what is refused."""

from __future__ import annotations

import pytest

from teliti.errors import RecipeError
from teliti.models.compact import COMPACT, plan_network
from teliti.recipe import parse_recipe
from teliti.workflow.searches.hidden import takes_hidden, with_hidden


def recipe_of(loss: str = "cross_entropy", **model: object):
    return parse_recipe({"data": {"image_size": 64}, "model": model, "train": {"mode": "scratch", "loss": loss}})


def kinds(recipe) -> list[str]:
    return [layer.kind for layer in recipe.model.layers]


@pytest.mark.parametrize("name", COMPACT)
def test_a_compact_network_keeps_its_layers_and_gets_more_behind_them(name: str) -> None:
    plain, deeper = recipe_of(backbone=name), with_hidden(recipe_of(backbone=name), hidden="dense+dense", units=16)
    before = plan_network(plain.model, num_outputs=3, image_size=(64, 64))
    after = plan_network(deeper.model, num_outputs=3, image_size=(64, 64))
    assert [one.layer for one in after[: len(before) - 1]] == [one.layer for one in before[:-1]]
    assert [one.output_shape for one in after[len(before) - 1 :]] == [(16,), (16,), (3,)]
    assert takes_hidden(plain)


def test_a_backbone_gets_them_behind_the_average_of_its_map() -> None:
    recipe = with_hidden(recipe_of(backbone="resnet18", weights="random"), units=32, activation="tanh")
    assert kinds(recipe) == ["avg_pool", "flatten", "dense"]
    assert (recipe.model.layers[-1].units, recipe.model.layers[-1].activation) == (32, "tanh")


def test_a_closing_layer_of_ones_own_stays_the_last() -> None:
    layers = [{"kind": "flatten"}, {"kind": "dense", "units": 6}]
    recipe = with_hidden(recipe_of(backbone="none", layers=layers), units=8)
    assert [layer.units for layer in recipe.model.layers if layer.kind == "dense"] == [8, 6]
    assert takes_hidden(recipe_of(backbone="none", layers=layers))


def test_none_changes_nothing() -> None:
    assert with_hidden(recipe_of(backbone="mlp"), hidden="none", units=8) == recipe_of(backbone="mlp")


def test_they_fit_no_perceptron_rule_and_no_layers_that_cannot_be_built() -> None:
    assert not takes_hidden(recipe_of("perceptron", backbone="perceptron"))
    assert not takes_hidden(recipe_of(backbone="none", layers=[{"kind": "conv", "filters": 4, "kernel_size": 99}]))


@pytest.mark.parametrize(
    ("recipe", "hidden", "sentence"),
    [
        (recipe_of(backbone="mlp"), "dense+conv", "hidden must be none, or dense as often as there shall be layers"),
        (parse_recipe({}), "dense", "hidden needs a network that learns, and train.mode is"),
    ],
)
def test_other_words_and_frozen_networks_are_refused(recipe, hidden, sentence) -> None:
    with pytest.raises(RecipeError) as caught:
        with_hidden(recipe, hidden=hidden)
    assert sentence in caught.value.message
    assert caught.value.hint
