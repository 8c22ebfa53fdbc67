"""The currency of the detectors: how unlikely a sight is in a calm series, and the score that comes of it.

A detector states the natural logarithm of a tail probability: the chance that a calm series shows something at
least as odd at one judged instant. `score_of` turns it into 0..1 so that 0.5 means the same for each detector and
each series:

    p*     = interval / (sensitivity_days · 86400 s)
    s      = ln p / ln p*
    score  = s / (1 + s)

A calm series is judged 86400 s / interval times a day; a boundary at p* is therefore crossed by chance about once in
`sensitivity_days`, as far as the tail models below hold. At p = p* the score is 0.5, at p = 1 it is 0. It never reaches
1, so that of two series far beyond the boundary the odder one still ranks first.
"""

import numpy as np

from exporter.screening.policy import BoolArray
from exporter.series.frame import FloatArray, IntArray

IMPOSSIBLE = -1000.0
"""The logarithm that stands for a probability of zero: what cannot be in a calm series."""

GAUSSIAN_RANGE = 5.1517
"""Width of the middle 99 % of a Gaussian in standard deviations."""

_DAY = 86400.0
_LOWEST_BOUNDARY = 1e-9
_HIGHEST_BOUNDARY = 1e-2

_LAPLACE_DECAY = 2 * float(np.log(0.5 / 0.005))
"""How many times e a Laplace distribution falls off over the width of its own 0.5-99.5 % range: its quantile at
1 - q is ln(0.5 / q) scales above the middle, and the range is twice that for q = 0.005."""
_LAPLACE_HEAVINESS = float(np.log(0.5 / 0.005) / np.log(0.5 / 0.1))
"""Its 0.5-99.5 % range over its 10-90 % range: 2.86."""
_GAUSSIAN_HEAVINESS = 2.01
"""The same of a Gaussian: 2.5758 / 1.2816. Student's t with 3 degrees of freedom has 3.6."""
_MEASURED_DAYS = 30.0
_MEASURED_POWER = 0.85
_TAUGHT = 0.2
"""Share of a history that teaches how its tail falls off: only the values near the ends do."""


def log_boundary(interval: float, sensitivity_days: float) -> float:
    """The logarithm of p*, the tail probability at which the score is 0.5.

    p* is kept between 1e-9 and 1e-2, so that neither a very short nor a very long interval makes the boundary useless.

    Args:
        interval: seconds between judgements.
        sensitivity_days: days in which a calm series may cross the boundary about once.
    """
    boundary = interval / (sensitivity_days * _DAY)
    return float(np.log(min(max(boundary, _LOWEST_BOUNDARY), _HIGHEST_BOUNDARY)))


def log_of_oddness(oddness: FloatArray, boundary: float, sensitivity_days: float) -> FloatArray:
    """The logarithm of the tail probability of a sight whose rate was measured, not modelled.

    The labelled series (docs/evaluation.md) cross an oddness of 0.1, 0.3, 1, 2 and 3 about once in 9, 18, 56, 97 and 367 days outside
    of labelled windows. 1 is taken as once in 30 days, and once in N days as `(N / 30) ** 0.85`.

    Args:
        oddness: any shape, not negative.
        boundary: see `log_boundary`.
        sensitivity_days: N.
    """
    log_tail: FloatArray = oddness * (boundary / (sensitivity_days / _MEASURED_DAYS) ** _MEASURED_POWER)
    return log_tail


def score_of(log_tail: FloatArray, boundary: float) -> FloatArray:
    """Scores in 0..1 of log tail probabilities: higher for less likely ones, 0.5 at `boundary`."""
    surprise = np.maximum(log_tail / boundary, 0.0)
    return surprise / (1.0 + surprise)


def any_of(log_tail: FloatArray, tried: int) -> FloatArray:
    """Bonferroni: the tail probability of the oddest of `tried` sights, whatever their dependence; at most 1."""
    return np.minimum(log_tail + float(np.log(tried)), 0.0)


def decay_of(heaviness: FloatArray) -> FloatArray:
    """How many times e a tail falls off over one 0.5-99.5 % range, by how heavy the history's own tails are.

    The decay of a Laplace distribution, corrected by the square of how much heavier or lighter the history's tails are
    than Laplace's. The square was chosen by simulation: at a false alarm rate of 0.12 % in 30,000 series of Student's t
    with 3 degrees of freedom and in as many log-normal ones, it finds a Gaussian spike of 7 standard deviations in 77 %
    of the cases, a constant decay in none. A tail is never taken as lighter than a Gaussian's: a trend or a wandering
    series has a short range of ends, not a light tail.

    Args:
        heaviness: 0.5-99.5 % range over 10-90 % range, any shape.
    """
    ratio = _LAPLACE_HEAVINESS / np.maximum(heaviness, _GAUSSIAN_HEAVINESS)
    return _LAPLACE_DECAY * ratio * ratio


def log_beyond(excess: FloatArray, count: IntArray, decay: FloatArray, taught: FloatArray) -> FloatArray:
    """The tail probability of lying beyond everything seen before.

    Of `count` + 1 exchangeable values the newest is the largest with probability 1 / (count + 1), likewise the
    smallest. How much further out it lies is judged as if the tail fell off exponentially, `decay` times e over the
    range that the history covers. That rate is learned from the history too: if m values taught it, the predictive
    distribution of an exponential variable is Lomax's, `(1 + x / m) ** -m` (the exponential model with its Gamma
    posterior: Gelman et al., Bayesian Data Analysis, 3rd ed., section 2.6), which is heavier the less is known.

    Args:
        excess: `[series × k]` distance beyond the nearest end of the history, in units of the history's range; what is
            not positive, or is NaN, is not beyond it and gets probability 1.
        count: `[series × k]` or `[series × 1]`, values in the history.
        decay: e-foldings over one range, likewise.
        taught: how many values taught the decay, likewise.

    Returns:
        `[series × k]` logarithms.
    """
    values = np.maximum(taught, 1.0)
    beyond = np.fmax(excess, 0.0)
    log_tail = np.log(2.0 / (count + 1.0)) - values * np.log1p(beyond * decay / values)
    result: FloatArray = np.where(beyond > 0, np.minimum(log_tail, 0.0), 0.0)
    return result


def taught_by(count: IntArray) -> FloatArray:
    """How many of `count` values of a history teach how its tail falls off."""
    return np.asarray(_TAUGHT * count, dtype=np.float64)


def log_student(deviation: FloatArray, freedom: FloatArray) -> FloatArray:
    """An upper bound of the two-sided tail of Student's t: `(1 + t² / ν) ** (-ν / 2)`.

    Args:
        deviation: `[series × k]` t, already in units of the spread.
        freedom: `[series × 1]` ν, degrees of freedom.
    """
    return -0.5 * freedom * np.log1p(deviation * deviation / freedom)


def pick(log_tails: FloatArray, allowed: BoolArray) -> tuple[FloatArray, IntArray]:
    """The smallest tail probability of each row among the allowed, and in which column it stands.

    Of equal ones it is the last, which is the newest instant. Where nothing is allowed the probability is 1.
    """
    masked = np.where(allowed, log_tails, 0.0)
    column = masked.shape[1] - 1 - masked[:, ::-1].argmin(axis=1)
    return np.take_along_axis(masked, column[:, None], axis=1)[:, 0], column
