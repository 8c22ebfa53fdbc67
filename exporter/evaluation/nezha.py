"""The layout of the Nezha data: metrics of Kubernetes pods, a file each, and the faults that were injected into them.

Yu et al., "Nezha: Interpretable Fine-Grained Root Causes Analysis for Microservices on Multi-modal Observability Data",
ESEC/FSE 2023.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exporter.errors import BadDataError
from exporter.evaluation.labelled import Case, Dataset, Experiment, Fault
from exporter.evaluation.tables import Table, newer, read_json, read_table, unix_seconds
from exporter.series.frame import FloatArray
from exporter.series.labels import Series, labels_of

FAULTS_FILE = "faults.json"
CAUSES_FILE = "root_cause_metrics.json"
INTERVAL = 60.0
PHASE_MARGIN = 300.0
"""Seconds that the phase reaches before the first and after the last injected fault."""

_POD_FILE = "_metric.csv.gz"
_CALL_FILES = {"source_50.csv.gz": "source", "destination_50.csv.gz": "destination"}
_CALL_METRIC = "request_latency_p50_seconds"
_NO_METRIC = frozenset({"Time", "TimeStamp", "PodName", "time", "timestamp"})
_UNITS = {
    "%": "percent",
    "m": "millicores",
    "Mi": "mebibytes",
    "s": "seconds",
    "ms": "milliseconds",
    "Ops": "operations_per_second",
}
_UNIT_IN_BRACKETS = re.compile(r"\((.*)\)$")
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def is_nezha(path: Path) -> bool:
    """Whether a folder, or a folder in it, has `faults.json` and `*_metric.csv.gz` files."""
    return bool(_days(path))


def read_nezha(path: Path) -> Dataset:
    """One experiment a day, in the order of their folders.

    Raises:
        BadDataError: names file and line.
    """
    return Dataset(path.name, "nezha", cases=(), experiments=tuple(_read_day(day) for day in _days(path)))


def metric_of(column: str) -> tuple[str, str]:
    """The name of a metric and its unit, from a column's title: `CpuUsageRate(%)` is `cpu_usage_rate_percent`."""
    brackets = _UNIT_IN_BRACKETS.search(column)
    plain = _WORD_START.sub("_", _UNIT_IN_BRACKETS.sub("", column)).lower()
    if brackets is None:
        return plain, "bytes" if plain.endswith("_bytes") else ""
    unit = _UNITS.get(brackets[1], brackets[1].lower())
    return f"{plain}_{unit}", unit


@dataclass(frozen=True, eq=False)
class _Column:
    series: Series
    times: FloatArray
    """[rows]: Unix seconds, strictly increasing."""
    values: FloatArray


def _days(path: Path) -> list[Path]:
    folders = [path, *sorted(child for child in path.glob("*") if child.is_dir())]
    return [folder for folder in folders if (folder / FAULTS_FILE).is_file() and any(folder.glob(f"*{_POD_FILE}"))]


def _read_day(day: Path) -> Experiment:
    pods = {file.name.removesuffix(_POD_FILE): read_table(file) for file in sorted(day.glob(f"*{_POD_FILE}"))}
    columns = [column for pod, table in pods.items() for column in _columns_of(pod, table)]
    columns = _without_constants(columns) + list(_calls(day, list(pods)))
    if not columns:
        raise BadDataError(f"{day}: no metric in any {_POD_FILE} file ever changes; nothing can be judged")
    times, values = _on_grid(columns)
    faults = _faults(day, {column.series.name for column in columns}, times)
    phase = faults[0].at - PHASE_MARGIN, faults[-1].at + PHASE_MARGIN
    case = Case(
        name=day.name,
        series=tuple(column.series for column in columns),
        group_by=("pod",),
        times=times,
        values=values,
        interval=INTERVAL,
        judged_from=int(np.searchsorted(times, phase[0])),
        windows=(),
    )
    return Experiment(case, faults, phase)


def _columns_of(pod: str, table: Table) -> Iterator[_Column]:
    times = _times_of(table)
    later = newer(times)
    for number, title in enumerate(table.header):
        if title in _NO_METRIC:
            continue
        name, unit = metric_of(title)
        series = Series(name, labels_of({"pod": pod}), type="gauge", unit=unit)
        yield _Column(series, times[later], table.numbers(number)[later])


def _calls(day: Path, pods: Sequence[str]) -> Iterator[_Column]:
    """The median latency of the calls from one service to another, as either end measures it.

    They belong to the pod that is called: it is the one to look at when calls are slow. What the caller measures and the
    called does not is time on the network. The labels are those that a service mesh gives.
    """
    pod_of = {_service(pod): pod for pod in pods}
    for name, reporter in _CALL_FILES.items():
        if not (day / name).is_file():
            continue
        table = read_table(day / name)
        times = _times_of(table)
        later = newer(times)
        for number, title in enumerate(table.header):
            source, _, destination = title.partition("_")
            if title in _NO_METRIC or destination not in pod_of:
                continue
            labels = labels_of({"pod": pod_of[destination], "source": source, "reporter": reporter})
            series = Series(_CALL_METRIC, labels, type="gauge", unit="seconds")
            yield _Column(series, times[later], table.numbers(number)[later])


