import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.drawing.curves import Scale, Size, corners, extremes
from exporter.drawing.plots import bounds

NAN = float("nan")
MIXED = st.floats(allow_nan=True, allow_infinity=True)


def slow_extremes(values: np.ndarray, columns: int) -> list[int]:
    """The definition, column by column."""
    chosen = {len(values) - 1}
    for column in np.array_split(np.arange(len(values)), columns):
        known = [i for i in column if not np.isnan(values[i])]
        missing = [i for i in column if not np.isfinite(values[i])]
        chosen.update(missing[:1])
        if len(missing) < len(column):
            chosen.update((min(known, key=lambda i: values[i]), max(known, key=lambda i: values[i])))
    return sorted(int(i) for i in chosen)


@given(st.lists(MIXED, max_size=80), st.integers(1, 9))
def test_of_each_column_the_extremes_and_the_first_gap_are_kept(values: list[float], columns: int):
    array = np.array(values, dtype=np.float64)
    kept = extremes(array, columns)
    assert kept == (slow_extremes(array, columns) if len(values) > 2 * columns else list(range(len(values))))


@given(st.lists(st.sampled_from([0.0, 1.0, NAN]), max_size=30))
def test_a_line_through_the_corners_is_the_line_through_all(values: list[float]):
    array = np.array(values, dtype=np.float64)
    kept = corners(array, range(len(values)))
    assert set(range(len(values))) - set(kept) == {
        i for i in range(1, len(values) - 1) if values[i - 1] == values[i] == values[i + 1]
    }


def test_a_scale_over_no_finite_value_is_none():
    assert Scale.over(np.array([NAN, np.inf]), 0.0, 1.0, Size(10, 10)) is None


@pytest.mark.parametrize(
    ("place", "value", "at"), [(0.0, 0.0, (1.0, 18.0)), (4.0, 10.0, (9.0, 2.0)), (2.0, 5.0, (5.0, 10.0))]
)
def test_places_go_right_and_values_up_inside_of_the_margins(place: float, value: float, at: tuple[float, float]):
    scale = Scale(0.0, 4.0, 0.0, 10.0, Size(10, 20), edge=1.0, margin=0.1)
    assert (scale.x(place), scale.y(value)) == pytest.approx(at)


def test_a_picture_reaches_for_a_band_but_not_too_far():
    values, flat = np.array([0.0, 4.0]), np.array([2.0, 2.0])
    assert bounds(values, values - 0.5, values + 0.5) == (-0.5, 4.5)
    assert bounds(values, values - 50, values + 50) == (-1.0, 5.0)
    assert bounds(values, np.array([NAN, 1.0]), np.array([3.0, np.inf])) == (0.0, 4.0)
    assert bounds(flat, flat - 9, flat + 9) == (-7.0, 11.0)
    assert bounds(values * NAN, values, values) is None
