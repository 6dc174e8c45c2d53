"""Second parts are done together by whoever waits; a lone item waits for nobody, and a failure is one's own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager

import pytest

from teliti.serve import batcher as batcher_module
from teliti.serve.batcher import Batcher, Half


class Calls:
    """A second part that counts: each item becomes (item, how many shared its call)."""

    def __init__(self) -> None:
        self.groups: list[tuple[str, list[int]]] = []

    def __call__(self, key: str, items: Sequence[int]) -> list[tuple[int, int] | Exception]:
        self.groups.append((key, list(items)))
        return [ValueError(f"item {item}") if item < 0 else (item, len(items)) for item in items]


@contextmanager
def running(calls: Callable, *, workers: int = 1, most: int = 4) -> Iterator[Batcher]:
    batcher: Batcher = Batcher(workers=workers, together=calls, most=lambda _: most)
    try:
        yield batcher
    finally:
        batcher.close()


@contextmanager
def held(batcher: Batcher) -> Iterator[None]:
    """One worker is busy for the length of the block."""
    begun, go = threading.Event(), threading.Event()
    holding = batcher.submit(lambda: begun.set() or go.wait(20))
    assert begun.wait(20)
    yield
    go.set()
    assert holding.result(20)


def half(item: int, key: str = "a") -> Callable[[], Half]:
    return lambda: Half(key, item)


def test_a_lone_item_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batcher_module, "_WINDOW_S", 3600.0)
    calls = Calls()
    with running(calls) as batcher:
        assert batcher.submit(half(1)).result(20) == (1, 1)
        assert batcher.submit(lambda: "refused").result(20) == "refused"
    assert calls.groups == [("a", [1])]


def test_those_who_wait_go_together_in_their_order() -> None:
    calls = Calls()
    with running(calls) as batcher:
        with held(batcher):
            futures = [batcher.submit(half(item)) for item in range(6)]
        assert [one.result(20) for one in futures] == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 2), (5, 2)]


def test_only_items_of_one_key_go_together() -> None:
    calls = Calls()
    with running(calls) as batcher:
        with held(batcher):
            futures = [batcher.submit(half(item, key="ab"[item % 2])) for item in range(6)]
        assert [one.result(20)[0] for one in futures] == list(range(6))
    assert sorted(calls.groups) == [("a", [0, 2, 4]), ("b", [1, 3, 5])]


@pytest.mark.parametrize("gives_up", [False, True])
def test_what_is_gathered_goes_before_work_that_takes_long(monkeypatch: pytest.MonkeyPatch, gives_up: bool) -> None:
    monkeypatch.setattr(batcher_module, "_WINDOW_S", 3600.0)
    calls, go = Calls(), threading.Event()
    with running(calls) as batcher:
        with held(batcher):
            first = batcher.submit(half(1))
            second = batcher.submit(half(2))
            long = batcher.submit_whole(lambda: go.wait(20))
            last = batcher.submit(half(3))
            assert not gives_up or second.cancel()
        assert first.result(20) == (1, 1 if gives_up else 2)  # while the long work is not done
        assert not last.done()
        go.set()
        assert long.result(20)
        assert last.result(20) == (3, 1)


def test_a_short_window_ends_the_gathering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batcher_module, "_WINDOW_S", 0.0)
    calls = Calls()
    with running(calls) as batcher:
        with held(batcher):
            futures = [batcher.submit(half(item)) for item in range(3)]
        assert [one.result(20) for one in futures] == [(0, 1), (1, 1), (2, 1)]


def test_a_failure_takes_no_neighbour_with_it() -> None:
    calls = Calls()
    with running(calls) as batcher:
        with held(batcher):
            good, bad, worse = batcher.submit(half(1)), batcher.submit(half(-2)), batcher.submit(lambda: 1 // 0)
        assert good.result(20) == (1, 2)
        with pytest.raises(ValueError, match="item -2"):
            bad.result(20)
        with pytest.raises(ZeroDivisionError):
            worse.result(20)


def test_where_the_second_part_fails_all_are_told_and_the_next_are_served() -> None:
    calls = Calls()

    def fail_once(key: str, items: Sequence[int]) -> list:
        if not calls.groups:
            calls.groups.append((key, []))
            raise RuntimeError("no network")
        return calls(key, items)

    with running(fail_once) as batcher:
        with held(batcher):
            futures = [batcher.submit(half(item)) for item in range(2)]
        for one in futures:
            with pytest.raises(RuntimeError, match="no network"):
                one.result(20)
        assert batcher.submit(half(3)).result(20) == (3, 1)


def test_a_first_part_that_hangs_holds_up_nobody_else() -> None:
    calls = Calls()
    with running(calls, workers=2) as batcher, held(batcher):
        futures = [batcher.submit(half(item)) for item in range(5)]
        assert [one.result(20)[0] for one in futures] == list(range(5))


def test_whoever_gave_up_costs_nothing_and_the_end_is_in_order() -> None:
    calls = Calls()
    batcher: Batcher = Batcher(workers=1, together=calls, most=lambda _: 4)
    with held(batcher):
        given_up, kept = batcher.submit(half(1)), batcher.submit(half(2))
        assert given_up.cancel()
    assert kept.result(20) == (2, 1)
    with held(batcher):
        late = batcher.submit(half(3))
        closing = threading.Thread(target=batcher.close)
        closing.start()
        with pytest.raises(CancelledError):
            late.result(20)
    closing.join(20)
    assert not closing.is_alive()
    assert batcher.submit(half(4)).cancelled()
