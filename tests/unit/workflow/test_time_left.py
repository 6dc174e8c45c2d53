"""A budget is for the whole command: what is spent and what follows is taken off before the epochs share the rest."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import teliti
from notes import Notes
from teliti.cache import RowCache
from teliti.models.networks import build_network
from teliti.recipe import parse_recipe
from teliti.training.heads.trained_net import FeatureFront
from teliti.types import SilentReporter
from teliti.workflow.learning import time_left
from teliti.workflow.learning.learnt_head import Schooling
from teliti.workflow.learning.parts import LearningTargets, divide_learning
from teliti.workflow.learning.time_left import Following, leave_for_epochs, what_follows
from teliti.workflow.shared.photos import read_photos
from teliti.workflow.shared.pictures import Pictures
from teliti.workflow.shared.plan import plan_split
from teliti.workflow.shared.setup import resolve_data

TINY = {
    "data": {"image_size": 16, "folds": 0},
    "model": {"backbone": "none", "layers": [{"kind": "flatten"}, {"kind": "dense", "units": 4, "activation": "relu"}]},
    "train": {"mode": "scratch", "budget": "10m", "threads": 1, "epochs": 100_000},
}


def schooling_of(folder: Path, **values: dict) -> Schooling:
    recipe = parse_recipe({**TINY, **values})
    photos = read_photos(str(folder), use_group=True, cache=RowCache(), threads=1, reporter=SilentReporter())
    plan = plan_split(photos, recipe)
    recipe, _ = resolve_data(recipe, photos, plan)
    parts = divide_learning(photos, plan, seed=0)
    images = np.zeros((len(parts.used), 16, 16, 3), np.uint8)
    pictures = Pictures(images, np.arange(len(parts.used)))
    return Schooling(recipe, photos, plan, parts, LearningTargets.of(photos, parts.used), pictures)


def front_of(schooling: Schooling) -> FeatureFront:
    network = build_network(schooling.recipe.model, num_outputs=2, image_size=(16, 16), seed=0)
    return FeatureFront(network.train())


def test_passes_and_layers_add_up() -> None:
    alone = Following(features=100, tested=50, shown=30, networks=1, layers=10)
    together = Following(features=100, tested=50, shown=30, networks=2, layers=10)
    slow = alone.seconds(1.0) - alone.seconds(0.0)
    assert slow == 100 + 2 * 50 + 30  # the test asks the file and torch
    assert together.seconds(1.0) - together.seconds(0.0) == 100 + 2 * (2 * 50 + 30)
    assert together.seconds(0.0) > alone.seconds(0.0) > 0.0
    many = Following(features=100, tested=10_050, shown=30, networks=1, layers=10)
    assert many.seconds(0.0) - alone.seconds(0.0) > 10.0  # however small the network is, each photo is asked by itself


def test_it_is_counted_from_the_photos(parts_folder: Path) -> None:
    schooling = schooling_of(parts_folder)
    parts, tested = schooling.parts, len(schooling.plan.indices("test"))
    found = what_follows(front_of(schooling), schooling, networks=1)
    assert (found.features, found.tested, found.shown) == (len(parts.hold) + len(parts.learn), tested, 0)
    blind = schooling_of(parts_folder, decide={"novelty_share": 0.0})
    assert what_follows(front_of(blind), blind, networks=1).features == len(parts.hold)
    looking = schooling_of(parts_folder, data={**TINY["data"], "part_mask": "otsu"})
    assert what_follows(front_of(looking), looking, networks=2).shown == 3 * tested


def test_the_epochs_get_what_is_left(parts_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schooling, told = schooling_of(parts_folder), Notes()
    front, options = front_of(schooling), schooling.recipe.train
    monkeypatch.setattr(time_left, "_seconds_a_picture", lambda *_: 0.5)
    watch = SimpleNamespace(elapsed=lambda: 40.0)
    after_s = what_follows(front, schooling, networks=1).seconds(0.5)
    left = leave_for_epochs(options, front, schooling, networks=1, watch=watch, reporter=told)  # type: ignore[arg-type]
    assert left.budget == pytest.approx(600.0 - 40.0 - after_s)
    assert told.notes == [
        f"Of the budget of 600 s the epochs get {left.budget:.0f} s: 40 s are spent, and export, test and report will "
        f"take about {after_s:.0f} s."
    ]
    late = SimpleNamespace(elapsed=lambda: 900.0)
    spent = leave_for_epochs(options, front, schooling, networks=1, watch=late, reporter=told)  # type: ignore[arg-type]
    assert 0.0 < float(spent.budget or 0.0) < 0.01
    assert told.notes[-1].startswith(
        "Of the budget of 600 s nothing is left, so one epoch is learnt: 900 s are spent, "
    )


@pytest.mark.parametrize("values", [{"budget": None}, {"stop_after": 3}])
def test_where_no_clock_is_asked_nothing_is_measured(values: dict, parts_folder: Path) -> None:
    schooling, told = schooling_of(parts_folder), Notes()
    options = schooling.recipe.train.model_copy(update=values)
    watch = SimpleNamespace(elapsed=lambda: 40.0)
    assert leave_for_epochs(options, None, schooling, networks=1, watch=watch, reporter=told) is options  # type: ignore[arg-type]
    assert told.notes == []


def test_measuring_leaves_the_network_as_it_was(parts_folder: Path) -> None:
    schooling = schooling_of(parts_folder)
    front = front_of(schooling)
    before = {name: tensor.clone() for name, tensor in front.state_dict().items()}
    assert 0.0 < time_left._seconds_a_picture(front, schooling) < 5.0
    assert front.training
    assert all((before[name] == tensor).all() for name, tensor in front.state_dict().items())


def test_a_command_takes_its_budget_for_all_of_it(
    parts_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more epochs than could ever fit, and a report that is said to take as long as the whole budget."""
    monkeypatch.setattr(time_left, "_ENDING_S", 600.0)
    told = Notes()
    record = teliti.train(parts_folder, recipe=parse_recipe(TINY), out=tmp_path / "run", reporter=told)
    assert any(note.startswith("Of the budget of 600 s nothing is left, so one epoch is ") for note in told.notes)
    history = record["history"]
    assert len(history["rows"]) == 1
    assert history["options"]["stop_after"] == 1
    assert record["recipe_toml"].count('budget = "10m"') == 1  # a replay is asked what this run was asked
