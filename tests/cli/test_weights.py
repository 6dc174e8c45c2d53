"""`teliti weights convert`: a checkpoint of torch becomes a file that a recipe can name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from teliti.files import hash_file


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.save({"state_dict": {"module.fc.weight": torch.arange(6.0).reshape(2, 3)}}, tmp_path / "old.pth")
    return tmp_path / "old.pth"


def test_the_tensors_are_those_of_the_checkpoint(run, checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "my weights.safetensors"
    code, out, _ = run("weights", "convert", str(checkpoint), str(target))
    assert code == 0
    assert "1 tensors are written to" in out
    assert f"--set 'model.weights={target}'" in out
    assert torch.equal(load_file(target)["fc.weight"], torch.arange(6.0).reshape(2, 3))


def test_for_machines(run, checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "new.safetensors"
    record = json.loads(run("weights", "convert", str(checkpoint), str(target), "--json")[1])
    assert record == {
        "schema": 1, "checkpoint": str(checkpoint), "file": str(target), "tensors": 1, "sha256": hash_file(target),
    }  # fmt: skip


def test_a_file_that_is_there_is_left(run, checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "new.safetensors"
    target.write_bytes(b"mine")
    code, _, err = run("weights", "convert", str(checkpoint), str(target))
    assert code == 2
    assert "must be a new file, got one that exists" in err
    assert target.read_bytes() == b"mine"


def test_a_checkpoint_with_code_in_it_is_not_opened(run, tmp_path: Path) -> None:
    torch.save({"anything": Path("x")}, tmp_path / "evil.pth")
    code, _, err = run("weights", "convert", str(tmp_path / "evil.pth"), str(tmp_path / "new.safetensors"))
    assert code == 2
    assert "holds more than tensors, or is damaged" in err
    assert not (tmp_path / "new.safetensors").exists()
