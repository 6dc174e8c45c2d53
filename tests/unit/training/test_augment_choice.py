"""Where photos are augmented: what a step costs either way, and that the cheaper way is taken and written down."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from notes import Notes
from teliti.training import augment_choice, speed
from teliti.training.augment_choice import Cost, choose_place, is_place_open, settled_place, time_photos
from teliti.training.batches import TrainingData
from teliti.training.loop import fit_network
from teliti.training.losses import make_objective
from teliti.transforms.augment import build_augment
from unit.training.tiny_networks import conv_net, options, training_data

CPU = torch.device("cpu")
OPEN = options(augment_on="auto", batch_size=16)


def flipped() -> TrainingData:
    return training_data(augment=build_augment([{"step": "flip"}]))


def test_threads_assemble_while_the_device_computes() -> None:
    cost = Cost(assembling=8.0, finishing=1.0)
    assert cost.of_a_step(2.0, workers=0) == 11.0
    assert cost.of_a_step(2.0, workers=1) == 8.0
    assert cost.of_a_step(2.0, workers=4) == 3.0


@pytest.mark.parametrize(
    ("step", "workers", "expected", "photos_per_s"),
    [(1.0, 1, "device", 16 / 3.0), (9.0, 1, "cpu", 16 / 9.5), (9.0, 0, "device", 16 / 12.0)],
)
def test_the_cheaper_way_is_taken(
    monkeypatch: pytest.MonkeyPatch, step: float, workers: int, expected: str, photos_per_s: float
) -> None:
    """Threads need 8 s for a batch, the device 2 s on top of its step and 1 s of the threads."""
    costs = {"cpu": Cost(8.0, 0.5), "device": Cost(1.0, 2.0)}
    monkeypatch.setattr(augment_choice, "time_photos", lambda *_, place, **__: costs[place])
    place, rows = choose_place(flipped(), options(num_workers=workers, batch_size=16), device=CPU, step=step)
    assert place == expected
    assert {row["augment_on"] for row in rows} == {"cpu", "device"}
    (chosen,) = [row for row in rows if row["chosen"]]
    assert chosen["augment_on"] == expected
    assert chosen["photos_per_s"] == pytest.approx(photos_per_s, abs=0.05)


def test_both_ways_are_really_timed() -> None:
    data = training_data(augment=build_augment([{"step": "rotate"}]))
    here, there = (time_photos(data, 16, device=CPU, place=place) for place in ("cpu", "device"))
    assert here.assembling > there.assembling > 0.0
    assert there.finishing > here.finishing > 0.0


@pytest.mark.parametrize(
    ("asked", "device", "steps", "is_open", "settled"),
    [
        ("auto", "cpu", [{"step": "flip"}], False, "cpu"), ("auto", "cuda", [{"step": "flip"}], True, "cpu"),
        ("auto", "cuda", [{"step": "jpeg"}], False, "cpu"), ("auto", "cuda", [], False, "cpu"),
        ("device", "cpu", [{"step": "flip"}], False, "device"), ("device", "cuda", [{"step": "jpeg"}], False, "cpu"),
        ("cpu", "cuda", [{"step": "flip"}], False, "cpu"),
    ],
)  # fmt: skip
def test_the_place_is_open_on_a_gpu_alone(asked: str, device: str, steps: list, is_open: bool, settled: str) -> None:
    data = training_data(augment=build_augment(steps) if steps else None)
    chosen = options(augment_on=asked, device=device)
    assert is_place_open(data, chosen) == is_open
    assert settled_place(data, chosen) == settled


def test_the_choice_stands_in_the_options_and_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The question of a GPU, asked on the CPU: only who asks is replaced, both ways are computed."""
    monkeypatch.setattr(speed, "is_place_open", lambda *_: True)
    objective = make_objective(OPEN, task="classification", num_outputs=2)
    choice = speed.choose_options(conv_net(), flipped(), OPEN, objective=objective)
    assert len(choice.probe) == 3
    (chosen,) = [row for row in choice.probe[1:] if row["chosen"]]
    assert choice.options.augment_on == chosen["augment_on"]


@pytest.mark.parametrize(("place", "phrase"), [("device", ", augmentation on the device, "), ("auto", "last, batches")])
def test_the_place_is_said(place: str, phrase: str) -> None:
    notes = Notes()
    net: nn.Module = conv_net()
    fitted = fit_network(net, flipped(), options(augment_on=place, epochs=1), seed=0, reporter=notes)
    assert phrase in notes.notes[0]
    assert fitted.options.augment_on == ("device" if place == "device" else "cpu")
