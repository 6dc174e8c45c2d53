"""Softer targets: half the label, half a head that never saw the photo; where none can be had, the labels alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import teliti
from notes import Notes
from teliti.bundle import open_bundle
from teliti.cache import RowCache
from teliti.errors import RecipeError, RunError
from teliti.predictor import Predictor
from teliti.recipe import load_recipe, override_recipe, parse_recipe
from teliti.types import SilentReporter
from teliti.workflow.learning import second_opinion
from teliti.workflow.learning.learn import settle_network_recipe
from teliti.workflow.learning.second_opinion import (
    SecondOpinion,
    ask_frozen_network,
    has_second_opinion,
    rebuild_partner,
)
from teliti.workflow.learning.training_path import TRAINED, open_training_path
from teliti.workflow.shared.photos import Photos, read_photos
from teliti.workflow.shared.plan import plan_split
from teliti.workflow.shared.setup import resolve_data

NOBODY = np.zeros(0, dtype=np.int64)
SMALL = {"data": {"image_size": 32}, "train": {"mode": "finetune", "epochs": 1, "threads": 1}}


@pytest.fixture
def photos(parts_folder: Path) -> Photos:
    return read_photos(str(parts_folder), use_group=True, cache=RowCache(), threads=1, reporter=SilentReporter())


def test_shares_are_the_label_and_the_opinion_and_add_to_one() -> None:
    opinion = SecondOpinion(np.array([[0.8, 0.195, 0.005], [0.1, 0.9, 0.0]], np.float32), "openvino")
    shares = opinion.shares(np.array([0, 2, 0]), np.array([0, 2]), weight=0.5)
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares[[0, 2]], [[0.5 + 0.4 / 0.995, 0.0975 / 0.995, 0.0], [0.55, 0.45, 0.0]], atol=1e-6)
    assert shares[1].tolist() == [0.0, 0.0, 1.0]  # the photo between them chooses and does not learn
    assert (shares[[0, 2], 2] == 0.0).all()  # what hardly counts is nothing


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"train": {"mode": "finetune"}}, True),
        ({"train": {"mode": "finetune", "soft_targets": 0}}, False),
        ({"train": {"mode": "finetune", "loss": "perceptron"}}, False),
        ({"train": {"mode": "finetune"}, "model": {"weights": "random"}}, False),
        ({"train": {"mode": "finetune"}, "model": {"backbone": "lenet"}}, False),
        ({"train": {"mode": "scratch", "soft_targets": 0.5}}, False),
    ],
)
def test_who_is_asked(values: dict, expected: bool) -> None:
    recipe = parse_recipe(values)
    assert has_second_opinion(recipe) is expected
    settled = settle_network_recipe(recipe).train
    assert settled.soft_targets == (0.5 if expected else 0.0)


def test_frozen_parts_need_given_weights() -> None:
    given = settle_network_recipe(parse_recipe({"train": {"mode": "finetune"}})).train
    assert (given.frozen_stages, given.frozen_depthwise, given.batch_norm) == (3, True, "keep")
    random = settle_network_recipe(parse_recipe({"train": {"mode": "finetune"}, "model": {"weights": "random"}})).train
    assert (random.frozen_stages, random.frozen_depthwise, random.batch_norm) == (0, False, "learn")


@pytest.mark.parametrize("model", [{"backbone": "lenet"}, {"backbone": "none", "layers": [{"kind": "flatten"}]}])
def test_networks_of_ones_own_layers_begin_with_random_numbers_unless_a_file_is_named(model: dict) -> None:
    asked = {"train": {"mode": "finetune"}, "model": model}
    settled = settle_network_recipe(parse_recipe(asked))
    assert settled.model.weights == "random"
    train = settled.train
    assert (train.frozen_stages, train.frozen_depthwise, train.batch_norm) == (0, False, "learn")
    given = settle_network_recipe(parse_recipe({**asked, "model": {**model, "weights": "own.safetensors"}}))
    assert (given.model.weights, given.train.batch_norm) == ("own.safetensors", "keep")


def test_the_opinion_is_right_more_often_than_not_and_the_same_each_time(photos: Photos) -> None:
    recipe = settle_network_recipe(parse_recipe(SMALL))
    plan = plan_split(photos, recipe)
    recipe, _ = resolve_data(recipe, photos, plan)
    train = plan.indices("train")
    opinion = ask_frozen_network(recipe, photos, plan, learnt=train, held=NOBODY, reporter=SilentReporter())
    assert opinion is not None
    assert opinion.probs.shape == (len(train), len(photos.catalog.classes))
    np.testing.assert_allclose(opinion.probs.sum(axis=1), 1.0, atol=1e-5)
    assert (opinion.probs.argmax(axis=1) == photos.targets[train]).mean() > 0.5
    again = ask_frozen_network(recipe, photos, plan, learnt=train, held=NOBODY, reporter=SilentReporter())
    assert again is not None
    assert np.array_equal(again.probs, opinion.probs)


@pytest.mark.parametrize(
    ("ensemble", "left"), [(False, ""), ("auto", ", without an ensemble"), (True, ", without an ensemble")]
)
def test_too_few_photos_of_a_class_leave_the_labels_alone(ensemble: object, left: str, photos: Photos) -> None:
    asked = {**SMALL, "train": {**SMALL["train"], "ensemble": ensemble}}
    recipe = settle_network_recipe(parse_recipe(asked))
    plan = plan_split(photos, recipe)
    recipe, _ = resolve_data(recipe, photos, plan)
    one_each = np.array([int(np.flatnonzero(photos.targets == label)[0]) for label in (0, 1)])
    told = Notes()
    assert ask_frozen_network(recipe, photos, plan, learnt=one_each, held=NOBODY, reporter=told) is None
    assert told.notes == [f"Too few photos of a class to fit a head in folds: the labels alone are learnt{left}."]


def test_a_network_that_gives_no_features_leaves_the_labels_alone(
    photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RecipeError("model.backbone: made for 224 x 224.")

    told = Notes()
    monkeypatch.setattr(second_opinion, "resolve_setup", refuse)
    recipe = settle_network_recipe(parse_recipe(SMALL))
    plan = plan_split(photos, recipe)
    recipe, _ = resolve_data(recipe, photos, plan)
    assert ask_frozen_network(recipe, photos, plan, learnt=plan.indices("train"), held=NOBODY, reporter=told) is None
    assert told.notes == ["The labels alone are learnt, without an ensemble: model.backbone: made for 224 x 224."]


def test_the_frozen_network_is_asked_on_the_cpu_by_an_engine_that_knows_no_gpu(photos: Photos) -> None:
    """As the recipe of a run has it that learnt on a GPU, with targets of OpenVINO or ONNX Runtime."""
    train = SMALL["train"] | {"engine": "onnxruntime", "device": "cuda"}
    recipe = settle_network_recipe(parse_recipe({**SMALL, "train": train}))
    plan = plan_split(photos, recipe)
    recipe, _ = resolve_data(recipe, photos, plan)
    some = plan.indices("train")[:2]
    setup, _ = second_opinion.frozen_features(recipe, photos, plan, indices=some, reporter=SilentReporter())
    assert (setup.engine.name, setup.engine.device) == ("onnxruntime", "cpu")


def test_a_run_keeps_the_engine_that_its_targets_were_made_with_and_its_replay_the_bits(
    parts_folder: Path, tmp_path: Path
) -> None:
    """With the partner in the graph: training itself refuses a graph whose logits are not those of torch."""
    asked = {**SMALL, "train": {**SMALL["train"], "ensemble": True}}
    first = teliti.train(parts_folder, recipe=parse_recipe(asked), out=tmp_path / "first")
    kept = load_recipe(tmp_path / "first" / "recipe.toml")
    assert kept.train.engine in {"openvino", "onnxruntime", "torch"}
    assert (kept.train.soft_targets, kept.train.frozen_stages, kept.train.ensemble) == (0.5, 3, True)
    assert first["history"]["ensemble"]["kept"]
    assert first["model"]["parameters"] > 2 * 3_000_000  # both networks
    assert "yes, each verdict is the mean of both" in Path(first["report"]).read_text(encoding="utf-8")
    second = teliti.train(parts_folder, recipe=kept, out=tmp_path / "second")
    assert second["history"]["rows"] == first["history"]["rows"]
    graphs = [Path(record["bundle"], "model.onnx").read_bytes() for record in (first, second)]
    assert graphs[0] == graphs[1]
    bundle = open_bundle(Path(first["bundle"]))
    path = open_training_path(bundle, threads=1)  # both networks are built again
    assert (path.name, path.why) == (TRAINED, None)
    own, trained = Predictor(bundle, threads=1), Predictor(bundle, threads=1, session=path.session)
    photo = next(bundle.path.glob("golden/*")).read_bytes()
    np.testing.assert_allclose(trained.score_files([photo]), own.score_files([photo]), atol=1e-5)


def test_a_bundle_from_before_ensembles_kept_their_partner_says_so() -> None:
    with pytest.raises(
        RunError, match=r"together with a frozen network, whose head stands in the bundle's graph alone"
    ):
        rebuild_partner(settle_network_recipe(parse_recipe(SMALL)), {"weight": np.zeros(1)}, ())


def test_each_photo_is_judged_by_a_head_that_never_saw_it(photos: Photos) -> None:
    """Whatever a photo's own label says, the heads of the other folds say the same of it or worse: turn one label."""
    recipe = settle_network_recipe(parse_recipe(SMALL))
    plan = plan_split(photos, recipe)
    recipe, _ = resolve_data(recipe, photos, plan)
    train = plan.indices("train")
    wrong = photos.targets.copy()
    wrong[train[0]] = 1 - wrong[train[0]]
    opinion = ask_frozen_network(
        recipe, dataclasses.replace(photos, targets=wrong), plan, learnt=train, held=NOBODY, reporter=SilentReporter()
    )
    assert opinion is not None
    assert opinion.probs[0, wrong[train[0]]] < 0.5  # it does not repeat the wrong label


