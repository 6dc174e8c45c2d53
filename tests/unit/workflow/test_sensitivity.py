"""Sensitivity tables: cells, the same numbers after interruptions, noise, chance with its cause, cost and budget."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inline_engine import InlineEngine
from notes import Notes
from parts import write_parts
from teliti.errors import RecipeError, RunInterrupted, UserError
from teliti.recipe import parse_recipe
from teliti.tuning.ledger import Ledger
from teliti.tuning.sensitivity import Cell, Factor, make_cells
from teliti.types import SilentReporter
from teliti.workflow.searches.course_table import course_value
from teliti.workflow.searches.finalists import Finalist, choose_finalist
from teliti.workflow.searches.sensitivity_cells import cell_records
from teliti.workflow.searches.sensitivity_cost import fitting_repeats, probe_networks
from teliti.workflow.searches.trainings import Division, Trainer
from teliti.workflow.sensitivity import TableRequest, resume, sensitivity
from teliti.workflow.shared import pictures
from teliti.workflow.shared.plan import SplitPlan

RECIPE = parse_recipe({"data": {"image_size": 16}, "train": {"mode": "scratch", "precision": "f32"}})
TABLE = TableRequest(networks=("mlp",), prepares=("none",), epochs=("1", "2"), batch_sizes=("16",),
                     rates=("0.001", "0.00000001"), augments=("none",))  # fmt: skip


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos") / "parts"
    write_parts(folder, per_class=20)
    return folder


@pytest.fixture(scope="module")
def filled(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Notes]:
    notes, out = Notes(), tmp_path_factory.mktemp("table") / "out"
    return sensitivity(photos, TABLE, recipe=RECIPE, repeats=2, out=out, engine=InlineEngine(), reporter=notes), notes


def test_one_factor_at_a_time_or_every_combination() -> None:
    rows, factors = Factor("model.backbone", ("a", "b")), [Factor("x", ("1", "2")), Factor("y", ("1", "2", "3"))]
    around = make_cells(rows, factors, grid=False)
    assert [cell.varied for cell in around[:4]] == [(), ("x",), ("y",), ("y",)]
    assert len(around) == 2 * (1 + 1 + 2)
    assert len(make_cells(rows, factors, grid=True)) == 2 * 2 * 3
    assert len({cell.name for cell in around}) == len(around)
    with pytest.raises(UserError, match="x must have different values, got 1, 1"):
        make_cells(rows, [Factor("x", ("1", "1"))], grid=False)


def test_every_cell_has_its_numbers(filled) -> None:
    record, _ = filled
    assert [row["varied"] for row in record["rows"]] == [[], ["train.epochs"], ["train.lr"]]
    for row in record["rows"]:
        assert row["repeats"] == 2 == len(row["values"])
        assert 0.0 <= row["mean"] <= 1.0
        assert row["energy_wh"] == pytest.approx(30.0 * row["seconds"] / 3600.0, abs=1e-3)
    assert record["best"] in record["rows"]
    assert record["chance"] == pytest.approx(0.5)


def test_a_grid_shows_its_combinations_too(filled, photos, tmp_path) -> None:
    table, engine = replace(TABLE, grid=True), InlineEngine()
    record = sensitivity(photos, table, recipe=RECIPE, repeats=2, out=tmp_path / "o", engine=engine)
    assert len(record["rows"]) == 4
    assert {entry["cell"] for entry in record["table"]} == {0, 1, 2, 3}
    both = record["table"][-1]
    assert (both["factor"], both["value"]) == ("several", "train.epochs 2, train.lr 0.00000001")
    page = Path(record["report"]).read_text(encoding="utf-8")
    assert "Several of these" in page
    assert both["value"] in page
    assert [row["values"] for row in record["rows"][:3]] == [row["values"] for row in filled[0]["rows"]]


@pytest.mark.parametrize(
    ("budget_s", "repeats", "sentence"),
    [(None, 3, None), (29.0, 2, "2 of 3 repeats fit the budget of 29 s."), (600.0, 3, "All 3 repeats fit the budget")],
)
def test_what_fits_a_budget_is_told_before_it_starts(budget_s, repeats, sentence) -> None:
    notes = Notes()
    assert fitting_repeats(budget_s, wanted=3, repeat_s=10.0, reporter=notes) == repeats
    assert notes.notes == [] if sentence is None else notes.notes[0].startswith(sentence)


def test_it_says_what_it_will_take_before_it_starts(filled) -> None:
    _, notes = filled
    said = next(note for note in notes.notes if "3 cells x 2 repeats are 6 trainings: about" in note)
    assert "GB of memory" in said
    assert "at 30 watts" in said


def test_interrupted_it_goes_on_to_the_same_table(filled, photos, tmp_path) -> None:
    whole, _ = filled
    for stop in (2, 3):
        with pytest.raises(RunInterrupted):
            sensitivity(
                photos, TABLE, recipe=RECIPE, repeats=2, out=tmp_path / "o", engine=InlineEngine(stop_after=stop)
            )
    engine = InlineEngine()
    record = resume(tmp_path / "o", engine=engine)
    assert [row["values"] for row in record["rows"]] == [row["values"] for row in whole["rows"]]
    assert len(engine.begun) == 2 + 6 - (2 + 3)  # two probes and six trainings, five of these eight done before
    assert resume(tmp_path / "o", engine=InlineEngine(stop_after=0)) == record
    page = Path(record["report"]).read_text(encoding="utf-8")
    assert "Every cell" in page
    assert "0.00000001" in page
    assert json.loads((tmp_path / "o" / "sensitivity.json").read_text(encoding="utf-8"))["rows"] == record["rows"]


def test_quick_draws_three_hundred_photos(photos, tmp_path, monkeypatch) -> None:
    asked = {}

    def plan(*_, **choices):
        asked.update(choices)
        raise KeyboardInterrupt

    monkeypatch.setattr("teliti.workflow.sensitivity.plan_repeats", plan)
    for quick in (True, False):
        with pytest.raises(RunInterrupted):
            sensitivity(photos, replace(TABLE, quick=quick), recipe=RECIPE, out=tmp_path / str(quick))
        assert asked["most_photos"] == (300 if quick else None)


def test_all_trainings_share_the_photos_of_a_preparation(photos, tmp_path, monkeypatch) -> None:
    written = []

    def write(file, samples, chain, **choices):
        written.append(len(samples))
        return write_pictures(file, samples, chain, **choices)

    write_pictures = pictures._write
    monkeypatch.setattr(pictures, "_write", write)
    table = replace(TABLE, prepares=("none", "clahe"), epochs=("1",), rates=("0.001",))
    record = sensitivity(photos, table, recipe=RECIPE, repeats=2, out=tmp_path / "o", engine=InlineEngine())
    assert len(record["rows"]) == 2
    assert written.count(32) == 2  # all photos but the 8 sealed ones, once for each preparation
    assert len(written) <= 4  # and some for the probes
    assert not (tmp_path / "o" / "pictures").exists()


def test_a_quick_table_prepares_no_photo_that_it_does_not_use(photos, tmp_path, monkeypatch) -> None:
    prepared = []

    def write(put, samples, chain, **choices):
        prepared.append(len(samples))
        return write_pictures(put, samples, chain, **choices)

    write_pictures = pictures._write
    monkeypatch.setattr(pictures, "_write", write)
    monkeypatch.setattr("teliti.workflow.sensitivity.QUICK_PHOTOS", 24)
    table = replace(TABLE, quick=True, epochs=("1",), rates=("0.001",))
    record = sensitivity(photos, table, recipe=RECIPE, repeats=2, out=tmp_path / "o", engine=InlineEngine())
    assert len(record["rows"]) == 1
    assert max(prepared) == 24
    assert prepared[-1] == 24  # for all trainings: none prepares its own


def test_a_budget_that_holds_no_two_repeats_is_refused(photos, tmp_path) -> None:
    recipe = parse_recipe({"data": {"image_size": 16}, "train": {"mode": "scratch", "precision": "f32", "budget": 0.1}})
    with pytest.raises(UserError, match="--budget must hold two repeats of the table, about"):
        sensitivity(photos, TABLE, recipe=recipe, out=tmp_path / "o", engine=InlineEngine())


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (TableRequest(networks=("resnt50",)), "--networks must name timm or compact networks, got 'resnt50'"),
        (TableRequest(networks=("mlp",), prepares=("none", "clahee")), "clahee"),
        (TableRequest(networks=("mlp",), rates=("0.1", "fast")), "train.lr"),
        (TableRequest(networks=("mlp",), augments=("none", "flippp")), "augmentation must be one of"),
    ],
)
def test_a_choice_that_cannot_be_used_is_refused_first(photos, tmp_path, table, sentence) -> None:
    with pytest.raises(RecipeError) as caught:
        sensitivity(photos, table, recipe=RECIPE, out=tmp_path / "o", engine=InlineEngine())
    assert sentence in caught.value.message
    assert not (tmp_path / "o").exists()


class Priced(InlineEngine):
    """Every photo takes so many seconds and bytes; counts what the probes would have taken."""

    def __init__(self, photo_s: float, photo_bytes: int) -> None:
        super().__init__()
        self._photo_s, self._photo_bytes = photo_s, photo_bytes
        self.seconds = 0.0
        self.sizes: list[int] = []

    def run(self, tasks, work, *, answer=None):
        def priced(training, _ask):
            photos = len(work.divisions[0].plan.indices("train"))
            assert training.recipe.train.batch_size == photos
            assert len(work.divisions[0].plan.indices("val")) >= 2
            self.sizes.append(photos)
            epochs = [self._photo_s * photos] * training.recipe.train.epochs
            self.seconds += sum(epochs)
            return {"epoch_s": epochs, "peak_bytes": 1000 + self._photo_bytes * photos, "size": 5}

        return super().run(tasks, priced, answer=answer)


@pytest.mark.parametrize(("photo_s", "sizes"), [(0.001, [12, 64]), (0.5, [12, 20]), (5.0, [12])])
def test_the_probe_takes_some_twenty_seconds_and_foresees_the_largest_batch(photo_s, sizes, tmp_path) -> None:
    plan = SplitPlan("ours", ("train",) * 200, None, np.arange(200), "All.", {})
    trainer = Trainer("photos", "", (), (Division(None, plan),))
    engine = Priced(photo_s, photo_bytes=3)
    costs = probe_networks({"net": RECIPE}, trainer, batch=64, engine=engine, ledger=Ledger(tmp_path),
                           reporter=SilentReporter())  # fmt: skip
    assert engine.sizes == sizes
    assert engine.seconds <= max(40.0, 24 * photo_s)
    assert costs["net"].photo_s == pytest.approx(photo_s)
    if len(sizes) > 1:
        assert costs["net"].peak_bytes == 1000 + 3 * 64


def test_repeats_and_watts_are_checked(photos) -> None:
    with pytest.raises(UserError, match="--repeats must be at least 2, got 1"):
        sensitivity(photos, TABLE, repeats=1)
    with pytest.raises(UserError, match="--watts must be above 0, got 0"):
        sensitivity(photos, TABLE, watts=0.0)


def test_noise_is_told_from_an_effect_and_chance_from_skill() -> None:
    base, same, better, lost = (Cell("net", (("k", value),), ("k",) if value != "0" else ()) for value in "0123")
    rows = {"0": [0.8, 0.82, 0.81, 0.79], "1": [0.81, 0.8, 0.82, 0.79], "2": [0.9, 0.92, 0.91, 0.9],
            "3": [0.5, 0.48, 0.52, 0.5]}  # fmt: skip
    finding = {"kind": "rate_too_large", "measure": "A step was long.", "advice": "Lower it."}
    done = {
        cell.name: [
            {"values": {"accuracy": v}, "seconds": 60.0, "findings": [finding]} for v in rows[cell.choices[0][1]]
        ]
        for cell in (base, same, better, lost)
    }
    records = cell_records([base, same, better, lost], done, measure="accuracy", more_is_better=True, chance=0.5,
                           measured=[40] * 4, test_to_train=0.25, watts=60.0, workers=2)  # fmt: skip
    assert [row["difference"] and row["difference"]["verdict"] for row in records] == [
        None, "inside the noise", "helps", "harms"]  # fmt: skip
    assert [row["at_chance"] for row in records] == [False, False, False, True]  # 0.5 of 160 photos
    assert records[3]["cause"] == "A step was long. Lower it."
    assert records[0]["cause"] is None
    assert records[0]["energy_wh"] == pytest.approx(0.5)


def test_the_course_table_and_its_short_epochs() -> None:
    assert course_value("resnet50", "train.batch_size", "32") == 0.92
    assert course_value("vgg16", "train.epochs", "8", stands_for=("4", "8")) == 0.40
    assert course_value("resnet50", "train.epochs", "8") is None
    assert course_value("mlp", "prepare", "none") is None


def test_the_simplest_within_one_standard_error_wins() -> None:
    large = Finalist("large", {}, [0.90, 0.92, 0.94], 1000.0, 1.0)
    small = Finalist("small", {}, [0.91, 0.91, 0.91], 10.0, 1.0)
    tiny = Finalist("tiny", {}, [0.5, 0.5, 0.5], 1.0, 1.0)
    found = choose_finalist([large, small, tiny], measure="accuracy", more_is_better=True, test_to_train=0.25)
    assert found["winner"] == "small"
    assert "within one standard error" in found["sentence"]
    assert [row["within_one_error"] for row in found["rows"]] == [True, True, False]
    assert choose_finalist([large, tiny], measure="mae", more_is_better=False, test_to_train=0.25)["winner"] == "tiny"


def test_an_interval_of_shares_stays_among_shares() -> None:
    near_one = Finalist("near one", {}, [0.99, 1.0, 0.9, 0.97, 0.88], 1.0, 1.0)
    bounds = {}
    for measure in ("accuracy", "mae"):
        found = choose_finalist([near_one], measure=measure, more_is_better=True, test_to_train=0.25)
        bounds[measure] = found["rows"][0]["interval"]
    assert bounds["accuracy"][1] == 1.0 < bounds["mae"][1]
    assert bounds["accuracy"][0] == bounds["mae"][0] > 0.0