def _times_of(table: Table) -> FloatArray:
    """[rows]: Unix seconds, from the column `Time`; `TimeStamp` is wrong in places."""
    titles = [title.lower() for title in table.header]
    if "time" not in titles:
        raise BadDataError(f"{table.path}:1: no column Time among {', '.join(table.header)}")
    if not table.rows:
        raise BadDataError(f"{table.path}: has no rows")
    return table.times(titles.index("time"), _go_time)


def _go_time(text: str) -> float:
    """Unix seconds of a time as Go prints it: `2022-08-22 03:51:19.607158889 +0000 UTC m=+0.113112869`."""
    date, clock, zone, *_ = (*text.split(), "", "", "")
    return unix_seconds(f"{date} {clock[:15]}{zone}")


def _without_constants(columns: Sequence[_Column]) -> list[_Column]:
    """Without the metrics that have no pod in which they ever change: they count nothing."""
    changing = {column.series.name for column in columns if np.unique(column.values[~np.isnan(column.values)]).size > 1}
    return [column for column in columns if column.series.name in changing]


def _on_grid(columns: Sequence[_Column]) -> tuple[FloatArray, FloatArray]:
    """All columns at the same instants, a minute apart, at the second of the minute that rows are usually written.

    A row goes to the nearest instant; of two at the same one the first counts.
    """
    seconds = np.concatenate([column.times for column in columns])
    # Measured from one of them, seconds on both sides of a full minute stay together.
    around = (seconds - seconds[0] + INTERVAL / 2) % INTERVAL - INTERVAL / 2
    offset = float(np.floor(seconds[0] + np.median(around))) % INTERVAL
    places = [np.floor((column.times - offset) / INTERVAL + 0.5).astype(np.intp) for column in columns]
    first, last = min(int(place[0]) for place in places), max(int(place[-1]) for place in places)
    values = np.full((len(columns), last - first + 1), np.nan)
    for row, (column, place) in enumerate(zip(columns, places, strict=True)):
        once, where = np.unique(place, return_index=True)
        found = column.values[where]
        values[row, once - first] = np.where(np.isfinite(found), found, np.nan)
    return offset + INTERVAL * np.arange(first, last + 1, dtype=np.float64), values


def _faults(day: Path, metrics: set[str], times: FloatArray) -> tuple[Fault, ...]:
    file = day / FAULTS_FILE
    causes = _causes(day)
    found = []
    for entry in _entries(file, read_json(file)):
        pod, kind = entry["inject_pod"], entry["inject_type"]
        metric = metric_of(causes.get(_service(pod), {}).get(kind, ""))[0]
        at = _injected_at(file, entry, times)
        found.append(Fault(at=at, group=pod, kind=kind, metric=metric if metric in metrics else ""))
    if not found:
        raise BadDataError(f"{file}: names no fault; without one there is nothing to compare")
    return tuple(sorted(found, key=lambda fault: fault.at))


def _entries(file: Path, found: object) -> Iterator[Mapping[str, Any]]:
    """The faults of a list, or of an object with a list for each hour."""
    hours = list(found.values()) if isinstance(found, dict) else [found]
    for entry in (entry for hour in hours for entry in (hour if isinstance(hour, list) else [hour])):
        needed = ("inject_time", "inject_pod", "inject_type")
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in needed):
            raise BadDataError(f"{file}: expected a fault with the texts {', '.join(needed)}; found {entry!r}")
        yield entry


def _injected_at(file: Path, entry: Mapping[str, Any], times: FloatArray) -> float:
    """Unix seconds of `inject_time`; of `inject_timestamp` if only that lies within the metrics."""
    try:
        at = unix_seconds(entry["inject_time"])
        other = float(entry.get("inject_timestamp", at))
    except (TypeError, ValueError):
        raise BadDataError(f"{file}: the times of {dict(entry)!r} cannot be read") from None
    return other if times[0] <= other <= times[-1] and not times[0] <= at <= times[-1] else at


def _causes(day: Path) -> Mapping[str, Mapping[str, str]]:
    """By service and kind of fault the metric that should show it; empty where no file says so."""
    file = next((folder / CAUSES_FILE for folder in (day, day.parent) if (folder / CAUSES_FILE).is_file()), None)
    if file is None:
        return {}
    found = read_json(file)
    if not isinstance(found, dict) or not all(isinstance(kinds, dict) for kinds in found.values()):
        raise BadDataError(f'{file}: expected {{"<service>": {{"<kind>": "<metric>"}}}}')
    return {service: {kind: str(metric) for kind, metric in kinds.items()} for service, kinds in found.items()}


def _service(pod: str) -> str:
    """The service of a pod, whose name a Deployment makes: `<service>-<hash>-<hash>`."""
    return pod.rsplit("-", 2)[0]
