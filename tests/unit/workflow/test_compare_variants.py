"""Compare: paired splits, an effect that is there is found, one that is not is not claimed; a real one end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from conftest import TINY_RECIPE
from notes import Notes
from parts import write_parts
from teliti.cache import RowCache
from teliti.errors import RecipeError, UserError
from teliti.recipe import Recipe, override_recipe, parse_recipe
from teliti.workflow.compare_variants import compare_variants
from teliti.workflow.searches.trial import Scores
from teliti.workflow.searches.variants import parse_variants

TINY = parse_recipe(TINY_RECIPE)


class Guess:
    """A training without a network: the truth with noise, less of it where the recipe prepares with clahe."""

    def __init__(self, *, gain: float, each_s: float = 0.0) -> None:
        self.gain, self.each_s = gain, each_s
        self.tested: dict[str, list[list[str]]] = {}

    def __call__(self, recipe: Recipe, photos, plan, /, *, reporter) -> Scores:  # noqa: ARG002
        variant = "+".join(step.step for step in recipe.prepare) or "none"
        places = {part: plan.indices(part) for part in ("train", "test")}
        done = self.tested.setdefault(variant, [])
        done.append([photos.samples[place].name for place in places["test"]])
        random = np.random.default_rng(len(done))  # the same luck for every variant
        signal = 1.0 + (self.gain if variant == "clahe" else 0.0)

        def outputs(part: str) -> np.ndarray:
            logits = signal * (2.0 * photos.targets[places[part]] - 1.0) + random.normal(0, 1.5, len(places[part]))
            bad = 1.0 / (1.0 + np.exp(-logits))
            return np.stack([1.0 - bad, bad], axis=1)

        return Scores(places["train"], outputs("train"), outputs("test"), 0.0, self.each_s)


def compare(folder: Path, words: str, guess: Guess, **choices) -> dict:
    return compare_variants(parse_variants(words, TINY), str(folder), trial=guess, factor="prepare", **choices)


@pytest.fixture(scope="module")
def many_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """160 photos."""
    return write_parts(tmp_path_factory.mktemp("many") / "parts", per_class=80)


@pytest.mark.parametrize(("gain", "shown"), [(2.5, ["clahe"]), (0.0, [])])
def test_an_effect_is_found_where_there_is_one(many_parts: Path, gain: float, shown: list[str]) -> None:
    guess = Guess(gain=gain)
    record = compare(many_parts, "clahe,median", guess, repeats=10, measure="roc_auc")
    assert record["shown_to_help"] == shown
    assert guess.tested["none"] == guess.tested["clahe"] == guess.tested["median"]  # paired
    assert [row["factors"] for row in record["rows"]] == [{"prepare": name} for name in ("none", "clahe", "median")]
    assert record["design"]["seeds"] == [7] * 5 + [8] * 5
    assert (record["photos"], record["sealed"], record["positive"]) == (128, 32, "scratch")
    assert [row["repeats"] for row in record["rows"]] == [10, 10, 10]
    assert set(record["rows"][0]["measures"]) >= {"accuracy", "balanced_accuracy", "recall", "roc_auc"}
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_the_rows_are_what_the_measures_say(parts_folder: Path) -> None:
    record = compare(parts_folder, "clahe", Guess(gain=1.0), repeats=5)
    none, clahe = record["rows"]
    for row in (none, clahe):
        for found in row["measures"].values():
            assert found["mean"] == pytest.approx(np.mean(found["values"]))
    assert (none["mean"], none["interval"]) == (
        none["measures"]["accuracy"]["mean"], none["measures"]["accuracy"]["interval"],
    )  # fmt: skip
    assert clahe["difference"]["mean"] == pytest.approx(clahe["mean"] - none["mean"])


def test_another_reference_and_factor(parts_folder: Path) -> None:
    recipes = {"weak": TINY, "strong": override_recipe(TINY, {"prepare": [{"step": "clahe"}]})}
    record = compare_variants(recipes, str(parts_folder), trial=Guess(gain=1.0), factor="augment", repeats=2)
    assert (record["reference"], record["rows"][1]["factors"]) == ("weak", {"augment": "strong"})
    turned = compare_variants(recipes, str(parts_folder), trial=Guess(gain=1.0), reference="strong", repeats=2)
    assert turned["rows"][0]["difference"]["mean"] == -record["rows"][1]["difference"]["mean"]


@pytest.mark.usefixtures("trained_bundle")  # whose exported backbone these trainings take from the cache
def test_real_trainings_end_to_end_and_the_cache_makes_the_second_cheap(parts_folder: Path, tmp_path: Path) -> None:
    variants = parse_variants("gamma", TINY)
    cache = RowCache(tmp_path)
    record = compare_variants(variants, str(parts_folder), repeats=2, factor="prepare", cache=cache)
    assert record["rows"][0]["mean"] > 0.7
    assert len(cache.overview()) == 4  # fingerprints, light and blur, and features of two variants
    rows = {space["key"]: space["rows"] for space in cache.overview()}
    again = compare_variants(variants, str(parts_folder), repeats=2, factor="prepare", cache=cache)
    assert {space["key"]: space["rows"] for space in cache.overview()} == rows
    for one, other in zip(record["rows"], again["rows"], strict=True):
        assert one["measures"] == other["measures"]


def test_numbers_are_compared_by_their_error(parts_folder: Path, tmp_path: Path) -> None:
    names = sorted(path.relative_to(parts_folder).as_posix() for path in parts_folder.rglob("*.png"))
    rows = [f"{name},{place}.5" for place, name in enumerate(names)]
    table = parts_folder.parent / f"{tmp_path.name}.csv"
    table.write_text("path,label\n" + "\n".join(f"{parts_folder.name}/{row}" for row in rows))

    def guess(recipe: Recipe, photos, plan, /, *, reporter) -> Scores:  # noqa: ARG001
        off = 1.0 if recipe.prepare else 4.0
        random = np.random.default_rng(int(plan.indices("test").sum()))
        test = photos.targets[plan.indices("test")]
        outputs = test + off * random.normal(size=len(test))
        return Scores(plan.indices("train"), photos.targets[plan.indices("train")][:, None], outputs[:, None], 0, 0)

    recipe = override_recipe(TINY, {"model": {"head": "ridge"}})
    record = compare_variants(parse_variants("clahe", recipe), str(table), trial=guess, repeats=5)
    table.unlink()
    assert (record["task"], record["measure"], record["positive"]) == ("regression", "mae", None)
    assert record["shown_to_help"] == ["clahe"]


def test_what_it_will_take_is_told(parts_folder: Path) -> None:
    reporter = Notes()
    compare(parts_folder, "clahe", Guess(gain=0.0, each_s=60.0), repeats=8, reporter=reporter)
    assert reporter.notes == ["2 variants x 8 repeats will take about 16 min: 60 s a training; features that are not "
                              "cached yet come on top."]  # fmt: skip


def test_a_budget_cuts_repeats(parts_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guess, reporter = Guess(gain=0.0, each_s=60.0), Notes()

    class Clock:
        def elapsed(self) -> float:
            return 60.0 * sum(map(len, guess.tested.values()))

    monkeypatch.setattr("teliti.workflow.compare_variants.Stopwatch", Clock)
    record = compare(parts_folder, "clahe", guess, repeats=8, budget_s=400.0, reporter=reporter)
    assert record["design"]["repeats"] == record["rows"][0]["repeats"] == record["rows"][1]["repeats"] == 3
    assert reporter.notes[-1] == "The budget is used up: 3 repeats were done, 5 left out."


def test_a_budget_that_allows_no_two_repeats_is_refused(parts_folder: Path) -> None:
    with pytest.raises(
        UserError, match=r"--budget must allow 2 repeats of 2 variants, about 4 min, got 30 s"
    ) as caught:
        compare(parts_folder, "clahe", Guess(gain=0.0, each_s=60.0), budget_s=30.0)
    assert "--preset fast" in caught.value.hint


def test_the_mode_is_said(parts_folder: Path) -> None:
    reporter = Notes()
    recipe = override_recipe(TINY, {"train": {"mode": "auto"}})
    compare_variants(parse_variants("gamma", recipe), str(parts_folder), repeats=2, reporter=reporter)
    assert "The comparison trains in the features mode, not in auto." in reporter.notes


def test_mistakes_stop_before_any_work(parts_folder: Path) -> None:
    source, guess = str(parts_folder), Guess(gain=0.0)
    with pytest.raises(RecipeError, match="must have at least two variants, got 1"):
        compare_variants({"none": TINY}, source, trial=guess)
    with pytest.raises(RecipeError, match='The reference must be one of the variants, got "x"'):
        compare_variants({"none": TINY, "b": TINY}, source, trial=guess, reference="x")
    other = override_recipe(TINY, {"data": {"seed": 9}})
    with pytest.raises(RecipeError, match=r'Variant "b" must have the seed and the \[data\] of "none"') as caught:
        compare_variants({"none": TINY, "b": other}, source, trial=guess)
    assert "image_size and data.fit may differ" in caught.value.hint
    with pytest.raises(UserError, match="--repeats must be at least 2, got 1"):
        compare(parts_folder, "clahe", guess, repeats=1)
    with pytest.raises(UserError, match=r"The measure of a classification must be one of accuracy, .*, got 'mae'"):
        compare(parts_folder, "clahe", guess, measure="mae")
    assert guess.tested == {}
    larger = override_recipe(TINY, {"data": {"image_size": 96}})
    assert compare_variants({"none": TINY, "large": larger}, source, trial=guess, repeats=2)["rows"][1]["repeats"] == 2
