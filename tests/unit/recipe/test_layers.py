"""[[model.layers]]: typed entries; every mistake names the entry, counted from 1, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from teliti.errors import RecipeError
from teliti.recipe import ModelRecipe, dump_recipe, load_recipe, parse_recipe, recipe_values
from teliti.recipe.layers import KINDS, AvgPool, BatchNorm, Conv, Dense
from teliti.recipe.shipped import shipped_recipe, shipped_recipes

CONV = {"kind": "conv", "filters": 4}


def model(*layers: dict, **keys: object) -> ModelRecipe:
    return parse_recipe({"model": {**keys, "layers": list(layers)}}).model


def refusal(*layers: object) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        parse_recipe({"model": {"layers": list(layers)}})
    return caught.value


def test_the_entry_of_the_manual(tmp_path: Path) -> None:
    file = tmp_path / "r.toml"
    file.write_text(
        '[[model.layers]]\nkind = "conv"\nfilters = 64\nkernel_size = 3\nstride = 2\npadding = "same"\n'
        'activation = "relu"\nl2 = 1e-4\n'
    )
    (layer,) = load_recipe(file).model.layers
    assert layer == Conv(filters=64, kernel_size=3, stride=2, padding="same", activation="relu", l2=1e-4)
    assert (layer.dilation, layer.bias, layer.initializer) == (1, True, "auto")


def test_layers_alone_are_the_whole_network_and_beside_a_backbone_they_stand_on_it() -> None:
    assert model(CONV).backbone == "none"
    assert model(CONV, backbone="vgg16").backbone == "vgg16"
    assert parse_recipe({}).model.backbone == "tf_efficientnet_lite0"


def test_a_network_without_anything_is_refused() -> None:
    with pytest.raises(
        RecipeError, match=r'model\.layers must have an entry where model\.backbone is "none", got none'
    ):
        parse_recipe({"model": {"backbone": "none"}})


def test_toml_gives_back_the_equal_layers(tmp_path: Path) -> None:
    recipe = parse_recipe(
        {
            "model": {
                "layers": [
                    {**CONV, "kernel_size": [3, 5], "activation": "leaky_relu", "slope": 0.1},
                    {"kind": "avg_pool", "kernel_size": "global"},
                    {"kind": "batch_norm"},
                    {"kind": "flatten"},
                    {"kind": "dense", "units": 3, "activation": "maxout", "pieces": 3},
                ]
            }
        }
    )
    (tmp_path / "r.toml").write_text(dump_recipe(recipe))
    assert load_recipe(tmp_path / "r.toml") == recipe
    assert parse_recipe(recipe_values(recipe)) == recipe
    assert [type(layer) for layer in recipe.model.layers[1:3]] == [AvgPool, BatchNorm]


def test_a_layer_that_is_one_already_is_taken() -> None:
    assert ModelRecipe(backbone="none", layers=(Dense(units=3),)).layers == (Dense(units=3),)


@pytest.mark.parametrize(
    ("layer", "message", "hint"),
    [
        ({"kind": "cnov"}, f"model.layers 2: kind must be one of {', '.join(sorted(KINDS))}, got 'cnov'.",
         'Did you mean "conv"?'),
        ({"kind": "zzzzzz"}, "got 'zzzzzz'.", "Choose one of them."),
        ({"filters": 3}, "model.layers 2: kind is missing; it must be one of activation, avg_pool,",
         "Choose one of them."),
        ({**CONV, "strides": 2}, "model.layers 2 (conv): strides is not a parameter.", 'Did you mean "stride"?'),
        ({"kind": "flatten", "order": "c"}, "model.layers 2 (flatten): order is not a parameter.",
         "`flatten` takes no parameters."),
        ({"kind": "conv"}, "model.layers 2 (conv): filters is missing.", "`conv` takes activation, slope,"),
        ({"kind": "conv", "filters": 0}, "model.layers 2 (conv): filters must be greater than or equal to 1, got 0.",
         ""),
        ({**CONV, "padding": "full"}, "model.layers 2 (conv): padding must be 'valid' or 'same' or a valid integer",
         ""),
        ({**CONV, "activation": "rule"}, "model.layers 2 (conv): activation must be 'step', 'sigmoid',", ""),
        ({**CONV, "slope": 0.1, "activation": "relu"},
         "model.layers 2 (conv): slope belongs to activation = \"leaky_relu\", got 'relu'.", ""),
        ({**CONV, "pieces": 2}, 'model.layers 2 (conv): pieces belongs to activation = "maxout", got None.', ""),
        ({"kind": "dropout", "rate": 1.0}, "model.layers 2 (dropout): rate must be less than 1, got 1.0.", ""),
        ({**CONV, "l2": -1.0}, "model.layers 2 (conv): l2 must be greater than or equal to 0, got -1.0.", ""),
        ({"kind": "activation"}, "model.layers 2 (activation): activation is missing.", ""),
        ({"kind": "max_pool", "kernel_size": "global", "stride": 2}, "model.layers 2 (max_pool): stride must be left "
         'out beside kernel_size = "global", which covers the whole map once, got 2.', "`max_pool` takes kernel_size"),
        ({"kind": "avg_pool", "kernel_size": "global", "padding": "same"}, "model.layers 2 (avg_pool): padding must be "
         "left out beside kernel_size = \"global\", which covers the whole map once, got 'same'.", ""),
        ({"kind": "avg_pool", "kernel_size": "global", "stride": [1, 2], "padding": [0, 1]}, "stride and padding must "
         'be left out beside kernel_size = "global", which covers the whole map once, got (1, 2) and (0, 1).', ""),
    ],
)  # fmt: skip
def test_a_mistake_names_the_entry_and_what_to_do(layer: dict, message: str, hint: str) -> None:
    error = refusal(CONV, layer)
    assert message in error.message
    assert hint in error.hint


@pytest.mark.parametrize("padding", ["valid", 0, [0, 0]])
def test_a_global_window_may_say_that_it_has_no_border(padding: object) -> None:
    (layer,) = model({"kind": "max_pool", "kernel_size": "global", "padding": padding}).layers
    assert layer.kernel_size == "global"


def test_two_mistakes_in_one_entry_are_both_named() -> None:
    message = refusal({"kind": "conv", "filters": 0, "stride": 0}).message
    assert "filters must" in message
    assert "stride must" in message


@pytest.mark.parametrize("layers", ["conv", [3], {"kind": "conv"}])
def test_what_is_no_list_of_tables_is_refused(layers: object) -> None:
    with pytest.raises(RecipeError, match=r"model\.layers"):
        parse_recipe({"model": {"layers": layers}})


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_is_a_valid_recipe(name: str) -> None:
    recipe = load_recipe(shipped_recipe(name))
    assert recipe.model.layers or recipe.model.backbone == "resnet50"  # as it was published, with a new classifier
    assert isinstance(recipe.data.image_size, int)


def test_an_unknown_shipped_recipe_gets_the_nearest() -> None:
    with pytest.raises(
        RecipeError, match=r"The shipped recipe must be one of added_layers, .*, got 'lenett'\."
    ) as caught:
        shipped_recipe("lenett")
    assert caught.value.hint == 'Did you mean "lenet"?'
    with pytest.raises(RecipeError, match=r"Choose one of them\."):
        shipped_recipe("zzzzzz")
