"""Sentences of the decision and of its doubts are made from the record, and are silent where it says nothing."""

import re

import numpy as np
import pytest

from teliti.metrics.promises import Promise
from teliti.metrics.thresholds import choose_threshold, say_promise
from teliti.recipe import DecideRecipe, parse_recipe
from teliti.recipe.decide import Cost
from teliti.report.consequences import decision_sentences, preset_sentences
from teliti.report.material import data
from teliti.report.several import few_photos
from teliti.report.statements import statements
from teliti.workflow.agree import say_agreement
from teliti.workflow.learning.deciding import decide

SCORES = np.concatenate([np.linspace(0.4, 0.95, 300), np.linspace(0.05, 0.6, 700)])
BAD = np.arange(1000) < 300
COUNTS = ("misses", "false_alarms", "looks")


def said(record):
    return " ".join(decision_sentences(record))


def test_a_proof_says_what_it_is_about():
    threshold = {"proven": True, "review": {"sentence": "Grey."}}
    plain = said({"threshold": threshold})
    assert plain == "Grey. A proof holds for parts drawn as these photos were, each on its own."
    folds = said({"threshold": threshold, "data": {"split": {"origin": "folds", "folds": 5}}})
    assert "The proof is about the scores of heads that never saw a photo; the shipped head was fitted on all" in folds
    assert said({"threshold": threshold | {"proven": False, "review": {}}}) == ""


def test_who_is_looked_at_and_why():
    three = {"photos": 200, "reviewed": 10, "review_share": 0.05, "interval": [0.03, 0.09], "as_new": 4}
    found = said({"decision": {"three_verdicts": three}})
    assert found == (
        "10 of 200 photos, 5.0 % (95 % interval 3.0 to 9.0 %), would be shown to a person, 4 of them because they "
        "look new."
    )
    assert "because" not in said({"decision": {"three_verdicts": three | {"reviewed": 0}}})


def test_what_nobody_checks_is_judged():
    three = {"automatic": 190, "accuracy": 0.95, "missed": 2, "bad": 50, "miss_rate_upper": 0.12, "caught": 3,
             "good": 150, "false_alarms": 4}  # fmt: skip
    assert said({"decision": {"three_verdicts": three}}) == (
        "Of the 190 verdicts that nobody checks 95.0 % are right. Of 50 defective photos 2 passed unseen (with 95 % "
        "confidence at most 12.0 %), and a person saw 3; of 150 good ones 4 were rejected."
    )


@pytest.mark.parametrize(("own", "words"), [(40.0, "60 less than"), (120.0, "20 more than")])
def test_the_cost_stands_beside_the_cheapest_simple_policy(own, words):
    rows = [
        {"policy": "this inspector", "cost": own, "interval": [30.0, 130.0]} | dict.fromkeys(COUNTS, 1),
        {"policy": "always pass", "cost": 500.0},
        {"policy": "threshold 0.5", "cost": 100.0},
    ]
    found = said({"decision": {"economy": {"rows": rows, "unit": "a day", "defect_rate": 0.01, "parts": 1000}}})
    assert f"{words} “threshold 0.5”, the cheapest of the simple policies." in found
    assert "Of 1,000 parts 1 defects would pass, 1 good parts be rejected, 1 be shown to a person." in found
    assert "(95 % interval 30 to 130)" in found


def test_honesty_of_probabilities_is_said_with_what_chance_would_show():
    found = {"error": 0.04, "interval": [0.03, 0.07], "expected": 0.02}
    assert said({"decision": {"reliability": found}}) == (
        "Stated probability and observed share lie 4.0 % apart on average (95 % interval 3.0 to 7.0 %); with so few "
        "photos right probabilities would show 2.0 %."
    )
    classes = said({"decision": {"reliability": found | {"of": "class"}}})
    assert classes.startswith("Stated probability of the most probable class and observed share")


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("platt", "made by Platt scaling"), ("isotonic", "made by isotonic regression"),
        ("temperature", "made by temperature scaling"), ("none", "not calibrated"),
    ],
)  # fmt: skip
def test_how_probabilities_were_made_is_said_with_why(way, words):
    history = {"calibration": way, "calibration_choice": {"way": way, "sentence": "The recipe names it."}}
    assert said({"history": history, "classes": ["a", "b"]}) == f"Probabilities are {words}. The recipe names it."


