"""Which photos are ready: settled by time, at once where they were renamed, in the order of their last write."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from teliti.data.listing import is_hidden_name, is_photo_name
from teliti.errors import RunError
from teliti.serve.arrivals import Arrivals, is_same_file


def is_photo(name: str) -> bool:
    return is_photo_name(name) and not is_hidden_name(name)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def arrivals(tmp_path: Path, clock: Clock) -> Arrivals:
    return Arrivals(tmp_path, is_photo=is_photo, settle_s=1.0, patience_s=5.0, clock=clock)


def names(arrivals: Arrivals) -> list[str]:
    return [drop.name for drop in arrivals.ready()]


def write(path: Path, data: bytes, *, second: int) -> None:
    """A file whose last write was then; its change time is set to the same, as a write does."""
    path.write_bytes(data)
    os.utime(path, ns=(second * 10**9, second * 10**9))


def unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`os.utime` counts as a change after the last write; here only times shall decide."""
    monkeypatch.setattr("teliti.serve.arrivals.Drop.is_named_after_writing", property(lambda _: False))


def test_a_file_is_settled_when_nothing_changed_for_a_while(arrivals: Arrivals, clock: Clock, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"half")
    assert names(arrivals) == []
    clock.now = 0.75
    with (tmp_path / "a.png").open("ab") as file:
        file.write(b" and half")
    assert names(arrivals) == []
    clock.now = 1.5
    assert names(arrivals) == []
    clock.now = 1.75
    assert names(arrivals) == ["a.png"]


@pytest.mark.skipif(os.name == "nt", reason="Windows does not tell when a file got its name")
def test_a_file_renamed_into_place_counts_at_once(arrivals: Arrivals, tmp_path: Path) -> None:
    (tmp_path / "a.png.part").write_bytes(b"whole")
    time.sleep(0.05)  # longer than a tick of the file system's clock
    (tmp_path / "a.png.part").rename(tmp_path / "a.png")
    assert names(arrivals) == ["a.png"]


def test_order_is_that_of_the_last_write(
    arrivals: Arrivals, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unnamed(monkeypatch)
    for name, second in (("c.png", 10), ("a.png", 20), ("b.png", 20)):
        write(tmp_path / name, b"x", second=second)
    names(arrivals)
    clock.now = 1.0
    assert names(arrivals) == ["c.png", "a.png", "b.png"]


def test_one_that_is_being_written_holds_up_those_behind_it(
    arrivals: Arrivals, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unnamed(monkeypatch)
    write(tmp_path / "b.png", b"x", second=20)
    names(arrivals)
    clock.now = 1.0
    write(tmp_path / "a.png", b"x", second=10)
    assert names(arrivals) == []
    clock.now = 2.0
    assert names(arrivals) == ["a.png", "b.png"]


def test_what_is_no_whole_photo_is_read_again_when_it_changes_or_its_time_is_over(
    arrivals: Arrivals, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"half")
    names(arrivals)
    clock.now = 1.0
    (drop,) = arrivals.ready()
    arrivals.wait_for(drop)
    assert names(arrivals) == []
    assert arrivals.is_waiting
    clock.now = 5.0
    (drop,) = arrivals.ready()
    assert arrivals.is_given_up(drop)
    path.write_bytes(b"half and the other half")
    assert names(arrivals) == []
    clock.now = 6.0
    (drop,) = arrivals.ready()
    assert not arrivals.is_given_up(drop)


def test_a_finished_photo_is_offered_again_only_when_it_changed(
    arrivals: Arrivals, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"one")
    names(arrivals)
    clock.now = 1.0
    arrivals.finish(*arrivals.ready())
    os.link(path, tmp_path / "kept")
    assert names(arrivals) == []
    assert not arrivals.is_waiting
    path.write_bytes(b"another")
    names(arrivals)
    clock.now = 2.0
    assert names(arrivals) == ["a.png"]


def test_other_files_are_left_alone(arrivals: Arrivals, clock: Clock, tmp_path: Path) -> None:
    for name in ("a.png.part", ".b.png", "notes.txt", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"x")
    names(arrivals)
    clock.now = 9.0
    assert names(arrivals) == []


def test_links_pipes_and_folders_are_no_regular_files(arrivals: Arrivals, clock: Clock, tmp_path: Path) -> None:
    """R16: a pipe or a link is told apart without being opened."""
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to("/dev/zero")
    (tmp_path / "folder.png").mkdir()
    names(arrivals)
    clock.now = 1.0
    found = {drop.name: drop.is_regular for drop in arrivals.ready()}
    assert found == {"pipe.png": False, "link.png": False, "folder.png": False}


def test_a_folder_that_vanished_ends_the_inspection(tmp_path: Path) -> None:
    arrivals = Arrivals(tmp_path / "nowhere", is_photo=is_photo, settle_s=0, patience_s=0)
    with pytest.raises(RunError, match=r'nowhere" cannot be read: No such file or directory\. Nothing was passed'):
        arrivals.ready()


def test_an_exchanged_file_is_not_the_same(arrivals: Arrivals, clock: Clock, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"one")
    names(arrivals)
    clock.now = 1.0
    (drop,) = arrivals.ready()
    assert is_same_file(tmp_path / "a.png", drop)
    (tmp_path / "new").write_bytes(b"two")
    (tmp_path / "new").replace(tmp_path / "a.png")
    assert not is_same_file(tmp_path / "a.png", drop)
    assert not is_same_file(tmp_path / "nowhere.png", drop)
