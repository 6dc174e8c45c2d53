"""Planted groups: a random split claims what photos of known groups give away, and the price is told."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from teliti.errors import SplitError
from teliti.recipe import parse_recipe
from teliti.report.statements import statements
from teliti.training.features.extraction import Features
from teliti.types import SilentReporter
from teliti.workflow.learning import split_price
from teliti.workflow.learning.split_price import flatters, price_of_groups, price_split, say_price
from teliti.workflow.shared.plan import SplitPlan

GROUPS = np.repeat(np.arange(30), 6)  # 30 parts, 6 shots each
LABELS = np.array(["bad", "good"])[np.arange(30) % 2][GROUPS]


def planted(make_photos, *, signature: float, signal: float, tiles: int = 1):
    """Photos, plan and candidate: features know the part by `signature`, and the class by `signal`."""
    rng = np.random.default_rng(3)
    photos = make_photos(LABELS.tolist())
    own = rng.normal(size=(30, 40))[GROUPS] * signature
    own[:, 0] += signal * (LABELS == "bad")
    owners = np.repeat(np.arange(len(GROUPS)), tiles)
    matrix = (own[owners] + rng.normal(size=(len(owners), 40))).astype(np.float32)
    recipe = parse_recipe({"data": {"positive": "bad"}, "model": {"head": "logistic"}})
    setup = SimpleNamespace(
        recipe=recipe, combine="mean", features=lambda *_, **__: Features(matrix, owners, len(matrix), len(GROUPS))
    )
    fit = SimpleNamespace(history={"head": "logistic", "chosen": {"c": 1.0}})
    plan = SplitPlan("ours", ("train",) * len(GROUPS), None, GROUPS, "", {})
    return SimpleNamespace(setup=setup, fit=fit), photos, plan


def price(candidate, photos, plan):
    return price_split(candidate, photos, plan, cache=None, reporter=SilentReporter())


@pytest.mark.parametrize("tiles", [1, 2])
def test_known_parts_flatter_a_random_split(make_photos, tiles):
    record = price(*planted(make_photos, signature=3.0, signal=0.0, tiles=tiles))
    assert record["random"] > 0.9
    assert record["grouped"] < 0.65  # there is nothing to learn but the parts
    assert record["interval"][0] > 0.1
    assert flatters(record)
    assert "The random split flatters by " in record["sentence"]


def test_where_the_class_itself_is_told_nothing_is_flattered(make_photos):
    record = price(*planted(make_photos, signature=0.0, signal=6.0))
    assert record["random"] == pytest.approx(record["grouped"], abs=0.03)
    assert record["sentence"].endswith("The difference is not shown to be real.")


def test_without_groups_there_is_no_price(make_photos, monkeypatch):
    candidate, photos, plan = planted(make_photos, signature=3.0, signal=0.0)
    alone = SplitPlan("ours", plan.parts, None, np.arange(len(GROUPS)), "", {})
    assert price(candidate, photos, alone) is None
    numbers = make_photos([float(number) for number in range(len(GROUPS))])
    assert price(candidate, numbers, plan) is None

    def fail(*_, **__):
        raise SplitError("too few")

    monkeypatch.setattr(split_price, "fit_head", fail)
    assert price(candidate, photos, plan) is None  # a run does not end for want of this number


def test_the_interval_draws_whole_groups():
    honest, careless = np.zeros(60, bool), np.zeros(60, bool)
    careless[:30] = True
    wide = price_of_groups(honest, careless, np.arange(60) // 15, seed=1)["interval"]
    narrow = price_of_groups(honest, careless, np.arange(60), seed=1)["interval"]
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])


def test_the_sentence_is_made_from_the_record_and_stands_in_the_report():
    record = {"grouped": 0.8, "random": 0.95, "difference": 0.15, "interval": [0.1, 0.2]}
    said = say_price(record)
    assert said == (
        "Accuracy you would have believed with a random split: 95.0%. With groups and near-duplicates kept together: "
        "80.0%. The random split flatters by 10.0 to 20.0 points."
    )
    (found,) = [one for one in statements({"split_price": record | {"sentence": said}}) if "believed" in one]
    assert found == f"{said} Both are out-of-fold answers for the photos that were learnt from."
