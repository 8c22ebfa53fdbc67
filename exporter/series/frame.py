"""A rectangular piece of time series: what windows hand out and screening works on."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exporter.series.labels import Series

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Frame:
    """Series × instants of one target, after selection and the `as:` transforms.

    The `series` and `select` objects stay the same, by identity, from one interval to the next as long as
    the target exposes the same series: whoever derives something from them may cache it by that identity.
    """

    target: str
    """The scraped address, or the name of the query."""
    series: tuple[Series, ...]
    select: IntArray
    """[series]: which entry of the watch's `select` list each series came in by."""
    times: FloatArray
    """[instants]: Unix seconds, strictly increasing."""
    values: FloatArray
    """[series × instants]: NaN where there is no value."""
    interval: float
    """Seconds between instants as configured; real gaps show in `times`."""
