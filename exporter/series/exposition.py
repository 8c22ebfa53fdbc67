"""Expositions in, row numbers and values out: the text formats of Prometheus and OpenMetrics.

A target exposes nearly the same lines scrape after scrape; only the numbers change. So the reader keeps the layout of
the last exposition: which lines are samples, and the bytes before each value. While these are found again, reading is
a handful of C loops over all lines. When lines came or went, each line costs a dictionary look-up. Only a line never
seen before is taken apart.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np

from exporter.errors import BadDataError
from exporter.series.frame import FloatArray, IntArray
from exporter.series.labels import Labels, Series
from exporter.series.layout import (
    Layout,
    Lines,
    Samples,
    labels_first,
    line_mask,
    read_values,
    select_others,
    split_lines,
)
from exporter.series.lines import SeriesText, bad_line, parse_series
from exporter.series.metadata import Family, describe, read_metadata
from exporter.series.table import Identity, SeriesTable, merge_labels

_NO_ROWS: IntArray = np.empty(0, np.intp)


@dataclass(frozen=True, slots=True)
class Limits:
    """What an exposition may hold; 0 is no limit. They count as in Prometheus, `__name__` is a label too."""

    sample_limit: int = 0
    label_limit: int = 0
    label_value_length_limit: int = 0
    """In bytes."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """One exposition, read."""

    rows: IntArray
    """[series]: the row number of each exposed series, each once."""
    values: FloatArray
    """[series]"""
    timestamps: FloatArray | None
    """[series]: Unix seconds that the target gave itself, NaN where it gave none; None where it gave none at all."""
    duplicates: int
    """Samples left out because an earlier line of the same exposition has the same series."""
    fresh: IntArray
    """Rows of series that are new, or that the source describes with another type, help or unit than before."""


class ExpositionReader:
    """Reads the expositions of one target. For one thread at a time."""

    def __init__(self, target_labels: Labels, honor_labels: bool, limits: Limits) -> None:
        self._target_labels = target_labels
        self._honor_labels = honor_labels
        self._limits = limits
        self._table = SeriesTable()
        self._layout: Layout | None = None
        self._others: list[bytes] = []
        self._families: dict[str, Family] = {}

    def __len__(self) -> int:
        """How many series are known."""
        return len(self._table)

    def series(self, row: int) -> Series:
        """The series that has this row number.

        Raises:
            LookupError: none has.
        """
        return self._table.series(row)

    def read(self, body: bytes, content_type: str) -> Reading:
        """Read a whole exposition.

        The format is OpenMetrics where the content type says so, else Prometheus text. Of several samples of one
        series the first is taken, whatever their timestamps.

        Raises:
            BadDataError: a broken line, a body cut short, a limit exceeded. Nothing of the body was taken: the next
                reading is as if this one had not been.
        """
        text = split_lines(body, content_type)
        layout = self._layout
        samples = layout.match(text) if layout is not None else None
        if layout is None or samples is None:
            return self._read_otherwise(text)
        values, stamps = read_values(samples, layout.mask, openmetrics=text.openmetrics)
        return _reading(layout, values, stamps, _NO_ROWS)

    def release(self, rows: Iterable[int]) -> None:
        """Forget the series in these rows; the row numbers may come back for other series.

        Raises:
            LookupError: no series has one of the rows.
        """
        gone = set(rows)
        self._table.release(gone)
        if self._layout is not None and not gone.isdisjoint(self._layout.rows.tolist()):
            self._layout = None

    def _read_otherwise(self, text: Lines) -> Reading:
        """Read an exposition that is laid out differently from the last one."""
        mask = line_mask(text.lines)
        lines = list(compress(text.lines, mask))
        if 0 < self._limits.sample_limit < len(lines):
            raise BadDataError(
                f"the exposition has {len(lines)} samples, more than sample_limit {self._limits.sample_limit}"
            )
        samples, found, unknown = self._find(lines, mask)
        values, stamps = read_values(samples, mask, openmetrics=text.openmetrics)
        others = select_others(text.lines, mask)
        families = self._read_families(text, mask, others)

        # From here on nothing fails: the body is good, and is taken.
        fresh: set[int] = set()
        added: dict[bytes, int] = {}
        for key, identity in unknown.items():
            added[key], new = self._table.add(key, identity, describe(identity[0], families))
            if new:
                fresh.add(added[key])
        rows = [added[key] if row is None else row for key, row in zip(samples.keys, found, strict=True)]
        fresh.update(self._describe_anew(rows, families))
        self._others, self._families = others, families
        self._layout = _layout(text, mask, others, samples.keys, np.array(rows, np.intp))
        return _reading(self._layout, values, stamps, np.array(sorted(fresh), np.intp))

    def _find(self, lines: Sequence[bytes], mask: bytes) -> tuple[Samples, list[int | None], dict[bytes, Identity]]:
        """Cut sample lines; gives the row of each, and the identities behind those keys that have no row yet."""
        row_of_key = self._table.row_of_key
        ends = [line.rfind(b" ") + 1 for line in lines]
        keys = [line[:end] for line, end in zip(lines, ends, strict=True)]
        tails = [line[end:] for line, end in zip(lines, ends, strict=True)]
        rows = list(map(row_of_key, keys))
        if labels_first(b"\n".join(tails)):
            rows = [None if labels_first(tail) else row for tail, row in zip(tails, rows, strict=True)]
        unknown: dict[bytes, Identity] = {}
        if None in rows:
            for i, number in enumerate(compress(range(1, len(mask) + 1), mask)):
                if rows[i] is None:
                    end, rows[i] = self._look_closely(lines[i], number, unknown)
                    keys[i], tails[i] = lines[i][:end], lines[i][end:]
        return Samples(lines, keys, tails, b"\n".join(tails)), rows, unknown

    def _look_closely(self, line: bytes, number: int, unknown: dict[bytes, Identity]) -> tuple[int, int | None]:
        """Where the value starts, and the row; None after putting the key into `unknown`."""
        last_blank = line.rfind(b" ")
        end = line.rfind(b" ", 0, max(0, last_blank)) + 1  # holds for a value with a timestamp
        row = None if labels_first(line[end:]) else self._table.row_of_key(line[:end])
        if row is None:
            series = parse_series(line, number)
            end, row = series.end, self._table.row_of_key(line[: series.end])
            if row is None and line[:end] not in unknown:
                unknown[line[:end]] = self._identify(series, line, number)
        return end, row

    def _identify(self, series: SeriesText, line: bytes, number: int) -> Identity:
        labels = merge_labels(series.labels, self._target_labels, honor_labels=self._honor_labels)
        limits = self._limits
        if 0 < limits.label_limit < len(labels) + 1:
            raise bad_line(line, number, 0, f"{len(labels) + 1} labels, more than label_limit {limits.label_limit}")
        longest = limits.label_value_length_limit
        if longest:
            for name, value in (("__name__", series.name), *labels):
                length = len(value.encode())
                if length > longest:
                    why = f"the value of {name} has {length} bytes, more than label_value_length_limit {longest}"
                    raise bad_line(line, number, 0, why)
        return series.name, labels

    def _read_families(self, text: Lines, mask: bytes, others: list[bytes]) -> dict[str, Family]:
        layout = self._layout
        if layout is not None and layout.openmetrics == text.openmetrics and others == self._others:
            return self._families
        numbers = select_others(range(1, len(mask) + 1), mask)
        return read_metadata(zip(numbers, others, strict=True), openmetrics=text.openmetrics)

    def _describe_anew(self, rows: Sequence[int], families: dict[str, Family]) -> list[int]:
        """Bring type, help and unit up to date; gives the rows where one of them changed."""
        doubtful = set(rows)
        if self._layout is not None and families == self._families:
            doubtful.difference_update(self._layout.rows.tolist())
        changed: list[int] = []
        known: dict[str, Family] = {}
        for row in doubtful:
            series = self._table.series(row)
            family = known.get(series.name)
            if family is None:
                family = known[series.name] = describe(series.name, families)
            if (series.type, series.help, series.unit) != (family.type, family.help, family.unit):
                self._table.replace(row, replace(series, type=family.type, help=family.help, unit=family.unit))
                changed.append(row)
        return changed


def _layout(text: Lines, mask: bytes, others: list[bytes], keys: Sequence[bytes], rows: IntArray) -> Layout:
    _, first = np.unique(rows, return_index=True)
    first.sort()
    alone = len(first) == len(rows)
    return Layout(
        openmetrics=text.openmetrics,
        mask=mask,
        others=others,
        keys=keys,
        fixed=sum(map(len, others)) + sum(map(len, keys)),
        rows=rows if alone else rows[first],
        first=None if alone else first,
    )


def _reading(layout: Layout, values: FloatArray, stamps: FloatArray | None, fresh: IntArray) -> Reading:
    if layout.first is not None:
        values = values[layout.first]
        stamps = None if stamps is None else stamps[layout.first]
    return Reading(layout.rows, values, stamps, layout.duplicates, fresh)
