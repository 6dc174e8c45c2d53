"""The verdicts of a folder by Ray nodes of one core each: started, warmed, timed and stopped, in a process of its own.

    python bench/ray_nodes.py BUNDLE PHOTOS NODES

prints {"seconds", "marks": of `Marks`}. A process of its own, because Ray keeps for as long as a process lives what it
was first started with, and nodes are started in another way than the Ray of one machine.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_STORE_BYTES = 200 * 1024**2
_FIRST = 64  # photos that every worker has begun with before the clock starts


class Marks:
    """A reporter that keeps when a task of some title was so far.

    Args:
        title: Of the task.
        at: Where to look at the clock, rising.
    """

    def __init__(self, title: str, at: tuple[int, ...]) -> None:
        self._title, self._at = title, at
        self._began = time.perf_counter()
        self.seconds: dict[int, float] = {}

    @contextmanager
    def task(self, title: str, total: int | None) -> Iterator[Callable[[int], None]]:  # noqa: ARG002 - of a reporter
        """Counts what is done."""
        done = 0

        def advance(amount: int) -> None:
            nonlocal done
            done += amount
            for mark in self._at:
                if title == self._title and done >= mark:
                    self.seconds.setdefault(mark, round(time.perf_counter() - self._began, 1))

        yield advance

    def note(self, message: str) -> None:
        """Dropped."""


def main() -> None:
    """Start, predict, stop."""
    bundle, photos, nodes = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_AUTH_MODE="disabled", RAY_worker_niceness="0",
                      PYTHONPATH=os.pathsep.join(filter(None, sys.path)))  # fmt: skip
    from ray.cluster_utils import Cluster

    from teliti.tuning.ray_engine import RayEngine
    from teliti.workflow.predict import predict

    node = {"num_cpus": 1, "object_store_memory": _STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        for _ in range(nodes - 1):
            cluster.add_node(**node)
        cluster.wait_for_nodes()
        names = sorted(photos.iterdir())
        with RayEngine(address=str(cluster.address)) as engine:
            predict(bundle, names[: _FIRST * nodes], machines=engine)
            marks = Marks("Inspecting photos", (len(names) // 4, len(names) // 2, len(names)))
            began = time.perf_counter()
            predict(bundle, photos, machines=engine, reporter=marks)
            seconds = time.perf_counter() - began
    finally:
        cluster.shutdown()
    print(json.dumps({"seconds": seconds, "marks": list(marks.seconds.items())}))


if __name__ == "__main__":
    main()
