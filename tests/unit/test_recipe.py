"""The recipe: typed, with defaults; unknown keys are refused with the nearest known one; TOML there and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teliti.errors import RecipeError
from teliti.recipe import (
    PRESETS,
    Recipe,
    dump_recipe,
    load_recipe,
    override_recipe,
    parse_recipe,
    parse_seconds,
    recipe_schema,
    recipe_values,
)


def refusal(values: dict) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(values)
    return caught.value


def write_toml(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_an_empty_recipe_is_the_defaults() -> None:
    recipe = parse_recipe({})
    assert recipe == Recipe()
    assert recipe.data.fit == "letterbox"
    assert (recipe.data.split.train, recipe.data.split.val, recipe.data.split.test) == (0.6, 0.2, 0.2)
    assert recipe.model.backbone == "tf_efficientnet_lite0"


@pytest.mark.parametrize(
    ("values", "key", "suggestion"),
    [
        ({"train": {"epoch": 3, "batchsize": 4}}, "train.epoch", "train.batch_size"),
        ({"data": {"positve": "bad"}}, "data.positve", "data.positive"),
        ({"data": {"passes": ["ok"]}}, "data.passes", "data.pass"),
        ({"modle": {}}, "modle", "model"),
        ({"data": {"split": {"tset": 0.2}}}, "data.split.tset", "data.split.test"),
        ({"decide": {"max_mis_rate": 0.1}}, "decide.max_mis_rate", "decide.max_miss_rate"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(values: dict, key: str, suggestion: str) -> None:
    error = refusal(values)
    assert f"{key} is not a recipe key." in error.message
    assert error.hint == f'Did you mean "{suggestion}"?'


def test_an_unknown_key_with_nothing_near_names_the_command_that_lists_them() -> None:
    assert refusal({"zzzz": 1}).hint == "`teliti recipe schema` lists every key and its range."


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"data": {"split": {"train": 0.5}}}, "data.split: train + val + test must be 1, got 0.9."),
        ({"data": {"split": {"train": 0, "val": 0.5, "test": 0.5}}}, "data.split: train must be above 0, got 0."),
        ({"data": {"split": {"train": 1.5}}}, "data.split.train must be less than or equal to 1, got 1.5."),
        ({"data": {"folds": 1}}, 'data: folds must be "auto", 0 (no folds) or at least 2, got 1.'),
        ({"data": {"fit": "squeeze"}}, "data.fit must be 'letterbox', 'stretch' or 'crop', got 'squeeze'."),
        ({"model": {"c": 0}}, "model.c must be greater than 0, got 0."),
        ({"train": {"batch_size": 0}}, "train.batch_size must be greater than or equal to 1, got 0."),
        (
            {"decide": {"threshold": 0.5, "rule": "f1"}},
            "decide: only one of threshold, rule, max_miss_rate, cost may be given, got threshold and rule.",
        ),
        ({"decide": {"cost": {}}}, "decide.cost.miss is missing."),
        ({"prepare": [{"clip_limit": 2.0}]}, "prepare 1: step is missing."),
    ],
)
def test_a_value_outside_its_range_is_one_sentence(values: dict, said: str) -> None:
    error = refusal(values)
    assert said in str(error)
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"data": {"image_size": 4}}, "data.image_size must be 'auto' or greater than or equal to 8 or"),
        (
            {"data": {"image_size": "big"}},
            "data.image_size must be 'auto' or a valid integer or a list, got 'big'.",
        ),
        ({"data": {"image_size": [0, 64]}}, "data.image_size must be 'auto' or "),
        ({"data": {"image_size": [64, 100_000]}}, "less than or equal to 4096, got [64, 100000]."),
        ({"data": {"folds": "many"}}, "data.folds must be 'auto' or a valid integer, got 'many'."),
        ({"model": {"stages": ["last"]}}, "model.stages must be 'auto' or a valid integer or 'head', got ['last']."),
        ({"train": {"budget": []}}, "train.budget must be a valid string or a valid number, got []."),
    ],
)
def test_a_key_that_takes_several_kinds_of_values_is_one_sentence(values: dict, said: str) -> None:
    message = refusal(values).message
    assert said in message
    assert message.count(" must be ") == 1


@pytest.mark.parametrize(
    ("values", "said", "hint"),
    [
        ({"prepare": ["clahe"]}, "prepare 1 must be a table, got 'clahe'.", '[{step = "clahe"}]'),
        ({"prepare": "clahe"}, "prepare must be a list, got 'clahe'.", '[{step = "clahe"}]'),
        ({"augment": [{"step": "flip"}, 3]}, "augment 2 must be a table, got 3.", '[{step = "flip"}]'),
        ({"model": {"layers": ["conv"]}}, "model.layers 1 must be a table, got 'conv'.", "schema"),
    ],
)
def test_lists_and_tables_are_called_so_and_entries_counted_from_one(values: dict, said: str, hint: str) -> None:
    error = refusal(values)
    assert said in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            'prepare=[{step="clahe"',
            '--set prepare must be a value as in TOML, got [{step="clahe": unclosed inline table.',
        ),
        ("data.image_size=[32", "--set data.image_size must be a value as in TOML, got [32: unclosed array."),
        ('data.source="a', '--set data.source must be a value as in TOML, got "a: '),
    ],
)
def test_broken_toml_of_an_override_is_said_to_be_so(override: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(overrides=[override])
    assert said in caught.value.message


def test_every_problem_is_named_in_one_pass() -> None:
    message = refusal({"data": {"fit": "x"}, "train": {"batch_size": 0}}).message
    assert "data.fit" in message
    assert "train.batch_size" in message


def test_a_recipe_is_never_changed_in_place() -> None:
    recipe = Recipe()
    with pytest.raises(ValueError, match="frozen"):
        recipe.seed = 3


def test_precedence_defaults_then_preset_then_file_then_set(tmp_path: Path) -> None:
    assert load_recipe().model.head == "auto"
    assert load_recipe(preset="fast").model.stages == (-3,)
    path = write_toml(tmp_path / "r.toml", '[model]\nhead = "softmax"\npooling = "max"\n')
    recipe = load_recipe(path, preset="fast")
    assert (recipe.model.head, recipe.model.pooling, recipe.data.image_size) == ("softmax", "max", 224)
    recipe = load_recipe(path, preset="fast", overrides=["model.head=ridge", "seed=9"])
    assert (recipe.model.head, recipe.model.pooling, recipe.seed) == ("ridge", "max", 9)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_valid_recipe(preset: str) -> None:
    assert isinstance(load_recipe(preset=preset), Recipe)


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(RecipeError, match="preset must be one of accurate, fast, got 'quick'"):
        load_recipe(preset="quick")


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("data.positive=def", "data", "positive", "def"),
        ("data.positive= def ", "data", "positive", "def"),
        ('data.positive="a b"', "data", "positive", "a b"),
        ("data.positive=a=b", "data", "positive", "a=b"),
        ("data.image_size=64", "data", "image_size", 64),
        ("data.image_size=[48, 64]", "data", "image_size", (48, 64)),
        ("data.near_duplicates=false", "data", "near_duplicates", False),
        ('data.pass=["ok"]', "data", "pass_classes", ("ok",)),
        ('model.stages=[4, "head"]', "model", "stages", (4, "head")),
        ("train.budget=90s", "train", "budget", "90s"),
    ],
)
def test_set_understands_toml_values_and_bare_words(override: str, section: str, key: str, value: object) -> None:
    assert getattr(getattr(load_recipe(overrides=[override]), section), key) == value


def test_a_class_that_is_named_by_a_number_can_be_set_without_quotes() -> None:
    assert load_recipe(overrides=["data.positive=7"]).data.positive == "7"
    assert load_recipe(overrides=["data.pass=[1, 2]"]).data.pass_classes == ("1", "2")


@pytest.mark.parametrize("override", ["data.positive", "=3", " =3"])
def test_set_without_key_and_value_says_how_it_looks(override: str) -> None:
    with pytest.raises(RecipeError, match="--set must look like key=value, got") as caught:
        load_recipe(overrides=[override])
    assert caught.value.hint == "For instance --set model.c=10"


def test_a_new_rule_replaces_the_one_below(tmp_path: Path) -> None:
    path = write_toml(tmp_path / "r.toml", "[decide]\nthreshold = 0.3\n")
    recipe = load_recipe(path, overrides=["decide.rule=f1"])
    assert (recipe.decide.threshold, recipe.decide.rule) == (None, "f1")


def test_two_values_of_one_rule_add_up() -> None:
    recipe = load_recipe(overrides=["decide.cost.miss=10", "decide.cost.false_alarm=2"])
    assert (recipe.decide.cost.miss, recipe.decide.cost.false_alarm) == (10.0, 2.0)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r'Recipe ".*none\.toml" does not exist\. Check the path'):
        load_recipe(tmp_path / "none.toml")


@pytest.mark.parametrize("content", [b"[data\n", b"\xff\xfe\x00", b"a = 1\na = 2\n"])
def test_a_file_that_is_no_toml_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_bytes(content)
    with pytest.raises(RecipeError, match=r"could not be read: .* It must be a TOML file"):
        load_recipe(tmp_path / "r.toml")


def test_a_folder_in_the_place_of_a_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="could not be read"):
        load_recipe(tmp_path)


def test_override_recipe_changes_what_it_names_and_nothing_else() -> None:
    recipe = parse_recipe({"data": {"positive": "bad", "image_size": [48, 64]}, "prepare": [{"step": "clahe"}]})
    changed = override_recipe(recipe, {"data": {"image_size": 32}})
    assert changed.data.image_size == 32
    assert override_recipe(changed, {"data": {"image_size": [48, 64]}}) == recipe


def test_values_use_the_names_of_toml_and_leave_unset_keys_out() -> None:
    values = recipe_values(parse_recipe({"data": {"pass": ["free"]}}))
    assert values["data"]["pass"] == ["free"]
    assert "pass_classes" not in values["data"]
    assert "positive" not in values["data"]


def test_the_schema_knows_every_section() -> None:
    schema = recipe_schema()
    assert set(schema["properties"]) == {"seed", "data", "prepare", "augment", "model", "train", "decide"}
    assert "pass" in schema["$defs"]["DataRecipe"]["properties"]


@pytest.mark.parametrize(
    ("budget", "seconds"), [("90s", 90), ("5m", 300), ("1.5h", 5400), (45, 45), ("45", 45), (" 2 M ", 120), (0.5, 0.5)]
)
def test_a_budget_is_a_number_of_seconds(budget: str | float, seconds: float) -> None:
    assert parse_seconds(budget) == seconds


@pytest.mark.parametrize("budget", ["", "soon", "-5s", "0", "nan", "inf", "s", "5x"])
def test_a_budget_that_is_no_time_says_how_to_write_one(budget: str) -> None:
    with pytest.raises(RecipeError, match=r"train\.budget must be a positive time, got .* Write \"90s\", \"5m\""):
        parse_seconds(budget)


def test_a_budget_that_is_no_time_is_refused_with_the_recipe() -> None:
    assert "train.budget must be a positive time, got 'soon'" in str(refusal({"train": {"budget": "soon"}}))


names = st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=1, max_size=12)
fractions = st.sampled_from([(0.6, 0.2, 0.2), (0.8, 0.0, 0.2), (1.0, 0.0, 0.0), (0.5, 0.25, 0.25)])
sizes = st.just("auto") | st.integers(8, 4096) | st.tuples(st.integers(8, 4096), st.integers(8, 4096))
recipes = st.fixed_dictionaries({
    "seed": st.integers(0, 2**31),
    "data": st.fixed_dictionaries(
        {
            "image_size": sizes,
            "folds": st.just("auto") | st.just(0) | st.integers(2, 50),
            "pass": st.lists(names, max_size=3),
            "split": fractions.map(lambda f: dict(zip(("train", "val", "test"), f, strict=True))),
        },
        optional={"positive": names, "seed": st.integers(0, 2**31)},
    ),
    "prepare": st.lists(st.fixed_dictionaries({"step": names, "clip_limit": st.floats(0.1, 100)}), max_size=2),
    "model": st.fixed_dictionaries(
        {"stages": st.just("auto") | st.lists(st.integers(-9, 9) | st.just("head"), min_size=1, max_size=4)},
        optional={"c": st.floats(1e-6, 1e6), "gamma": st.floats(1e-6, 1e6)},
    ),
    "decide": st.sampled_from([{}, {"threshold": 0.25}, {"rule": "f1"}, {"cost": {"miss": 3.0, "false_alarm": 0.1}}]),
})  # fmt: skip


@given(recipes)
def test_toml_gives_back_the_equal_recipe(tmp_path: Path, values: dict) -> None:
    recipe = parse_recipe(values)
    path = write_toml(tmp_path / "r.toml", dump_recipe(recipe))
    assert load_recipe(path) == recipe
    assert parse_recipe(recipe_values(recipe)) == recipe


@pytest.mark.parametrize("key", ["seed", "data.seed"])
@pytest.mark.parametrize("value", ["-1", str(2**32), "9" * 80])
def test_a_seed_is_one_that_every_library_takes(key: str, value: str) -> None:
    with pytest.raises(RecipeError, match=rf"{key} must be (greater|less) than or equal to"):
        load_recipe(overrides=[f"{key}={value}"])
