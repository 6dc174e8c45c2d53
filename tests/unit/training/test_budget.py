"""A budget settles the length of a run once, from its own first epochs; what follows asks no clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from teliti.training.budget import PLANNED_SHARE, epochs_in_budget, has_open_budget, measured_epochs
from teliti.training.loop import fit_network
from teliti.training.speed import with_values
from unit.training.tiny_networks import conv_net, options, same_state, training_data

LONG = {"epochs": 100_000, "schedule": "cosine", "warmup_epochs": 1}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"warmup_epochs": 1}, 1),
        ({"warmup_epochs": 2.7}, 2),
        ({"warmup_epochs": 0.9}, 0),  # the rate of the first epoch depends on the length
        ({"warmup_epochs": 0, "schedule": "constant"}, 1),
        ({"warmup_epochs": 1, "head_epochs": 1}, 0),  # an epoch of the head alone says nothing of the others
        ({"warmup_epochs": 2, "head_epochs": 1}, 2),
        ({"warmup_epochs": 2, "head_epochs": 1, "unfreeze_epochs": 1}, 0),
        ({"warmup_epochs": 1, "frozen_stages": 2}, 1),
        ({"warmup_epochs": 1, "stop_after": 3}, 0),
        ({"warmup_epochs": 1, "budget": None}, 0),
        ({"warmup_epochs": 9}, 0),
    ],
)
def test_epochs_that_can_be_measured_before_the_length_matters(values: dict, expected: int) -> None:
    assert measured_epochs(options(**{"epochs": 9, "budget": 60, **values}), num_stages=4) == expected


def test_as_many_epochs_as_fit_beside_those_measured() -> None:
    chosen = options(epochs=50, budget=100)
    assert epochs_in_budget(chosen, [3.0, 4.0]) == 2 + int((100 * PLANNED_SHARE - 7.0) / 4.0)
    assert epochs_in_budget(options(epochs=5, budget=100), [3.0, 4.0]) == 5
    assert epochs_in_budget(options(epochs=50, budget=1), [3.0]) == 1


def test_a_run_fills_its_budget_and_its_replay_has_the_same_bits_whatever_the_clock_says() -> None:
    found = fit_network(conv_net(), training_data(), options(**LONG, budget=2.0), seed=1)
    assert 1 < found.options.epochs < 100_000
    assert found.options.stop_after == len(found.history)
    assert sum(found.seconds) < 2.5
    assert not has_open_budget(found.options)
    again = fit_network(conv_net(), training_data(), with_values(found.options, budget=1e-9), seed=1)
    assert again.history == found.history
    assert same_state(again.state, found.state)


def test_a_run_that_goes_on_keeps_the_length_that_was_settled(tmp_path: Path) -> None:
    seen: list[dict] = []

    def stop_third(row: dict) -> None:
        seen.append(row)
        if len(seen) == 3:
            raise KeyboardInterrupt

    asked = options(**LONG, budget=2.0)
    with pytest.raises(KeyboardInterrupt):
        fit_network(conv_net(), training_data(), asked, seed=1, folder=tmp_path, on_epoch=stop_third)
    later = options(**LONG, budget=1.0)  # of a command that goes on, another part of the time is left
    found = fit_network(conv_net(), training_data(), later, seed=1, folder=tmp_path)
    assert found.options.budget == 2.0
    assert found.options.epochs == epochs_in_budget(asked, found.seconds[:1])
    again = fit_network(conv_net(), training_data(), found.options, seed=1)
    assert again.history == found.history
    assert same_state(again.state, found.state)


def test_the_length_is_told() -> None:
    notes: list[str] = []

    class Notes:
        def note(self, text: str) -> None:
            notes.append(text)

        def task(self, _title: str, _total: int | None) -> object:
            from contextlib import nullcontext

            return nullcontext(lambda _done: None)

    found = fit_network(conv_net(), training_data(), options(**LONG, budget=1.0), seed=1, reporter=Notes())  # type: ignore[arg-type]
    assert any("as many epochs as fit 1 s." in note for note in notes)
    assert f"The budget holds {found.options.epochs} epochs." in notes


@pytest.mark.parametrize(
    "values", [{"warmup_epochs": 1}, {"warmup_epochs": 3}, {"warmup_epochs": 0}, {"schedule": "constant"}]
)
def test_a_budget_that_is_spent_buys_one_epoch(values: dict) -> None:
    asked = options(**{**LONG, **values}, budget=1e-3)
    found = fit_network(conv_net(), training_data(), asked, seed=1)
    assert len(found.history) == 1
    assert (found.options.stop_after or found.options.epochs) == 1
