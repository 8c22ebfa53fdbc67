"""How much counters and histograms grew from one instant to the next. Whole matrices at once.

A counter that shows less than before was started anew at zero: its increase is what it shows. Between two instants
with values at most one may be missing; the increase then belongs to the later one and covers both intervals. Across
longer gaps nothing is said: NaN.
"""

import numpy as np

from exporter.series.frame import FloatArray, IntArray

LONGEST_STEP = 2.5
"""Intervals between two values that may still be compared: one missing scrape, and half an interval of lateness."""


def previous(values: FloatArray, times: FloatArray, longest: float) -> tuple[FloatArray, FloatArray]:
    """The value before each value, and the seconds between the two.

    Args:
        values: [… × instants].
        times: [instants]: Unix seconds.
        longest: seconds that may lie between the two.

    Returns:
        Two arrays like `values`; NaN where there is none, as at the first instant.
    """
    before = np.full_like(values, np.nan)
    before[..., 1:] = values[..., :-1]
    earlier = np.full_like(values, np.nan)
    earlier[..., 2:] = values[..., :-2]
    one_step, two_steps = np.full_like(times, np.nan), np.full_like(times, np.nan)
    one_step[1:] = times[1:] - times[:-1]
    two_steps[2:] = times[2:] - times[:-2]
    missing = np.isnan(before)
    before = np.where(missing, earlier, before)
    elapsed = np.where(missing, two_steps, one_step)
    before[elapsed > longest] = np.nan
    return before, elapsed


def differences(values: FloatArray, times: FloatArray, longest: float) -> FloatArray:
    """What each value has changed by since the one before. Arguments and shape as in `previous`."""
    before, _ = previous(values, times, longest)
    with np.errstate(invalid="ignore"):  # Inf - Inf
        return values - before


def increases(values: FloatArray, times: FloatArray, longest: float) -> tuple[FloatArray, FloatArray]:
    """What each counter has grown by since the value before, and the seconds between the two."""
    before, elapsed = previous(values, times, longest)
    with np.errstate(invalid="ignore"):
        grown = values - before
    return np.where(values < before, values, grown), elapsed


def means(sums: FloatArray, counts: FloatArray, times: FloatArray, longest: float) -> FloatArray:
    """The mean of what was observed in each interval.

    A restart is read from the count alone, because a sum shrinks by negative observations as well.

    Args:
        sums: [histograms × instants]: the `_sum` series.
        counts: [histograms × instants]: the `_count` series.
        times: [instants]: Unix seconds.
        longest: seconds between two values that may be compared.

    Returns:
        [histograms × instants]: NaN where nothing was observed.
    """
    missing = np.isnan(sums) | np.isnan(counts)
    sums, counts = np.where(missing, np.nan, sums), np.where(missing, np.nan, counts)
    sums_before, _ = previous(sums, times, longest)
    counts_before, _ = previous(counts, times, longest)
    restarted = counts < counts_before
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = np.where(restarted, counts, counts - counts_before)
        total = np.where(restarted, sums, sums - sums_before)
        return np.where(observed > 0, total / observed, np.nan)


def bucket_increases(counts: FloatArray, times: FloatArray, longest: float) -> FloatArray:
    """What each cumulative bucket has grown by since the value before.

    All buckets of a histogram restart together, so one that shrank tells it for all. A bucket that is exposed at only one
    of the two instants has grown by nothing that is known, unless it came with a restart.

    Args:
        counts: [histograms × buckets × instants]: the last bucket is that of +Inf; without it there is no histogram.
        times: [instants]: Unix seconds.
        longest: seconds between two values that may be compared.

    Returns:
        An array like `counts`; NaN where it is not known.
    """
    counts = np.where(np.isnan(counts[:, -1:]), np.nan, counts)
    before, _ = previous(counts, times, longest)
    # All buckets are compared with the same instant: none with an older one than the last.
    begun = np.isnan(counts[..., :-1]) & ~np.isnan(counts[:, -1:, :-1])
    before[..., 1:][begun] = np.nan
    restarted = (counts < before).any(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.where(restarted, counts, counts - before)


def quantiles(cumulative: FloatArray, bounds: FloatArray, share: float) -> FloatArray:
    """Quantiles estimated as PromQL's `histogram_quantile` does: linear inside the bucket they fall into.

    Source: `bucketQuantile` in Prometheus' promql/quantile.go. The lowest bucket begins at 0 if its bound is positive;
    a quantile in the last bucket is the bound before it; buckets that shrink with rising bounds are levelled up.

    Args:
        cumulative: [histograms × buckets × instants]: observations up to each bound; NaN for a bucket that is not there
            at an instant: the others make up the histogram then.
        bounds: [histograms × buckets]: ascending; the last is +Inf.
        share: strictly between 0 and 1.

    Returns:
        [histograms × instants]: NaN where nothing was observed, or no bucket but the last is there.
    """
    there = ~np.isnan(cumulative)
    lowest_there = there.argmax(axis=1)
    # A bucket that is not there becomes one of no width and no observations, so that no quantile falls into it.
    reach = np.fmax.accumulate(np.where(there, bounds[:, :, np.newaxis], np.nan), axis=1)
    cumulative = np.where(there[:, -1:], np.fmax.accumulate(cumulative, axis=1), np.nan)
    total = cumulative[:, -1]
    rank = share * total
    bucket = np.count_nonzero(~(cumulative[:, :-1] >= rank[:, np.newaxis]), axis=1)
    lowest, last = bucket == lowest_there, bucket == bounds.shape[1] - 1
    upper = _at_bucket(reach, bucket)
    lower = np.where(lowest, 0.0, _at_bucket(reach, np.maximum(bucket - 1, 0)))
    reached = _at_bucket(cumulative, bucket)
    below = np.where(lowest, 0.0, _at_bucket(cumulative, np.maximum(bucket - 1, 0)))
    with np.errstate(invalid="ignore", divide="ignore"):
        inside = lower + (upper - lower) * (rank - below) / (reached - below)
    result = np.where(last, reach[:, -2], np.where(lowest & (upper <= 0), upper, inside))
    return np.where(total > 0, result, np.nan)


def _at_bucket(of_buckets: FloatArray, bucket: IntArray) -> FloatArray:
    """[histograms × instants]: of an array [histograms × buckets × instants] what it holds for one bucket each."""
    return np.take_along_axis(of_buckets, bucket[:, np.newaxis], axis=1)[:, 0]
