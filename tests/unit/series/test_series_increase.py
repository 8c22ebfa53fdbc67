"""Growth of counters, and means and quantiles of histograms, against hand-computed tables and slow twins."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.series.increase import bucket_increases, differences, increases, means, previous, quantiles

NAN = math.nan
LONGEST = 25.0
TIMES = np.array([0.0, 10.0, 20.0, 30.0])


def grow(row, times=None):
    times = 10.0 * np.arange(len(row)) if times is None else np.array(times, np.float64)
    grown, elapsed = increases(np.array([row], np.float64), times, LONGEST)
    return grown[0].tolist(), elapsed[0].tolist()


@pytest.mark.parametrize(
    ("row", "grown"),
    [
        ([], []),
        ([5], [NAN]),
        ([5, 7, 7, 12], [NAN, 2, 0, 5]),
        ([5, 7, 3, 4], [NAN, 2, 3, 1]),  # restarted: it counted 3 since
        ([5, 0, 0, 1], [NAN, 0, 0, 1]),  # restarted and did nothing
        ([5, 4, 3, 2], [NAN, 4, 3, 2]),  # restarted each time
        ([5, NAN, 9, 10], [NAN, NAN, 4, 1]),  # one missing is bridged
        ([5, NAN, 2, 3], [NAN, NAN, 2, 1]),  # restarted while missing
        ([5, NAN, NAN, 9], [NAN, NAN, NAN, NAN]),  # two missing are not
        ([NAN, NAN, 9, 10], [NAN, NAN, NAN, 1]),
        ([1, math.inf, math.inf, 2], [NAN, math.inf, NAN, 2]),
    ],
)
def test_counter_increases(row, grown):
    assert np.array_equal(grow(row)[0], grown, equal_nan=True)


@pytest.mark.parametrize(
    ("times", "grown"),
    [
        ([0, 10, 35, 45], [NAN, 2, 3, 4]),
        ([0, 10, 36, 46], [NAN, 2, NAN, 4]),  # nobody looked for too long
        ([0, 1, 2, 3], [NAN, 2, 3, 4]),
    ],
)
def test_real_time_differences_decide_what_a_gap_is(times, grown):
    assert np.array_equal(grow([1, 3, 6, 10], times)[0], grown, equal_nan=True)


def test_a_bridged_gap_is_as_long_as_both_its_intervals():
    assert np.array_equal(grow([5, NAN, 9, 10])[1], [NAN, 10, 20, 10], equal_nan=True)
    assert np.array_equal(grow([5, NAN, 9, 10], [0, 10, 26, 36])[0], [NAN, NAN, NAN, 1], equal_nan=True)


def test_differences_may_be_negative():
    row = np.array([[5.0, 3, NAN, 8]])
    assert np.array_equal(differences(row, TIMES, LONGEST), [[NAN, -2, NAN, 5]], equal_nan=True)


@pytest.mark.parametrize(
    ("sums", "counts", "expected"),
    [
        ([10, 16, 16, 20], [5, 8, 8, 10], [NAN, 2, NAN, 2]),  # nothing observed: no mean
        ([10, 4, 6, 6], [5, 2, 3, 3], [NAN, 2, 2, NAN]),  # restarted
        ([10, 4, 0, 2], [5, 7, 8, 9], [NAN, -3, -4, 2]),  # negative observations are no restart
        ([10, 30, 40, 50], [5, 2, 4, 5], [NAN, 15, 5, 10]),  # restarted, and the sum is larger already
        ([10, NAN, 16, 20], [5, 6, 8, 10], [NAN, NAN, 2, 2]),  # a part missing is all missing, and bridged together
    ],
)
def test_means(sums, counts, expected):
    found = means(np.array([sums], float), np.array([counts], float), TIMES, LONGEST)
    assert np.array_equal(found[0], expected, equal_nan=True)


def test_a_bucket_that_shrank_tells_the_restart_for_all_buckets():
    counts = np.array([[[5.0, 1], [9, 9], [10, 12]]])
    grown = bucket_increases(counts, TIMES[:2], LONGEST)
    assert grown[0, :, 1].tolist() == [1, 9, 12]


def grown_of(*buckets):
    """By instants, what was grown in each bucket."""
    counts = np.array([buckets], float)
    return bucket_increases(counts, 10.0 * np.arange(counts.shape[2]), LONGEST)[0].T


def test_a_bucket_that_is_missing_is_not_compared_across_what_the_others_are_compared_with():
    found = grown_of([1, NAN, 3, 5], [1, 2, 3, 7])
    assert np.array_equal(found, [[NAN, NAN], [NAN, 1], [NAN, 1], [2, 4]], equal_nan=True)


def test_a_histogram_without_its_last_bucket_is_missing_and_bridged_as_a_whole():
    found = grown_of([1, 2, 4], [1, NAN, 6])
    assert np.array_equal(found, [[NAN, NAN], [NAN, NAN], [3, 5]], equal_nan=True)


def test_a_bucket_that_came_with_a_restart_has_grown_by_what_it_shows():
    found = grown_of([5, NAN], [NAN, 3], [9, 4])
    assert np.array_equal(found, [[NAN, NAN, NAN], [NAN, 3, 4]], equal_nan=True)


INF = math.inf


@pytest.mark.parametrize(
    ("bounds", "buckets", "share", "expected"),
    [
        ([1, 2, 4, INF], [0, 10, 10, 10], 0.5, 1.5),  # half-way through the second
        ([1, 2, 4, INF], [10, 10, 10, 10], 0.9, 0.9),  # the lowest begins at 0
        ([1, 2, 4, INF], [2, 6, 10, 10], 0.9, 3.5),  # 9 of 10: 3 of 4 through (2, 4]
        ([1, 2, 4, INF], [2, 6, 8, 10], 0.9, 4),  # beyond the last bound
        ([1, 2, 4, INF], [5, 10, 10, 10], 0.5, 1),  # just at a bound
        ([-2, -1, INF], [4, 10, 10], 0.1, -2),  # the lowest is not positive: its bound
        ([-2, -1, INF], [4, 10, 10], 0.7, -1.5),
        ([1, INF], [0, 0], 0.5, NAN),  # nothing observed
        ([1, INF], [NAN, 3], 0.5, NAN),  # nothing is known but their number
        ([1, INF], [3, NAN], 0.5, NAN),
        ([1, 2, INF], [6, 5, 10], 0.6, 1),  # a bucket that shrinks is levelled up
        ([0.1, INF], [0, 7], 0.5, 0.1),
    ],
)
def test_quantiles_as_in_histogram_quantile(bounds, buckets, share, expected):
    found = quantiles(np.array(buckets, float)[np.newaxis, :, np.newaxis], np.array([bounds], float), share)
    assert found[0, 0] == pytest.approx(expected, nan_ok=True)


def slow_quantile(cumulative, bounds, share):
    """`bucketQuantile` of Prometheus, word for word, of the buckets that are there."""
    highest = 0.0
    there = [(bound, count) for bound, count in zip(bounds, cumulative, strict=True) if not math.isnan(count)]
    if len(there) < 2 or there[-1][0] != INF:
        return NAN
    bounds, cumulative = zip(*there, strict=True)
    levelled = [highest := max(highest, count) for count in cumulative]
    total = levelled[-1]
    if total == 0:
        return NAN
    rank = share * total
    b = next((i for i, count in enumerate(levelled[:-1]) if count >= rank), len(levelled) - 1)
    if b == len(levelled) - 1:
        return bounds[-2]
    if b == 0 and bounds[0] <= 0:
        return bounds[0]
    start, count = 0.0, levelled[b]
    if b > 0:
        start = bounds[b - 1]
        count -= levelled[b - 1]
        rank -= levelled[b - 1]
    return start + (bounds[b] - start) * (rank / count)


BOUNDS = st.lists(st.integers(-20, 20), min_size=1, max_size=5, unique=True).map(lambda found: [*sorted(found), INF])


@given(st.data(), BOUNDS, st.sampled_from([0.5, 0.9, 0.99]))
def test_quantiles_equal_a_slow_twin(data, bounds, share):
    count = st.one_of(st.just(NAN), *[st.integers(0, 9)] * 3)
    counts = st.lists(count, min_size=len(bounds), max_size=len(bounds))
    instants = data.draw(st.lists(counts, min_size=1, max_size=4))
    cumulative = np.array(instants, float).T[np.newaxis]
    found = quantiles(cumulative, np.array([bounds], float), share)[0]
    expected = [slow_quantile(buckets, bounds, share) for buckets in instants]
    assert found.tolist() == pytest.approx(expected, nan_ok=True)


VALUES = st.lists(st.one_of(st.just(NAN), st.integers(0, 9).map(float)), max_size=12)


@given(VALUES, st.data())
def test_the_previous_value_equals_a_slow_twin(row, data):
    steps = data.draw(st.lists(st.sampled_from([1, 10, 12, 24, 26]), min_size=len(row), max_size=len(row)))
    times = np.cumsum(np.array(steps, float))
    before, elapsed = previous(np.array([row], float), times, LONGEST)
    for i in range(len(row)):
        candidates = [j for j in (i - 1, i - 2) if j >= 0 and not math.isnan(row[j])]
        near = [j for j in candidates[:1] if times[i] - times[j] <= LONGEST]
        if near:
            assert (before[0, i], elapsed[0, i]) == (row[near[0]], times[i] - times[near[0]])
        else:
            assert math.isnan(before[0, i])
