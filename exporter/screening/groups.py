"""Groups: the parts of a watch that one verdict covers, scored and put together for the model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exporter.screening.result import KINDS, THRESHOLD, Grouping, ScreenedGroup, ScreenedSeries, ScreenResult
from exporter.series.frame import FloatArray, IntArray
from exporter.series.labels import Labels, Series, labels_of


@dataclass(frozen=True, slots=True)
class GroupScore:
    """How a group stands before a model is asked."""

    key: Labels
    total: int
    suspicious: int
    """How many of `total` score at or above the threshold."""
    top_score: float
    """NaN while no series has a score."""
    strangeness: float = 0.0
    """What its series add up to, see `strange.strangeness`."""
    score: float = np.nan
    """0..1, of the group as a whole, see `standing`; NaN while it has none."""


def group_rows(series: tuple[Series, ...], group_by: Sequence[str]) -> Grouping:
    """Put the rows of a frame into groups by the values of some labels.

    A series without one of the labels belongs to the group without it, as in Prometheus' `by`. Groups stand in the order
    of their first series.
    """
    numbers: dict[Labels, int] = {}
    group = np.empty(len(series), dtype=np.intp)
    for row, one in enumerate(series):
        group[row] = numbers.setdefault(group_key(one.labels, group_by), len(numbers))
    return Grouping(keys=tuple(numbers), group=group)


def group_key(own: Labels, group_by: Sequence[str]) -> Labels:
    """The labels of the group that a series with these labels belongs to."""
    labels = dict(own)
    return labels_of({name: labels.get(name, "") for name in group_by})


def peer_sets(series: tuple[Series, ...], grouping: Grouping) -> IntArray:
    """[series]: the number of the set of peers each belongs to: series of the same metric in the same group."""
    numbers: dict[tuple[int, str], int] = {}
    sets = [
        numbers.setdefault((group, one.name), len(numbers))
        for group, one in zip(grouping.group.tolist(), series, strict=True)
    ]
    return np.array(sets, dtype=np.intp)


def group_scores(
    results: Sequence[ScreenResult], groupings: Sequence[Grouping], threshold: float = THRESHOLD
) -> dict[Labels, GroupScore]:
    """The standing of each group over all targets of a watch.

    Args:
        results: one a target.
        groupings: as many, in the same order.
        threshold: of the watch.
    """
    found: dict[Labels, GroupScore] = {}
    for result, grouping in zip(results, groupings, strict=True):
        groups = len(grouping.keys)
        total = np.bincount(grouping.group, minlength=groups)
        suspicious = np.bincount(grouping.group[result.score >= threshold], minlength=groups)
        top = np.full(groups, np.nan)
        np.fmax.at(top, grouping.group, result.score)
        strange = np.bincount(grouping.group, result.strangeness, minlength=groups)
        columns = (total.tolist(), suspicious.tolist(), top.tolist(), strange.tolist())
        for key, series, odd, best, adds in zip(grouping.keys, *columns, strict=True):
            other = found.get(key, GroupScore(key, 0, 0, np.nan))
            found[key] = GroupScore(
                key,
                total=other.total + series,
                suspicious=other.suspicious + odd,
                top_score=float(np.fmax(other.top_score, best)),
                strangeness=other.strangeness + adds,
            )
    return found


def assemble(
    watch: str,
    key: Labels,
    results: Sequence[ScreenResult],
    groupings: Sequence[Grouping],
    descriptions: Sequence[str],
    *,
    limit: int,
    threshold: float = THRESHOLD,
) -> ScreenedGroup:
    """A group with the series worth showing, the highest score first.

    Only series whose windows are here are shown, and those without a score only if none has one. Equal scores keep the order of targets and rows.

    Args:
        watch: its name.
        key: of the group.
        results: one a target.
        groupings: as many, in the same order.
        descriptions: the user's words, by index of the watch's `select` list; empty ones give way to the source's HELP.
        limit: at most this many series.
        threshold: of the watch.
    """
    everybody = [_members(grouping, key) for grouping in groupings]
    scores = [result.score[rows] for result, rows in zip(results, everybody, strict=True)]
    members = [result.held(rows) for result, rows in zip(results, everybody, strict=True)]
    target = np.repeat(np.arange(len(members)), [len(rows) for rows in members])
    row = np.concatenate([*members, np.empty(0, dtype=np.intp)])
    score = np.concatenate([*(result.score[rows] for result, rows in zip(results, members, strict=True)), np.empty(0)])
    series = tuple(
        _screened(results[target[place]], int(row[place]), descriptions) for place in _ranked(score)[:limit].tolist()
    )
    suspicious = sum(int(np.count_nonzero(of >= threshold)) for of in scores)
    return ScreenedGroup(watch, key, series, total=sum(of.size for of in scores), suspicious=suspicious)


def _members(grouping: Grouping, key: Labels) -> IntArray:
    if key not in grouping.keys:
        return np.empty(0, dtype=np.intp)
    return np.flatnonzero(grouping.group == grouping.keys.index(key))


def _ranked(score: FloatArray) -> IntArray:
    order = np.argsort(-score, kind="stable")
    scored = np.count_nonzero(~np.isnan(score))
    return order[:scored] if scored else order


def _screened(result: ScreenResult, row: int, descriptions: Sequence[str]) -> ScreenedSeries:
    frame, series = result.frame, result.frame.series[row]
    code = int(result.kind[row])
    window = result.window(row)
    return ScreenedSeries(
        series=series,
        description=descriptions[int(frame.select[row])] or series.help,
        times=window.times,
        values=window.values,
        interval=window.interval,
        score=float(result.score[row]),
        kind=KINDS[code] if code >= 0 else None,
        expected_lower=float(result.expected_lower[row]),
        expected_upper=float(result.expected_upper[row]),
        evidence=result.evidence(row),
    )
