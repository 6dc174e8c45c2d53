"""How long a photo would wait, and who goes first on a machine that is full.

A queue that is bounded by its length alone lets the last one wait the longer, the slower the machine is. This bounds
the wait itself: the photos ahead times what one took lately, shared by the workers (Little's law: J. D. C. Little, A
proof for the queuing formula L = lambda W, Operations Research 9, 1961).
"""

from __future__ import annotations

import os
import statistics
import sys
import threading
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

_LATEST = 32
_STEP = 5  # of niceness, of 19


class Pace:
    """Photos in hand, and what one takes. Safe to use from several threads.

    Args:
        workers: Photos judged at once.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._ahead = 0
        self._seconds: deque[float] = deque(maxlen=_LATEST)
        self._lock = threading.Lock()

    @property
    def wait_s(self) -> float:
        """Seconds until a photo that comes now would be begun; 0 before the first one was judged."""
        with self._lock:
            if not self._seconds:
                return 0.0
            return statistics.median(self._seconds) * self._ahead / self._workers  # one that hangs changes no median

    def expect(self, job: Future[Any], photos: int) -> None:
        """Count photos as ahead of others until their job is done or given up."""
        with self._lock:
            self._ahead += photos
        job.add_done_callback(lambda _: self._leave(photos))

    def took(self, seconds: float) -> None:
        """Note what one photo took, without its wait."""
        with self._lock:
            self._seconds.append(seconds)

    def _leave(self, photos: int) -> None:
        with self._lock:
            self._ahead -= photos


def give_way() -> None:
    """Let whoever answers requests go before the calling thread, which computes; on Linux alone, elsewhere nothing.

    Without it a request that is only to be refused waits for its turn among all that compute.
    """
    if sys.platform == "linux":
        with suppress(OSError):  # not allowed: everyone is equal, as before
            own = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, own, min(os.getpriority(os.PRIO_PROCESS, own) + _STEP, 19))
