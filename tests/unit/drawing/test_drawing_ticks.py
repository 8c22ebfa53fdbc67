import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.drawing.ticks import time_ticks, value_ticks

DAY = 86400.0


@pytest.mark.parametrize(
    ("smallest", "largest", "ticks"),
    [
        (0.0, 10.0, [0.0, 5.0, 10.0]),
        (0.13, 0.95, [0.5]),
        (-7.0, 7.0, [-5.0, 0.0, 5.0]),
        (173e6, 387e6, [200e6, 300e6]),
        (1.0, 1.0, []),
        (2.0, 1.0, []),
        (0.0, float("inf"), []),
        (0.0, float("nan"), []),
    ],
)
def test_values_of_an_axis_are_round(smallest: float, largest: float, ticks: list[float]):
    assert value_ticks(smallest, largest) == pytest.approx(ticks)


@given(st.floats(allow_nan=False), st.floats(allow_nan=False), st.integers(1, 8))
def test_there_are_never_too_many_values_and_all_lie_within(one: float, other: float, most: int):
    smallest, largest = sorted((one, other))
    ticks = value_ticks(smallest, largest, most)
    assert len(ticks) <= most
    slack = (largest - smallest) * 1e-9
    assert all(smallest - slack <= tick <= largest + slack for tick in ticks)


@pytest.mark.parametrize(
    ("begin", "end", "ticks"),
    [
        (30.0, 3630.0, [900.0, 1800.0, 2700.0, 3600.0]),
        (0.0, 7 * DAY, [0.0, 2 * DAY, 4 * DAY, 6 * DAY]),
        (5.0, 5.0, []),
        (5.0, float("inf"), []),
    ],
)
def test_times_of_an_axis_are_those_of_the_clock(begin: float, end: float, ticks: list[float]):
    assert time_ticks(begin, end) == ticks


@given(st.floats(0, 4e9), st.floats(1.0, 3e8), st.integers(1, 8))
def test_there_are_never_too_many_times_and_all_lie_within(begin: float, span: float, most: int):
    ticks = time_ticks(begin, begin + span, most)
    assert len(ticks) <= most
    assert all(begin <= tick <= begin + span for tick in ticks)
