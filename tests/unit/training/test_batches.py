"""Batches of an epoch: who is in them, in which order, and that threads change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from teliti.errors import UserError
from teliti.training.batches import Batch, BatchLoader, InputMaker, epoch_batches, share_of
from unit.training.tiny_networks import striped_photos, training_data


def shift_colours(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An augmentation that shows which random numbers it got."""
    return np.roll(image, int(rng.integers(8)), axis=0) ^ np.uint8(rng.integers(256))


class Halves(nn.Module):
    """Photos as numbers in [0, 0.5], the way steps of a recipe give them: (N, C, H, W)."""

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        return photos.permute(0, 3, 1, 2).float().div(510.0).contiguous()


def photos_of(batches: list[Batch]) -> list[np.ndarray]:
    return [batch.images.numpy().copy() for batch in batches]


def test_600_photos_in_batches_of_32_are_19_steps() -> None:
    assert len(epoch_batches(np.arange(600), batch_size=32, seed=0, epoch=0)) == 19


@given(st.integers(1, 200), st.integers(1, 70), st.integers(0, 5))
def test_an_epoch_shows_every_photo_once_in_batches_of_nearly_one_size(count: int, size: int, epoch: int) -> None:
    batches = epoch_batches(np.arange(100, 100 + count), batch_size=size, seed=4, epoch=epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(100, 100 + count))
    sizes = [len(batch) for batch in batches]
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1


def test_each_epoch_and_each_seed_has_its_own_order() -> None:
    orders = [
        np.concatenate(epoch_batches(np.arange(50), batch_size=10, seed=seed, epoch=epoch)).tolist()
        for seed, epoch in [(0, 0), (0, 1), (1, 0), (0, 0)]
    ]
    assert orders[0] == orders[3]
    assert orders[0] != orders[1] != orders[2]


@given(st.integers(1, 40), st.integers(1, 5))
def test_the_shares_of_all_processes_are_the_batch_in_order(count: int, world: int) -> None:
    batch = np.random.default_rng(count).permutation(count)
    assert np.concatenate([share_of(batch, rank, world) for rank in range(world)]).tolist() == batch.tolist()


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("augment", [None, shift_colours])
def test_any_number_of_loader_threads_gives_the_same_bytes(workers: int, augment: object) -> None:
    data = training_data(40, held_out=0, augment=augment)
    plan = epoch_batches(data.train, batch_size=3, seed=2, epoch=1)
    alone = BatchLoader(data, seed=2, workers=0)
    expected = [(batch.step, batch.images.numpy().copy()) for batch in alone.batches(plan, epoch=1)]
    for (step, photos), batch in zip(
        expected, BatchLoader(data, seed=2, workers=workers).batches(plan, epoch=1), strict=True
    ):
        assert batch.step == step
        assert batch.images.numpy().tobytes() == photos.tobytes()


def test_a_photo_is_augmented_the_same_in_any_order_and_anew_in_each_epoch() -> None:
    data = training_data(12, held_out=0, augment=shift_colours)
    loader = BatchLoader(data, seed=5, workers=0)
    forward, backward = np.arange(12), np.arange(12)[::-1]
    first = next(loader.batches([forward], epoch=0)).images.numpy().copy()
    other = next(loader.batches([backward], epoch=0)).images.numpy().copy()
    later = next(loader.batches([forward], epoch=1)).images.numpy().copy()
    assert np.array_equal(first, other[::-1])
    assert not np.array_equal(first, later)


def test_a_run_that_goes_on_gets_the_batches_that_are_left() -> None:
    data = training_data(30, held_out=0)
    plan = epoch_batches(data.train, batch_size=4, seed=0, epoch=0)
    left = list(BatchLoader(data, seed=0, workers=0).batches(plan, epoch=0, first=5))
    assert [batch.step for batch in left] == [5, 6, 7]
    assert [batch.indices.tolist() for batch in left] == [indices.tolist() for indices in plan[5:]]


