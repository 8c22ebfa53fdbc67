"""How odd the distance between a series and the median of its set is, as such, as a share and by regression."""

import numpy as np

from exporter.screening.ordered import Ordered, medians
from exporter.screening.tails import decay_of, log_beyond
from exporter.series.frame import FloatArray, IntArray

FASTEST_DECAY = 11.0
"""e-foldings over one range of distances, at most: as for levels in `level_shift`. The heavier their tails, the fewer."""
_TAUGHT = 0.5
"""Share of the earlier distances that teach how their tail falls off. Chosen by simulation, with the decay: of 20,000 series
of each calm kind at most 0.01 % are then beyond the boundary of 15 s and 30 days; if all taught, up to 0.02 %."""
_SMALLEST = 1e-305


def taught_by_distances(count: IntArray) -> FloatArray:
    """How many of `count` earlier distances teach how their tail falls off."""
    return np.asarray(_TAUGHT * count, dtype=np.float64)


def least_odd(own: FloatArray, middle: FloatArray, unit: FloatArray) -> FloatArray:
    """How odd the newest distance from the median is, in the way of taking it into account that makes it least odd.

    Args:
        own: `[series × stretches + 1]`, the newest last.
        middle: `[series × stretches + 1]`, the median of its set.
        unit: `[series]` distances are measured in no smaller one.

    Returns:
        `[series]` logarithms of tail probabilities.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        ways = [
            _log_tail(own - factor[:, None] * middle, unit)
            for factor in (np.ones(len(own)), _ratio(own, middle), _slope(own, middle))
        ]
    least: FloatArray = np.max(ways, axis=0)
    return least


def _log_tail(apart: FloatArray, unit: FloatArray) -> FloatArray:
    """[rows]: how odd the last of some distances is, by the tails of the others; certain where they are not numbers."""
    past = Ordered.of(apart[:, :-1], whole=False)
    now, width = apart[:, -1], np.fmax(past.maximum - past.minimum, unit)
    decay = np.minimum(decay_of(past.heaviness().max(axis=0)), FASTEST_DECAY)
    excess = np.maximum(now - past.maximum, past.minimum - now) / width
    return log_beyond(excess, past.count, decay, taught_by_distances(past.count))


def _ratio(own: FloatArray, middle: FloatArray) -> FloatArray:
    """[rows]: what share of the median a series usually is; 1 where the median is 0."""
    usual, common = (medians(part[:, :-1], whole=False) for part in (own, middle))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = usual / common
    return np.where(np.isfinite(ratio), ratio, 1.0)


def _slope(own: FloatArray, middle: FloatArray) -> FloatArray:
    """[rows]: how much of each change of the median a series went along with, by least squares; 0 where the median stood."""
    known = ~np.isnan(own[:, :-1]) & ~np.isnan(middle[:, :-1])
    count = np.maximum(np.count_nonzero(known, axis=1), 1)
    off, scale = [], []
    for part in (own[:, :-1], middle[:, :-1]):
        mean = np.add.reduce(part / count[:, None], axis=1, where=known)
        away = np.where(known, part - mean[:, None], 0.0)
        scale.append(np.maximum(np.abs(away).max(axis=1), _SMALLEST))
        off.append(away / scale[-1][:, None])
    with np.errstate(over="ignore"):
        slope = (off[0] * off[1]).sum(axis=1) / np.maximum((off[1] * off[1]).sum(axis=1), _SMALLEST)
        slope *= scale[0] / scale[1]
    return np.where(np.isfinite(slope), slope, 0.0)
