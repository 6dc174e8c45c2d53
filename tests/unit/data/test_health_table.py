"""Many photos' health in columns is the same health, in a tenth of the memory."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from teliti.data.health import Health
from teliti.data.health_table import HealthTable, read_moment

ONE = Health(
    300, 400, 50_000, 6, 120.5, 30.25, 40.0, 220.0, 0.125, 0.5, 0.75, 3.5, "8-bit grey", "Cam A", "2024:05:06 07:08:09"
)
OTHERS = [replace(ONE, height=20 + at, mode="CMYK", camera="", moment="") for at in range(3)]


def test_columns_hold_what_the_photos_had():
    table = HealthTable([ONE, *OTHERS])
    assert len(table) == 4
    for name in ("height", "width", "file_size", "orientation", "mean", "deviation", "low", "high", "common"):
        assert table.column(name)[0] == getattr(ONE, name)
    assert [table.column(name)[0] for name in ("clipped", "blur", "colour")] == [0.5, 0.75, 3.5]
    assert table.sizes() == [(300, 400), (20, 400), (21, 400), (22, 400)]
    modes, of_photo = table.words("mode")
    assert [modes[at] for at in of_photo] == ["8-bit grey", "CMYK", "CMYK", "CMYK"]
    assert table.column("moment")[0] == read_moment("2024:05:06 07:08:09")
    assert np.isnan(table.column("moment")[1:]).all()


def test_some_of_the_photos_are_a_table_of_their_own():
    chosen = HealthTable([ONE, *OTHERS]).only(np.array([0, 2]))
    assert chosen.sizes() == [(300, 400), (21, 400)]
    cameras, of_photo = chosen.words("camera")
    assert [cameras[at] for at in of_photo] == ["Cam A", ""]
    assert np.isfinite(chosen.column("moment")).tolist() == [True, False]


@pytest.mark.parametrize("text", ["", "0000:00:00 00:00:00", "yesterday"])
def test_a_moment_that_is_none_is_unknown(text):
    assert np.isnan(read_moment(text))


def test_a_photo_takes_less_than_a_hundred_bytes():
    rows = [replace(ONE, moment=f"2024:05:06 07:{at // 60:02d}:{at % 60:02d}").to_row() for at in range(3000)]
    table = HealthTable()
    tracemalloc.start()
    for row in rows:
        table.append(row)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used < 100 * len(rows)
