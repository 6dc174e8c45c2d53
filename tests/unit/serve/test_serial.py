"""Serial numbers out of photo names."""

from __future__ import annotations

import pytest

from teliti.errors import UserError
from teliti.serve.serial import serial_reader


@pytest.mark.parametrize(
    ("pattern", "name", "serial"),
    [
        (None, "A17.png", "A17"),
        (None, "A17.v2.png", "A17.v2"),
        ("{serial}_*", "A17_top_1.png", "A17"),
        ("cam?_{serial}_*", "cam1_A17_top.png", "A17"),
        ("*-{serial}", "2026-05-04-A17.jpg", "05-04-A17"),
        ("SN{serial}", "A17.png", None),
        ("a.b+{serial}", "a.b+7.png", "7"),
        ("a.b+{serial}", "aXb+7.png", None),
    ],
)
def test_serial_numbers(pattern: str | None, name: str, serial: str | None) -> None:
    assert serial_reader(pattern)(name) == serial


@pytest.mark.parametrize("pattern", ["", "*", "{serial}{serial}", "**{serial}", "*a*b*c*d*{serial}"])
def test_a_pattern_that_has_no_one_reading_is_refused(pattern: str) -> None:
    with pytest.raises(UserError, match=r"--serial must have \{serial\} once, and at most four single"):
        serial_reader(pattern)
