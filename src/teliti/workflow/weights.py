"""Weights of other programs, converted once and by hand into the one format that `model.weights` reads."""

from __future__ import annotations

from pathlib import Path

from teliti.errors import UserError
from teliti.files import hash_file
from teliti.runtime import require
from teliti.types import Record


def convert_weights(checkpoint: str | Path, out: str | Path) -> Record:
    """Turn a checkpoint of torch (.pth, .pt, .bin) into a .safetensors file.

    Args:
        checkpoint: A state dict, or a dict that has one. Only tensors are unpickled: a file that wants to run code is
            refused, not run.
        out: A new file whose name ends with .safetensors.

    Returns:
        {"schema", "checkpoint", "file", "tensors" (how many), "sha256" (of the new file)}.

    Raises:
        UserError: no checkpoint, one with more than tensors in it, or a name that is taken or of another ending.
        StorageError: the disk is full or the folder is not writable.
        MissingExtraError: torch is not installed.
    """
    for library in ("torch", "timm", "safetensors"):
        require(library, extra="train", purpose="convert a checkpoint")
    from teliti.models.adapt import convert_checkpoint

    target = Path(out)
    if target.exists():
        raise UserError(f'"{target}" must be a new file, got one that exists.', hint="Choose another name.")
    names = convert_checkpoint(Path(checkpoint), target)
    return {
        "schema": 1,
        "checkpoint": str(checkpoint),
        "file": str(target),
        "tensors": len(names),
        "sha256": hash_file(target),
    }