def test_presets_are_told_by_their_consequence():
    rows = [{"sentence": "Recall first."}, {"name": "without"}]
    assert preset_sentences({"decision": {"explorer": {"presets": rows}}}) == ["Recall first."]


@pytest.mark.parametrize(
    ("promise", "sentence"),
    [
        (
            Promise(0.05, "proven", 0.95, 100, True, 1, 59, 0.047),
            "Proven: with 95 % confidence at most 5 % of bad pass at the threshold 0.3, the highest that these 100 "
            "photos of bad prove (exact binomial test, learn-then-test).",
        ),
        (
            Promise(0.05, "expected", 0.95, 100, True, 4, 19, 0.09),
            "At the threshold 0.3 at most 5 % of bad pass on average over validation sets (conformal risk control); "
            "this bounds the expected rate, and proves none for this one set.",
        ),
        (
            Promise(0.05, "proven", 0.95, 20, False, 0, 59, 0.139),
            "These photos cannot prove that at most 5 % of bad pass: that takes 59 photos of bad without a miss, and "
            "there are 20, so 39 more are needed. The threshold 0.3 is the fall-back, the highest that misses none of "
            "them, which proves with 95 % confidence only that at most 13.9 % pass.",
        ),
    ],
)
def test_a_promise_is_said_or_what_it_takes(promise, sentence):
    assert say_promise(promise, value=0.3, name="bad") == sentence


def test_the_share_that_is_looked_at_and_the_limit_of_novelty_are_said():
    band = choose_threshold(SCORES, BAD, DecideRecipe(review_share=0.05)).review.sentence
    assert re.fullmatch(r"Scores from 0\.\d+ to 0\.\d+ are shown to a person: \d\.\d % of the parts, where at most 5 % "
                        r"were allowed\.", band)  # fmt: skip
    probs = np.stack([SCORES, 1 - SCORES], axis=1)
    recipe = parse_recipe({"data": {"positive": "bad"}})
    found = decide(
        probs, np.where(BAD, 0, 1), classes=("bad", "good"), recipe=recipe, photos="photos", novelty=1 + SCORES
    )
    assert re.search(
        r"Photos unlike the training photos are shown to a person, whatever their score: novelty above \d\.\d+, "
        r"where 1 is usual and about 2 % of such photos are above\.",
        found.review.sentence,
    )


def test_the_cheapest_threshold_says_what_it_weighed():
    decide = DecideRecipe(cost=Cost(miss=50, false_alarm=1, review=0.2), defect_rate=0.02)
    found = choose_threshold(SCORES, BAD, decide, positive_name="bad")
    assert "is the cheapest where a miss costs 50, a false alarm 1 and a look 0.2, with 2 % defects" in found.sentence
    assert found.review.sentence.endswith("are shown to a person: there a look costs less than a verdict.")
    dear = choose_threshold(SCORES, BAD, DecideRecipe(cost=Cost(miss=5, false_alarm=1, review=99)))
    assert dear.review.sentence == "No score is shown to a person: no look is worth its price."
    assert dear.sentence.startswith("The threshold ")


@pytest.mark.parametrize(
    ("decide", "words"),
    [
        ({"guarantee": "proven"}, "that at most 10 % of the others are rejected is proven."),
        ({"guarantee": "expected"}, "rejected is expected."),
        ({}, "rejected was observed."),
    ],
)
def test_the_rejecting_side_of_a_band_says_what_is_kept(decide, words):
    found = choose_threshold(SCORES, BAD, DecideRecipe(max_miss_rate=0.1, max_false_alarm_rate=0.1, **decide))
    assert words in found.review.sentence
    assert found.review.sentence.startswith("From ")
    assert " are shown to a person." in found.review.sentence or "No score is shown" in found.review.sentence


