"""The price of a careless split for networks that learn: by the frozen backbone, or by a second training."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

import teliti
from teliti.errors import RecipeError
from teliti.recipe import parse_recipe
from teliti.report.statements import statements
from teliti.training.features.extraction import Features
from teliti.types import SilentReporter
from teliti.workflow.learning import split_price_networks as networks
from teliti.workflow.learning.split_price import say_price
from teliti.workflow.learning.split_price_networks import (
    check_price_split,
    price_by_backbone,
    price_by_training,
    price_of_two_tests,
)
from teliti.workflow.shared.plan import SplitPlan
from teliti.workflow.shared.stopwatch import Stopwatch

GROUPS = np.repeat(np.arange(40), 5)  # 40 parts, 5 shots each
LABELS = np.array(["bad", "good"])[np.arange(40) % 2][GROUPS]
PARTS = tuple(np.array(["train", "train", "train", "val", "test"])[np.arange(40) // 2 % 5][GROUPS])


def recipe_of(**train: object):
    values = {"mode": "finetune", **train}
    return parse_recipe({"data": {"positive": "bad"}, "model": {"head": "logistic", "c": 1.0}, "train": values})


@pytest.fixture
def plan() -> SplitPlan:
    return SplitPlan("ours", PARTS, None, GROUPS, "", {})


@pytest.fixture
def frozen(monkeypatch):
    """A frozen backbone whose features know the part and nothing of the class."""
    own = np.random.default_rng(3).normal(size=(40, 40))[GROUPS] * 3.0
    matrix = (own + np.random.default_rng(4).normal(size=own.shape)).astype(np.float32)

    def features(recipe, *_, indices, **__):
        found = Features(matrix[indices], np.arange(len(indices)), len(indices), len(indices))
        return SimpleNamespace(recipe=recipe, combine="mean"), found

    monkeypatch.setattr(networks, "frozen_features", features)


@pytest.mark.usefixtures("frozen")
def test_a_head_on_the_frozen_backbone_stands_in_and_says_so(make_photos, plan) -> None:
    record = price_by_backbone(recipe_of(), make_photos(LABELS.tolist()), plan, reporter=SilentReporter())
    assert record["by"] == "frozen"
    assert record["random"] > 0.9
    assert record["grouped"] < 0.7
    assert "Both are of a head on the frozen backbone, not of the network that learnt" in record["sentence"]
    assert record["sentence"] == say_price(record)
    (found,) = [one for one in statements({"split_price": record}) if "believed" in one]
    assert found.endswith("Both are out-of-fold answers for the photos that were learnt from.")


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize(
    "recipe", [recipe_of(price_split="off"), recipe_of(price_split="train"), recipe_of(mode="scratch")]
)
def test_where_it_was_not_asked_or_there_is_no_frozen_network_nothing_is_estimated(make_photos, plan, recipe):
    assert price_by_backbone(recipe, make_photos(LABELS.tolist()), plan, reporter=SilentReporter()) is None


def test_without_groups_or_where_the_backbone_refuses_there_is_no_estimate(make_photos, plan, monkeypatch) -> None:
    photos, alone = make_photos(LABELS.tolist()), SplitPlan("ours", PARTS, None, np.arange(len(GROUPS)), "", {})
    assert price_by_backbone(recipe_of(), photos, alone, reporter=SilentReporter()) is None

    def refuse(*_, **__):
        raise RecipeError("Photos of another size.")

    monkeypatch.setattr(networks, "frozen_features", refuse)
    assert price_by_backbone(recipe_of(), photos, plan, reporter=SilentReporter()) is None


@pytest.fixture
def second(monkeypatch):
    """A network that knows the parts it was shown, and guesses all others to be bad."""

    def teach(_recipe, _photos, plan, **_):
        return SimpleNamespace(known=set(GROUPS[plan.indices("train")]))

    def answer(lesson, _recipe, photos, *, indices, **_):
        bad = np.array([1.0 - photos.targets[at] if GROUPS[at] in lesson.known else 1.0 for at in indices])
        return np.column_stack([bad, 1.0 - bad])

    monkeypatch.setattr(networks, "teach", teach)
    monkeypatch.setattr(networks, "answer_by_network", answer)


def trained_with(make_photos, plan, **train):
    test = plan.indices("test")
    photos = make_photos(LABELS.tolist())
    trained = SimpleNamespace(recipe=recipe_of(**train), photos=photos, plan=plan, measured=test)
    return trained, SimpleNamespace(outputs=np.tile([1.0, 0.0], (len(test), 1)))


@pytest.mark.usefixtures("second")
def test_a_second_network_on_a_random_split_tells_what_it_would_have_claimed(make_photos, plan) -> None:
    trained, answers = trained_with(make_photos, plan, price_split="train")
    watch = Stopwatch()
    record = price_by_training(trained, answers, watch=watch, reporter=SilentReporter())
    assert (record["by"], record["grouped"]) == ("network", 0.5)
    assert record["random"] > 0.9
    assert record["interval"][0] > 0.0
    assert record["sentence"].endswith(
        "The first is of a second network, trained and tested on a random split and thrown away."
    )
    assert statements({"split_price": record})[0] == record["sentence"]
    assert "split price" in watch.to_record()


@pytest.mark.usefixtures("second")
def test_a_second_network_is_trained_only_where_it_was_asked(make_photos, plan) -> None:
    for asked in ("auto", "off"):
        trained, answers = trained_with(make_photos, plan, price_split=asked)
        assert price_by_training(trained, answers, watch=Stopwatch(), reporter=SilentReporter()) is None


def test_groups_are_drawn_whole() -> None:
    hits = np.arange(60) < 30
    wide, narrow = (
        price_of_two_tests((hits, groups), (hits, groups), seed=1)["interval"]
        for groups in (np.arange(60) // 15, np.arange(60))
    )
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])


def test_a_shared_training_is_not_repeated(monkeypatch) -> None:
    check_price_split(recipe_of(price_split="train"))
    monkeypatch.setenv("WORLD_SIZE", "2")
    check_price_split(recipe_of(price_split="auto"))
    with pytest.raises(RecipeError, match=r"train.price_split = train must be asked of one process"):
        check_price_split(recipe_of(price_split="train"))


@pytest.mark.slow
def test_a_run_from_scratch_trains_a_second_network_and_says_so(parts_folder, tmp_path) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(parts_folder, photos)
    lines = ["path,label,group"]
    for number, path in enumerate(sorted(photos.rglob("*.png"))):
        lines.append(f"{path.relative_to(photos)},{path.parent.name},{path.parent.name}-{number // 2}")
    (photos / "labels.csv").write_text("\n".join(lines) + "\n")
    recipe = parse_recipe({
        "data": {"image_size": 32, "near_duplicates": False},
        "model": {"backbone": "none", "layers": [
            {"kind": "conv", "filters": 4, "kernel_size": 3, "stride": 2, "activation": "relu"}, {"kind": "flatten"},
        ]},
        "train": {"mode": "scratch", "epochs": 2, "batch_size": 8, "threads": 1, "precision": "f32", "replicas": 1,
                  "num_workers": 0, "price_split": "train"},
    })  # fmt: skip
    record = teliti.train(photos / "labels.csv", recipe=recipe, out=tmp_path / "run")
    price = record["split_price"]
    assert price["by"] == "network"
    assert price["grouped"] == pytest.approx(record["test"]["accuracy_at_half"], abs=1e-4)
    assert price["sentence"] in (tmp_path / "run" / "report.html").read_text().replace("&nbsp;", " ")
