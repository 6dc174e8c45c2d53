"""A cluster of two nodes loses one in the middle: every trial, cell and photo counts once, with the same answer."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import works
from handmade import write_brightness_bundle
from inline_engine import InlineEngine
from parts import draw_part, encode_png, write_parts
from search_coordinator import SECONDS, SPACE
from teliti.recipe import parse_recipe
from teliti.tuning.engines import Task
from teliti.tuning.machines import Machines
from teliti.tuning.ray_engine import RayEngine
from teliti.tuning.study import Study
from teliti.workflow.predict import predict
from teliti.workflow.prepare import prepare
from teliti.workflow.sensitivity import TableRequest, sensitivity
from teliti.workflow.train import train
from teliti.workflow.train_together import train_together
from teliti.workflow.tune import tune
from two_nodes import CORES, AtMoment, two_nodes

pytestmark = pytest.mark.reliability

TABLE = TableRequest(networks=("tiny_vgg",), prepares=("none",), epochs=("2", "3"), batch_sizes=("8", "16"),
                     rates=("0.001", "0.01"), augments=("none",), quick=False)  # fmt: skip


def test_only_unfinished_tasks_are_done_again(tmp_path: Path) -> None:
    begun, outcomes = tmp_path / "begun", []
    with two_nodes() as nodes, RayEngine(address=nodes.address) as engine:
        assert engine.slots == 2 * CORES
        tasks = (Task(str(number), (str(begun), 1.0, number)) for number in range(16))
        for outcome in engine.run(tasks, works.note_and_sleep):
            outcomes.append(outcome)
            if len(outcomes) == 5:
                nodes.lose_the_second()
        assert engine.slots == CORES
    assert Counter(outcome.value for outcome in outcomes) == Counter(range(16))
    again = len(begun.read_text().splitlines()) - 16
    assert 1 <= again <= CORES + 1
    assert sum(outcome.attempts - 1 for outcome in outcomes) == again


def test_forty_trials_that_ask_are_counted_once_each(tmp_path: Path) -> None:
    study = Study(SPACE, storage=tmp_path / "study.journal", name="nodes", owner="one", seed=7, more_is_better=True)
    asked = Counter()

    def tasks():
        for number, point in study.ask(trials=40):
            yield Task(str(number), (2 * SECONDS, point["x"]))

    def answer(key: str, _worker: int) -> None:
        asked[key] += 1

    with two_nodes() as nodes, RayEngine(address=nodes.address) as engine:
        for done, outcome in enumerate(engine.run(tasks(), works.sleep_and_square, answer=answer), start=1):
            study.finish(int(outcome.key), outcome.value["value"])
            if done == 12:
                nodes.lose_the_second()
    rows = study.rows()
    assert [row.number for row in rows] == list(range(40))
    assert all(row.state == "done" and row.value == -((row.point["x"] - 3.0) ** 2) for row in rows)
    assert set(asked) == {str(number) for number in range(40)}


def test_a_search_and_a_table_are_those_of_one_machine(tmp_path: Path) -> None:
    photos = write_parts(tmp_path / "photos", per_class=20)
    recipe = parse_recipe({
        "data": {"image_size": 32, "folds": 0},
        "model": {"stages": ["head"], "pooling": "avg", "head": "logistic", "c": 1.0},
        "train": {"mode": "features", "engine": "onnxruntime", "threads": 1},
    })  # fmt: skip
    network = parse_recipe({"data": {"image_size": 32}, "train": {"mode": "scratch", "precision": "f32"}})
    space = ["model.stages=[-1],[-2]", "model.c=log(1e-4,0.1)"]

    def both(where: str, **choices) -> tuple[dict, dict]:
        searched = tune(photos, recipe=recipe, space=space, trials=8, repeats=2, finalists=2, workers=2,
                        out=tmp_path / where / "search", **choices)  # fmt: skip
        return searched, sensitivity(photos, TABLE, recipe=network, repeats=2, workers=2,
                                     out=tmp_path / where / "table", **choices)  # fmt: skip

    alone = both("alone", engine=InlineEngine())
    with two_nodes() as nodes, RayEngine(address=nodes.address) as engine:
        losing = AtMoment("Training cells", 3, nodes.lose_the_second)
        spread = both("spread", engine=engine, reporter=losing)
    assert losing.told
    for name in ("rows", "finalists"):
        assert [(row["factors"], row["mean"]) for row in spread[0][name]] == [
            (row["factors"], row["mean"]) for row in alone[0][name]
        ]
    assert spread[0]["best"]["test"] == alone[0]["best"]["test"]
    assert [(row["factors"], row["values"], row["repeats"]) for row in spread[1]["rows"]] == [
        (row["factors"], row["values"], row["repeats"]) for row in alone[1]["rows"]
    ]


def test_two_thousand_photos_are_judged_and_prepared_once_each(tmp_path: Path) -> None:
    photos, recipe = tmp_path / "photos", tmp_path / "recipe.toml"
    bundle = write_brightness_bundle(tmp_path / "bundle").path
    photos.mkdir()
    for number in range(2000):
        (photos / f"{number:04d}.png").write_bytes(encode_png(draw_part(number, scratched=number % 3 == 0, side=32)))
    (photos / "0007.png").write_bytes(b"torn")
    recipe.write_text('[[prepare]]\nstep = "clahe"\n')
    alone = predict(bundle, photos, engine="onnxruntime")
    made = prepare(photos, tmp_path / "alone", recipe=recipe)
    with two_nodes() as nodes, RayEngine(address=nodes.address) as engine:
        losing = AtMoment("Inspecting photos", 500, nodes.lose_the_second)
        spread = predict(bundle, photos, machines=engine, reporter=losing)
        nodes.second = nodes.cluster.add_node(num_cpus=CORES)
        other = AtMoment("Preparing photos", 500, nodes.lose_the_second)
        there = prepare(photos, tmp_path / "spread", recipe=recipe, engine=engine, reporter=other)
    assert losing.told
    assert other.told
    assert len(spread["results"]) == 1999
    assert spread == alone
    assert (there["written"], there["refused_photos"]) == (made["written"], made["refused_photos"])
    for path in sorted((tmp_path / "alone").glob("*.png")):
        assert (tmp_path / "spread" / path.name).read_bytes() == path.read_bytes()


class LosesAfter(AtMoment):
    """Loses a node after the second epoch; keeps what it was told."""

    def __init__(self, lose) -> None:
        super().__init__("", 0, lose)
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def epoch(self, row: dict) -> None:
        if row["epoch"] == 1 and not self.told:
            self.told = True
            self._do()


def test_a_training_goes_on_with_the_weights_of_an_undisturbed_one(tmp_path: Path) -> None:
    photos = write_parts(tmp_path / "photos", per_class=20)
    recipe = parse_recipe({
        "data": {"image_size": 32},
        "model": {"backbone": "tiny_vgg", "dropout": 0.0},
        "train": {"mode": "scratch", "epochs": 12, "batch_size": 8, "precision": "f32", "replicas": 1,
                  "device": "cpu", "threads": 1, "checkpoint_s": 0.2},
    })  # fmt: skip
    alone = train(photos, recipe=recipe, out=tmp_path / "alone")
    with two_nodes() as nodes:
        reporter = LosesAfter(nodes.lose_the_second)
        machines = Machines("ray", nodes.address)
        record = train_together(photos, machines=machines, workers=2, recipe=recipe, out=tmp_path / "run",
                                reporter=reporter)  # fmt: skip
    assert reporter.told
    assert any("A worker was lost" in note for note in reporter.notes)
    losses = [[row["train_loss"] for row in one["history"]["rows"]] for one in (alone, record)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)
    assert predict(record["bundle"], photos)["results"][0]["path"].endswith(".png")