def test_a_side_that_cannot_be_promised_says_how_many_photos_it_takes():
    few = np.concatenate([np.arange(100), np.arange(300, 320)])
    decide = DecideRecipe(max_miss_rate=0.1, max_false_alarm_rate=0.01, guarantee="proven")
    sentence = choose_threshold(SCORES[few], BAD[few], decide).review.sentence
    assert re.match(
        r"From \S+ on photos are rejected; that at most 1 % of the others are rejected takes 299 photos of them, "
        r"and there are 20\.",
        sentence,
    )


def test_given_thresholds_say_that_they_were_given():
    assert choose_threshold(SCORES, BAD, DecideRecipe(threshold=0.3)).sentence.startswith(
        "The threshold 0.3 was given."
    )
    half = choose_threshold(SCORES, BAD, DecideRecipe(rule="argmax")).sentence
    assert half.startswith("The threshold is 0.5: the more probable side wins.")


def test_few_photos_are_a_doubt():
    rows = [{"class": "scratch", "n": 4, "intervals": {"recall": [0.2, 0.9]}}]
    found = " ".join(statements({"test": {"per_class": rows}, "classes": ["scratch"]}))
    assert "Fewer than 30 test photos: “scratch” (4). A few photos more could change their numbers a lot" in found
    assert "the recall of “scratch” may be anything from 20.0 to 90.0 %" in found


def test_labels_on_few_photos_are_a_doubt_too():
    record = {"task": "multilabel", "test": {"per_label": [{"label": "dent", "n": 3}, {"label": "rust", "n": 300}]}}
    assert few_photos(record) == [
        "Fewer than 30 test photos with the label: “dent” (3). A few more could change their numbers a lot."
    ]


def test_copies_are_told_on_the_page_of_the_data():
    pair = {"first": "a", "second": "b", "kind": "bytes", "correlation": 1.0}
    found = {"pairs": [pair], "crossing": [pair], "label_conflicts": [pair], "groups": 1, "photos": 2, "user_groups": 3}
    page = str(data({"data": {"photos": 10, "duplicates": found, "counts": {}}}))
    assert "What was learnt from one was tested on the other, so the numbers flatter." in page
    assert "Near-duplicate photos with different labels: 1 pair. One label is wrong." in page
    assert "3 groups from the label file kept whole." in page
    none = str(data({"data": {"photos": 10, "duplicates": {"pairs": []}, "counts": {}}}))
    assert "No near-duplicate photos were found" in none


def test_agreement_is_said_from_its_record():
    people = {"value": 0.5, "interval": [0.4, 0.6], "photos": 1200, "raters": 2, "measure": "Cohen's kappa"}
    net = {"first": "anna", "second": "net", "value": 0.85, "interval": None}
    repeat = {"rater": "anna", "same": 0.9, "photos": 40, "interval": [0.77, 0.96]}
    part = {"rater": "ben", "same": 0.75, "parts": 8}
    record = {"people": people, "net": [net], "repeats": [repeat], "parts": [part], "queue": [{}] * 3}
    assert say_agreement(record) == [
        "2 people agree on 1,200 photos: moderate agreement (Cohen's kappa 0.50, 0.40 to 0.60).",
        "net and anna: almost perfect agreement (kappa 0.85).",
        "anna repeats the own label for 90.0% of 40 photos judged twice (77.0% to 96.0%).",
        "ben gave all shots of a part one label for 75.0% of 8 parts.",
        "3 photos are in the queue to be labelled again, the most disputed first.",
        "No inspector can be better than the labels it learns: settle what the classes mean first.",
    ]
