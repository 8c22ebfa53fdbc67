"""The grid of instants: aligned, the same for everyone who asks within one step."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import BadDataError
from exporter.sources.grid import Grid, stack
from exporter.sources.matrix import parse_matrix


@given(st.integers(10**12, 2 * 10**12), st.integers(1, 10**5), st.integers(1, 3600))
def test_instants_are_multiples_of_the_step_up_to_now(at_ms, span, step):
    grid = Grid.ending_at(at_ms / 1000, span=span, step=step)
    assert grid.end_ms <= at_ms < grid.end_ms + grid.step_ms
    assert grid.start_ms % grid.step_ms == 0
    assert grid.count == max(1, span // step)
    assert len(grid.times()) == grid.count
    np.testing.assert_array_equal(grid.columns(grid.times()), np.arange(grid.count))


def test_asking_again_within_a_step_gives_the_same_grid():
    grids = {Grid.ending_at(at, span=3600, step=15) for at in (1_700_000_010, 1_700_000_017.5, 1_700_000_024.999)}
    assert len(grids) == 1
    assert Grid.ending_at(1_700_000_025, span=3600, step=15) not in grids


@given(st.integers(1, 500), st.integers(1, 100))
def test_parts_cover_the_grid_once(count, most):
    grid = Grid(1_700_000_000_000, 15_000, count)
    parts = list(grid.parts(most))
    assert max(part.count for part in parts) <= most
    np.testing.assert_array_equal(np.concatenate([part.times() for part in parts]), grid.times())


@pytest.mark.parametrize("time", [99.0, 100.4, 131.0, -1e300, 1e18, np.nan, np.inf])
def test_a_point_beside_the_grid_is_refused(time):
    with pytest.raises(BadDataError, match="not asked for"):
        Grid(100_000, 10_000, 3).columns(np.array([100.0, time]))


def matrix(*series):
    result = [{"metric": labels, "values": [[time, str(value)] for time, value in points]} for labels, points in series]
    return parse_matrix(json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode())


GRID = Grid(100_000, 10_000, 4)


def test_parts_are_joined_by_labels_and_gaps_are_nan():
    first = matrix(({"a": "2"}, [(100, 1), (110, 2)]), ({"a": "1"}, [(110, 3)]))
    second = matrix(({"a": "1"}, [(120, 4), (130, 5)]), ({"a": "3"}, [(130, 6)]))
    table = stack([first, second], GRID)
    assert table.labels == ((("a", "1"),), (("a", "2"),), (("a", "3"),))
    nan = np.nan
    np.testing.assert_array_equal(table.values, [[nan, 3, 4, 5], [1, 2, nan, nan], [nan, nan, nan, 6]])
    assert table.points == 6


def test_the_name_of_the_metric_is_dropped():
    table = stack([matrix(({"__name__": "up", "job": "a"}, [(100, 1)]))], GRID)
    assert table.labels == ((("job", "a"),),)


def test_names_are_kept_as_exported_name_where_nothing_else_tells_series_apart():
    series = [({"__name__": name, "job": "a"}, [(100, 1)]) for name in ("x", "y")]
    table = stack([matrix(*series, ({"__name__": "x", "job": "b"}, [(100, 1)]))], GRID)
    assert [dict(labels) for labels in table.labels] == [
        {"exported_name": "x", "job": "a"},
        {"exported_name": "x", "job": "b"},
        {"exported_name": "y", "job": "a"},
    ]


def test_exported_name_gives_way_to_a_label_of_that_name():
    series = [({"__name__": name, "exported_name": "taken"}, [(100, 1)]) for name in ("x", "y")]
    assert [dict(labels) for labels in stack([matrix(*series)], GRID).labels] == [
        {"exported_exported_name": "x", "exported_name": "taken"},
        {"exported_exported_name": "y", "exported_name": "taken"},
    ]


def test_two_series_with_the_same_labels_are_refused():
    with pytest.raises(BadDataError, match="the same labels"):
        stack([matrix(({"a": "1"}, [(100, 1)]), ({"a": "1", "empty": ""}, [(100, 2)]))], GRID)
