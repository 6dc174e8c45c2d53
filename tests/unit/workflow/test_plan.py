"""How photos are divided: our split, folds, a given split; and the sentence that says so."""

from __future__ import annotations

import json

import numpy as np
import pytest

from teliti.errors import RecipeError, SplitError
from teliti.recipe import Recipe, parse_recipe
from teliti.workflow.shared.plan import plan_split

SEALED = "the test part is sealed, nothing is chosen on it."
OUT_OF_FOLD = "the threshold is chosen on out-of-fold scores of the training part."


def recipe(**data: object) -> Recipe:
    return parse_recipe({"data": data})


def two_classes(good: int, bad: int) -> list[str]:
    return ["good"] * good + ["bad"] * bad


def test_our_split_is_stratified_and_said_in_one_sentence(make_photos) -> None:
    photos = make_photos(two_classes(200, 150))
    plan = plan_split(photos, Recipe())
    assert plan.sentence == f"Our split (seed 7): 60% train, 20% val, 20% test, stratified; {SEALED}"
    assert (plan.origin, plan.folds, plan.num_folds) == ("ours", None, 0)
    for part, counts in (("train", [90, 120]), ("val", [30, 40]), ("test", [30, 40])):
        assert np.bincount(photos.targets[plan.indices(part)]).tolist() == counts


def test_other_shares_and_another_seed_are_said(make_photos) -> None:
    photos = make_photos(two_classes(200, 150))
    plan = plan_split(photos, recipe(split={"train": 0.8, "val": 0, "test": 0.2}, seed=3))
    assert plan.sentence.startswith("Our split (seed 3): 80% train, 0% val, 20% test")
    assert len(plan.indices("val")) == 0
    assert len(plan.indices("test")) == 70


def test_the_same_seed_gives_the_same_parts_and_the_seed_of_the_data_wins(make_photos) -> None:
    photos = make_photos(two_classes(200, 150))
    parts = plan_split(photos, parse_recipe({"seed": 1, "data": {"seed": 5}})).parts
    assert parts == plan_split(photos, parse_recipe({"seed": 2, "data": {"seed": 5}})).parts
    assert parts != plan_split(photos, parse_recipe({"seed": 5, "data": {"seed": 6}})).parts


def test_few_photos_of_a_class_become_folds(make_photos) -> None:
    photos = make_photos(two_classes(200, 149))  # 149 x 20 % is below 30 test photos
    plan = plan_split(photos, Recipe())
    assert plan.sentence == (
        "5 folds (seed 7): every photo was scored by a head that never saw it; the shipped inspector was then "
        "fitted on all photos with the same choices."
    )
    assert (plan.origin, plan.num_folds) == ("folds", 5)
    assert set(plan.parts) == {"train"}
    for fold in range(5):
        counts = np.bincount(photos.targets[plan.folds == fold], minlength=2)
        assert counts[0] in {29, 30}
        assert counts[1] == 40


def test_no_more_folds_than_separate_photos_of_a_class(make_photos) -> None:
    assert plan_split(make_photos(two_classes(20, 4)), Recipe()).num_folds == 4


@pytest.mark.parametrize("folds", [2, 7])
def test_folds_as_asked(folds: int, make_photos) -> None:
    plan = plan_split(make_photos(two_classes(200, 150)), recipe(folds=folds))
    assert plan.num_folds == folds
    assert plan.sentence.startswith(f"{folds} folds (seed 7): ")


def test_no_folds_as_asked(make_photos) -> None:
    plan = plan_split(make_photos(two_classes(10, 10)), recipe(folds=0))
    assert (plan.origin, plan.folds) == ("ours", None)


def test_numbers_are_split_without_folds(make_photos) -> None:
    plan = plan_split(make_photos([float(number) for number in range(50)]), Recipe())
    assert plan.origin == "ours"
    assert [len(plan.indices(part)) for part in ("train", "val", "test")] == [30, 10, 10]


def test_a_given_split_is_kept(make_photos) -> None:
    parts = (["train"] * 6 + ["val"] * 2 + ["test"] * 2) * 2
    plan = plan_split(make_photos(two_classes(10, 10), parts=parts), Recipe())
    assert plan.parts == tuple(parts)
    assert (plan.origin, plan.folds) == ("given", None)
    assert plan.sentence == f"The split was given and is kept as it is; {SEALED}"


