"""Runs of true flags along the instants of many series at once."""

import numpy as np

from exporter.screening.policy import BoolArray
from exporter.series.frame import IntArray


def ending(flags: BoolArray) -> IntArray:
    """[rows]: how many flags are true at the end of each row, without a break."""
    width = flags.shape[1]
    backwards = ~flags[:, ::-1]
    first = backwards.argmax(axis=1) if width else np.zeros(len(flags), dtype=np.intp)
    return np.where(flags.all(axis=1), width, first)


def longest(flags: BoolArray) -> IntArray:
    """[rows]: the longest run of true flags; 0 where there is none."""
    rows, width = flags.shape
    if not width:
        return np.zeros(rows, dtype=np.intp)
    place = np.arange(width)
    last_break = np.maximum.accumulate(np.where(flags, -1, place), axis=1)
    result: IntArray = (place - last_break).max(axis=1)
    return result


def starts(flags: BoolArray) -> IntArray:
    """[rows]: how many runs of true flags there are."""
    first = np.count_nonzero(flags[:, :1], axis=1)
    later = np.count_nonzero(flags[:, 1:] & ~flags[:, :-1], axis=1)
    return np.asarray(first + later, dtype=np.intp)
