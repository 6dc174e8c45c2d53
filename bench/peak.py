"""The best dense rate that torch reaches on this processor: what shares of its peak are shares of."""

from __future__ import annotations

import time
from collections.abc import Callable


def processor_peak(precision: str, *, seconds: float) -> Callable[[], tuple[float, float]]:
    """A round of the fastest dense work, a matrix product or a 3x3 convolution: 10^9 operations, and the second.

    Args:
        precision: "f32" or "bf16".
        seconds: For each of the two.
    """
    from teliti.runtime import keep_freed_memory, quiet_environment

    quiet_environment()
    import torch

    keep_freed_memory()
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = torch.randn(2048, 2048).to(kind), torch.randn(2048, 2048).to(kind)
    x = torch.randn(16, 256, 28, 28).to(kind).to(memory_format=torch.channels_last)
    w = torch.randn(256, 256, 3, 3).to(kind).to(memory_format=torch.channels_last)
    kinds = {
        "matrix product": (lambda: torch.mm(a, b), 2 * 2048**3),
        "3x3 convolution": (lambda: torch.nn.functional.conv2d(x, w, padding=1), 2 * 16 * 28 * 28 * 256 * 256 * 9),
    }

    def rate(call: Callable[[], object], flop: int) -> float:
        with torch.inference_mode():
            call()
            begin, done = time.perf_counter(), 0
            while time.perf_counter() - begin < seconds:
                call()
                done += 1
            return done * flop / 1e9 / (time.perf_counter() - begin)

    return lambda: (max(rate(call, flop) for call, flop in kinds.values()), 1.0)
