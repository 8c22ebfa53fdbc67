"""A window in two lines."""

import numpy as np
import pytest
from reasoning_cases import make_series

from exporter.reasoning.history import history_lines

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "newest", "blocks", "lines"),
    [
        (
            [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 5],
            2,
            3,
            ["before, median of each 45s: 1 2 3", "newest, one each 15s: 4 5"],
        ),
        ([1, 2, 3], 8, 8, ["newest, one each 15s: 1 2 3"]),
        ([1, 2, 3, 4], 2, 8, ["before, median of each 15s: 1 2", "newest, one each 15s: 3 4"]),
        ([1, 2, 3], 1, 0, ["newest, one each 15s: 3"]),
        ([NAN, NAN, 1, NAN], 2, 2, ["newest, one each 15s: 1 gap"]),
        ([1, NAN, NAN, 3, 4], 1, 2, ["before, median of each 30s: 1 3", "newest, one each 15s: 4"]),
        ([1, 1, NAN, NAN, 4], 1, 2, ["before, median of each 30s: 1 gap", "newest, one each 15s: 4"]),
        ([float("inf"), 2], 2, 2, ["newest, one each 15s: gap 2"]),
    ],
)
def test_blocks_are_medians_of_equal_stretches_oldest_first(
    values: list[float], newest: int, blocks: int, lines: list[str]
) -> None:
    assert lines == history_lines(make_series(values=values), newest=newest, blocks=blocks)


def test_a_hole_in_the_instants_is_a_gap_not_a_shorter_history() -> None:
    series = make_series(values=[1, 1, 2, 2, 9])
    object.__setattr__(series, "times", np.array([15.0, 30.0, 105.0, 120.0, 135.0]))
    assert history_lines(series, newest=1, blocks=4)[0] == "before, median of each 30s: 1 gap gap 2"


def test_long_blocks_are_given_in_minutes() -> None:
    series = make_series(values=[1.0] * 101, interval=301.0)
    assert history_lines(series, newest=1, blocks=2)[0].startswith("before, median of each 4h11m: ")
