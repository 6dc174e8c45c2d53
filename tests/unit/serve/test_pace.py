"""How long a photo would wait, and that those who compute go behind those who answer."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from teliti.serve.pace import Pace, give_way


def test_the_wait_is_what_is_ahead_times_what_one_takes() -> None:
    pace = Pace(workers=2)
    first, second = Future(), Future()
    pace.expect(first, 10)
    assert pace.wait_s == 0  # nothing is known yet
    pace.took(0.2)
    assert pace.wait_s == pytest.approx(10 * 0.2 / 2)
    pace.expect(second, 5)
    assert pace.wait_s == pytest.approx(1.5)
    first.set_result(None)
    assert pace.wait_s == pytest.approx(0.5)
    assert second.cancel()  # given up: nobody waits behind it any more
    assert pace.wait_s == 0


def test_one_photo_that_hangs_does_not_close_the_door() -> None:
    pace = Pace(workers=1)
    pace.expect(Future(), 10)
    for seconds in (0.1, 0.1, 5.0, 0.1):
        pace.took(seconds)
    assert pace.wait_s == pytest.approx(1.0)


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has a niceness of its own on Linux alone")
def test_only_the_thread_that_computes_gives_way() -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    own = niceness()
    with ThreadPoolExecutor(1, initializer=give_way) as workers:
        assert workers.submit(niceness).result() == min(own + 5, 19)
    assert niceness() == own
