"""Calm series stay calm: how many of them cross the boundary by chance."""

import numpy as np
import pytest
from screening_support import INSTANTS, autoregressive, screened

ROWS = 10_000
BOUND = 0.002


def random(seed=7):
    return np.random.default_rng(seed)


def days(noise):
    """A daily wave of which the window sees an hour, at any time of day."""
    phase = random(3).uniform(0, 5760, size=(ROWS, 1))
    return (
        100
        + 50 * np.sin(2 * np.pi * (np.arange(INSTANTS) + phase) / 5760)
        + noise * random(4).normal(size=(ROWS, INSTANTS))
    )


CALM = {
    "Gaussian": lambda: random().normal(100, 5, size=(ROWS, INSTANTS)),
    "Gaussian rounded to whole numbers": lambda: np.round(random().normal(8, 0.5, size=(ROWS, INSTANTS))),
    "heavy-tailed: Student's t with 3 degrees of freedom": lambda: random().standard_t(3, size=(ROWS, INSTANTS)),
    "skewed: exponential": lambda: random().exponential(size=(ROWS, INSTANTS)),
    "uniform": lambda: random().uniform(size=(ROWS, INSTANTS)),
    "Poisson counts, 0.2 on average": lambda: random().poisson(0.2, size=(ROWS, INSTANTS)),
    "Poisson counts, 3 on average": lambda: random().poisson(3, size=(ROWS, INSTANTS)),
    "Poisson counts, 50 on average": lambda: random().poisson(50, size=(ROWS, INSTANTS)),
    "on and off": lambda: (random().uniform(size=(ROWS, INSTANTS)) < 0.3) * 1.0,
    "AR(1), 0.5": lambda: autoregressive(ROWS, INSTANTS, 0.5, seed=7),
    "AR(1), 0.9": lambda: autoregressive(ROWS, INSTANTS, 0.9, seed=7),
    "AR(1), 0.99": lambda: autoregressive(ROWS, INSTANTS, 0.99, seed=7),
    "random walk": lambda: np.cumsum(random().normal(size=(ROWS, INSTANTS)), axis=1),
    "trend with noise": lambda: (
        np.arange(INSTANTS) * random().uniform(0.1, 10, size=(ROWS, 1)) + random(8).normal(size=(ROWS, INSTANTS))
    ),
    "an hour of a smooth daily wave": lambda: days(noise=0.0),
    "an hour of a noisy daily wave": lambda: days(noise=1.0),
}


@pytest.mark.parametrize("name", CALM)
def test_at_most_two_calm_series_in_a_thousand_cross_the_boundary(name):
    score = screened(CALM[name]()).score
    assert not np.isnan(score).any()
    assert np.mean(score > 0.5) <= BOUND


def test_a_short_window_of_calm_noise_does_not_cross_the_boundary_more_often():
    for instants in (14, 24, 60):
        score = screened(random().normal(size=(ROWS, instants))).score
        assert np.mean(score > 0.5) <= BOUND


def test_constant_series_score_zero():
    for value in (0.0, 1.0, -3.5, 1e12):
        result = screened(np.full((3, INSTANTS), value))
        assert result.score.tolist() == [0.0, 0.0, 0.0]
        assert result.expected_lower.tolist() == result.expected_upper.tolist() == [value] * 3
