"""The keys of [train]: ranges, defaults of each mode, keys that exclude each other."""

from __future__ import annotations

import pytest

from teliti.errors import RecipeError
from teliti.recipe import Recipe, load_recipe, parse_recipe, recipe_values


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("features", (8, "f32", 1e-3, 0.0, 0.0)),
        ("auto", (8, "f32", 1e-3, 0.0, 0.0)),
        ("finetune", (32, "auto", 5e-4, 1.0, 0.5)),
        ("scratch", (64, "auto", 1e-3, 1.0, 0.0)),
    ],
)
def test_unset_keys_follow_the_mode(mode: str, expected: tuple) -> None:
    train = parse_recipe({"train": {"mode": mode}}).train
    assert (train.batch_size, train.precision, train.lr, train.warmup_epochs, train.soft_targets) == expected


def test_fine_tuning_flips_unless_the_recipe_says_what_else() -> None:
    flips = parse_recipe({"train": {"mode": "finetune"}}).augment
    assert [step.model_dump() for step in flips] == [{"step": "flip", "horizontal": 0.5, "vertical": 0.5}]
    assert parse_recipe({"train": {"mode": "finetune"}, "augment": []}).augment == ()
    assert Recipe().augment == parse_recipe({"train": {"mode": "scratch"}}).augment == ()


def test_what_the_user_says_wins_over_the_mode() -> None:
    train = load_recipe(overrides=["train.mode=finetune", "train.batch_size=5", "train.lr=find"]).train
    assert (train.batch_size, train.lr, train.soft_targets) == (5, "find", 0.5)


def test_a_resolved_recipe_reads_back_equal() -> None:
    recipe = parse_recipe({"train": {"mode": "scratch", "early_stopping": 3, "clip_norm": 1.0}})
    assert parse_recipe(recipe_values(recipe)) == recipe
    assert Recipe().train.mode == "features"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"precision": "auto"}, 'precision must be f32 or bf16 in mode "features", got auto'),
        ({"mode": "scratch", "nesterov": True}, 'nesterov must stand beside optimizer = "sgd" and a momentum above 0'),
        ({"optimizer": "sgd", "momentum": 0.0, "nesterov": True}, "nesterov must stand beside"),
        ({"batch_size": 4, "accumulate": 5}, "accumulate must be at most batch_size = 4, got 5"),
        ({"lr": 0}, "train.lr must be"),
        ({"lr": "big"}, "train.lr must be 'find' or a valid number, got 'big'"),
        ({"ema": 1.0}, "train.ema must be less than 1, got 1.0"),
        ({"momentum": -0.1}, "train.momentum must be greater than or equal to 0"),
        ({"epochs": 0}, "train.epochs must be greater than or equal to 1, got 0"),
        ({"step_factor": 2.0}, "train.step_factor must be less than or equal to 1"),
        ({"l2": float("inf")}, "train.l2 must be less than inf"),
        ({"schedule": "linear"}, "train.schedule must be 'constant', 'step', 'cosine' or 'one_cycle', got 'linear'"),
    ],
)
def test_a_value_outside_its_range_is_one_sentence(values: dict, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe({"train": values})
    assert said in str(caught.value)
