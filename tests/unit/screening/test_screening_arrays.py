"""Order statistics and runs of whole matrices agree with what plain Python says of each row."""

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from exporter.screening.ordered import Ordered, medians
from exporter.screening.runs import ending, longest, starts

SHARES = [0.0, 0.005, 0.1, 0.25, 0.5, 0.75, 0.9, 0.995, 1.0]
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=30)
GAPPY = hnp.arrays(
    np.float64, SHAPES, elements=st.one_of(st.floats(-1e6, 1e6), st.just(np.nan), st.integers(-2, 2).map(float))
)
FLAGS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12))


@settings(max_examples=50)
@given(GAPPY)
def test_quantiles_are_those_of_numpy_whatever_is_missing(values):
    ordered = Ordered.of(values, whole=not np.isnan(values).any())
    for row, kept in enumerate([line[~np.isnan(line)] for line in values]):
        assert ordered.count[row] == kept.size
        if kept.size:
            assert np.allclose(ordered.marks[:, row], np.quantile(kept, SHARES), rtol=1e-12, atol=1e-9)
            assert (ordered.minimum[row], ordered.maximum[row]) == (kept.min(), kept.max())
            assert ordered.quartiles[0][row] <= ordered.median[row] <= ordered.quartiles[1][row]
        else:
            assert np.isnan(ordered.marks[:, row]).all()


@settings(max_examples=50)
@given(GAPPY)
def test_the_step_is_the_smallest_distance_of_different_values(values):
    ordered = Ordered.of(values, whole=False)
    for row, line in enumerate(values):
        kept = np.unique(line[~np.isnan(line)])
        assert ordered.step()[row] == (np.diff(kept).min() if kept.size > 1 else 0.0)


@settings(max_examples=50)
@given(GAPPY)
def test_a_median_needs_half_of_the_values(values):
    found = medians(values, whole=False)
    for row, line in enumerate(values):
        kept = line[~np.isnan(line)]
        if 2 * kept.size >= line.size:
            assert found[row] == pytest.approx(np.median(kept), rel=1e-12, abs=1e-9)
        else:
            assert np.isnan(found[row])


@pytest.mark.parametrize(
    ("draw", "low", "high"),
    [
        ("uniform", 1.1, 1.4),
        ("normal", 1.9, 2.2),
        ("laplace", 2.6, 3.2),
        ("standard_cauchy", 8.0, 8.0),
    ],
)
def test_heaviness_tells_light_tails_from_heavy_ones(draw, low, high):
    values = getattr(np.random.default_rng(1), draw)(size=(1, 20_000))
    below, above = Ordered.of(values, whole=True).heaviness()[:, 0]
    assert low <= below <= high
    assert low <= above <= high


def test_heaviness_of_a_constant_is_zero_and_of_rare_blips_is_unknown_but_heavy():
    values = np.zeros((2, 200))
    values[1, :5] = 7.0
    assert Ordered.of(values, whole=True).heaviness().tolist() == [[0.0, 4.0], [0.0, 4.0]]


@given(FLAGS)
def test_runs_are_what_counting_says(flags):
    for row, line in enumerate(flags.tolist()):
        runs = [(flag, len(list(same))) for flag, same in groupby(line)]
        lengths = [length for flag, length in runs if flag]
        assert longest(flags)[row] == max(lengths, default=0)
        assert starts(flags)[row] == len(lengths)
        assert ending(flags)[row] == (runs[-1][1] if runs[-1][0] else 0)
