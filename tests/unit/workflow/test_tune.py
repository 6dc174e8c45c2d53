"""Searching end to end: one pass of the backbone, finals, the sealed test part once, and going on where it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

import teliti
from conftest import TINY_RECIPE
from inline_engine import InlineEngine
from parts import write_parts
from teliti.cache import RowCache
from teliti.errors import RecipeError, RunError, RunInterrupted, UserError
from teliti.recipe import Recipe, load_recipe, override_recipe, parse_recipe
from teliti.types import SilentReporter
from teliti.workflow.searches.finalists import fitting_finalists
from teliti.workflow.sensitivity import resume as resume_table
from teliti.workflow.shared import pictures
from teliti.workflow.tune import resume, tune

SPACE = ["model.stages=[-1],[-2],auto", "model.pooling=avg,stats", "model.c=log(1e-4,0.1)"]


class Told(SilentReporter):
    def __init__(self) -> None:
        self.rows: list[dict] = []
        self.titles: list[str] = []

    def task(self, title: str, total: int | None):
        self.titles.append(title)
        return super().task(title, total)

    def trial(self, row: dict) -> None:
        self.rows.append(row)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos that no other test has, so that their features are not in the cache that all tests share."""
    return write_parts(tmp_path_factory.mktemp("photos") / "parts", per_class=24, seed=7000)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """The features mode on a backbone that is exported in a second; as wide as the space, so that it is once."""
    weights = tmp_path_factory.mktemp("weights") / "test_resnet.safetensors"
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet").state_dict(), weights)
    model = {"backbone": "test_resnet", "weights": str(weights), "head": "logistic", "c": 1.0}
    return parse_recipe({"data": {"image_size": 32, "folds": 0}, "model": model, "train": TINY_RECIPE["train"]})


@pytest.fixture(scope="module")
def searched(photos: Path, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Told]:
    told, out = Told(), tmp_path_factory.mktemp("search") / "out"
    record = tune(photos, recipe=recipe, space=SPACE, trials=6, repeats=2, finalists=2, out=out,
                  engine=InlineEngine(), reporter=told)  # fmt: skip
    return record, told


def test_every_trial_is_a_row_and_is_told(searched) -> None:
    record, told = searched
    assert [row["number"] for row in record["rows"]] == list(range(6)) == [row["number"] for row in told.rows]
    assert record["trials"] == {"done": 6, "pruned": 0, "failed": 0}
    assert all(set(row["factors"]) == {"model.stages", "model.pooling", "model.c"} for row in record["rows"])
    assert told.rows[0]["best"]


def test_all_trials_share_one_pass_of_the_backbone(searched) -> None:
    _, told = searched
    assert told.titles.count("Computing features") == 1


def test_the_winner_is_a_finalist_within_one_standard_error(searched) -> None:
    record, _ = searched
    names = [row["name"] for row in record["finalists"]]
    assert "as given" in names
    assert len(names) == 3
    winner = next(row for row in record["finalists"] if row["name"] == record["best"]["name"])
    assert winner["within_one_error"]
    assert winner["repeats"] == 2
    assert winner["size"] == min(row["size"] for row in record["finalists"] if row["within_one_error"])


def test_training_the_winner_gives_what_the_search_measured_on_the_test_part(searched, photos, tmp_path) -> None:
    record, _ = searched
    winner = load_recipe(Path(record["best"]["recipe"]))
    trained = teliti.train(str(photos), recipe=winner, out=tmp_path / "run")
    assert trained["test"]["roc_auc"] == pytest.approx(record["best"]["test"]["roc_auc"], abs=1e-6)


def test_a_finished_search_is_read_back(searched, photos, recipe) -> None:
    record, _ = searched
    assert resume(record["folder"], engine=InlineEngine(stop_after=0)) == record
    assert json.loads((Path(record["folder"]) / "tune.json").read_text(encoding="utf-8"))["rows"] == record["rows"]
    with pytest.raises(UserError, match=r"must be asked the same as when it began, and finalists is another"):
        tune(photos, recipe=recipe, space=SPACE, trials=6, repeats=2, finalists=1, out=record["folder"])
    with pytest.raises(UserError, match="must be the folder of teliti sensitivity, got one of teliti tune"):
        resume_table(record["folder"])


