"""Numbers as people read them."""

import pytest

from teliti.cli.wording import format_bytes, format_interval, format_number, format_photos, format_seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 00 s"),
        (185, "3 min 05 s"), (3599.6, "1 h 00 min"), (7800, "2 h 10 min"),
    ],
)  # fmt: skip
def test_seconds(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_500_000, "1.4 MiB"), (4 * 1024**3, "4.0 GiB"),
     (5000 * 1024**4, "5000.0 TiB")],
)  # fmt: skip
def test_bytes(size: int, text: str) -> None:
    assert format_bytes(size) == text


def test_numbers_and_intervals() -> None:
    assert format_number(0.88571) == "0.886"
    assert format_number(None) == "-"
    assert format_interval([0.8556, 0.91]) == "0.856 to 0.910"
    assert format_interval(None) == ""
    assert (format_photos(1), format_photos(2624)) == ("1 photo", "2,624 photos")
