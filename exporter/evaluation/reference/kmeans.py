"""k-means with two clusters, for many series at once."""

from dataclasses import dataclass

import numpy as np

from exporter.screening.policy import BoolArray
from exporter.series.frame import FloatArray

_ITERATIONS = 100
"""Two clusters of a few hundred vectors settle long before."""
_FAR = 0.99
"""The second centre starts at this quantile of the distances from the first: the farthest may be one outlier."""


@dataclass(frozen=True, eq=False)
class Model:
    """What was learned of one window of each series; NaN for a series with too few vectors."""

    centres: FloatArray
    """[series × 2 × dimensions]."""
    nearest: FloatArray
    """[series]: the smallest distance (see `distance`) among the vectors learned from."""
    farthest: FloatArray
    """[series]: the largest."""

    def distance(self, vectors: FloatArray) -> FloatArray:
        """[series × vectors]: the mean of the Euclidean distances from both centres.

        Args:
            vectors: `[series × vectors × dimensions]`; one with a NaN has distance NaN.
        """
        return _distances(vectors, self.centres)

    def oddness(self, vectors: FloatArray) -> FloatArray:
        """[series × vectors]: the distance, scaled so that the vectors learned from span 0..1; more is possible.

        Where all of them were equally far away nothing is ever odd.
        """
        span = (self.farthest - self.nearest)[:, None]
        with np.errstate(over="ignore"):
            scaled = np.abs(self.distance(vectors) - self.nearest[:, None]) / np.where(span > 0, span, np.inf)
        return np.where(np.isnan(span), np.nan, scaled)


def fit(vectors: FloatArray, fewest: int) -> Model:
    """Find two clusters in each series by Lloyd's algorithm (Least squares quantization in PCM, 1982).

    The first centre starts at the first vector, the second far from it: the result depends on nothing but the vectors.

    Args:
        vectors: `[series × vectors × dimensions]`, at least one vector; those with a NaN are left out.
        fewest: vectors without NaN below which a series gets no model; at least 1.
    """
    known = ~np.asarray(np.isnan(vectors).any(axis=2))
    filled = np.where(known[:, :, None], vectors, 0.0)
    centres = _settled(filled, known, _far_apart(filled, known))
    distances = _distances(filled, centres)
    enough = np.count_nonzero(known, axis=1) >= fewest
    return Model(
        centres=np.where(enough[:, None, None], centres, np.nan),
        nearest=np.where(enough, np.min(distances, axis=1, initial=np.inf, where=known), np.nan),
        farthest=np.where(enough, np.max(distances, axis=1, initial=-np.inf, where=known), np.nan),
    )


def _far_apart(vectors: FloatArray, known: BoolArray) -> FloatArray:
    """[series × 2 × dimensions]: where the centres start."""
    row = np.arange(len(vectors))
    first = vectors[row, known.argmax(axis=1)]
    distances = np.where(known, np.linalg.norm(vectors - first[:, None], axis=2), -1.0)
    order = np.argsort(distances, axis=1, kind="stable")
    unknown = vectors.shape[1] - np.count_nonzero(known, axis=1)
    place = unknown + (_FAR * (vectors.shape[1] - unknown - 1)).astype(np.intp)
    second = vectors[row, order[row, np.clip(place, 0, vectors.shape[1] - 1)]]
    return np.stack((first, second), axis=1)


def _settled(vectors: FloatArray, known: BoolArray, centres: FloatArray) -> FloatArray:
    """[series × 2 × dimensions]: the centres when no vector changes sides any more."""
    before = np.zeros_like(known)
    for attempt in range(_ITERATIONS):
        to_each = np.square(vectors[:, :, None, :] - centres[:, None]).sum(axis=3)
        second = known & (to_each[:, :, 1] < to_each[:, :, 0])
        if attempt and np.array_equal(second, before):
            break
        before = second
        members = np.stack((known & ~second, second), axis=1).astype(np.float64)
        sizes = members.sum(axis=2)[:, :, None]
        centres = np.where(sizes > 0, members @ vectors / np.maximum(sizes, 1.0), centres)
    return centres


def _distances(vectors: FloatArray, centres: FloatArray) -> FloatArray:
    apart = np.square(vectors[:, :, None, :] - centres[:, None]).sum(axis=3)
    result: FloatArray = np.sqrt(apart).mean(axis=2)
    return result
