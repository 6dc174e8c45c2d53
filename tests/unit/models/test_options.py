"""timm's own arguments from a recipe: an allow-list, and one sentence where an architecture does not take one."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from teliti.errors import RecipeError
from teliti.models.compact import plan_network
from teliti.models.networks import Network, build_network
from teliti.models.options import refuse_misfits
from teliti.models.weights import find_weights
from teliti.recipe import dump_recipe, parse_recipe
from teliti.recipe.network_options import NetworkOptions
from teliti.training.features.backbone_file import _backbone_key, load_feature_net
from teliti.workflow.network import describe_named_network

RESNET = {"backbone": "test_resnet", "weights": "random"}


def build(**model: object) -> Network:
    recipe = parse_recipe({"model": {**RESNET, **model}})
    return build_network(recipe.model, num_outputs=2, image_size=(64, 64), seed=3)


def photos() -> torch.Tensor:
    return torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_dropped_paths_are_drawn_while_training_and_gone_afterwards() -> None:
    plain, dropping = build(), build(options={"drop_path_rate": 0.9})
    assert any(type(module).__name__ == "DropPath" and module.drop_prob > 0.0 for module in dropping.modules())
    assert plain.state_dict().keys() == dropping.state_dict().keys()
    with torch.no_grad():
        torch.testing.assert_close(dropping.eval()(photos()), plain.eval()(photos()))
        for norm in dropping.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.weight.fill_(1.0)  # a block's last one begins with 0, so that its path is nothing
        dropping.train()
        assert not torch.equal(dropping(photos()), dropping(photos()))


def test_drop_rate_is_model_dropout() -> None:
    ways = [build(options={"drop_rate": 0.4}), build(dropout=0.4)]
    assert [net.backbone.drop_rate for net in ways] == [0.4, 0.4]
    with pytest.raises(
        RecipeError, match=r"model\.dropout and model\.options\.drop_rate are the same, got 0\.1 and 0\.4"
    ):
        build(dropout=0.1, options={"drop_rate": 0.4})


def test_pooling_activation_and_stride_are_another_network() -> None:
    plain = build().eval()
    with torch.no_grad():
        for options in ({"global_pool": "max"}, {"act_layer": "gelu"}):
            assert not torch.allclose(build(options=options).eval()(photos()), plain(photos()))
    assert any(type(module).__name__ == "GELU" for module in build(options={"act_layer": "gelu"}).modules())
    assert plain.backbone.forward_features(photos()).shape[2:] == (2, 2)
    denser = build(options={"output_stride": 8}).eval()
    assert denser.backbone.forward_features(photos()).shape[2:] == (8, 8)


def test_given_weights_stay_given(tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    torch.manual_seed(8)
    save_file(timm.create_model("test_resnet").state_dict(), file)
    plain, dropping = (build(weights=str(file), **more).eval() for more in ({}, {"options": {"drop_path_rate": 0.2}}))
    with torch.no_grad():
        torch.testing.assert_close(
            dropping.backbone.forward_features(photos()), plain.backbone.forward_features(photos())
        )


def test_an_option_that_moves_weights_is_refused_beside_given_ones(tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    save_file(timm.create_model("test_vit").state_dict(), file)
    with pytest.raises(
        RecipeError, match=r"model\.options: with them test_vit has fc_norm\.\w+, which its weights do not"
    ):
        build(backbone="test_vit", weights=str(file), options={"global_pool": "max"})


def test_frozen_features_are_of_the_same_network_and_kept_apart() -> None:
    recipes = [parse_recipe({"model": {**RESNET, **more}}) for more in ({}, {"options": {"output_stride": 8}})]
    assert load_feature_net(recipes[1].model, seed=0).trunk.forward_features(photos()).shape[2:] == (8, 8)
    weights = find_weights("test_resnet", "random")
    keys = {_backbone_key(recipe.model, weights, image_size=(64, 64), seed=0, numbers=None) for recipe in recipes}
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pretrained": True}, r"model\.options must be among drop_rate, .*output_stride, got 'pretrained'"),
        ({"checkpoint_path": "x.pth"}, r"model\.options must be among .*, got 'checkpoint_path'"),
        ({"drop_rate": 1.0}, r"model\.options\.drop_rate must be less than 1, got 1\.0"),
        ({"drop_rate": "much"}, r"model\.options\.drop_rate must be a valid number, got 'much'"),
        ({"global_pool": "hub"}, r"model\.options\.global_pool must be 'avg', 'max' or 'avgmax', got 'hub'"),
        ({"output_stride": 7}, r"model\.options\.output_stride must be 8, 16 or 32, got 7"),
    ],
)
def test_what_is_not_allowed_is_refused_by_name(options: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_recipe({"model": {**RESNET, "options": options}})


def test_a_slip_of_the_pen_is_corrected() -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe({"model": {"options": {"drop_path": 0.1}}})
    assert caught.value.hint == 'Did you mean "drop_path_rate"?'


def test_an_architecture_that_does_not_take_it_says_what_it_takes() -> None:
    sentence = r"model\.options\.drop_path_rate must be one that vgg11 can be built with, got 0\.1"
    with pytest.raises(RecipeError, match=sentence) as caught:
        refuse_misfits("vgg11", {"drop_rate": 0.2, "drop_path_rate": 0.1})
    assert caught.value.hint == "vgg11 takes drop_rate, global_pool."
    with pytest.raises(
        RecipeError, match=r"model\.options\.attn_drop_rate must be one that test_resnet can be built with"
    ):
        build(options={"attn_drop_rate": 0.1})
    model = parse_recipe({"model": {**RESNET, "options": {"pos_drop_rate": 0.1}}}).model
    with pytest.raises(RecipeError, match=r"model\.options\.pos_drop_rate must be one that test_resnet can be built"):
        load_feature_net(model, seed=0)


def test_layers_replace_the_head_and_its_options() -> None:
    layers = [{"kind": "avg_pool", "kernel_size": "global"}]
    with pytest.raises(RecipeError, match=r"model\.options\.global_pool must be left out beside model\.layers"):
        build(layers=layers, options={"global_pool": "max"})
    topped = build(layers=layers, options={"drop_path_rate": 0.5})
    assert any(type(module).__name__ == "DropPath" for module in topped.modules())


@pytest.mark.parametrize("model", [{"backbone": "lenet"}, {"layers": [{"kind": "flatten"}]}])
def test_networks_of_layers_have_none(model: dict) -> None:
    with pytest.raises(RecipeError, match=r"model\.options must stand beside a timm network, got model\.backbone ="):
        plan_network(
            parse_recipe({"model": {**model, "options": {"drop_path_rate": 0.1}}}).model,
            num_outputs=2, image_size=(32, 32),
        )  # fmt: skip


def test_they_stay_in_the_recipe_and_are_told(tmp_path: Path) -> None:
    recipe = parse_recipe({"model": {**RESNET, "options": {"drop_path_rate": 0.1, "act_layer": "gelu"}}})
    file = tmp_path / "mine.toml"
    file.write_text(dump_recipe(recipe), encoding="utf-8")
    told = describe_named_network(str(file), image_size=(64, 64))
    assert told["options"] == {"drop_path_rate": 0.1, "act_layer": "gelu"}
    assert any(row["kind"] == "GELU" for row in told["layers"])
    assert describe_named_network("lenet")["options"] == {}
    assert "options" not in dump_recipe(parse_recipe({}))


def test_the_list_has_rates_words_and_numbers_alone() -> None:
    for name, field in NetworkOptions.model_json_schema()["properties"].items():
        (given,) = [way for way in field["anyOf"] if way["type"] != "null"]
        assert "enum" in given or (given["type"], given["minimum"], given["exclusiveMaximum"]) == (
            "number",
            0.0,
            1.0,
        ), name
