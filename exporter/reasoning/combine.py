"""One score from two: the screen's, moved by the model's within a band.

The model moves a score in log-odds, by `BAND_STEP · (2·llm - 1) · confidence`. At full confidence that takes a screen
score of 0.5 to 0.35 or 0.65; near 0 and 1 it does less. Because the step adds to log-odds, a model that says the same
about everything moves all scores alike and cannot change which series rank first.
"""

import math

import numpy as np

from exporter.series.frame import FloatArray, IntArray

BAND_UPPER = 0.65
"""Where a screen score of 0.5 goes at most; by symmetry it goes down to 0.35."""
BAND_STEP = math.log(BAND_UPPER / (1.0 - BAND_UPPER))
"""The greatest step in log-odds."""
CLIP = 1e-6
"""Screen scores are kept this far from 0 and 1 where log-odds are taken."""
_FLOOR_SLOPE = 0.01


def combine(screen: FloatArray, llm: FloatArray, confidence: FloatArray) -> FloatArray:
    """Scores after the model's say, element by element; all arguments in 0..1.

    Where `llm` is NaN, `confidence` is NaN or the step is 0, the screen's score stays as it is. NaN where `screen` is NaN.
    A model that says yes never lowers a score and one that says no never raises it, at 0 and 1 either.
    """
    step = BAND_STEP * (2.0 * np.clip(llm, 0.0, 1.0) - 1.0) * np.clip(confidence, 0.0, 1.0)
    moves = np.isfinite(step) & (step != 0.0)
    clipped = np.clip(screen, CLIP, 1.0 - CLIP)
    odds = np.log(clipped) - np.log1p(-clipped) + np.where(moves, step, 0.0)
    moved = 1.0 / (1.0 + np.exp(-odds))
    outward = np.where(step > 0.0, np.maximum(moved, screen), np.minimum(moved, screen))
    return np.where(moves, outward, screen)


def combine_groups(screen: FloatArray, llm: FloatArray, confidence: FloatArray, group: IntArray) -> FloatArray:
    """`combine`, and no series that was shown sinks below the best of its group that was not shown.

    A series counts as shown where `llm` is not NaN. Let `floor` be the highest screen score of the group's others.
    A score `s` at or above it goes down to `floor + 0.01·(s - floor)` at most, one below it does not go down at all.
    Both limits grow with `s`, so a model that says the same about everything keeps the order of the whole group,
    and what it was not asked about cannot overtake what it called harmless.

    Args:
        screen: [series]: the screen's scores.
        llm: [series]: the model's scores; NaN where the series was not shown.
        confidence: [series]: the model's confidence; 0 where its finding is ungrounded.
        group: [series]: the number of each series' group, from 0.
    """
    moved = combine(screen, llm, confidence)
    if screen.size == 0:
        return moved
    floors = np.full(int(group.max()) + 1, -np.inf)
    others = np.isnan(llm) & ~np.isnan(screen)
    np.maximum.at(floors, group[others], screen[others])
    floor = floors[group]
    with np.errstate(invalid="ignore"):
        lowest = np.where(screen < floor, screen, floor + _FLOOR_SLOPE * (screen - floor))
    lowest = np.where(np.isneginf(floor), -np.inf, lowest)
    return np.where(np.isnan(llm), moved, np.maximum(moved, lowest))
