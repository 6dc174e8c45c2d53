"""Sizes before anything is built: the formula against torch, TensorFlow's "same", and every mistake in a list."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from timm.layers import pad_same
from torch.nn import functional

from teliti.errors import RecipeError
from teliti.models.layers import build_layers
from teliti.models.shapes import MAX_WEIGHTS, output_size, plan_layers, same_padding
from teliti.recipe import parse_recipe

CONV = {"kind": "conv", "filters": 4}
POOL = {"kind": "max_pool"}
FLAT = {"kind": "flatten"}
DENSE = {"kind": "dense", "units": 5, "activation": "relu"}


def plan(*layers: dict, input_shape: tuple[int, ...] = (3, 8, 8), num_outputs: int = 2, dropout: float = 0.0):
    parsed = parse_recipe({"model": {"layers": list(layers)}}).model.layers
    return plan_layers(parsed, input_shape=input_shape, num_outputs=num_outputs, dropout=dropout)


def refusal(*layers: dict, **given: object) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        plan(*layers, **given)
    return caught.value


@pytest.mark.parametrize(
    ("size", "settings", "places"),
    [
        (7, {"kernel_size": 3}, 5),
        (7, {"kernel_size": 3, "stride": 2}, 3),
        (7, {"kernel_size": 3, "padding": 1}, 7),
        (28, {"kernel_size": 5}, 24),
        (7, {"kernel_size": 3, "dilation": 2}, 3),
        (2, {"kernel_size": 3}, 0),
    ],
)
def test_the_formula_on_the_numbers_of_the_course(size: int, settings: dict, places: int) -> None:
    assert output_size(size, **settings) == places


sizes = st.integers(1, 20)
settings = st.fixed_dictionaries({
    "kernel_size": st.integers(1, 6), "stride": st.integers(1, 5), "dilation": st.integers(1, 3)
})  # fmt: skip


@given(sizes, settings, st.integers(0, 4))
def test_the_formula_is_torchs(size: int, settings: dict, padding: int) -> None:
    expected = output_size(size, padding=padding, **settings)
    assume(expected > 0)
    kernel = torch.ones(1, 1, settings["kernel_size"], 1)
    steps = {name: (settings[name], 1) for name in ("stride", "dilation")}
    assert functional.conv2d(torch.ones(1, 1, size, 1), kernel, padding=(padding, 0), **steps).shape[2] == expected


@given(sizes, settings)
def test_same_keeps_ceil_of_size_over_stride_and_agrees_with_timm(size: int, settings: dict) -> None:
    before, after = same_padding(size, **settings)
    assert 0 <= after - before <= 1
    assert output_size(size + before + after, **settings) == -(-size // settings["stride"])
    column = torch.ones(1, 1, size, 1)
    padded = pad_same(column, (settings["kernel_size"], 1), (settings["stride"], 1), (settings["dilation"], 1))
    assert padded.shape[2] == size + before + after
    assert padded[0, 0, :, 0].tolist() == [0.0] * before + [1.0] * size + [0.0] * after


def one_or_two(numbers: st.SearchStrategy[int]) -> st.SearchStrategy:
    return numbers | st.lists(numbers, min_size=2, max_size=2)


paddings = st.sampled_from(["same", "valid", 1, [0, 1], [1, 0]])
layer_lists = st.lists(
    st.one_of(
        st.fixed_dictionaries({
            "kind": st.just("conv"), "filters": st.integers(1, 4), "kernel_size": one_or_two(st.integers(1, 4)),
            "stride": one_or_two(st.integers(1, 3)), "padding": paddings,
            "dilation": one_or_two(st.integers(1, 2)), "activation": st.sampled_from(["relu", "maxout", "elu"]),
        }),
        st.fixed_dictionaries({
            "kind": st.sampled_from(["max_pool", "avg_pool"]), "kernel_size": one_or_two(st.integers(2, 4)),
            "stride": one_or_two(st.integers(1, 3)), "padding": paddings,
        }),
        st.just({"kind": "batch_norm"}),
        st.just({"kind": "activation", "activation": "gelu"}),
    ),
    max_size=4,
)  # fmt: skip


@given(layer_lists, st.tuples(st.integers(1, 3), st.integers(8, 24), st.integers(8, 24)))
def test_what_is_planned_is_what_torch_gives(layers: list[dict], input_shape: tuple[int, int, int]) -> None:
    try:
        planned = plan(*(layers or [FLAT]), input_shape=input_shape)
    except RecipeError as error:
        assert "nothing is left of its input" in error.message  # noqa: PT017 - any other refusal would be a mistake
        return
    net = build_layers(planned).eval()
    shapes: dict[str, tuple[int, ...]] = {}
    for name, module in net.named_children():
        module.register_forward_hook(lambda _m, _i, out, name=name: shapes.__setitem__(name, tuple(out.shape[1:])))
    net(torch.zeros(1, *input_shape))
    for layer in planned:
        number = layer.name.partition("_")[0]
        last = [name for name in shapes if name.partition("_")[0] == number][-1]
        assert shapes[last] == layer.output_shape
        if layer.num_weights:
            assert net.get_submodule(layer.name).weight.numel() == layer.num_weights


def test_a_closing_layer_is_added_behind_a_flatten_and_a_dropout() -> None:
    names = [layer.name for layer in plan(CONV, dropout=0.5, num_outputs=3)]
    assert names == ["1_conv", "flatten", "dropout", "classifier"]
    assert plan(CONV, num_outputs=3)[-1].output_shape == (3,)
    assert [layer.name for layer in plan(FLAT, DENSE)] == ["1_flatten", "2_dense", "classifier"]


@pytest.mark.parametrize("closing", [{"kind": "dense"}, {"kind": "dense", "units": 2}])
def test_a_closing_layer_that_is_given_is_kept(closing: dict) -> None:
    planned = plan(FLAT, closing, dropout=0.5)
    assert [layer.name for layer in planned] == ["1_flatten", "classifier"]
    assert planned[-1].layer.units == 2


@pytest.mark.parametrize(
    ("layers", "message", "hint"),
    [
        ([CONV, DENSE], "model.layers 2 (dense): its input must be a flat vector, got a map of 4 x 6 x 6.",
         'Put an entry with kind = "flatten" before it'),
        ([FLAT, CONV], "model.layers 2 (conv): its input must be a map, got a vector of 192 numbers.",
         "Move it before the flatten."),
        ([POOL, POOL, POOL, POOL], "model.layers 4 (max_pool): nothing is left of its input: the window covers 2 x 2 "
         "and the map is only 1 x 1.", 'Write padding = "same", a smaller kernel_size'),
        ([{**CONV, "dilation": 4}], "model.layers 1 (conv): nothing is left of its input: the window covers 9 x 9 and",
         "a larger data.image_size."),
        ([FLAT, {"kind": "dense", "units": 3}], "model.layers 2 (dense): units must be 2, the task's number of outputs",
         "Leave units out of the last layer"),
        ([FLAT, {"kind": "dense"}, DENSE], "model.layers 2 (dense): units is missing.", "Only a last dense layer"),
        ([FLAT, {"kind": "dense", "activation": "tanh"}], "model.layers 2 (dense): units is missing.", "without activ"),
        ([FLAT, {"kind": "dense", "units": 2, "activation": "sigmoid"}],
         'model.layers 2 (dense): activation must not be "sigmoid" at the end of the network.', "take the activation"),
        ([FLAT, {"kind": "dense"}, {"kind": "activation", "activation": "softmax"}],
         'model.layers 3 (activation): activation must not be "softmax" at the end of the network.', "the loss"),
        ([{**POOL, "padding": 2}], "model.layers 1 (max_pool): padding must be at most half of kernel_size, got 2 "
         "beside 2.", "a larger kernel_size"),
        ([{**POOL, "kernel_size": [2, 4], "padding": [2, 0]}], "padding must be at most half of kernel_size, got 2 "
         "beside 2.", "a larger kernel_size"),
        ([{**POOL, "kernel_size": [4, 3], "padding": [0, 2]}], "padding must be at most half of kernel_size, got 2 "
         "beside 3.", "a larger kernel_size"),
        ([{**CONV, "kernel_size": [3, 5], "dilation": [1, 2]}], "nothing is left of its input: the window covers 3 x 9 "
         "and the map is only 8 x 8.", "a larger data.image_size."),
        ([{**CONV, "filters": 3}, {"kind": "activation", "activation": "maxout"}],
         "model.layers 2 (activation): the channels must be a multiple of pieces, got 3 and 2.", "into the layer"),
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_built_says_where_and_what_to_do(layers: list[dict], message: str, hint: str) -> None:
    error = refusal(*layers)
    assert message in error.message
    assert hint in error.hint


def test_a_hidden_sigmoid_before_the_closing_layer_is_no_mistake() -> None:
    assert plan(FLAT, {"kind": "dense", "units": 7, "activation": "sigmoid"})[-1].name == "classifier"


def test_a_layer_larger_than_any_memory_is_refused_before_it_is_made() -> None:
    error = refusal(FLAT, {**DENSE, "units": 4096}, input_shape=(3, 512, 512))
    assert f"model.layers 2 (dense): it would have {4096 * 3 * 512 * 512:,} weights" in error.message
    assert f"{MAX_WEIGHTS:,} is the most" in error.message
    error = refusal({**CONV, "padding": "same"}, input_shape=(3, 4096, 4096), num_outputs=1000)
    assert "the closing layer: it would have" in error.message
