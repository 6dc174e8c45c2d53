"""Photos arrive while the watch is killed: the short form, on every change."""

from __future__ import annotations

from pathlib import Path

from kills import check_kills


def test_a_hundred_photos_and_three_kills(tmp_path: Path) -> None:
    check_kills(tmp_path, photos=100, kills=3, photos_per_second=20)