def test_an_interrupted_search_goes_on_and_ends_as_the_other(searched, photos, recipe, tmp_path) -> None:
    whole, whole_rows = searched[0], searched[1].rows
    for stop in (3, 4):
        told = Told()
        with pytest.raises(RunInterrupted) as caught:
            tune(photos, recipe=recipe, space=SPACE, trials=6, repeats=2, finalists=2, out=tmp_path / "out",
                 engine=InlineEngine(stop_after=stop), reporter=told)  # fmt: skip
        assert caught.value.verb == "tune"
    shown = [(row["number"], row["earlier"]) for row in told.rows]
    assert shown == [(0, True), (1, True), (2, True), (3, False), (4, False), (5, False)]
    assert [row["best"] for row in told.rows] == [row["best"] for row in whole_rows]
    record = resume(tmp_path / "out", engine=InlineEngine())
    for key in ("factors", "mean", "state"):
        assert [row[key] for row in record["rows"]] == [row[key] for row in whole["rows"]]
    assert record["best"]["name"] == whole["best"]["name"]
    assert record["best"]["test"] == whole["best"]["test"]


def test_the_report_shows_the_search(searched) -> None:
    page = Path(searched[0]["report"]).read_text(encoding="utf-8")
    for words in ("The winner", "Course of the search", "Parallel coordinates", "Choice by choice", "sealed test part"):
        assert words in page
    for choice in ("model.stages", "model.pooling", "model.c"):
        assert f"ROC AUC of 6 trials over {choice}" in page


NETWORK = parse_recipe(
    {
        "data": {"image_size": 16},
        "model": {"backbone": "mlp"},
        "train": {"mode": "scratch", "epochs": 4, "precision": "f32", "replicas": 1},
    }
)


def test_a_search_whose_every_trial_fails_says_why(photos, tmp_path) -> None:
    with pytest.raises(RunError, match=r"None of the first 5 trials could be done: .*finite"):
        tune(photos, recipe=NETWORK, space=["train.lr=1e25,1e30"], trials=9, out=tmp_path / "o", engine=InlineEngine())


def test_a_stage_that_the_backbone_does_not_have_is_refused(photos, recipe, tmp_path) -> None:
    with pytest.raises(RecipeError, match=r"model\.stages must lie in 0\.\.4"):
        tune(photos, recipe=recipe, space=["model.stages=[90],[1]"], out=tmp_path / "o", engine=InlineEngine())


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"trials": 0}, "--trials must be at least 1, got 0"),
        ({"repeats": 1}, "--repeats must be at least 2, got 1"),
        ({"space": ["data.split=1,2"]}, "data.split is no choice"),
        ({"space": ["train.mode=scratch,finetune"]}, "train.mode is no choice of a search"),
        ({"space": ["train.device=cpu,cuda"]}, "train.device is no choice of a search"),
        ({"space": ["model.head=logistic,ridge"]}, "--space model.head: model.head must be one of"),
        ({"space": ["augment=none,fliip"]}, "augment: augmentation must be one of"),
        ({"space": ["default", "hidden=none,dense"]}, "hidden needs a network that learns"),
        ({"measure": "loss"}, "The measure of a classification must be one of"),
    ],
)
def test_mistakes_are_told_before_a_folder_is_made(photos, recipe, tmp_path, choices, sentence) -> None:
    with pytest.raises(UserError) as caught:
        tune(photos, recipe=recipe, out=tmp_path / "out", engine=InlineEngine(), **{"trials": 2, **choices})
    assert sentence in caught.value.message
    assert not (tmp_path / "out").exists()


