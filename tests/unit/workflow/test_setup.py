"""From a recipe with "auto" in it to one without."""

from __future__ import annotations

import pytest

from teliti.errors import RecipeError
from teliti.recipe import Recipe, dump_recipe, parse_recipe
from teliti.runtime import DeviceName
from teliti.training.features.engines import EngineChoice, EngineName
from teliti.workflow.shared import setup as shared_setup
from teliti.workflow.shared.plan import plan_split
from teliti.workflow.shared.setup import check_recipe, resolve_data, resolve_setup

LABELS = ["good"] * 9 + ["scratch"] * 6
NUMBERS = [float(number) for number in range(20)]


def resolve(photos, **values: object) -> tuple[Recipe, str]:
    recipe = parse_recipe(values)
    return resolve_data(recipe, photos, plan_split(photos, recipe))


def test_everything_that_the_photos_decide_is_written_down(make_photos) -> None:
    recipe, sentence = resolve(make_photos(LABELS))
    assert (recipe.data.source, recipe.data.positive, recipe.data.folds) == ("by hand", "scratch", 5)
    assert recipe.model.head == "rbf_svm"
    assert recipe.train.threads == 1
    assert sentence.startswith('"scratch" is the positive class')
    assert "change it with" in sentence


def test_a_choice_of_the_user_is_kept(make_photos) -> None:
    data = {"positive": "good", "folds": 0, "image_size": [40, 56]}
    recipe, sentence = resolve(make_photos(LABELS), data=data, model={"head": "softmax"}, train={"threads": 3})
    assert (recipe.data.positive, recipe.data.folds, recipe.data.image_size) == ("good", 0, (40, 56))
    assert (recipe.model.head, recipe.train.threads) == ("softmax", 3)
    assert "as data.positive says" in sentence


def test_a_regression_has_no_positive_class(make_photos) -> None:
    recipe, sentence = resolve(make_photos(NUMBERS))
    assert (recipe.data.positive, sentence, recipe.model.head) == (None, "", "svr")
    with pytest.raises(RecipeError, match=r"decide\.envelope .* where numbers are predicted"):
        resolve(make_photos(NUMBERS), decide={"envelope": "review"})


@pytest.mark.parametrize(
    ("photo", "side"), [((48, 64), 224), ((100, 260), 260), ((3000, 4000), 300), ((224, 224), 224)]
)
def test_auto_takes_the_photos_own_size_within_the_range_of_the_backbone(
    photo: tuple[int, int], side: int, make_photos
) -> None:
    assert resolve(make_photos(LABELS, image_size=photo))[0].data.image_size == (side, side)


def test_one_number_is_a_square(make_photos) -> None:
    assert resolve(make_photos(LABELS), data={"image_size": 64})[0].data.image_size == (64, 64)


def test_a_class_that_is_not_there_is_refused(make_photos) -> None:
    with pytest.raises(RecipeError, match=r'data\.positive must be one of "good", "scratch", got "scrach"'):
        resolve(make_photos(LABELS), data={"positive": "scrach"})


@pytest.mark.parametrize(
    "decide", [{"threshold": 0.3}, {"rule": "f1"}, {"max_miss_rate": 0.1}, {"cost": {"miss": 3.0}}]
)
def test_a_rule_without_a_class_to_reject_is_refused(decide: dict, make_photos) -> None:
    three = ["a"] * 5 + ["b"] * 5 + ["c"] * 5
    with pytest.raises(
        RecipeError, match=rf"decide\.{next(iter(decide))} must have a class to reject, got none"
    ) as caught:
        resolve(make_photos(three), decide=decide)
    assert caught.value.hint == "Set data.positive or data.pass, or leave it out."
    with pytest.raises(RecipeError, match="must have a class to reject"):
        resolve(make_photos(NUMBERS), decide=decide)
    assert resolve(make_photos(three), decide=decide, data={"pass": ["a"]})
    assert resolve(make_photos(three), decide={"rule": "argmax"})


@pytest.mark.parametrize(
    "decide", [{"max_miss_rate": 0.1, "max_false_alarm_rate": 0.1}, {"max_error_rate": 0.1, "rule": "f1"}]
)
def test_a_promise_that_class_names_cannot_keep_is_refused_before_anything_is_trained(
    decide: dict, make_photos
) -> None:
    three = make_photos(["a"] * 5 + ["b"] * 5 + ["c"] * 5)
    with pytest.raises(RecipeError, match=r"class names|most probable class"):
        resolve(three, decide=decide, data={"positive": "a"})
    assert resolve(three, decide=decide, data={"pass": ["b", "c"]})


@pytest.fixture(scope="module")
def tiny() -> Recipe:
    return parse_recipe({
        "data": {"image_size": 64},
        "prepare": [{"step": "clahe"}],
        "model": {"stages": ["head"], "pooling": "avg"},
        "train": {"engine": "onnxruntime", "threads": 1},
    })  # fmt: skip


def test_a_setup_has_the_chain_the_network_and_the_engine(tiny: Recipe) -> None:
    setup = resolve_setup(tiny)
    assert [step.step for step in setup.source.chain.steps] == ["clahe", "frame"]
    assert setup.source.chain.image_size == (64, 64)
    assert setup.backbone.facts["stages"] == ["head"]
    assert (setup.engine.name, setup.source.threads) == ("onnxruntime", 1)
    assert (setup.recipe.data.image_size, setup.recipe.train.engine) == ((64, 64), "onnxruntime")


@pytest.mark.parametrize(
    ("engine", "device"), [("torch", "cuda"), ("torch", "cpu"), ("onnxruntime", "auto")]
)  # fmt: skip
def test_the_recipe_keeps_where_torch_computed(
    engine: EngineName, device: str, tiny: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    place: DeviceName = "cuda" if device == "cuda" else "cpu"
    found = EngineChoice(engine, "f32", "1", device=place)
    monkeypatch.setattr(shared_setup, "choose_engine", lambda *_, **__: found)
    assert resolve_setup(tiny).recipe.train.device == device


def test_a_resolved_recipe_resolves_to_itself_and_to_the_same_features(tiny: Recipe) -> None:
    first = resolve_setup(tiny)
    again = resolve_setup(first.recipe)
    assert dump_recipe(again.recipe) == dump_recipe(first.recipe)
    assert again.source.space == first.source.space


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"prepare": [{"step": "sharpen"}]}, r"prepare step must be one of binarize, .*, got 'sharpen'"),
        ({"model": {"backbone": "resnet5000"}}, "no weights of 'resnet5000' are packaged"),
        ({"model": {"weights": "none.safetensors"}}, r'"none\.safetensors" does not exist'),
    ],
)
def test_what_would_stop_the_run_later_is_found_first(values: dict, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        check_recipe(parse_recipe(values))
    check_recipe(Recipe())


@pytest.mark.parametrize("step", ["mixup", "cutmix"])
def test_mixing_is_refused_where_there_are_no_batches(step: str) -> None:
    values = {"augment": [{"step": "flip"}, {"step": step}]}
    said = f"The augment step {step} mixes the photos of a batch, and the features mode has none"
    with pytest.raises(RecipeError, match=said) as caught:
        check_recipe(parse_recipe(values))
    assert caught.value.hint == "Take it out, or train with --mode finetune."
    check_recipe(parse_recipe({**values, "train": {"mode": "finetune"}}))
