"""Reading the files of labelled data: CSV, JSON and times, with errors that name file and line."""

import csv
import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from exporter.errors import BadDataError
from exporter.screening.policy import BoolArray
from exporter.series.frame import FloatArray


@dataclass(frozen=True)
class Table:
    """A CSV file with a header. Blank lines are skipped; a row that ends early has no value in the cells it lacks."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[list[str], ...]
    """As many cells each as the header has."""
    lines: tuple[int, ...]
    """[rows]: where each ends in the file, counted from 1."""

    def numbers(self, column: int) -> FloatArray:
        """[rows]: a column as numbers; NaN where a cell is empty or says NaN.

        Raises:
            BadDataError: a cell is no number; names file, line and column.
        """
        return self._read(column, lambda cell: float(cell or "nan"), "a number")

    def times(self, column: int, read: Callable[[str], float]) -> FloatArray:
        """[rows]: a column as Unix seconds.

        Args:
            column: its index.
            read: what makes seconds of a cell; raises ValueError where it cannot.

        Raises:
            BadDataError: a cell is no time; names file, line and column.
        """
        return self._read(column, read, "a time such as 2014-04-01 00:05:00")

    def _read(self, column: int, read: Callable[[str], float], wanted: str) -> FloatArray:
        found = np.empty(len(self.rows))
        for place, row in enumerate(self.rows):
            try:
                found[place] = read(row[column])
            except ValueError:
                where = f"{self.path}:{self.lines[place]}: column {self.header[column]}"
                raise BadDataError(f"{where}: expected {wanted}, found {row[column]!r}") from None
        return found


def read_table(path: Path) -> Table:
    """A CSV file, compressed where its name ends in `.gz`.

    Raises:
        BadDataError: it cannot be read, is no CSV, has no header, or a row has more cells than the header.
    """
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = tuple(name.strip() for name in next(reader, ()))
            for row in filter(None, reader):
                missing = len(header) - len(row)
                if missing < 0:
                    raise BadDataError(
                        f"{path}:{reader.line_num}: {len(row)} cells, the header has {len(header)}; remove the others"
                    )
                rows.append(row + [""] * missing)
                lines.append(reader.line_num)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise BadDataError(f"{path}: cannot be read as CSV: {error}") from error
    if not header:
        raise BadDataError(f"{path}: is empty; its first line must name the columns")
    return Table(path, header, tuple(rows), tuple(lines))


def read_json(path: Path) -> object:
    """What a JSON file holds.

    Raises:
        BadDataError: it cannot be read or is no JSON; names file, line and column.
    """
    try:
        found: object = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise BadDataError(f"{path}:{error.lineno}:{error.colno}: is no JSON: {error.msg}") from error
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise BadDataError(f"{path}: cannot be read as JSON: {error}") from error
    return found


def unix_seconds(text: str) -> float:
    """Unix seconds of a time as ISO 8601 writes it, a space for the T allowed; one without a zone is UTC.

    Raises:
        ValueError: it is none.
    """
    when = datetime.fromisoformat(text.strip())
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def newer(times: FloatArray) -> BoolArray:
    """[instants]: which ones are later than all before them; the others Prometheus drops as out of order."""
    seen = np.maximum.accumulate(times)
    return np.concatenate([[True], times[1:] > seen[:-1]])[: times.size]
