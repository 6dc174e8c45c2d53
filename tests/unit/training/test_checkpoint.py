"""Checkpoints: whole or not there, the last two kept, damage passed over."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from teliti.errors import StorageError
from teliti.files import sha256_hex
from teliti.training import checkpoint as checkpoint_module
from teliti.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
    take,
)


def make_checkpoint(value: float) -> Checkpoint:
    return Checkpoint({"net.w": torch.full((2, 3), value)}, {"epoch": int(value), "rows": [{"loss": 0.1}]})


def test_tensors_and_record_come_back_to_the_bit(tmp_path: Path) -> None:
    weights = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    record = {"loss": 0.1 + 0.2, "names": ["ä", "b"], "none": None}
    save_checkpoint(tmp_path, Checkpoint({"w": weights, "n": torch.tensor(7)}, record), number=1)
    found = load_checkpoint(tmp_path)
    assert torch.equal(found.tensors["w"], weights)
    assert found.tensors["n"].item() == 7
    assert found.record == record


def test_tied_weights_are_written_twice(tmp_path: Path) -> None:
    tensor = torch.arange(6.0)
    save_checkpoint(tmp_path, Checkpoint({"a": tensor, "b": tensor}, {}), number=1)
    assert torch.equal(load_checkpoint(tmp_path).tensors["b"], tensor)


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    for number in (3, 10, 200):
        save_checkpoint(tmp_path, make_checkpoint(float(number)), number=number)
    assert [path.name[:9] for path in sorted(tmp_path.iterdir())] == ["000000010", "000000200"]
    assert load_checkpoint(tmp_path).record["epoch"] == 200


def test_a_damaged_one_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, make_checkpoint(1.0), number=1)
    newest = save_checkpoint(tmp_path, make_checkpoint(2.0), number=2)
    data = bytearray(newest.read_bytes())
    data[-1] ^= 1
    newest.write_bytes(data)
    assert load_checkpoint(tmp_path).record["epoch"] == 1
    newest.write_bytes(bytes(data[: len(data) // 2]))
    assert load_checkpoint(tmp_path).record["epoch"] == 1


def test_a_folder_without_a_whole_one_gives_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "missing") is None
    (tmp_path / ".writing-abc").write_bytes(b"half")
    (tmp_path / "000000001-00.safetensors").write_bytes(b"")
    assert load_checkpoint(tmp_path) is None


def test_what_does_not_read_back_is_a_storage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_module, "hash_file", lambda _path: "0" * 64)
    with pytest.raises(StorageError, match="does not read back as it was written"):
        save_checkpoint(tmp_path, make_checkpoint(1.0), number=1)


def test_take_cuts_the_prefix_off() -> None:
    assert list(take({"net.a": torch.ones(1), "best.a": torch.zeros(1)}, "net.")) == ["a"]


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW, torch.optim.RMSprop])
def test_an_optimiser_goes_on_to_the_same_bits(kind: type[torch.optim.Optimizer]) -> None:
    """The weights lie channels last, what was read from a file does not: the state is laid out as its weight is."""
    values = {"lr": 0.1, "momentum": 0.9} if kind is not torch.optim.AdamW else {"lr": 0.1, "fused": True}

    def start() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        net = nn.Conv2d(3, 5, 3).to(memory_format=torch.channels_last)
        return net, kind(net.parameters(), **values)

    def learn(net: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
        net.zero_grad()
        net(torch.full((1, 3, 5, 5), 0.1 * step)).square().sum().backward()
        optimizer.step()

    straight, straight_optimizer = start()
    broken, broken_optimizer = start()
    for step in range(6):
        learn(straight, straight_optimizer, step)
        if step == 3:
            kept = {name: tensor.contiguous().clone() for name, tensor in optimizer_tensors(broken_optimizer).items()}
            broken_optimizer = kind(broken.parameters(), **values)
            restore_optimizer(broken_optimizer, kept)
        learn(broken, broken_optimizer, step)
    assert torch.equal(straight.weight, broken.weight)
    assert torch.equal(straight.bias, broken.bias)


@pytest.mark.parametrize("content", [b"", b"\x80\x04", b"{}"])
def test_what_is_no_checkpoint_is_refused_whatever_its_name(content: bytes, tmp_path: Path) -> None:
    """S1: a pickle under the name that its hash gives is refused by its content."""
    marker = tmp_path / "marker"
    bait = content + pickle.dumps(Bait(marker))
    (tmp_path / f"000000009-{sha256_hex(bait)[:32]}.safetensors").write_bytes(bait)
    with pytest.raises(StorageError, match="is no checkpoint of a training"):
        load_checkpoint(tmp_path)
    assert not marker.exists()


class Bait:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple:
        return Path.touch, (self.place,)