def test_a_given_split_without_a_val_part(make_photos) -> None:
    parts = (["train"] * 8 + ["test"] * 2) * 2
    plan = plan_split(make_photos(two_classes(10, 10), parts=parts), Recipe())
    assert plan.parts == tuple(parts)
    assert plan.sentence == (f"The split was given and is kept as it is; {SEALED} It has no val part: {OUT_OF_FOLD}")


def test_a_given_split_without_a_test_part_seals_its_val_part(make_photos) -> None:
    parts = (["train"] * 8 + ["val"] * 2) * 2
    plan = plan_split(make_photos(two_classes(10, 10), parts=parts), Recipe())
    assert set(plan.parts) == {"train", "test"}
    assert plan.indices("test").tolist() == [8, 9, 18, 19]
    assert plan.sentence == (
        f"The split was given without a test part: its val part is sealed as the test part, and {OUT_OF_FOLD}"
    )


@pytest.mark.parametrize("folds", ["auto", 0])
def test_a_small_given_split_is_never_cut_anew(folds: object, make_photos) -> None:
    parts = ["train", "test"] * 4
    assert plan_split(make_photos(["a", "a", "b", "b"] * 2, parts=parts), recipe(folds=folds)).origin == "given"


def test_folds_of_a_given_split_are_refused(make_photos) -> None:
    photos = make_photos(["a", "a", "b", "b"], parts=["train", "test"] * 2)
    with pytest.raises(RecipeError, match=r"data\.folds must be 0 where the split is given, got 5\.") as caught:
        plan_split(photos, recipe(folds=5))
    assert caught.value.hint == "A given split is never cut anew; give one folder of classes to use folds."


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (
            ["train", None, "train", "test"],
            r"Some photos have no part \(train, val, test\) and others have\. Name a part",
        ),
        (["test"] * 4, r"The given split has no train photos\. Give at least train and test \(or val\)"),
        (["train"] * 4, r"The given split has no test photos\."),
        (["train", "train", "test", "test"], r'Class "b" has no photo in the given train part\. Add photos of it'),
    ],
)
def test_a_given_split_that_cannot_be_used(parts: list, said: str, make_photos) -> None:
    with pytest.raises(SplitError, match=said):
        plan_split(make_photos(["a", "a", "b", "b"], parts=parts), Recipe())


@pytest.mark.parametrize(("labels", "folds"), [(two_classes(9, 2), 0), (two_classes(9, 2), "auto")])
def test_too_few_photos_of_a_class_name_the_class(labels: list[str], folds: object, make_photos) -> None:
    with pytest.raises(SplitError, match=r'Class "bad" must have at least [34] separate photos'):
        plan_split(make_photos(labels), recipe(folds=folds))


def test_groups_of_the_user_never_cross(make_photos) -> None:
    labels = two_classes(160, 160)
    groups = [f"lot {index // 4}" for index in range(320)]
    plan = plan_split(make_photos(labels, groups=groups), Recipe())
    parts = np.array(plan.parts).reshape(-1, 4)
    assert (parts == parts[:, :1]).all()
    assert plan.duplicates["user_groups"] == 80


def test_copies_stay_together_and_are_reported(make_photos) -> None:
    labels = two_classes(160, 160)
    copies = {200: 1, 201: 1, 300: 250}
    photos = make_photos(labels, copies=copies)
    plan = plan_split(photos, Recipe())
    assert plan.parts[1] == plan.parts[200] == plan.parts[201]
    assert plan.parts[250] == plan.parts[300]
    record = plan.duplicates
    assert json.loads(json.dumps(record)) == record
    assert (record["groups"], record["photos"], record["crossing"]) == (2, 5, [])
    assert {"first": "photo-250", "second": "photo-300", "kind": "bytes", "correlation": 1.0} in record["pairs"]
    conflicts = {(pair["first"], pair["second"]) for pair in record["label_conflicts"]}
    assert ("photo-001", "photo-200") in conflicts
    assert ("photo-250", "photo-300") not in conflicts


def test_copies_across_a_given_split_are_reported_and_left_where_they_are(make_photos) -> None:
    parts = (["train"] * 8 + ["test"] * 2) * 2
    plan = plan_split(make_photos(two_classes(10, 10), parts=parts, copies={9: 0, 12: 11}), Recipe())
    assert plan.parts == tuple(parts)
    assert [(pair["first"], pair["second"]) for pair in plan.duplicates["crossing"]] == [("photo-000", "photo-009")]


def test_the_search_for_copies_can_be_switched_off(make_photos) -> None:
    plan = plan_split(make_photos(two_classes(160, 160), copies={200: 1}), recipe(near_duplicates=False))
    assert plan.duplicates["pairs"] == []
