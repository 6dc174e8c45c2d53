"""Batches on their way to the network: the same for any number of threads and processes, on the device or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from teliti.training.batches import Batch, TrainingData, epoch_batches
from teliti.training.feed import Feed, one_ahead
from teliti.training.loop import fit_network
from teliti.transforms.augment import build_augment
from unit.training.tiny_networks import conv_net, options, same_state, training_data

CPU = torch.device("cpu")
PLACE = [{"step": "flip", "vertical": 0.5}, {"step": "rotate", "degrees": 30}]
CHAINS = {
    "all": [*PLACE, {"step": "noise", "std": 9}, {"step": "mixup", "alpha": 1.0}],
    "tail": [*PLACE, {"step": "jpeg"}, {"step": "noise", "std": 9}, {"step": "cutmix"}],
    "unmixed": [*PLACE, {"step": "blur"}],
}


def data_of(chain: str, **values: Any) -> TrainingData:
    return training_data(augment=build_augment(CHAINS[chain]), **values)


def epoch_of(data: TrainingData, *, rank: int = 0, world: int = 1, **values: Any) -> list[Batch]:
    """An epoch's batches, their photos copied, since buffers are filled anew."""
    plan = epoch_batches(data.train, batch_size=7, seed=2, epoch=1)
    feed = Feed(data, options(**values), seed=2, device=CPU)
    batches = feed.batches(plan, epoch=1, rank=rank, world=world)
    return [Batch(b.step, b.indices, b.images.clone(), b.total, b.mixed, b.left) for b in batches]


def pixels(batches: list[Batch]) -> np.ndarray:
    return np.concatenate([batch.images.numpy() for batch in batches]).astype(int)


@pytest.mark.parametrize("chain", sorted(CHAINS))
@pytest.mark.parametrize("workers", [1, 4])
def test_any_number_of_threads_gives_the_same_bits_on_the_device(chain: str, workers: int) -> None:
    data = data_of(chain)
    alone = epoch_of(data, augment_on="device")
    threads = epoch_of(data, augment_on="device", num_workers=workers)
    assert np.array_equal(pixels(alone), pixels(threads))
    for one, other in zip(alone, threads, strict=True):
        assert one.left is None
        assert (one.mixed is None) == (chain == "unmixed")
        np.testing.assert_array_equal(one.mixed, other.mixed)


def test_the_device_gives_the_photos_and_targets_of_the_cpu() -> None:
    steps = [*PLACE, {"step": "contrast"}, {"step": "mixup", "alpha": 1.0}, {"step": "cutmix"}]
    data = training_data(augment=build_augment(steps))
    here, there = epoch_of(data), epoch_of(data, augment_on="device")
    assert np.abs(pixels(here) - pixels(there)).max() <= 2
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one.mixed, other.mixed)
        assert one.indices.tolist() == other.indices.tolist()


@pytest.mark.parametrize("chain", sorted(CHAINS))
def test_two_processes_share_the_batches_of_one(chain: str) -> None:
    data = data_of(chain)
    whole = epoch_of(data, augment_on="device")
    parts = [epoch_of(data, augment_on="device", rank=rank, world=2) for rank in (0, 1)]
    for batch, first, second in zip(whole, *parts, strict=True):
        assert torch.equal(batch.images, torch.cat([first.images, second.images]))
        assert first.total == second.total == len(batch.indices)


def test_an_augmentation_that_is_no_chain_stays_with_the_threads() -> None:
    data = training_data(augment=lambda image, _rng: 255 - image)
    batch = epoch_of(data, augment_on="device")[0]
    assert np.array_equal(batch.images.numpy(), 255 - data.images[batch.indices])


def test_a_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    data, values = data_of("all"), {"augment_on": "device", "epochs": 3}
    whole = fit_network(conv_net(), data, options(**values), seed=1)

    class CutError(Exception):
        """Stops a run from outside."""

    def cut(row: dict[str, Any]) -> None:
        if row["epoch"] == 1:
            raise CutError

    with pytest.raises(CutError):
        fit_network(conv_net(), data, options(**values), seed=1, folder=tmp_path, on_epoch=cut)
    again = fit_network(conv_net(), data, options(**values, num_workers=2), seed=1, folder=tmp_path)
    assert same_state(whole.state, again.state)
    elsewhere = fit_network(conv_net(), data, options(epochs=3), seed=1)
    assert not same_state(whole.state, elsewhere.state)  # another noise: the place is no matter of speed alone


def test_a_rate_is_looked_for_with_the_photos_of_the_run() -> None:
    data = data_of("unmixed")
    found = fit_network(conv_net(), data, options(augment_on="device", lr="find", epochs=1), seed=1)
    assert found.rate_search is not None
    assert found.rate_search.lr == found.options.lr
    plain = replace(data, augment=None)
    other = fit_network(conv_net(), plain, options(augment_on="device", lr="find", epochs=1), seed=1).rate_search
    assert other is not None
    assert other.to_record() != found.rate_search.to_record()


def test_the_next_one_is_started_before_one_is_handed_out() -> None:
    said: list[str] = []

    def start(number: int) -> int:
        said.append(f"start {number}")
        return 10 * number

    for found in one_ahead(iter([1, 2, 3]), start):
        said.append(f"use {found}")
    assert said == ["start 1", "start 2", "use 10", "start 3", "use 20", "use 30"]
    assert list(one_ahead(iter([]), start)) == []
