"""Whether a model that says it is 80 % sure is right in 80 % of the cases.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, sections 2 and 3.
"""

from dataclasses import dataclass

import numpy as np

from exporter.evaluation.results import ConfidenceBin
from exporter.screening.policy import BoolArray
from exporter.series.frame import FloatArray

BINS = 10


@dataclass(frozen=True, slots=True)
class Calibration:
    """How confidence and being right go together."""

    bins: tuple[ConfidenceBin, ...]
    """Those of the bins that are not empty, by rising confidence."""
    error: float | None
    """The expected calibration error: the mean distance of confidence from the share that is right, weighed by
    the count of each bin; None without statements."""


def calibration(confidence: FloatArray, correct: BoolArray, bins: int = BINS) -> Calibration:
    """A reliability diagram in numbers, and the expected calibration error.

    Bin m of M holds confidences above (m - 1) / M up to m / M; the first holds 0 too.

    Args:
        confidence: `[statements]`, 0..1.
        correct: `[statements]`.
        bins: how many, of equal width.

    Raises:
        ValueError: lengths differ, or a confidence is not in 0..1.
    """
    if confidence.shape != correct.shape:
        raise ValueError(f"{confidence.size} confidences and {correct.size} outcomes; expected as many")
    if not np.all((confidence >= 0) & (confidence <= 1)):
        raise ValueError("a confidence is not in 0..1")
    if not confidence.size:
        return Calibration((), None)
    number = np.maximum(np.ceil(confidence * bins).astype(np.intp) - 1, 0)
    count = np.bincount(number, minlength=bins)
    used = np.flatnonzero(count)
    said = np.bincount(number, confidence, minlength=bins)[used] / count[used]
    right = np.bincount(number, correct, minlength=bins)[used] / count[used]
    error = float(np.dot(count[used], np.abs(right - said)) / confidence.size)
    found = zip(said.tolist(), right.tolist(), count[used].tolist(), strict=True)
    return Calibration(tuple(ConfidenceBin(*one) for one in found), error)
