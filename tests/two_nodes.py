"""A Ray cluster of two nodes on this machine, one of which can be lost; and a reporter that loses it at a moment."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from teliti.tuning.engines import environment_of
from teliti.types import SilentReporter

CORES = 2


@dataclass
class TwoNodes:
    """Two nodes with two cores each; the driver is on the first."""

    cluster: Any
    second: Any

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def lose_the_second(self) -> None:
        """As by a power cut: its workers die with it, nothing is handed over."""
        self.cluster.remove_node(self.second, allow_graceful=False)


@contextmanager
def two_nodes() -> Iterator[TwoNodes]:
    calm = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "RAY_health_check_period_ms": "500",
            "TELITI_TRUSTED_NETWORK": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # fmt: skip
    with environment_of(calm):
        from ray.cluster_utils import Cluster

        arguments = {"num_cpus": CORES, "include_dashboard": False, "object_store_memory": 200 * 1024**2}
        cluster = Cluster(initialize_head=True, head_node_args=arguments)
        try:
            yield TwoNodes(cluster, cluster.add_node(num_cpus=CORES, object_store_memory=200 * 1024**2))
        finally:
            cluster.shutdown()


class AtMoment(SilentReporter):
    """Does something once, when a task of some title is so far."""

    def __init__(self, title: str, done: int, do: Callable[[], None]) -> None:
        self._title, self._done, self._do = title, done, do
        self.told = False

    @contextmanager
    def task(self, title: str, total: int | None) -> Iterator[Callable[[int], None]]:
        done = 0

        def advance(amount: int) -> None:
            nonlocal done
            done += amount
            if title == self._title and done >= self._done and not self.told:
                self.told = True
                self._do()

        with super().task(title, total):
            yield advance