def test_a_process_gets_its_share_and_knows_the_whole() -> None:
    data = training_data(21, held_out=0)
    plan = epoch_batches(data.train, batch_size=7, seed=0, epoch=0)
    halves = [list(BatchLoader(data, seed=0, workers=0).batches(plan, epoch=0, rank=rank, world=2)) for rank in (0, 1)]
    for indices, first, second in zip(plan, *halves, strict=True):
        assert first.total == second.total == len(indices)
        assert [*first.indices, *second.indices] == indices.tolist()


def test_an_augmentation_that_changes_the_shape_is_named() -> None:
    data = training_data(8, held_out=0, augment=lambda image, _rng: image[1:])
    with pytest.raises(UserError, match=r"augment must keep the shape \(8, 8, 3\), got \(7, 8, 3\)"):
        next(BatchLoader(data, seed=0, workers=0).batches([np.arange(4)], epoch=0))


@pytest.mark.parametrize("keep", [True, False])
def test_the_input_is_normalised_and_lies_channels_last(keep: bool) -> None:
    data = training_data(6, held_out=0)
    x = InputMaker(data, torch.device("cpu")).make(torch.from_numpy(data.images[:4]), keep=keep)
    expected = (data.images[:4].transpose(0, 3, 1, 2) / 255.0 - 0.5) / 0.25
    np.testing.assert_allclose(x.numpy(), expected, atol=1e-6)
    assert x.dtype == torch.float32
    assert x.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("numbers", [None, Halves()], ids=["mean and std", "steps"])
def test_a_part_of_the_photos_is_what_lies_there_in_whole_ones(numbers: nn.Module | None) -> None:
    data = training_data(6, held_out=0, numbers=numbers)
    photos, device = torch.from_numpy(data.images[:4]), torch.device("cpu")
    part = InputMaker(data, device, (5, 7)).make(photos)
    assert torch.equal(part, InputMaker(data, device).make(photos)[:, :, :5, :7])
    assert part.is_contiguous(memory_format=torch.channels_last)


def test_the_kept_input_buffer_serves_smaller_batches() -> None:
    data = training_data(6, held_out=0)
    maker = InputMaker(data, torch.device("cpu"))
    large = maker.make(torch.from_numpy(data.images[:4]))
    small = maker.make(torch.from_numpy(data.images[4:6]))
    assert large.data_ptr() == small.data_ptr()
    assert torch.equal(small, maker.make(torch.from_numpy(data.images[4:6]), keep=False))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"images": np.zeros((48, 8, 8, 3), np.float32)}, r"images must be uint8 \(M, H, W, C\), got float32"),
        ({"images": np.zeros((48, 8, 8), np.uint8)}, r"images must be uint8 \(M, H, W, C\), got uint8 \(48, 8, 8\)"),
        ({"names": ["a"]}, "images, targets and names must be equally many, got 48, 48, 1"),
        ({"train": np.array([], int)}, r"The training part must have photos, got none\. Raise data\.split\.train"),
        ({"train": np.array([0, 48])}, r"train and val must be positions in 0\.\.47, got 0\.\.48"),
        ({"targets": np.full(48, 2)}, r"targets must be \(M,\) class indices in 0\.\.1"),
        ({"task": "regression", "num_classes": 1, "targets": np.full(48, np.nan)}, "targets must be finite numbers"),
        ({"task": "multilabel", "num_classes": 3}, r"targets must be finite numbers \(M, 3\), got \(48,\)"),
    ],
)
def test_data_that_cannot_be_learnt_from_is_one_sentence(values: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        training_data(**values)


def test_a_memory_map_serves_as_photos(tmp_path: object) -> None:
    photos, _ = striped_photos(48)
    np.save(f"{tmp_path}/photos.npy", photos)
    data = training_data(images=np.load(f"{tmp_path}/photos.npy", mmap_mode="r"))
    batch = next(BatchLoader(data, seed=0, workers=1).batches([np.array([5, 2])], epoch=0))
    assert np.array_equal(batch.images.numpy(), photos[[5, 2]])


def test_a_class_without_a_name_goes_by_its_number() -> None:
    assert training_data().name_of_class(1) == "column"
    assert training_data(class_names=()).name_of_class(1) == "1"
