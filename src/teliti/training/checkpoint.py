"""Checkpoints: everything that a run needs to go on, in one file that is whole or not there.

A checkpoint is a safetensors file of all tensors with one JSON record in its header; no pickle. It is written by the
one write door (temporary file, fsync, rename, fsync of the folder), its name carries its own hash, and it is read back
before an older one is removed. The last two are kept: a file that was damaged later is passed over for the one before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from teliti.errors import StorageError
from teliti.files import hash_file, sha256_hex, write_bytes_atomic
from teliti.training.parallel import Processes
from teliti.types import Record

KEPT = 2
_HASH_DIGITS = 32
_SUFFIX = ".safetensors"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What is saved.

    Attributes:
        tensors: By name.
        record: JSON-ready.
    """

    tensors: dict[str, Tensor]
    record: Record


def save_checkpoint(folder: Path, checkpoint: Checkpoint, *, number: int) -> Path:
    """Write a checkpoint, read it back, and remove all but the last two.

    Args:
        folder: Made when it is not there.
        checkpoint: What to save.
        number: Steps done; a checkpoint of the same number is replaced.

    Raises:
        StorageError: the disk is full, the folder is not writable, or what was written does not read back.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    text = json.dumps(checkpoint.record, allow_nan=False)
    data = save(_without_shared_memory(tensors), metadata={"record": text})  # one entry: several change their order
    digest = sha256_hex(data)
    path = folder / f"{number:09d}-{digest[:_HASH_DIGITS]}{_SUFFIX}"
    write_bytes_atomic(path, data)
    if hash_file(path) != digest:
        raise StorageError(
            f'"{path}" does not read back as it was written.',
            hint="Check the disk, or choose another folder with --out.",
        )
    for old in _newest_first(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest whole checkpoint of a folder; None where there is none."""
    return _parse(_read_newest(folder))


def load_shared_checkpoint(folder: Path | None, processes: Processes, device: torch.device) -> Checkpoint | None:
    """The newest good checkpoint of the first process's folder, for all that share a run, also on other machines.

    Args:
        folder: Of this process; only the first one's is read. None: there is none.
        processes: Who shares the run.
        device: Of the network.
    """
    own = b"" if folder is None or processes.rank > 0 else _read_newest(folder)
    return _parse(processes.bytes_from_first(own, device))


def take(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with the prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of an optimiser as tensors: "<parameter's number>.<name>"."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": value if isinstance(value, Tensor) else torch.tensor(float(value))
        for number, values in state.items()
        for name, value in values.items()
        if value is not None
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give an optimiser the state that `optimizer_tensors` took, each value laid out as its parameter is."""
    places = [(group, parameter) for group in optimizer.param_groups for parameter in group["params"]]
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        group, parameter = places[int(number)]
        if value.shape == parameter.shape:  # the fused kernels read both as flat memory: the layouts must agree
            own = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        else:
            own = value.to(parameter.device if group.get("fused") else "cpu", copy=True)
        optimizer.state[parameter][name] = own


def _read_newest(folder: Path) -> bytes:
    """The newest whole checkpoint as it was written; empty where there is none."""
    for path in _newest_first(folder):
        data = path.read_bytes()
        if sha256_hex(data)[:_HASH_DIGITS] == path.stem.partition("-")[2]:
            return data
    return b""


def _parse(data: bytes) -> Checkpoint | None:
    if not data:
        return None
    try:
        return Checkpoint(load(data), json.loads(_header(data)["__metadata__"]["record"]))
    except (SafetensorError, ValueError, LookupError, TypeError) as error:
        raise StorageError(
            "The newest checkpoint is no checkpoint of a training, although its name has its hash.",
            hint="Remove it to go on from the one before.",
        ) from error


def _newest_first(folder: Path) -> list[Path]:
    paths = folder.glob(f"[0-9]*-*{_SUFFIX}") if folder.is_dir() else ()
    return sorted(paths, key=lambda path: (path.name, path.stat().st_mtime_ns), reverse=True)


def _header(data: bytes) -> Record:
    """The JSON header of a safetensors file: its length in 8 bytes, then the text."""
    length = int.from_bytes(data[:8], "little")
    header: Record = json.loads(data[8 : 8 + length])
    return header


def _without_shared_memory(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tied weights lie in memory once and are written twice: the format knows no shared tensors."""
    seen: set[int] = set()
    own = {}
    for name, tensor in tensors.items():
        own[name] = tensor.clone() if tensor.data_ptr() in seen else tensor
        seen.add(tensor.data_ptr())
    return own
