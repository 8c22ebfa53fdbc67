"""Blocks of series for one detector at a time, and calm series of sixteen kinds."""

import numpy as np
from screening_support import INSTANTS, INTERVAL, autoregressive

from exporter.config.model import Selection
from exporter.screening.baseline import Settings, baseline_of
from exporter.screening.past import Past
from exporter.screening.policy import policy_of
from exporter.screening.tails import log_boundary

ROWS = 5_000
BOUND = 0.0004
"""Twice the share of calm series that may be beyond the boundary: of 5,000 series 2 are allowed, where 1 is expected at most."""
BOUNDARY = log_boundary(INTERVAL, 30)


def policy(rows, **selection):
    return policy_of([Selection(series="load", **selection)], np.zeros(rows, dtype=np.intp))


def baseline(values, judged=4, **selection):
    values = np.atleast_2d(np.asarray(values, dtype=np.float64))
    rows, instants = values.shape
    return baseline_of(
        values,
        1.7e9 + INTERVAL * np.arange(instants),
        policy(rows, **selection),
        Settings(judged=judged),
        remembered=Past.none(rows),
        boundary=BOUNDARY,
    )


def random(seed=7):
    return np.random.default_rng(seed)


def daily(noise):
    """A daily wave of which the window sees an hour, at any time of day."""
    moments = np.arange(INSTANTS) + random(3).uniform(0, 5760, size=(ROWS, 1))
    return 100 + 50 * np.sin(2 * np.pi * moments / 5760) + noise * random(4).normal(size=(ROWS, INSTANTS))


SHAPE = (ROWS, INSTANTS)
CALM = {
    "Gaussian": lambda: random().normal(100, 5, size=SHAPE),
    "Gaussian rounded to whole numbers": lambda: np.round(random().normal(8, 0.5, size=SHAPE)),
    "heavy-tailed: Student's t with 3 degrees of freedom": lambda: random().standard_t(3, size=SHAPE),
    "skewed: exponential": lambda: random().exponential(size=SHAPE),
    "uniform": lambda: random().uniform(size=SHAPE),
    "Poisson counts, 0.2 on average": lambda: random().poisson(0.2, size=SHAPE),
    "Poisson counts, 3 on average": lambda: random().poisson(3, size=SHAPE),
    "Poisson counts, 50 on average": lambda: random().poisson(50, size=SHAPE),
    "on and off": lambda: (random().uniform(size=SHAPE) < 0.3) * 1.0,
    "AR(1), 0.5": lambda: autoregressive(*SHAPE, 0.5, seed=7),
    "AR(1), 0.9": lambda: autoregressive(*SHAPE, 0.9, seed=7),
    "AR(1), 0.99": lambda: autoregressive(*SHAPE, 0.99, seed=7),
    "random walk": lambda: np.cumsum(random().normal(size=SHAPE), axis=1),
    "trend with noise": lambda: (
        np.arange(INSTANTS) * random().uniform(0.1, 10, size=(ROWS, 1)) + random(8).normal(size=SHAPE)
    ),
    "an hour of a smooth daily wave": lambda: daily(noise=0.0),
    "an hour of a noisy daily wave": lambda: daily(noise=1.0),
}

HOSTILE = {
    "nothing": np.full(INSTANTS, np.nan),
    "zero": np.zeros(INSTANTS),
    "one value": np.where(np.arange(INSTANTS) == 7, 1.0, np.nan),
    "the largest": np.full(INSTANTS, 1e300),
    "from one end of the numbers to the other": np.where(np.arange(INSTANTS) % 2, 1e308, -1e308),
    "endless": np.where(np.arange(INSTANTS) % 3, 1.0, np.inf),
    "the smallest": 5e-324 * np.arange(INSTANTS),
    "half of it missing": np.where(random(5).random(INSTANTS) < 0.5, np.nan, random(6).normal(size=INSTANTS)),
    "born half-way": np.where(np.arange(INSTANTS) < 120, np.nan, np.arange(INSTANTS)),
    "a huge climb": np.clip(np.arange(INSTANTS) - 100.0, 0, None) * 1e298,
    "huge noise at last": random(7).normal(size=INSTANTS) * np.where(np.arange(INSTANTS) > 200, 1e299, 1.0),
    "tiny noise at last": random(8).normal(size=INSTANTS) * np.where(np.arange(INSTANTS) > 200, 1.0, 1e299),
    "huge swings at last": np.where(np.arange(INSTANTS) > 180, 1e300 * (-1.0) ** np.arange(INSTANTS), 0.0),
}


def beyond(detection):
    """Share of the rows that are beyond the boundary."""
    return float(np.mean(detection.log_tail <= BOUNDARY))


def assert_block_says_what_rows_say(detector):
    """Hostile series get a finite verdict, together the same as alone, and words that don't fail."""
    together = detector(baseline(np.stack(list(HOSTILE.values()))))
    assert np.isfinite(together.log_tail).all()
    assert (together.log_tail <= 0).all()
    for row, values in enumerate(HOSTILE.values()):
        alone = detector(baseline(values))
        assert np.isclose(alone.log_tail[0], together.log_tail[row], rtol=1e-9)
        assert alone.kind[0] == together.kind[row]
        assert alone.words(0, "bytes") == together.words(row, "bytes")
