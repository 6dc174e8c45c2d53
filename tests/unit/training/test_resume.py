"""A run that is killed at any moment goes on to the same bits as one that was not."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
import torch

from teliti.errors import UserError
from teliti.training.checkpoint import load_checkpoint
from teliti.training.loop import fit_network
from unit.training.children import Outcome, read_outcome, start_child
from unit.training.tiny_networks import conv_net, options, training_data

LONG = {"epochs": 3, "batch_size": 4, "ema": 0.9, "checkpoint_s": 1e-6, "lr": 0.02}
"""Each step is saved, so that a kill meets writing as often as computing."""
STEPS = 54
SETUPS = {
    "adamw": {},
    "replicas": {"replicas": 2, "ema": 0.0, "num_workers": 1},
    "sgd in stages": {"optimizer": "sgd", "accumulate": 2, "head_epochs": 1, "unfreeze_epochs": 1},
}


def whole_run(tmp_path: Path, values: dict) -> Outcome:
    child = start_child(tmp_path / "whole", checkpoints=tmp_path / "whole-checkpoints", **values)
    child.join(60)
    assert child.exitcode == 0
    return read_outcome(tmp_path / "whole")


def killed_run(tmp_path: Path, values: dict, *, name: str, chance: random.Random, kills: int) -> tuple[Outcome, int]:
    """The run, killed several times in turn, then left alone; and how often a kill met it alive.

    Each kill comes some milliseconds after a step drawn by chance: in its arithmetic, or in the writing of its file.
    """
    met = 0
    out, checkpoints = tmp_path / name, tmp_path / f"{name}-checkpoints"
    for number in range(kills):
        child = start_child(out, checkpoints=checkpoints, **values)
        step = chance.randrange(number * STEPS // kills, (number + 1) * STEPS // kills)
        while child.is_alive() and steps_saved(checkpoints) < step:
            time.sleep(0.001)
        time.sleep(chance.uniform(0.0, 0.03))
        met += child.is_alive()
        child.kill()
        child.join(30)
    child = start_child(out, checkpoints=checkpoints, **values)
    child.join(60)
    assert child.exitcode == 0
    return read_outcome(out), met


def steps_saved(folder: Path) -> int:
    """The number of the newest checkpoint."""
    return max((int(path.name[:9]) for path in folder.glob("0*.safetensors")), default=-1)


def assert_same(found: Outcome, expected: Outcome) -> None:
    assert found.digest == expected.digest
    assert found.history == expected.history
    assert found.best_epoch == expected.best_epoch


@pytest.mark.parametrize("setup", SETUPS)
def test_killed_at_random_moments_it_ends_with_the_same_bits(tmp_path: Path, setup: str) -> None:
    values = LONG | SETUPS[setup]
    expected = whole_run(tmp_path, values)
    found, met = killed_run(tmp_path, values, name="killed", chance=random.Random(setup), kills=2)
    assert met
    assert_same(found, expected)
    assert len(found.steps) < STEPS == len(expected.steps)  # it went on and did not begin anew


@pytest.mark.slow
def test_twenty_of_twenty_kills_end_with_the_same_bits(tmp_path: Path) -> None:
    expected, chance, met = whole_run(tmp_path, LONG), random.Random(20), 0
    for number in range(20):
        found, alive = killed_run(tmp_path, LONG, name=f"killed-{number}", chance=chance, kills=1)
        met += alive
        assert_same(found, expected)
    assert met >= 18  # the others were killed when they had just ended


def test_what_a_kill_leaves_behind_is_passed_over(tmp_path: Path) -> None:
    """A half-written file and a damaged newest checkpoint: the one before goes on."""
    data, values = training_data(), {"checkpoint_s": 1e-6}
    whole = fit_network(conv_net(), data, options(**values), seed=1, folder=tmp_path / "a")
    interrupted = tmp_path / "b"
    with pytest.raises(KeyboardInterrupt):
        fit_network(conv_net(), data, options(**values), seed=1, folder=interrupted, on_epoch=interrupt_second)
    newest = max(interrupted.iterdir())
    newest.write_bytes(newest.read_bytes()[:-7])
    (interrupted / ".writing-xyz").write_bytes(b"half")
    again = fit_network(conv_net(), data, options(**values), seed=1, folder=interrupted)
    assert again.history == whole.history
    assert all((again.state[name] == whole.state[name]).all() for name in whole.state)


def interrupt_second(row: dict) -> None:
    """Ctrl-C after the second epoch."""
    if row["epoch"] == 1:
        raise KeyboardInterrupt


def test_a_finished_run_is_read_back_and_not_trained_again(tmp_path: Path) -> None:
    data, shown = training_data(), []
    first = fit_network(conv_net(), data, options(), seed=1, folder=tmp_path)
    second = fit_network(conv_net(seed=0), data, options(), seed=1, folder=tmp_path, on_epoch=shown.append)
    assert second.history == first.history
    own = zip(first.history, first.seconds, strict=True)
    assert shown == [{**row, "seconds": seconds} for row, seconds in own]
    assert second.seconds == first.seconds
    assert list(second.state) == list(first.state)
    assert second.to_record() == first.to_record()


def test_going_on_with_more_loader_threads_is_allowed_and_changes_nothing(tmp_path: Path) -> None:
    data = training_data()
    whole = fit_network(conv_net(), data, options(), seed=1)
    with pytest.raises(KeyboardInterrupt):
        fit_network(conv_net(), data, options(), seed=1, folder=tmp_path, on_epoch=interrupt_second)
    again = fit_network(conv_net(), data, options(num_workers=3), seed=1, folder=tmp_path)
    assert again.history == whole.history


@pytest.mark.parametrize("change", ["options", "seed", "photos", "network"])
def test_a_folder_of_another_run_is_refused(tmp_path: Path, change: str) -> None:
    fit_network(conv_net(), training_data(), options(epochs=1), seed=1, folder=tmp_path)
    net = conv_net(outputs=3) if change == "network" else conv_net()
    data = training_data(40) if change == "photos" else training_data()
    chosen = options(epochs=1, lr=0.5) if change == "options" else options(epochs=1)
    with pytest.raises(UserError, match=r"must be of this run, got another run's\. Options, photos, seed and network"):
        fit_network(net, data, chosen, seed=2 if change == "seed" else 1, folder=tmp_path)


def test_what_a_probe_chose_is_kept_before_the_first_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})

    def stop(_row: dict) -> None:
        raise KeyboardInterrupt

    asked = options(lr="find", precision="auto", replicas="auto", threads=2, checkpoint_s=1e9)
    with pytest.raises(KeyboardInterrupt):
        fit_network(conv_net(), training_data(), asked, seed=1, folder=tmp_path, on_epoch=stop)
    oldest = min(tmp_path.iterdir())
    assert oldest.name.startswith("000000000-")
    kept = load_checkpoint(tmp_path).record["options"]
    again = fit_network(conv_net(), training_data(), asked, seed=1, folder=tmp_path)
    assert again.options.model_dump(mode="json") == kept
    assert again.rate_search is not None
    assert len(again.probe) == 4
