"""What is told of a network's epochs, and what is kept: rows with the best so far, files, the run's record."""

from __future__ import annotations

import csv
import json
import struct
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

import teliti
from teliti.errors import RecipeError, StorageError
from teliti.recipe import parse_recipe
from teliti.training.history import COLUMNS
from teliti.training.loop import fit_network
from teliti.types import SilentReporter
from teliti.workflow.learning import epochs
from teliti.workflow.learning.epochs import EpochFiles, EpochReporter, record_learning, tell_epochs
from unit.training.event_files import curves_of, read_events
from unit.training.tiny_networks import conv_net, options, striped_photos, training_data

RECIPE = parse_recipe(
    {
        "data": {"image_size": 16},
        "model": {"backbone": "lenet"},
        "train": {"mode": "scratch", "precision": "f32", "replicas": 1, "threads": 1, "epochs": 2, "batch_size": 16},
        "augment": [{"step": "flip", "horizontal": 0.5}],
    }
)


class Listener(SilentReporter):
    """Keeps the rows that it is told."""

    def __init__(self) -> None:
        self.rows: list[dict] = []
        self.titles: list[str] = []

    def task(self, title: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        self.titles.append(title)
        return super().task(title, total)

    def epoch(self, row: dict) -> None:
        self.rows.append(row)


@pytest.fixture(scope="module")
def network_run(parts_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Listener]:
    """A compact network trained from scratch for two epochs, and what was told meanwhile."""
    listener = Listener()
    folder = tmp_path_factory.mktemp("network") / "run"
    return teliti.train(str(parts_folder), recipe=RECIPE, out=folder, reporter=listener), listener


def test_the_record_has_the_whole_story(network_run) -> None:
    record, _ = network_run
    history = record["history"]
    assert [row["epoch"] for row in history["rows"]] == [0, 1]
    counts = {part: sum(classes.values()) for part, classes in record["data"]["counts"].items()}
    assert history["photos"] == {
        "learnt": counts["train"], "chosen_on": counts["val"], "chooser": "validation photos",
    }  # fmt: skip
    assert history["augment"] == ["flip"]
    assert history["calibration"] == "platt"
    assert record["model"]["head"] == "closing layer"
    assert "network" not in history
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_the_record_has_the_layers(network_run) -> None:
    network = network_run[0]["network"]
    assert network["input"] == [3, 16, 16]
    assert network["totals"]["parameters"] == network["learnt_parameters"] == network_run[0]["model"]["parameters"]
    assert network["layers"][-1]["kind"] == "Linear"


def test_each_epoch_was_told_with_the_best_so_far(network_run) -> None:
    record, listener = network_run
    told = [{key: value for key, value in row.items() if key not in {"best", "seconds"}} for row in listener.rows]
    assert told == record["history"]["rows"]
    assert [row["seconds"] for row in listener.rows] == record["history"]["seconds"]  # one clock for both
    assert [row["epoch"] for row in listener.rows if row["best"]][-1] == record["history"]["best_epoch"]


def test_the_export_of_the_network_is_told(network_run) -> None:
    titles = network_run[1].titles
    assert titles.index("Training") < titles.index("Exporting the network")


def test_the_run_folder_has_the_curves(network_run) -> None:
    record, _ = network_run
    folder = Path(record["run"])
    with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_loss"]) for row in rows] == [row["val_loss"] for row in record["history"]["rows"]]
    (events,) = (folder / "events").iterdir()
    assert events.name.startswith("events.out.tfevents.")
    version, *told = read_events(events)
    assert version[3] == b"brain.Event:2"
    assert [event[2] for event in told] == [0, 1]
    curves = [curves_of(event) for event in told]
    for curve, row in zip(curves, record["history"]["rows"], strict=True):
        assert {"lr", "train_loss", "val_loss", "val_accuracy", "val_auc", "gradient_norm"} <= set(curve)
        assert curve == {name: np.float32(row[name]) for name in curve}


def rows_in(folder: Path) -> tuple[int, list[int]]:
    """Rows of the table, and the epochs of the curves."""
    lines = (folder / "history.csv").read_text("utf-8").splitlines()
    (file,) = (folder / "events").iterdir()
    return len(lines) - 1, [event[2] for event in read_events(file)[1:]]


def wait_for(rows: tuple[int, list[int]], folder: Path) -> None:
    """Until that many rows are there, and whole."""
    until = time.monotonic() + 30.0
    while time.monotonic() < until:
        try:
            if rows_in(folder) == rows:
                return
        except (OSError, ValueError, AssertionError, IndexError, struct.error):
            pass  # not there yet, or half of it
        time.sleep(0.01)
    assert rows_in(folder) == rows


def test_rows_are_on_the_disk_while_the_network_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment after each epoch, though the next one be long; the rest when it ends, also by a fault."""
    monkeypatch.setattr(epochs, "_BETWEEN_S", 0.02)

    def learn() -> None:
        with EpochFiles(tmp_path) as files:
            files.add({"epoch": 0, "train_loss": 0.5})
            wait_for((1, [0]), tmp_path)
            files.add({"epoch": 1, "train_loss": 0.25})
            wait_for((2, [0, 1]), tmp_path)
            monkeypatch.setattr(epochs, "_BETWEEN_S", 1000.0)
            files.add({"epoch": 2, "train_loss": 0.2})
            files.add({"epoch": 3, "train_loss": 0.1})
            assert rows_in(tmp_path) == (2, [0, 1])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        learn()
    assert rows_in(tmp_path) == (4, [0, 1, 2, 3])


def test_a_run_that_goes_on_has_no_fewer_rows_on_the_disk_than_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EpochFiles(tmp_path) as files:
        for epoch in range(5):
            files.add({"epoch": epoch, "train_loss": 0.5})
    monkeypatch.setattr(epochs, "_BETWEEN_S", 0.5)
    with EpochFiles(tmp_path) as files:
        for epoch in range(6):
            files.add({"epoch": epoch, "train_loss": 0.5})
            assert rows_in(tmp_path) == (5, [0, 1, 2, 3, 4])
        wait_for((6, [0, 1, 2, 3, 4, 5]), tmp_path)


def test_a_disk_that_was_full_when_rows_were_written_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epochs, "_BETWEEN_S", 0.01)
    tried = threading.Event()

    def full(*_: object) -> None:
        tried.set()
        raise StorageError("No space is left.")

    monkeypatch.setattr(epochs, "write_text_atomic", full)

    def learn() -> None:
        with EpochFiles(tmp_path) as files:
            files.add({"epoch": 0})
            assert tried.wait(30)
            for epoch in range(1, 3000):  # the fault is known a moment later
                time.sleep(0.01)
                files.add({"epoch": epoch})

    with pytest.raises(StorageError, match="No space is left"):
        learn()


def test_report_and_card_are_those_of_a_network(network_run) -> None:
    folder = Path(network_run[0]["run"])
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert 'id="learning"' in page
    assert 'id="layers"' in page
    assert "its own closing layer, calibrated by Platt scaling" in (folder / "bundle" / "card.md").read_text("utf-8")


def test_the_features_mode_has_no_epochs(trained_record) -> None:
    assert "rows" not in trained_record["history"]
    assert "network" not in trained_record
    assert not (Path(trained_record["run"]) / "history.csv").exists()


def test_events_of_an_interrupted_run_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "events.out.tfevents.1.teliti").write_bytes(b"old")
    with EpochFiles(tmp_path) as files:
        files.add({"epoch": 0, "train_loss": 0.5})
    (file,) = (tmp_path / "events").iterdir()
    assert [event.get(2) for event in read_events(file)] == [0, 0]
    assert (tmp_path / "history.csv").read_text("utf-8").startswith(",".join(COLUMNS))


def number_data():
    """Striped photos whose label, 0 or 1, is to be predicted as a number of mean 0 and deviation 1."""
    _, labels = striped_photos(48)
    return training_data(targets=(2.0 * labels - 1.0).astype(np.float32), task="regression", num_classes=1)


def test_errors_are_told_and_kept_in_the_labels_own_unit() -> None:
    data, listener = number_data(), Listener()
    chosen = options(epochs=2, monitor="val_mae", lr=1e-6)
    fitted = fit_network(
        conv_net(outputs=1), data, chosen, seed=1, on_epoch=tell_epochs(listener, data, chosen, scale=20.0)
    )
    history = record_learning(fitted, data, RECIPE, photos={}, scale=20.0)
    own = [20.0 * row["val_mae"] for row in fitted.history]
    assert [row["val_mae"] for row in history["rows"]] == own
    assert [row["val_mae"] for row in listener.rows] == own
    assert history["best_value"] == pytest.approx(min(own))
    assert [row["val_loss"] for row in history["rows"]] == [row["val_loss"] for row in fitted.history]
    found = {finding["kind"]: finding["measure"] for finding in history["diagnosis"]}
    assert set(found) == {finding.kind for finding in fitted.findings}
    assert f"Mean error {history['rows'][-1]['train_mae']:.3g} on" in found["under_fitting"]
    assert history["calibration"] is None
    of_several = record_learning(fitted, data, RECIPE, photos={}, scale=None)["diagnosis"]
    words = f"Mean error {fitted.history[-1]['train_mae']:.3g} standard deviations on"
    assert words in {finding["kind"]: finding["measure"] for finding in of_several}["under_fitting"]


def test_a_silent_reporter_is_not_told() -> None:
    assert not isinstance(SilentReporter(), EpochReporter)
    data = training_data()
    fit_network(
        conv_net(), data, options(epochs=1), seed=1, on_epoch=tell_epochs(SilentReporter(), data, options(), scale=1.0)
    )


def test_a_measure_that_cannot_move_is_refused_before_anything_is_told() -> None:
    with pytest.raises(RecipeError, match=r"train\.monitor must be a measure that can move"):
        tell_epochs(Listener(), training_data(), options(monitor="val_mae"), scale=1.0)
