"""A network's run that is interrupted when its epochs are over goes on to the same bits, as one in the middle does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import teliti
from teliti.bundle import WEIGHTS
from teliti.errors import RunInterrupted, UserError
from teliti.files import hash_file
from teliti.recipe import Recipe, load_recipe, parse_recipe, recipe_values
from teliti.workflow import train as train_module
from teliti.workflow.learning import testing as testing_module
from teliti.workflow.shared.run_folder import RunFolder

COMPACT = {
    "data": {"image_size": 16},
    "model": {"backbone": "lenet"},
    "train": {"mode": "scratch", "threads": 2, "epochs": 2, "batch_size": 16},  # the rest by probes
}
PRETRAINED = {"data": {"image_size": 32}, "train": {"mode": "finetune", "threads": 2, "epochs": 2, "ensemble": True}}
MEASURED = ("val", "test", "threshold", "parity", "mistakes", "curves")


def result_of(record: dict) -> dict:
    """What must not differ between two runs."""
    files = {name: hash_file(Path(record["bundle"]) / name) for name in ("model.onnx", WEIGHTS)}
    history = {name: record["history"][name] for name in ("rows", "best_epoch", "options")}
    return {**files, **history, **{name: record[name] for name in MEASURED}}


def check_resumed(recipe: Recipe, photos: Path, folder: Path) -> None:
    """Interrupted once somewhere; `interrupt` has said where."""
    with pytest.raises(RunInterrupted):
        teliti.train(str(photos), recipe=recipe, out=folder / "run")
    resumed = teliti.resume(folder / "run")
    # what probes chose on this machine is known from the first run
    alone = teliti.train(str(photos), recipe=load_recipe(folder / "run" / "recipe.toml"), out=folder / "alone")
    assert {**result_of(resumed), "options": None} == {**result_of(alone), "options": None}


PLACES = [(train_module, "pack_bundle"), (testing_module, "check_parity"), (train_module, "write_report")]


@pytest.mark.parametrize(("module", "name"), PLACES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_compact_network_that_had_learnt(
    module: object, name: str, parts_folder: Path, tmp_path: Path, interrupt: Callable[[object, str], None]
) -> None:
    interrupt(module, name)
    check_resumed(parse_recipe(COMPACT), parts_folder, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("train", [{}, {"epochs": 50, "budget": "8s"}], ids=["two epochs", "a budget"])
def test_a_pretrained_network_that_had_learnt(
    train: dict, parts_folder: Path, tmp_path: Path, interrupt: Callable[[object, str], None]
) -> None:
    interrupt(train_module, "pack_bundle")
    check_resumed(parse_recipe({**PRETRAINED, "train": PRETRAINED["train"] | train}), parts_folder, tmp_path)


def test_what_it_began_with_is_kept_beside_what_was_resolved(
    parts_folder: Path, tmp_path: Path, interrupt: Callable[[object, str], None]
) -> None:
    interrupt(train_module, "pack_bundle")
    asked = train_module.settle_network_recipe(parse_recipe(COMPACT))
    with pytest.raises(RunInterrupted):
        teliti.train(str(parts_folder), recipe=asked, out=tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    assert folder.read_recipe().train.precision != "auto"
    assert recipe_values(folder.read_asked()) == recipe_values(asked)
    assert asked.train.precision == "auto"
    with pytest.raises(UserError, match="is not a run folder"):
        RunFolder(tmp_path).read_asked()
