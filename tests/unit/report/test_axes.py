"""The drawing plane: where data values land, and which round values carry a tick."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teliti.report.axes import Plane, log_ticks, roomy_plane, span_of, tick_text, ticks

PLANE = Plane((0.0, 10.0), (0.0, 1.0), width=120, height=80, left=10, right=10, top=10, bottom=20)


def test_corners_and_middle():
    assert [PLANE.x(value) for value in (0, 5, 10)] == [10, 60, 110]
    assert [PLANE.y(value) for value in (0, 1)] == [60, 10]


def test_values_outside_stay_on_the_border():
    assert (PLANE.x(-3), PLANE.x(99)) == (10, 110)


def test_histogram_outline_is_closed_on_the_base_line():
    path = PLANE.steps([0, 5, 10], [1.0, 0.5], class_="area")
    assert 'd="M10.0 60.0V10.0H60.0V35.0H110.0V60.0Z"' in path


@pytest.mark.parametrize(
    ("span", "expected"),
    [((0, 1), [0, 0.2, 0.4, 0.6, 0.8, 1.0]), ((-0.4, 0.4), [-0.4, -0.2, 0, 0.2, 0.4]), ((0, 46), [0, 10, 20, 30, 40])],
)
def test_ticks_are_round(span, expected):
    assert ticks(span) == pytest.approx(expected)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_and_inside(low, width):
    found = ticks((low, low + width))
    assert 1 <= len(found) <= 7
    assert all(low - 1e-6 * width <= value <= low + width * (1 + 1e-6) for value in found)


def test_an_empty_range_has_one_tick_and_a_span_is_never_empty():
    assert ticks((3.0, 3.0)) == [3.0]
    low, high = span_of([2.0, 2.0])
    assert low < 2.0 < high


def test_tick_labels_are_short():
    assert [tick_text(value) for value in (0.2, 1.0, 2000.0, -0.5, 2e9)] == ["0.2", "1", "2,000", "-0.5", "2e+09"]


def test_logarithms_have_powers_of_ten_or_what_lies_between():
    assert log_ticks((-6.2, 0.1)) == [(-6, "1e-6"), (-4, "0.0001"), (-2, "0.01"), (0, "1")]
    between = log_ticks((-0.8, -0.2))
    assert len(between) >= 2
    assert all(float(words) == pytest.approx(10**value, rel=0.05) for value, words in between)


def test_a_frame_takes_ticks_of_its_own():
    drawn = PLANE.frame(x_label="Epoch", y_label="Loss", x_ticks=[(5.0, "five")], y_ticks=[(1.0, "one")])
    assert ">five</text>" in drawn
    assert ">one</text>" in drawn
    assert ">0.2</text>" not in drawn


@pytest.mark.parametrize("span", [(0.0, 1.0), (-0.15, 0.1), (-2e-5, 2e-5), (-9e6, 9e6)])
def test_ticks_have_room_beside_the_title(span):
    plane = roomy_plane((0.0, 1.0), span, height=300)
    longest = max(len(tick_text(value)) for value in ticks(span))
    title_ends, tick_ends = 14 + 4, plane.left - 8
    assert tick_ends - 6.7 * longest >= title_ends  # a digit of 12 px is at most so wide


def test_room_is_never_taken_and_ticks_of_its_own_count():
    assert roomy_plane((0.0, 1.0), (0.0, 1.0), height=300).left == Plane((0.0, 1.0), (0.0, 1.0)).left
    assert roomy_plane((0.0, 1.0), (0.0, 1.0), height=300, left=70).left == 70
    assert roomy_plane((0.0, 1.0), (0.0, 1.0), height=300, y_ticks=[(0.0, "ten digits")]).left == 98
