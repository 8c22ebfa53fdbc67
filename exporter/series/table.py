"""Which row number each exposed series has: stable while the series is known, used again after its release."""

from collections.abc import Iterable, Mapping

from exporter.series.labels import Labels, Series, labels_of
from exporter.series.metadata import Family

Identity = tuple[str, Labels]
"""Metric name and labels, the target's merged in."""

_SPELLINGS = 4


def merge_labels(exposed: Mapping[str, str], target: Labels, *, honor_labels: bool) -> Labels:
    """The labels of a series with those of its target, as Prometheus merges them.

    Where both have a label, the exposed one moves to `exported_…`, with as many prefixes as it takes to be free; with
    `honor_labels` it stays instead, and an exposed empty value removes the target's label.
    """
    if honor_labels:
        return labels_of({**dict(target), **exposed})
    merged = {**exposed, **dict(target)}
    for name, _ in target:
        if not exposed.get(name):
            continue
        moved = f"exported_{name}"
        while merged.get(moved):
            moved = f"exported_{moved}"
        merged[moved] = exposed[name]
    return labels_of(merged)


class SeriesTable:
    """Rows by identity and by the raw bytes that an exposition spells it with.

    A series is known by at most a few spellings; a source that keeps changing the order of its labels pays with time,
    not with memory.
    """

    def __init__(self) -> None:
        self._rows: dict[Identity, int] = {}
        self._rows_by_key: dict[bytes, int] = {}
        self._series: list[Series | None] = []
        self._keys: list[list[bytes]] = []
        self._free: list[int] = []
        self.row_of_key = self._rows_by_key.get
        """The row of a series that was spelled like this before; None where it was not."""

    def __len__(self) -> int:
        """How many series are known."""
        return len(self._rows)

    def series(self, row: int) -> Series:
        """What has this row.

        Raises:
            LookupError: nothing has it.
        """
        series = self._series[row]
        if series is None:
            raise LookupError(f"no series has row {row}")
        return series

    def replace(self, row: int, series: Series) -> None:
        """Put another description of the same series in its place."""
        self._series[row] = series

    def add(self, key: bytes, identity: Identity, family: Family) -> tuple[int, bool]:
        """Remember a spelling of a series.

        Returns:
            Its row, and whether the series itself is new.
        """
        row = self._rows.get(identity)
        new = row is None
        if row is None:
            row = self._take_row()
            self._rows[identity] = row
            self._series[row] = Series(*identity, family.type, family.help, family.unit)
        keys = self._keys[row]
        if key not in self._rows_by_key:
            if len(keys) == _SPELLINGS:
                del self._rows_by_key[keys.pop(0)]
            keys.append(key)
            self._rows_by_key[key] = row
        return row, new

    def release(self, rows: Iterable[int]) -> None:
        """Forget the series in these rows; the numbers may be given to others."""
        for row in rows:
            series = self.series(row)
            del self._rows[series.name, series.labels]
            for key in self._keys[row]:
                del self._rows_by_key[key]
            self._keys[row] = []
            self._series[row] = None
            self._free.append(row)

    def _take_row(self) -> int:
        if self._free:
            return self._free.pop()
        self._series.append(None)
        self._keys.append([])
        return len(self._series) - 1
