"""Kernels that torch.compile writes for one network, and whether a run is long enough to wait for them.

On a CPU they take 10 to 50 seconds and were slower than the layers here wherever they were measured
(docs/results/throughput.md), so that only a run of half an hour or more is worth a trial; on a GPU, where their calls
are one recorded graph, a run of five minutes. They are kept when the time that they save in the steps to come is more
than what they cost again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from teliti.cache import cache_folder
from teliti.errors import RunError
from teliti.recipe.train import TrainRecipe
from teliti.types import Record

_LEAST_PLANNED = {"cpu": 1800.0, "cuda": 300.0}  # seconds of training
_MOST_KERNEL_SETS = 64  # of one network: two sizes of a batch for each stage that is freed
_CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
_ours = [""]  # what was set here: the last one is not the user's


@dataclass(frozen=True)
class Trial:
    """What a try told.

    Attributes:
        compile_s: Seconds until the kernels were there.
        a_photo: Seconds of a step for a photo, afterwards.
    """

    compile_s: float
    a_photo: float


def compile_network(net: nn.Module, device: torch.device) -> Callable[[Tensor], Tensor]:
    """The network, computed by kernels that are written at the first call of each size; its parameters are shared.

    Args:
        net: Left as it is.
        device: Of the network.
    """
    _keep_kernels_in(cache_folder() / "kernels")
    torch._dynamo.config.recompile_limit = _MOST_KERNEL_SETS  # behind it a network would be computed without a word
    # sizes are fixed: kernels for any size would depend on which one came first, and so on where a run was resumed
    found: Any = torch.compile(net, dynamic=False, mode="reduce-overhead" if device.type == "cuda" else None)
    return found  # type: ignore[no-any-return]


def _keep_kernels_in(folder: Path) -> None:
    """Unless the user's environment names a folder: torch's own is one of all users, and what lies there is run."""
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    if os.environ.get(_CACHE_VARIABLE, "") in {"", _ours[-1], default_cache_dir()}:  # torch writes its own into it
        _ours.append(str(folder))
        os.environ[_CACHE_VARIABLE] = str(folder)


def forget_compiled() -> None:
    """Drop the kernels of this process; those on the disk are found again."""
    torch._dynamo.reset()


@contextmanager
def compiling_errors() -> Iterator[None]:
    """Turn what torch.compile stumbles over into an error in words.

    Raises:
        RunError: the network cannot be compiled here.
    """
    from torch._dynamo.exc import TorchDynamoException

    try:
        yield
    except TorchDynamoException as error:
        cause = getattr(error, "inner_exception", error)
        reason = next(filter(None, str(cause).splitlines()), type(cause).__name__).rstrip(".")
        raise RunError(
            f"torch.compile cannot write kernels for this network here: {reason}.",
            hint="Install a C++ compiler (on a GPU also triton), or take train.compile out.",
        ) from error


def is_trial_open(options: TrainRecipe) -> bool:
    """True where nobody has said whether to compile; a replay has its replicas settled and asks nothing."""
    return options.compile == "auto" and options.replicas == "auto"


def choose_compiled(
    chosen: TrainRecipe, *, a_photo: float, planned: float, kernel_sets: int, try_out: Callable[[TrainRecipe], Trial]
) -> tuple[TrainRecipe, float, tuple[Record, ...]]:
    """The options compiled, where that pays for the steps to come.

    Args:
        chosen: Resolved, not compiled.
        a_photo: Seconds of their step for a photo.
        planned: Seconds of the whole training with them.
        kernel_sets: How many times kernels will be written: sizes of batches times what is freed when.
        try_out: Times compiled options; called where the training is long enough.

    Returns:
        The options, the seconds for a photo, and a record of the trial, if there was one: precision, replicas,
        compile_s, photos_per_s, chosen; without the last two numbers where it failed.
    """
    if planned < _LEAST_PLANNED[str(chosen.device)]:
        return chosen, a_photo, ()
    candidate = chosen.model_copy(update={"compile": True, "replicas": 1})
    told: Record = {"precision": candidate.precision, "replicas": 1, "compiled": True, "chosen": False}
    try:
        trial = try_out(candidate)
    except RuntimeError:  # no compiler, or a network that it does not understand: the run goes on without
        return chosen, a_photo, (told,)
    saved = planned * (1.0 - trial.a_photo / a_photo)
    is_worth = saved > trial.compile_s * kernel_sets
    told |= {"compile_s": round(trial.compile_s, 1), "photos_per_s": round(1.0 / trial.a_photo, 1), "chosen": is_worth}
    return (candidate, trial.a_photo, (told,)) if is_worth else (chosen, a_photo, (told,))
