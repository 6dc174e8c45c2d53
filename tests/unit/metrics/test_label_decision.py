"""A threshold for each label, which labels reject a photo, and what a bundle keeps of it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from teliti.errors import BundleError, RecipeError, RunError, UserError
from teliti.metrics.answers import decision_from_record
from teliti.metrics.decision import Decision
from teliti.metrics.label_decision import LabelsDecision, check_label_rule, decide_labels, pick_rejects
from teliti.metrics.number_rule import NumberRule
from teliti.metrics.thresholds import choose_threshold
from teliti.recipe import Cost, DecideRecipe

NAMES = ("scratch", "dent", "dust")
THRESHOLDS = (0.3, 0.5, 0.9)
PROBS = np.array([[0.31, 0.2, 0.95], [0.1, 0.5, 0.2], [0.29, 0.49, 0.89]])


def test_each_label_has_its_own_threshold() -> None:
    decision = LabelsDecision(NAMES, THRESHOLDS)
    assert decision.labels(PROBS).tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
    assert [(one.verdict, one.labels) for one in decision.judge(PROBS)] == [
        ("scratch;dust", ("scratch", "dust")), ("dent", ("dent",)), ("none", ()),
    ]  # fmt: skip
    np.testing.assert_allclose(decision.score(PROBS), [0.95, 0.5, 0.89])


def test_a_photo_with_a_rejected_label_is_a_reject() -> None:
    decision = LabelsDecision(NAMES, THRESHOLDS, pass_classes=("dust",))
    first, second, third = decision.judge(PROBS)
    assert [one.verdict for one in (first, second, third)] == ["reject", "reject", "pass"]
    assert first.reasons == ("scratch 0.310 is at or above its threshold 0.300",)
    assert (first.labels, third.labels, first.label) == (("scratch", "dust"), (), None)
    np.testing.assert_allclose(decision.score(PROBS), [0.31, 0.5, 0.49])  # the largest of the rejected ones
    only = LabelsDecision(NAMES, THRESHOLDS, positive="dent")
    assert [one.verdict for one in only.judge(PROBS)] == ["pass", "reject", "pass"]
    every = LabelsDecision(NAMES, THRESHOLDS, pass_classes=("none",))
    assert [one.verdict for one in every.judge(PROBS)] == ["reject", "reject", "pass"]


@pytest.mark.parametrize(
    "decide",
    [DecideRecipe(), DecideRecipe(max_miss_rate=0.1), DecideRecipe(cost=Cost(miss=5)), DecideRecipe(threshold=0.25),
     DecideRecipe(rule="argmax")],
)  # fmt: skip
def test_the_rule_is_applied_to_each_label(decide: DecideRecipe) -> None:
    rng = np.random.default_rng(0)
    targets = (rng.random((80, 3)) < 0.4).astype(np.int64)
    probs = np.clip(0.3 * targets + 0.7 * rng.random((80, 3)), 0, 1)
    decision = decide_labels(probs, targets, classes=NAMES, decide=decide)
    expected = [choose_threshold(probs[:, k], targets[:, k] > 0, decide).value for k in range(3)]
    assert decision.thresholds == pytest.approx(expected)
    assert [row["label"] for row in decision.per_label] == list(NAMES)
    assert all(name in decision.sentence for name in NAMES)


def test_a_label_that_no_photo_has_is_held_against_one_half() -> None:
    targets = np.array([[1, 0], [0, 0]])
    decision = decide_labels(np.array([[0.8, 0.2], [0.1, 0.3]]), targets, classes=("a", "b"), decide=DecideRecipe())
    assert decision.thresholds[1] == 0.5
    assert decision.per_label[1]["sentence"] == "None of the validation photos has it, so the threshold is 0.5."


def test_what_a_bundle_keeps_is_read_back() -> None:
    decision = LabelsDecision(
        NAMES, THRESHOLDS, pass_classes=("dust",), rule="f1", sentence="So.", per_label=({"a": 1},)
    )
    record = json.loads(json.dumps(decision.to_record(), allow_nan=False))
    assert decision_from_record("multilabel", record) == decision
    with pytest.raises(BundleError, match=r"The decision in the bundle could not be read: 'thresholds'"):
        decision_from_record("multilabel", {key: value for key, value in record.items() if key != "thresholds"})


def test_the_rule_of_a_bundle_follows_from_its_task() -> None:
    two = Decision(classes=("a", "b"))
    assert decision_from_record("classification", two.to_record()) == two
    assert decision_from_record("regression", None) == NumberRule()
    assert decision_from_record("regression", {"numbers": ["x", "y"]}) == NumberRule(("x", "y"))
    for task, record in (("regression", two.to_record()), ("classification", None), ("poetry", two.to_record())):
        with pytest.raises(BundleError, match=rf"names the task '{task}', which its decision does not suit"):
            decision_from_record(task, record)  # type: ignore[arg-type]
    with pytest.raises(BundleError, match="The names of the numbers in the bundle could not be read"):
        NumberRule.from_record({"numbers": 3})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"positive": "dents"}, r'data\.positive must be one of "scratch", "dent", "dust", got "dents"'),
        ({"positive": "none"}, r"data\.positive must be one of"),
        ({"pass_classes": ("paint",)}, r'data\.pass must be one of "scratch", "dent", "dust", got "paint"'),
        (
            {"pass_classes": NAMES},
            r"data\.pass must leave at least one label to reject, got all of .*Name only the labels "
            r'that pass; \["none"\] rejects'
            r" every label\.$",
        ),
        (
            {"pass_classes": ("dent",), "positive": "dent"},
            r'data\.positive must not be in data\.pass, got "dent" in both\. '
            r"The positive label is the defect; remove it from one "
            r"of the two\.$",
        ),
    ],
)
def test_what_does_not_fit_the_labels_is_refused(options: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        LabelsDecision(NAMES, THRESHOLDS, **options)
    with pytest.raises(RecipeError, match=message):
        pick_rejects(NAMES, options.get("positive"), options.get("pass_classes", ()))


def test_thresholds_outside_their_range_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"in \[0, 1\], one for each of .* Probabilities are compared with them\.$"):
        LabelsDecision(NAMES, (0.5, 1.5, 0.5))
    with pytest.raises(RecipeError, match=r"Thresholds must be in \[0, 1\]"):
        LabelsDecision(NAMES, (0.5,))


def test_broken_probabilities_never_pass() -> None:
    decision = LabelsDecision(NAMES, THRESHOLDS, pass_classes=("none",))
    with pytest.raises(
        RunError,
        match=r"finite, got 1 photos of 1 where they are not\. The network or its input is damaged; check the bundle "
        r"with `teliti info`\.$",
    ):
        decision.judge(np.array([[0.1, np.nan, 0.1]]))
    with pytest.raises(UserError, match=r"Probabilities must have shape \(N, 3\), got \(1, 2\)"):
        decision.labels(np.zeros((1, 2)))


def test_the_sentence_says_what_rejects_and_how_to_change_it() -> None:
    assert pick_rejects(NAMES, None, ("dust",)) == ('A photo with "scratch" or "dent" is a reject, any other passes.')
    assert pick_rejects(NAMES, None, ()) == (
        "The answer is the list of labels found. For pass and reject name the labels that pass with data.pass "
        "(--set 'data.pass=[\"none\"]' rejects every label), or the one that does not with data.positive."
    )


def test_keys_for_classes_alone_are_refused() -> None:
    check_label_rule(DecideRecipe(max_miss_rate=0.1))
    for action in ("warn", "review", "off"):
        check_label_rule(DecideRecipe(envelope=action))
    for way in ("auto", "platt", "none"):
        check_label_rule(DecideRecipe(calibration=way))
    with pytest.raises(
        RecipeError,
        match=r"decide\.calibration must not stand where a photo may have several labels\. Use "
        r"threshold, rule, max_miss_rate or cost, which are applied to each label\.$",
    ):
        check_label_rule(DecideRecipe(calibration="isotonic"))

    class Wider(DecideRecipe):
        review_share: float | None = None

    with pytest.raises(RecipeError, match=r"decide\.review_share must not stand where a photo may have several labels"):
        check_label_rule(Wider(review_share=0.1))
