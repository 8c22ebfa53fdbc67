"""The layout of the Numenta Anomaly Benchmark: one CSV file a series, and one file with the windows of all.

Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms", ICMLA 2015.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from exporter.errors import BadDataError
from exporter.evaluation.labelled import Case, Dataset, LabelledWindow
from exporter.evaluation.tables import newer, read_json, read_table, unix_seconds
from exporter.series.labels import Series
from exporter.series.units import unit_in

WINDOWS_FILE = "windows.json"
WARM_UP_SHARE = 0.15
WARM_UP_MOST = 750
"""Instants. NAB's probationary period: 15 % of a series, at most 15 % of 5,000 instants."""

_HEADER = ("timestamp", "value")


def is_nab(path: Path) -> bool:
    """Whether a folder has `windows.json` in it; or CSV files in it and `windows.json` beside it."""
    return (path / WINDOWS_FILE).is_file() or ((path.parent / WINDOWS_FILE).is_file() and any(path.glob("*.csv")))


def read_nab(path: Path) -> Dataset:
    """One case a CSV file, in the order of their names; windows of files that are not there are passed over.

    The labels of the series stay empty, and a group's name is in the name of the case only: names such as
    `artificialNoAnomaly` would tell a model the answer.

    Args:
        path: the folder with `windows.json`, or one group of it.

    Raises:
        BadDataError: names file and line.
    """
    root = path if (path / WINDOWS_FILE).is_file() else path.parent
    windows = _windows_of(root / WINDOWS_FILE)
    files = sorted(path.rglob("*.csv"))
    if not files:
        raise BadDataError(f"{path}: no CSV files beside {WINDOWS_FILE}; put them at <group>/<name>.csv")
    cases = []
    for file in files:
        key = file.relative_to(root).as_posix()
        if key not in windows:
            raise BadDataError(
                f"{root / WINDOWS_FILE}: says nothing of {key}; add its windows, or [] where nothing is wrong in it"
            )
        cases.append(_read_case(file, key.removesuffix(".csv"), windows[key]))
    return Dataset(name=path.name, layout="nab", cases=tuple(cases))


def warm_up(instants: int) -> int:
    """How many instants at the beginning do not count."""
    return min(int(WARM_UP_SHARE * instants), WARM_UP_MOST)


def metric_name(text: str) -> str:
    """A text as the name of a metric: what Prometheus does not allow becomes an underscore."""
    name = re.sub(r"[^a-zA-Z0-9_]+", "_", text)
    return f"_{name}" if name[:1].isdigit() else name


def _read_case(file: Path, name: str, windows: tuple[LabelledWindow, ...]) -> Case:
    table = read_table(file)
    if tuple(column.lower() for column in table.header) != _HEADER:
        raise BadDataError(f"{file}:1: columns are {','.join(table.header)}; expected {','.join(_HEADER)}")
    times, values = table.times(0, unix_seconds), table.numbers(1)
    later = newer(times)
    times, values = times[later], values[later]
    if times.size < 2:
        raise BadDataError(f"{file}: {times.size} rows with a time later than before; a series needs two")
    metric = metric_name(file.stem)
    return Case(
        name=name,
        series=(Series(metric, (), type="gauge", unit=unit_in(metric)),),
        group_by=(),
        times=times,
        values=values[None, :],
        interval=float(np.median(np.diff(times))),
        judged_from=warm_up(times.size),
        windows=windows,
    )


def _windows_of(file: Path) -> dict[str, tuple[LabelledWindow, ...]]:
    found = read_json(file)
    if not isinstance(found, dict):
        raise BadDataError(f'{file}: expected {{"<group>/<name>.csv": [[start, end], …]}}')
    return {
        key: _united(_window(file, key, pair) for pair in _listed(file, key, pairs)) for key, pairs in found.items()
    }


def _listed(file: Path, key: str, pairs: object) -> list[object]:
    if not isinstance(pairs, list):
        raise BadDataError(f"{file}: {key}: expected a list of [start, end], found {pairs!r}")
    return pairs


def _window(file: Path, key: str, pair: object) -> LabelledWindow:
    wanted = BadDataError(f"{file}: {key}: expected [start, end] with times as in the CSV file, found {pair!r}")
    if not isinstance(pair, list) or len(pair) != 2:
        raise wanted
    try:
        start, end = (unix_seconds(str(moment)) for moment in pair)
    except ValueError:
        raise wanted from None
    if end < start:
        raise BadDataError(f"{file}: {key}: the window {pair!r} ends before it starts")
    return LabelledWindow(start, end)


def _united(windows: Iterable[LabelledWindow]) -> tuple[LabelledWindow, ...]:
    """In order; those that overlap are one."""
    found: list[LabelledWindow] = []
    for window in sorted(windows, key=lambda window: window.start):
        if found and window.start <= found[-1].end:
            found[-1] = LabelledWindow(found[-1].start, max(found[-1].end, window.end))
        else:
            found.append(window)
    return tuple(found)
