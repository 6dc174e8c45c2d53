"""The spaces that are searched when nobody names one: what each mode's has, and that every end of it can be used."""

from __future__ import annotations

from functools import partial

import pytest

from teliti.errors import UserError
from teliti.recipe import parse_recipe
from teliti.tuning.space import parse_space
from teliti.workflow.searches.choices import accept_choice, apply_choices
from teliti.workflow.searches.spaces import default_space, space_lines

OF_HIDDEN = {"hidden", "units", "activation"}
OF_NETWORKS = {"train.lr", "train.epochs", *OF_HIDDEN, "model.dropout", "train.batch_size", "augment"}


def space_of(values: dict, task: str = "classification"):
    recipe = parse_recipe(values)
    return parse_space(default_space(recipe, task), accepts=partial(accept_choice, recipe))


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        ({"train": {"mode": "finetune"}}, {*OF_NETWORKS, "prepare"}),
        ({"train": {"mode": "scratch"}, "model": {"backbone": "mlp"}}, {*OF_NETWORKS, "prepare"}),
        ({"train": {"mode": "finetune"}, "prepare": [{"step": "clahe"}]}, OF_NETWORKS),
        ({"train": {"mode": "scratch"}, "model": {"backbone": "none", "layers": [
            {"kind": "flatten"}, {"kind": "dense", "units": 8}]}}, {*OF_NETWORKS, "prepare"}),
        ({"train": {"mode": "scratch", "loss": "perceptron"}, "model": {"backbone": "perceptron"}},
         {*OF_NETWORKS, "prepare"} - OF_HIDDEN),
    ],
)  # fmt: skip
def test_a_network_is_searched_for_what_the_course_names(values: dict, keys: set[str]) -> None:
    assert {one.key for one in space_of(values).parameters} == keys


def test_units_and_activation_are_chosen_where_there_is_a_hidden_layer() -> None:
    space = space_of({"train": {"mode": "finetune"}})
    named = {one.key: one for one in space.parameters}
    for hidden in named["hidden"].choices:
        assert [space.applies(named[key], {"hidden": hidden}) for key in ("units", "activation")] == [
            hidden != "none"
        ] * 2


def test_the_default_space_may_stand_beside_lines_of_ones_own() -> None:
    recipe = parse_recipe({"train": {"mode": "scratch"}, "model": {"backbone": "mlp"}})
    usual = default_space(recipe, "classification")
    assert space_lines([], recipe, "classification") == usual
    own = space_lines(["default", "train.lr=0.1,0.2", "train.optimizer=sgd,adamw"], recipe, "classification")
    assert usual[0].startswith("train.lr=")
    assert own == ["train.lr=0.1,0.2", *usual[1:], "train.optimizer=sgd,adamw"]
    assert space_lines(["train.lr=0.1,0.2", "default"], recipe, "classification") == ["train.lr=0.1,0.2", *usual[1:]]


@pytest.mark.parametrize(
    ("mode", "lines", "waiting"),
    [
        ("finetune", ["default", "hidden=none,dense"], {"units@dense", "activation@dense"}),
        ("finetune", ["hidden=none,dense", "units@dense=4,8", "default"], {"units@dense", "activation@dense"}),
        ("finetune", ["default", "hidden=none,dense", "units@dense=4,8"], {"units@dense", "activation@dense"}),
        ("finetune", ["default", "hidden=none,dense+dense+dense"], set()),
        ("finetune", ["default", "units@dense|dense+dense=4,8"], {"units@dense|dense+dense",
                                                                  "activation@dense|dense+dense"}),
        ("features", ["default", "model.head=logistic,rbf_svm"], {"model.c@logistic", "model.c@rbf_svm",
                                                                  "model.gamma@rbf_svm"}),
        ("features", ["default", "model.head=logistic,lda"], {"model.c@logistic"}),
    ],
)  # fmt: skip
def test_default_lines_wait_only_for_choices_that_are_still_offered(mode, lines, waiting) -> None:
    recipe = parse_recipe({"train": {"mode": mode}})
    space = parse_space(space_lines(lines, recipe, "classification"), accepts=lambda *_: None)
    assert {one.name for one in space.parameters if one.only} == waiting


def test_two_own_lines_for_a_key_of_the_default_space_are_still_refused() -> None:
    recipe = parse_recipe({"train": {"mode": "finetune"}})
    for lines in (["default", "train.lr=1,2", "train.lr=3,4"], ["train.lr=1,2", "default", "train.lr=3,4"]):
        with pytest.raises(UserError, match=r"must name each key once, got train\.lr twice"):
            parse_space(space_lines(lines, recipe, "classification"), accepts=partial(accept_choice, recipe))


def test_epochs_are_around_those_of_the_recipe() -> None:
    space = space_of({"train": {"mode": "scratch", "epochs": 20}, "model": {"backbone": "mlp"}})
    assert next(one for one in space.parameters if one.key == "train.epochs").ends() == (10, 20, 40)


@pytest.mark.parametrize(
    ("task", "heads"),
    [("classification", {"logistic", "linear_svm", "rbf_svm"}), ("multilabel", {"logistic", "linear_svm", "rbf_svm"}),
     ("regression", {"ridge", "svr"})],
)  # fmt: skip
def test_features_are_searched_for_stages_pooling_and_the_head_with_its_own_parameters(task, heads) -> None:
    space = space_of({"train": {"mode": "features"}}, task)
    named = {one.name: one for one in space.parameters}
    assert set(named["model.head"].choices) == heads
    assert {one.only for one in space.parameters if one.key == "model.c"} == heads
    assert {one.only for one in space.parameters if one.key == "model.gamma"} == heads & {"rbf_svm", "svr"}
    assert {one.key for one in space.parameters} == {
        "model.stages", "model.pooling", "model.head", "model.c", "model.gamma"
    }  # fmt: skip


def test_the_strong_augmentation_has_more_steps_than_the_light_one() -> None:
    base = parse_recipe({})
    counts = [len(apply_choices(base, {"augment": words}).augment) for words in ("none", "light", "strong")]
    assert counts == sorted(set(counts))
