"""What a series' window shows again and again is its habit: days of history take the surprise off it."""

import numpy as np

from exporter.screening.past import LEAST_SLOTS, Past
from exporter.series.frame import FloatArray

MARGIN = 6.0
"""A surprise must exceed the greatest of the days before by this many times the boundary's: with history, what only the
window finds odd seldom is. At 3 the detectors of course and absence found no window of their own in five of the labelled series and
raised 2 of 7 false alerts."""
MARGIN_OF_ABSENCE = 1.5
"""The same for series that stand still or are missing: no distance beyond the history says it for them."""


def known_share(past: Past) -> FloatArray:
    """[rows]: how much of the least history that is judged by is there, 0..1."""
    share: FloatArray = np.minimum(past.expected.count / LEAST_SLOTS, 1.0)
    return share


def weight_of(past: Past, boundary: float, margin: float = MARGIN) -> FloatArray:
    """[rows]: the share that counts of the surprise of the detectors that know the window alone.

    Without history all of it counts. With `LEAST_SLOTS` hours or more the surprise counts as 1 boundary where it reaches the
    record of the days before plus a margin; between, the demand grows with the hours.

    Args:
        past: of these rows.
        margin: beyond the record, in boundaries.
        boundary: the logarithm of the tail probability at which a score is 0.5, negative.
    """
    known = known_share(past)
    plain = -boundary
    demanded = (1.0 - known) * plain + known * (np.nan_to_num(past.expected.record) + margin * plain)
    return plain / np.maximum(demanded, plain)
