"""Our side of bench_throughput.py with one lever left out: what that lever gives is how much slower it is then.

    python training_levers.py LEVER NETWORK PIXELS BATCH CHOICE

A lever is one line here; the loop, the photos and the protocol are those of training_sides.py.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import training_sides


def main() -> None:
    """Leave the lever out and serve rounds."""
    lever, choice = sys.argv[1], json.loads(sys.argv[5])
    sys.argv[1:] = ["ours", *sys.argv[2:5], json.dumps({**choice, **(LEVERS[lever]() or {})})]
    training_sides.main()


def _replace(module: object, name: str, value: object) -> None:
    """Put something else there.

    Raises:
        AttributeError: nothing of that name is there any more, so that the lever would not be left out.
    """
    getattr(module, name)
    setattr(module, name, value)


def _free_memory_at_once() -> None:
    from teliti import runtime

    _replace(runtime, "keep_freed_memory", lambda: None)


def _share_one_heap() -> None:
    from teliti import runtime

    _replace(runtime, "_heaps", lambda: 1)


def _rectify_before_pooling() -> None:
    from teliti.models import networks

    _replace(networks, "pool_before_activation", lambda _net: 0)


def _pool_by_torch() -> None:
    from teliti.training.cpu_layers import swapping as fast_layers

    _replace(fast_layers, "rectified_pools", lambda _net: iter(()))


def _look_at_all() -> None:
    from teliti.training import steps

    _replace(steps, "seen_size", lambda _net, x: tuple(x.shape[2:]))


def _layers_of_torch() -> None:
    from teliti.training import steps

    _replace(steps, "give_fast_layers", lambda *_: None)  # folding would compute depthwise layers our way, too


def _kernels_gradients_of_torch() -> None:
    from teliti.training.cpu_layers import im2col

    _replace(im2col, "_has_slow_kernel_gradients", lambda: False)


LEVERS: dict[str, Callable[[], dict | None]] = {
    "freed memory is kept": _free_memory_at_once,
    "a heap for each thread": _share_one_heap,
    "bf16": lambda: {"precision": "f32"},
    "a thread for each half of a batch": lambda: {"replicas": 1},
    "ReLU behind pooling": _rectify_before_pooling,
    "ReLU and pooling in whole numbers": _pool_by_torch,
    "unseen rows are cropped": _look_at_all,
    "layers of our own": _layers_of_torch,
    "gradients of kernels as matrix products": _kernels_gradients_of_torch,
    "torch.compile in their place": lambda: {"compile": True, "replicas": 1},
}

if __name__ == "__main__":
    main()