def test_a_partner_has_learnt_from_all_and_says_what_a_head_says_that_never_saw_the_photo(photos: Photos) -> None:
    recipe = settle_network_recipe(parse_recipe(SMALL))
    plan = plan_split(photos, recipe)
    recipe, _ = resolve_data(recipe, photos, plan)
    train = plan.indices("train")
    learnt, held = np.delete(train, np.s_[::4]), train[::4]
    asked = {"learnt": learnt, "held": held, "reporter": SilentReporter()}
    first = ask_frozen_network(recipe, photos, plan, **asked)
    assert first is not None
    assert first.partner is not None
    assert first.partner.held_logits.shape == (len(held), 2)
    turned = photos.targets.copy()
    turned[held] = 1 - turned[held]
    second = ask_frozen_network(recipe, dataclasses.replace(photos, targets=turned), plan, **asked)
    assert second is not None
    assert second.partner is not None
    assert first.partner.learnt_logits.shape == (len(learnt), 2)
    assert (first.partner.learnt_logits.argmax(axis=1) == photos.targets[learnt]).mean() > 0.9  # it learnt from them
    assert np.array_equal(second.probs, first.probs)  # softer targets know nothing of the photos that choose
    assert not np.array_equal(second.partner.held_logits, first.partner.held_logits)  # the partner does
    without = override_recipe(recipe, {"train": {"ensemble": False}})
    alone = ask_frozen_network(without, photos, plan, **asked)
    assert alone is not None
    assert alone.partner is None
    assert np.array_equal(alone.probs, first.probs)
