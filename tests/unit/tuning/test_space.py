"""Spaces: the grammar, what is whole, conditions, and every mistake with its key."""

from __future__ import annotations

import pytest

from teliti.errors import RecipeError, UserError
from teliti.recipe import nest_value, override_recipe, parse_recipe
from teliti.tuning.space import parse_space

BASE = parse_recipe({})


def accept(key: str, value: object) -> None:
    override_recipe(BASE, nest_value(key, value))


def space_of(*lines: str):
    return parse_space(lines, accepts=accept)


def test_the_three_forms() -> None:
    rate, dropout, batch = space_of(
        "train.lr=log(1e-4,1e-1)", "model.dropout=0..0.6", "train.batch_size=16,32,64"
    ).parameters
    assert (rate.low, rate.high, rate.is_log, rate.is_whole) == (1e-4, 0.1, True, False)
    assert (dropout.low, dropout.high, dropout.is_log, dropout.is_whole) == (0.0, 0.6, False, False)
    assert batch.choices == ("16", "32", "64")
    assert batch.value("32") == 32


def test_a_range_of_whole_numbers_is_whole_where_its_key_takes_no_fraction() -> None:
    epochs, c = space_of("train.epochs=10..50..10", "model.c=log(1,100)").parameters
    assert epochs.is_whole
    assert epochs.step == 10
    assert epochs.ends() == (10, 50)
    assert not c.is_whole


def test_lists_and_words_are_choices_as_a_recipe_has_them() -> None:
    space = space_of("model.stages=[-1],[-2,-1],auto", 'train.optimizer="sgd",adamw')
    assert [space.parameters[0].value(choice) for choice in space.parameters[0].choices] == [[-1], [-2, -1], "auto"]
    assert space.values({"model.stages": "auto", "train.optimizer": '"sgd"'}) == {
        "model.stages": "auto", "train.optimizer": "sgd"}  # fmt: skip


def test_a_parameter_under_a_condition_is_chosen_only_there() -> None:
    space = space_of("model.head=logistic,rbf_svm", "model.c@rbf_svm=log(1,100)", "model.c@logistic=log(1e-4,0.1)")
    _, kernel, linear = space.parameters
    assert space.applies(kernel, {"model.head": "rbf_svm"})
    assert not space.applies(linear, {"model.head": "rbf_svm"})
    assert space.values({"model.head": "rbf_svm", "model.c@rbf_svm": 4.0}) == {"model.head": "rbf_svm", "model.c": 4.0}


def test_a_condition_may_name_several_choices() -> None:
    space = space_of("model.head=logistic,linear_svm,rbf_svm", "model.c@logistic|linear_svm=log(1e-4,0.1)")
    chosen = [space.applies(space.parameters[1], {"model.head": head}) for head in space.parameters[0].choices]
    assert chosen == [True, True, False]
    with pytest.raises(UserError, match="must stand a choice of an earlier key, got 'svr'"):
        space_of("model.head=logistic,linear_svm", "model.c@logistic|svr=1..2")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("train.lr", "--space must look like key=values, got 'train.lr'"),
        ("train.lr=", "--space must look like key=values"),
        ("train.lr=log(0,1)", "--space train.lr: log must begin above 0, got 0"),
        ("train.lr=log(1)", "--space train.lr: a range must have 2 numbers"),
        ("train.lr=a..b", "--space train.lr: a range must have 2 numbers, got 'a..b'"),
        ("train.lr=3..1", "--space train.lr: a range must rise, got 3 to 1"),
        ("train.epochs=5..10..50", "--space train.epochs: the step must be above 0 and at most 5, got 50"),
        ("train.batch_size=16", "--space train.batch_size: there must be at least two choices, got '16'"),
        ("model.c@rbf_svm=1..2", "--space model.c@rbf_svm: behind @ must stand a choice of an earlier key"),
    ],
)
def test_a_line_that_cannot_be_read_says_which_key_and_why(line: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        space_of(line)
    assert sentence in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("train.lrr=1..2", "--space train.lrr: train.lrr is not a recipe key"),
        ("model.dropout=0..2", "--space model.dropout: model.dropout must be less than 1, got 2.0"),
        ("train.optimizer=sgd,sdg", "--space train.optimizer: train.optimizer must be"),
        ("train.epochs=0.5..3", "--space train.epochs: train.epochs must be a valid integer"),
    ],
)
def test_a_key_or_value_that_the_recipe_refuses_is_refused_before_anything_runs(line: str, sentence: str) -> None:
    with pytest.raises(RecipeError) as caught:
        space_of(line)
    assert sentence in caught.value.message


def test_each_key_stands_once_and_there_is_at_least_one() -> None:
    with pytest.raises(UserError, match=r"each key once, got train\.lr twice"):
        space_of("train.lr=0.1..0.2", "train.lr=0.1,0.3")
    with pytest.raises(UserError, match="must name at least one key, got none"):
        space_of()
