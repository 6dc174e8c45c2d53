"""Training throughput in float32 alone, as a processor without bf16 arithmetic trains: most laptops.

Parts are measured and joined like those of bench_throughput.py.
"""

from __future__ import annotations

import bench_throughput


def run() -> dict:
    """All parts; with THROUGHPUT_PARTS those that were measured into that folder."""
    return bench_throughput.page(
        bench_throughput.F32_PARTS,
        name="Training throughput in float32",
        how="float32, and threads as its own probe chose them",
    )
