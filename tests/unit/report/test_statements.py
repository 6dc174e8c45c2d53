"""What the numbers prove and what not: each sentence, from the record's own values."""

import copy

import pytest
from scipy.stats import beta

from teliti.report import statements
from unit.report.report_records import inspection_record, regression_record, steel_record


def said(record, words):
    """The one sentence that contains the words."""
    (sentence,) = [sentence for sentence in statements(record) if words in sentence]
    return sentence


def two_classes(matrix, **more):
    """A record with only a confusion matrix; row and column 0 are the defective class."""
    return {"classes": ["bad", "ok"], "positive": "bad", "test": {"confusion_matrix": matrix}, **more}


def test_no_miss_in_n_gives_the_exact_bound():
    bound = 100 * (1 - 0.05 ** (1 / 105))
    sentence = said(two_classes([[105, 0], [0, 200]]), "“bad” test photo")
    assert sentence.startswith("None of 105 “bad” test photos was missed")
    assert f"at 95 % confidence, that at most {bound:.1f} % are" in sentence


def test_some_misses_give_their_upper_bound():
    sentence = said(two_classes([[93, 12], [5, 195]]), "missed")
    bound = 100 * beta.ppf(0.95, 13, 93)  # Clopper and Pearson, one-sided
    assert sentence.startswith("12 of 105 “bad” test photos were missed; at 95 % confidence")
    assert sentence.endswith(f"the true share is at most {bound:.1f} %.")


def test_no_defective_photo_proves_nothing():
    assert "nothing is known about how many would be missed" in said(two_classes([[0, 0], [1, 9]]), "missed")


def test_rarer_defects_change_precision():
    assert "In the test part 34.4 % of the photos are “bad”" in said(two_classes([[93, 12], [5, 195]]), "rarer")


def test_wrong_names_without_a_positive_class():
    assert said(steel_record(), "given a wrong class").startswith("7 of 120 test photos")


def test_accuracy_names_its_photos_and_interval():
    record = {"test": {"n": 525, "accuracy": 0.884, "accuracy_interval": [0.854, 0.909]}}
    assert said(record, "The accuracy") == (
        "The accuracy of 88.4 % comes from 525 test photos; for photos like these its 95 % interval is 85.4 to 90.9 %."
    )


def test_regression_speaks_of_its_error():
    assert said(regression_record(), "mean absolute error").endswith("its 95 % interval is 0.110 to 0.140.")


def test_small_classes_are_named():
    sentence = said(steel_record(), "Fewer than 30 test photos")
    assert "“crazing” (20)" in sentence
    assert "the recall of “crazing” may be anything from 69.9 to 97.2 %" in sentence
    assert not any("Fewer than" in sentence for sentence in statements(inspection_record()))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "chosen on the validation photos"),
        ({"counts": {"train": {"ok": 3}, "test": {"ok": 3}}}, "chosen on out-of-fold scores of the training photos"),
        ({"split": {"origin": "folds", "folds": 5}}, "chosen on the same out-of-fold scores that were measured"),
    ],
)
def test_threshold_says_what_it_was_chosen_on(change, words):
    record = inspection_record()
    record["data"] |= change
    assert said(record, "The threshold").count(words) == 1


def test_fixed_threshold_was_not_chosen():
    record = inspection_record()
    record["threshold"] = {"value": 0.3, "rule": "fixed"}
    assert said(record, "The threshold") == "The threshold 0.3 was fixed beforehand; no photo had a say in it."


def test_folds_say_that_the_bundle_itself_is_untested():
    record = inspection_record()
    record["data"]["split"] = {"origin": "folds", "folds": 5}
    assert "it has not been tested itself" in said(record, "5-fold cross-validation")


def test_kept_together_and_user_groups():
    record = inspection_record()
    record["data"]["duplicates"]["user_groups"] = 12
    assert said(record, "near-duplicate").startswith("8 near-duplicate photos in 4 groups were kept on one side")
    assert said(record, "label file") == "12 groups of the label file were kept whole across the split."


def test_crossing_pairs_make_the_numbers_too_good():
    record = steel_record()
    assert said(record, "too good").startswith("1 pair of near-duplicate photos crosses the given split")
    assert not any("were kept on" in sentence for sentence in statements(record))


def test_other_cameras_are_not_covered():
    assert "“elpv”: a new camera, light, lot or product is not covered" in said(inspection_record(), "camera")
    assert "both sides" in said(steel_record(), "came with the data")


def test_refused_photos_are_counted():
    assert said(inspection_record(), "refused") == "3 photos were refused and were counted in none of these numbers."


def test_an_empty_record_claims_nothing():
    assert statements({}) == []


def test_the_record_is_left_as_it_was():
    record = inspection_record()
    before = copy.deepcopy(record)
    statements(record)
    assert record == before
