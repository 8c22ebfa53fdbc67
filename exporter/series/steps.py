"""The vectorised pieces that a plan is made of."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from exporter.series.frame import FloatArray, IntArray
from exporter.series.increase import bucket_increases, differences, increases, means, quantiles
from exporter.series.labels import Series
from exporter.series.parts import SHARES, GroupStat, RowStat


@dataclass(frozen=True, slots=True)
class Output:
    """One series of the result and what it is computed from."""

    pick: int
    series: Series
    stat: RowStat | GroupStat
    rows: tuple[int, ...]
    """Raw rows: one; for a mean those of sum and count; for a quantile those of the buckets."""
    bounds: tuple[float, ...] = ()
    """Of the buckets, ascending."""


class Step(Protocol):
    """Fills some rows of the result."""

    def fill(self, result: FloatArray, values: FloatArray, times: FloatArray, longest: float) -> None:
        """Compute.

        Args:
            result: [series × instants], written to.
            values: [raw rows × instants].
            times: [instants]: Unix seconds.
            longest: seconds between two values that may be compared.
        """
        ...


@dataclass(frozen=True, eq=False)
class Alone:
    """Series that are read by themselves."""

    stat: RowStat
    to: IntArray
    rows: IntArray

    def fill(self, result: FloatArray, values: FloatArray, times: FloatArray, longest: float) -> None:
        """Values, rates, increases or differences."""
        taken = values[self.rows]
        match self.stat:
            case "value":
                result[self.to] = taken
            case "difference":
                result[self.to] = differences(taken, times, longest)
            case "increase":
                result[self.to] = increases(taken, times, longest)[0]
            case "rate":
                grown, elapsed = increases(taken, times, longest)
                result[self.to] = grown / elapsed


@dataclass(frozen=True, eq=False)
class Means:
    """Means of histograms and summaries."""

    to: IntArray
    sums: IntArray
    counts: IntArray

    def fill(self, result: FloatArray, values: FloatArray, times: FloatArray, longest: float) -> None:
        """The mean observation of each interval."""
        result[self.to] = means(values[self.sums], values[self.counts], times, longest)


@dataclass(frozen=True, eq=False)
class Quantiles:
    """One quantile of histograms that have equally many buckets."""

    share: float
    to: IntArray
    rows: IntArray
    """[histograms × buckets]"""
    bounds: FloatArray
    """[histograms × buckets]"""

    def fill(self, result: FloatArray, values: FloatArray, times: FloatArray, longest: float) -> None:
        """The quantile of each interval's observations."""
        grown = bucket_increases(values[self.rows], times, longest)
        result[self.to] = quantiles(grown, self.bounds, self.share)


def steps_for(outputs: Sequence[Output], place: Mapping[int, int]) -> tuple[Step, ...]:
    """The steps that compute these outputs.

    Args:
        outputs: [series]: in the order of the result.
        place: where each raw row stands in the values that the steps get.
    """
    alike: dict[tuple[RowStat | GroupStat, int], list[int]] = defaultdict(list)
    for index, output in enumerate(outputs):
        alike[output.stat, len(output.bounds)].append(index)
    return tuple(_step(stat, indices, outputs, place) for (stat, _), indices in alike.items())


def _step(
    stat: RowStat | GroupStat, indices: Sequence[int], outputs: Sequence[Output], place: Mapping[int, int]
) -> Step:
    to = np.array(indices, np.intp)
    rows = np.array([[place[row] for row in outputs[index].rows] for index in indices], np.intp)
    match stat:
        case "mean":
            return Means(to, rows[:, 0], rows[:, 1])
        case "p50" | "p90" | "p99":
            return Quantiles(SHARES[stat], to, rows, np.array([outputs[index].bounds for index in indices]))
        case _:
            return Alone(stat, to, rows[:, 0])