def test_a_network_is_searched_and_a_poor_trial_may_be_stopped(photos, tmp_path, monkeypatch) -> None:
    written = []

    def write(file, samples, chain, **choices):
        written.append((len(samples), len(chain.steps)))
        return write_pictures(file, samples, chain, **choices)

    write_pictures = pictures._write
    monkeypatch.setattr(pictures, "_write", write)
    space = ["train.lr=log(1e-5,1e-1)", "train.batch_size=8,16", "prepare=none,clahe", "hidden=none,dense",
             "units@dense=4,8"]  # fmt: skip
    record = tune(photos, recipe=NETWORK, space=space, trials=7, repeats=2, finalists=1, out=tmp_path / "out",
                  engine=InlineEngine())  # fmt: skip
    assert record["trials"]["done"] + record["trials"]["pruned"] == 7
    assert record["best"]["test"]["roc_auc"] is not None
    assert {row["factors"]["prepare"] for row in record["rows"]} == {"none", "clahe"}
    assert sorted(written) == [(48, 1), (48, 2)]  # all photos once for each preparation, whatever was trained
    assert not (tmp_path / "out" / "pictures").exists()


def test_a_budget_ends_the_trials_and_thins_the_finals(photos, recipe, tmp_path) -> None:
    short = override_recipe(recipe, {"train": {"budget": 0.001}})
    record = tune(photos, recipe=short, space=SPACE, repeats=2, out=tmp_path / "out", engine=InlineEngine())
    assert len(record["rows"]) == 1
    assert {row["name"] for row in record["finalists"]} == {"as given", "trial 0"}


@pytest.mark.parametrize(("left_s", "count"), [(0.0, 1), (59.0, 1), (60.0, 2), (80.0, 3), (1e9, 3)])
def test_as_many_finalists_as_fit(left_s: float, count: int) -> None:
    assert fitting_finalists([10.0, 10.0, 10.0], repeats=2, left_s=left_s + 10.0) == count


def test_a_database_keeps_searches_apart_whose_values_do_not_compare(photos, recipe, tmp_path) -> None:
    begun = []
    for number, measure in enumerate(("roc_auc", "accuracy", "roc_auc")):
        engine = InlineEngine()
        tune(photos, recipe=recipe, space=SPACE[2:], trials=1, repeats=2, finalists=1, measure=measure,
             storage=f"sqlite:///{tmp_path / 'trials.db'}", out=tmp_path / str(number), engine=engine)  # fmt: skip
        begun.append("0" in engine.begun)
    assert begun == [True, True, False]  # the last one asks what the first one asked, and its trial is there


@pytest.mark.usefixtures("searched")
def test_the_rows_of_the_cache_are_those_of_one_space() -> None:
    spaces = [space["about"] for space in RowCache().overview() if space["about"].startswith("test_resnet 32x32")]
    assert len([about for about in spaces if "stages 1,2,3,4 stats" in about]) == 1


@pytest.mark.parametrize("beside", [[], ["default"]])
def test_an_unknown_key_is_a_recipe_error_before_anything_is_read(recipe, tmp_path, beside) -> None:
    with pytest.raises(RecipeError, match=r"train\.lrr is not a recipe key"):
        tune(tmp_path / "nowhere", recipe=recipe, space=[*beside, "train.lrr=1,2"])


def test_every_preparation_of_a_conditional_space_is_asked_for_before_the_first_trial(
    photos, tmp_path, monkeypatch
) -> None:
    asked: list[str] = []

    def share(*_, **choices):
        asked.extend(choices["prepares"])
        raise RunInterrupted("far enough")

    monkeypatch.setattr("teliti.workflow.tune.share_base", share)
    space = ["augment=none,light,strong", "prepare@light=none,clahe", "prepare@strong=median,clahe+median"]
    with pytest.raises(RunInterrupted):
        tune(photos, recipe=NETWORK, space=space, out=tmp_path / "out", engine=InlineEngine())
    assert asked == ["none", "clahe", "median", "clahe+median"]
