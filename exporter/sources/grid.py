"""The common grid of instants of range queries, and points laid out on it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from exporter.errors import BadDataError
from exporter.series.frame import FloatArray, IntArray
from exporter.series.labels import Labels, labels_of
from exporter.sources.matrix import Matrix


@dataclass(frozen=True, slots=True)
class Grid:
    """Instants at multiples of a step, in whole milliseconds as Prometheus keeps them."""

    start_ms: int
    """The first instant."""
    step_ms: int
    count: int

    @classmethod
    def ending_at(cls, at: float, *, span: float, step: float) -> Self:
        """As many instants as steps fit into `span` seconds, the last one not later than `at`."""
        step_ms = round(step * 1000)
        count = max(1, round(span * 1000) // step_ms)
        end = int(at * 1000) // step_ms * step_ms
        return cls(end - (count - 1) * step_ms, step_ms, count)

    @classmethod
    def between(cls, begin: float, end: float, *, step: float) -> Self:
        """The instants later than `begin` and not later than `end`; where there is none, the last one before."""
        step_ms = round(step * 1000)
        first, last = (int(edge * 1000) // step_ms for edge in (begin, end))
        first = min(first, last - 1)
        return cls((first + 1) * step_ms, step_ms, last - first)

    @property
    def end_ms(self) -> int:
        """The last instant."""
        return self.start_ms + (self.count - 1) * self.step_ms

    def times(self) -> FloatArray:
        """[instants]: Unix seconds."""
        return (self.start_ms + self.step_ms * np.arange(self.count)) / 1000.0

    def parts(self, most: int) -> Iterator["Grid"]:
        """The grid in consecutive parts of up to `most` instants."""
        for first in range(0, self.count, most):
            yield Grid(self.start_ms + first * self.step_ms, self.step_ms, min(most, self.count - first))

    def columns(self, times: FloatArray) -> IntArray:
        """[points]: which instant each time (Unix seconds) is.

        Raises:
            BadDataError: one is none of the grid.
        """
        with np.errstate(invalid="ignore"):
            columns, off = np.divmod(np.rint(times * 1000.0) - self.start_ms, self.step_ms)
        asked = (off == 0) & (columns >= 0) & (columns < self.count)
        if not asked.all():
            raise BadDataError(f"a point at {times[int(asked.argmin())]:.3f}, which was not asked for")
        return columns.astype(np.intp)


@dataclass(frozen=True, eq=False)
class Table:
    """What one query brought."""

    labels: tuple[Labels, ...]
    """[series], sorted."""
    values: FloatArray
    """[series × instants]: NaN where there is no point."""
    points: int
    warnings: tuple[str, ...]


def stack(matrices: Sequence[Matrix], grid: Grid) -> Table:
    """The parts of one query's answer on one grid.

    Raises:
        BadDataError: a point lies beside the grid, or two series of one part have the same labels.
    """
    identities = _identities([metric for matrix in matrices for metric in matrix.metrics])
    labels = tuple(sorted(set(identities)))
    row_of = {key: row for row, key in enumerate(labels)}
    values = np.full((len(labels), grid.count), np.nan)
    first = 0
    for matrix in matrices:
        keys = identities[first : first + len(matrix.metrics)]
        first += len(keys)
        if len(set(keys)) < len(keys):
            raise BadDataError("two series of the answer have the same labels")
        rows = np.array([row_of[key] for key in keys], dtype=np.intp)
        values[np.repeat(rows, matrix.counts), grid.columns(matrix.times)] = matrix.values
    warnings = tuple(dict.fromkeys(warning for matrix in matrices for warning in matrix.warnings))
    return Table(labels, values, sum(len(matrix.values) for matrix in matrices), warnings)


def _identities(metrics: Sequence[Mapping[str, str]]) -> list[Labels]:
    """Labels without `__name__`, since the query names its series.

    Where a query brings several metrics that differ in nothing but their name, all its series carry that name in the
    label `exported_name`, with as many `exported_` as it takes to be free.
    """
    full = {labels_of(metric) for metric in metrics}
    bare = [labels_of({name: value for name, value in metric.items() if name != "__name__"}) for metric in metrics]
    if len(set(bare)) == len(full):
        return bare
    label = "exported_name"
    while any(label in metric for metric in metrics):
        label = f"exported_{label}"
    return [
        labels_of({**dict(key), label: metric.get("__name__", "")}) for key, metric in zip(bare, metrics, strict=True)
    ]
