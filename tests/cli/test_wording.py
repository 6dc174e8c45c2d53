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
    assert format_number(4.2e-5) == "0.000"


@pytest.mark.parametrize(
    ("value", "words"),
    [(4.2e-5, "4.2e-05"), (-4.23456e-5, "-4.23e-05"), (0.0, "0.000"), (0.001, "0.001"), (1234.5678, "1234.568"),
     (2.5e9, "2.5e+09"), (None, "-")],
)  # fmt: skip
def test_a_measure_in_the_units_of_the_labels_keeps_its_digits(value, words):
    assert format_number(value, in_units=True) == words


def test_an_interval_in_the_units_of_the_labels_keeps_its_digits():
    assert format_interval([4.2e-5, 0.25], in_units=True) == "4.2e-05 to 0.250"
    assert format_interval([4.2e-5, 0.25]) == "0.000 to 0.250"
    assert format_interval([0.8556, 0.91]) == "0.856 to 0.910"
    assert format_interval(None) == ""
    assert (format_photos(1), format_photos(2624)) == ("1 photo", "2,624 photos")
