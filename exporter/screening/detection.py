"""What a detector is, and what it hands back."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exporter.screening.baseline import Baseline
from exporter.screening.policy import BoolArray
from exporter.screening.result import KINDS
from exporter.series.frame import FloatArray

KindArray = npt.NDArray[np.int8]

SPIKE, DROP, LEVEL_SHIFT, DRIFT, FLATLINE, MISSING, OSCILLATION, SEASONAL_BREAK = (
    KINDS.index(kind)
    for kind in ("spike", "drop", "level_shift", "drift", "flatline", "missing", "oscillation", "seasonal_break")
)

Words = Callable[[int, str], str | None]
"""The sentence about the series in a row, given its unit; None where there is nothing to say."""


@dataclass(frozen=True, eq=False)
class Detection:
    """What one detector says about a block of series."""

    detector: str
    log_tail: FloatArray
    """[rows]: natural logarithm of the tail probability; 0 where there is nothing to say."""
    kind: KindArray
    """[rows]: index into KINDS of what it would be."""
    words: Words
    background: bool = False
    """Whether its words are worth saying about a calm series too."""
    lasting: FloatArray | None = None
    """[rows]: likewise `log_tail`, of what still goes on; None where that is the same."""


Detector = Callable[[Baseline], Detection]
"""Looks at a block of series for one sort of oddness.

What it says about rows that are not `ready` is ignored.
"""


def direction_kind(upwards: BoolArray) -> KindArray:
    """Spike where it went up, drop where it went down."""
    return np.where(upwards, SPIKE, DROP).astype(np.int8)
