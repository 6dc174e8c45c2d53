"""Which way makes the best probabilities is chosen on photos left out, so that no curve wins by following noise."""

import numpy as np
import pytest
from scipy.special import expit, softmax

from teliti.errors import RecipeError, UserError
from teliti.models.heads import HeadWeights
from teliti.recipe import ModelRecipe
from teliti.training.heads.calibrate import choose_calibration, fit_calibration
from teliti.training.heads.linear import fit_head
from teliti.training.heads.trained_net import calibrate_head
from teliti.types import SilentReporter


def straight_world(n, *, seed=0):
    """Decision values whose log-odds are a straight line: Platt's own world."""
    rng = np.random.default_rng(seed)
    decisions = rng.normal(size=n) * 3.0
    return decisions[:, None].astype(np.float32), (rng.random(n) < expit(0.7 * decisions - 1.0)).astype(np.int64)


def stepped_world(n, *, seed=0):
    rng = np.random.default_rng(seed)
    decisions = rng.uniform(-4.0, 4.0, n)
    truth = np.where(decisions < 1.0, 0.03, 0.7)
    return decisions[:, None].astype(np.float32), (rng.random(n) < truth).astype(np.int64)


def three_classes(n, *, seed=0):
    """Over-confident logits of three classes; which are as they should be at a third."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    logits = rng.normal(size=(n, 3))
    logits[np.arange(n), labels] += 2.0
    return (6.0 * logits).astype(np.float32), labels


def folds_of(n):
    return np.arange(n) % 5


def true_loss(found, decisions, labels):
    return -np.log(softmax(found.logits(decisions).astype(float), axis=1)[np.arange(len(labels)), labels]).mean()


def test_a_straight_world_stays_with_platt_however_small_the_noise_of_a_curve():
    ways = []
    for seed in range(12):
        decisions, labels = straight_world(400, seed=seed)
        ways.append(choose_calibration("auto", decisions, labels, folds=folds_of(400))[1]["way"])
    assert ways.count("platt") >= 10


def test_a_stepped_world_takes_the_curve_which_is_better_on_new_photos():
    decisions, labels = stepped_world(1500)
    found, record = choose_calibration("auto", decisions, labels, folds=folds_of(1500))
    assert (record["way"], record["asked"], record["folds"], found.way) == ("isotonic", "auto", 5, "isotonic")
    assert [row["way"] for row in record["tried"]] == ["platt", "temperature", "isotonic"]
    assert record["sentence"].endswith("isotonic is better by more than one standard error.")
    fresh, truth = stepped_world(4000, seed=9)
    assert true_loss(found, fresh, truth) < true_loss(fit_calibration("platt", decisions, labels), fresh, truth) - 0.02


def test_the_curve_follows_noise_and_loses_on_few_photos_left_out():
    """What would choose the curve on its own photos does not choose it on those left out."""
    decisions, labels = straight_world(120, seed=4)
    own = {way: true_loss(fit_calibration(way, decisions, labels), decisions, labels) for way in ("platt", "isotonic")}
    assert own["isotonic"] < own["platt"]
    rows = {row["way"]: row for row in choose_calibration("auto", decisions, labels, folds=folds_of(120))[1]["tried"]}
    assert rows["isotonic"]["loss"] > rows["platt"]["loss"]


@pytest.mark.parametrize("way", ["platt", "temperature", "isotonic", "none"])
def test_every_way_keeps_the_order_of_two_classes(way):
    decisions, labels = stepped_world(300, seed=2)
    found, record = choose_calibration(way, decisions, labels, folds=folds_of(300))
    logits = found.logits(decisions)
    assert logits.shape == (300, 2)
    assert not logits[:, 0].any()
    np.testing.assert_array_equal(np.argsort(logits[:, 1], kind="stable"), np.argsort(decisions[:, 0], kind="stable"))
    assert (record["way"], record["sentence"], record["tried"]) == (way, "The recipe names it.", [])


@pytest.mark.parametrize("way", ["platt", "temperature", "isotonic"])
def test_more_classes_become_honest_and_keep_their_winner(way):
    logits, labels = three_classes(3000)
    found = fit_calibration(way, logits, labels)
    calibrated = softmax(found.logits(logits).astype(float), axis=1)
    before = logits if way == "temperature" else fit_calibration("platt", logits, labels).logits(logits)
    np.testing.assert_array_equal(calibrated.argmax(axis=1), before.argmax(axis=1))
    confidence, right = calibrated.max(axis=1), calibrated.argmax(axis=1) == labels
    assert confidence.mean() == pytest.approx(right.mean(), abs=0.02)
    assert true_loss(found, logits, labels) < true_loss(fit_calibration("none", logits, labels), logits, labels)


def test_a_temperature_is_the_factor_that_was_hidden():
    logits, labels = three_classes(6000)
    assert fit_calibration("temperature", logits, labels).slope == pytest.approx(2.0 / 6.0, rel=0.1)


def test_few_photos_stay_with_the_steadiest_way():
    decisions, labels = straight_world(60, seed=1)
    labels[:] = np.arange(60) < 15
    _, record = choose_calibration("auto", decisions, labels, folds=folds_of(60))
    assert record["sentence"] == (
        "Too few separate photos of the rarest class to choose by (15), so it is the steadiest way."
    )
    decisions, labels = straight_world(400)
    assert choose_calibration("auto", decisions, labels, folds=np.zeros(400, int))[1]["way"] == "platt"


def test_what_cannot_be_calibrated_is_said():
    decisions, _ = straight_world(30)
    with pytest.raises(UserError, match="at least two classes"):
        fit_calibration("temperature", decisions, np.zeros(30, int))
    many = np.random.default_rng(0).normal(size=(200, 65)).astype(np.float32)
    with pytest.raises(RecipeError, match="must have at most 64 classes, got 65"):
        fit_calibration("isotonic", many, np.arange(200) % 65)
    rows = choose_calibration("auto", np.repeat(many, 7, axis=0), np.arange(1400) % 65, folds=folds_of(1400))[1][
        "tried"
    ]
    assert [row["way"] for row in rows] == ["platt", "temperature"]


def test_a_head_on_features_has_the_way_in_its_weights_and_its_record():
    decisions, labels = stepped_world(400, seed=5)
    features = np.concatenate([decisions, np.random.default_rng(0).normal(size=(400, 2))], axis=1).astype(np.float32)

    def fitted(asked):
        return fit_head(
            features, labels, np.arange(400), model=ModelRecipe(head="logistic", c=1.0), task="classification",
            num_classes=2, seed=7, reporter=SilentReporter(), calibration=asked,
        )  # fmt: skip

    curved, plain = fitted("isotonic"), fitted("none")
    assert (curved.history["calibration"], plain.history["calibration"]) == ("isotonic", "none")
    assert curved.history["calibration_choice"]["asked"] == "isotonic"
    back = HeadWeights.from_arrays(curved.weights.to_arrays())
    np.testing.assert_array_equal(back.logits(features), curved.weights.logits(features))
    order = np.argsort(plain.weights.logits(features)[:, 1])
    assert (np.diff(curved.weights.logits(features)[order, 1]) > -1e-4).all()
    losses = [-np.log(softmax(one.oof_logits, axis=1)[np.arange(400), labels]).mean() for one in (curved, plain)]
    assert losses[0] < losses[1]


def closing_head(columns, *, is_multilabel=False):
    weight = np.eye(2, dtype=np.float32)[:, :columns]
    zeros = np.zeros(2, np.float32)
    return HeadWeights(zeros, zeros + 1, weight, np.zeros(columns, np.float32), limit=1e30, is_multilabel=is_multilabel)


def test_a_networks_closing_layer_is_calibrated_on_the_photos_that_chose():
    decisions, labels = stepped_world(1000, seed=6)
    features = np.repeat(decisions, 2, axis=1)
    head, about = calibrate_head(closing_head(1), features, labels, folds=folds_of(1000))
    assert (about["calibration"], about["calibration_choice"]["way"]) == ("isotonic", "isotonic")
    np.testing.assert_allclose(
        head.logits(features), fit_calibration("isotonic", decisions, labels).logits(decisions), atol=1e-4
    )
    platt, said = calibrate_head(closing_head(1), features, labels, folds=np.zeros(1000, int))
    assert (said["calibration"], platt.bend) == ("platt", None)  # one fold is no choice


def test_a_class_missing_among_the_choosing_photos_means_no_calibration():
    decisions, _ = stepped_world(50)
    features = np.repeat(decisions, 2, axis=1)
    head, about = calibrate_head(closing_head(1), features, np.zeros(50, int), folds=folds_of(50))
    assert about == {"calibration": None}
    np.testing.assert_array_equal(head.logits(features), closing_head(1).logits(features))


def test_labels_are_calibrated_each_by_itself_or_not_at_all():
    decisions, labels = stepped_world(300)
    features, both = np.repeat(decisions, 2, axis=1), np.stack([labels, 1 - labels], axis=1)
    start = closing_head(2, is_multilabel=True)
    head, about = calibrate_head(start, features, both, folds=folds_of(300))
    assert about == {"calibration": "platt"}
    assert head.weight[0, 0] != start.weight[0, 0]
    same, about = calibrate_head(start, features, both, folds=folds_of(300), asked="none")
    assert about == {"calibration": "none"}
    np.testing.assert_array_equal(same.weight, start.weight)
