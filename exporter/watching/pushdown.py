"""`screen: pushdown`: each interval one instant query for all distances, then the windows of what is suspicious."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from exporter.clock import Clock
from exporter.config.model import Watch
from exporter.errors import LmwatchError
from exporter.screening.archive import BEGAN, blank_episodes
from exporter.screening.baseline import Settings
from exporter.screening.episodes import CALM_INSTANTS, Pace, follow
from exporter.screening.policy import Policy
from exporter.screening.recorded import Closer, recorded_scores, screen_recorded, worth_a_look
from exporter.screening.result import THRESHOLD, ScreenResult
from exporter.screening.screen import screen
from exporter.series.frame import FloatArray, Frame, IntArray
from exporter.series.labels import Labels, Series
from exporter.series.units import unit_in
from exporter.sources.collected import Collected
from exporter.sources.prometheus import PrometheusSource, Query
from exporter.watching.feed import Fed
from exporter.watching.recorded_queries import SELECT, bare, closer_of, closer_query, scores_query, window_query
from exporter.watching.tables import Members, settings_of

_SELECTORS = 50
"""A query names so many series at most."""


@dataclass(frozen=True, eq=False)
class _Rows:
    """The series of an answer; kept so that an unchanged set stays the same object."""

    metrics: tuple[dict[str, str], ...]
    """As the answer had them."""
    order: IntArray
    """Which sample of the answer each row is."""
    keys: list[tuple[int, Labels]]
    series: tuple[Series, ...]
    select: IntArray


class PushdownFeed:
    """Frames of one instant: how far each series lies beyond its history, as the source's ruler recorded it.

    Args:
        watch: its selections are selectors of `lmwatch:input`.
        source: who is asked.
        on_collected: told how it went.
        clock: measures how long it took.
    """

    def __init__(
        self, watch: Watch, source: PrometheusSource, on_collected: Callable[[Collected], None], clock: Clock
    ) -> None:
        self._watch = watch
        self._query = Query(f"distances of {watch.name}", scores_query(watch.select), 0)
        self._source = source
        self._on_collected = on_collected
        self._clock = clock
        self._rows = _Rows((), np.empty(0, np.intp), [], (), np.empty(0, np.intp))

    def take(self, at: float) -> Fed:
        """The distances of this moment (Unix seconds): NaN for series without a baseline."""
        began, error, values = self._clock.monotonic(), "", np.empty(0)
        warnings: tuple[str, ...] = ()
        try:
            vector = self._source.instant(self._query, at=at)
        except LmwatchError as failure:
            error = str(failure)
        else:
            self._rows = self._follow(vector.metrics)
            values, warnings = vector.values[self._rows.order], vector.warnings
        self._on_collected(
            Collected(
                self._source.name,
                self._source.target,
                up=not error,
                duration_seconds=self._clock.monotonic() - began,
                samples=values.size,
                at=at,
                error=error,
                warnings=warnings,
            )
        )
        if error:
            return Fed((), (error,))
        rows, times = self._rows, np.array([at])
        frame = Frame(self._source.target, rows.series, rows.select, times, values[:, None], self._watch.interval)
        return Fed((frame,) if rows.series else (), warnings)

    def _follow(self, metrics: tuple[dict[str, str], ...]) -> _Rows:
        if metrics == self._rows.metrics:
            return self._rows
        keys = [(int(metric.get(SELECT, 0)), bare(metric)) for metric in metrics]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        keys = [keys[place] for place in order]
        if keys == self._rows.keys:
            return _Rows(metrics, np.array(order, dtype=np.intp), keys, self._rows.series, self._rows.select)
        series = tuple(self._series(select, labels) for select, labels in keys)
        select = np.array([select for select, _ in keys], dtype=np.intp)
        return _Rows(metrics, np.array(order, dtype=np.intp), keys, series, select)

    def _series(self, select: int, labels: Labels) -> Series:
        selection = self._watch.select[select]
        name = selection.name or ""
        return Series(name, labels, help=selection.query or "", unit=selection.unit or unit_in(name))


class Pushdown:
    """Judges what `PushdownFeed` brings, and asks for the windows of what is suspicious and some of its group.

    Args:
        watch: the configuration.
        source: who is asked.
    """

    def __init__(self, watch: Watch, source: PrometheusSource) -> None:
        self._watch = watch
        self._source = source
        self._members: Members | None = None
        self._names: frozenset[str] = frozenset()
        self._episode = blank_episodes(0)
        self._trouble = ""

    def judge(self, frame: Frame, members: Members) -> ScreenResult:
        """Score all series; those in an episode are looked at closer as long as it goes on."""
        self._follow(members)
        policy, settings = members.policy, members.settings
        score = recorded_scores(frame.values[:, -1], policy, settings, frame.interval)
        score[policy.quiet_at(float(frame.times[-1]))] = np.nan
        held = np.where(np.isnan(self._episode[BEGAN]), score, np.fmax(score, THRESHOLD))
        threshold = min(self._watch.threshold, THRESHOLD)
        rows = worth_a_look(held, members.grouping, threshold, self._watch.reason.max_series)
        closer, windows, window_rows = self._look(frame, rows, policy)
        found = screen_recorded(frame, policy, settings, closer, windows=windows, window_rows=window_rows)
        return self._followed(found, members, float(frame.times[-1]))

    def forget(self, present: Collection[str]) -> None:
        """Nothing is remembered of targets that are gone."""

    def words(self, targets: Collection[str]) -> str:  # noqa: ARG002 - there is one target
        """What is missing, in words; empty where nothing is."""
        return self._trouble

    def keep(self) -> None:
        """The source's storage keeps the past."""

    def fill(self, seconds: float, stopped: Callable[[], bool]) -> None:
        """The source has the past."""

    def _follow(self, members: Members) -> None:
        """Bring episodes into the order of these series."""
        known, self._members = self._members, members
        if known is not None and known.series is members.series:
            return
        before = np.array([known.row.get(one, -1) if known else -1 for one in members.series], dtype=np.intp)
        episode = blank_episodes(before.size)
        episode[:, before >= 0] = self._episode[:, before[before >= 0]]
        self._episode = episode
        self._names = frozenset(name for one in members.series for name, _ in one.labels)

    def _followed(self, found: ScreenResult, members: Members, now: float) -> ScreenResult:
        followed = follow(
            self._episode,
            found.score,
            found.lasting,
            found.kind,
            certain=found.certain,
            wait=members.policy.for_seconds,
            now=now,
            pace=Pace(settle=self._watch.settle, release=CALM_INSTANTS * self._watch.interval),
        )
        self._episode = followed.episode
        return replace(found, score=followed.score, kind=followed.kind)

    def _look(self, frame: Frame, rows: IntArray, policy: Policy) -> tuple[Closer, ScreenResult, IntArray]:
        """What is recorded of these rows and of those with a band, and the windows of these rows."""
        at = float(frame.times[-1])
        near = np.union1d(rows, np.flatnonzero(policy.band))
        closer, windows, self._trouble = Closer.of_nothing(near), self._empty(frame), ""
        try:
            if near.size:
                closer = self._closer(frame, near, at)
            if rows.size:
                windows = self._windows(frame, rows, at)
        except LmwatchError as error:
            self._trouble = f"scores without a closer look: {error}"
        kept = rows if len(windows.values) else rows[:0]
        settings = settings_of(self._watch, windows) if kept.size else Settings()
        return closer, screen(windows, policy.rows(kept), settings), kept

    def _closer(self, frame: Frame, rows: IntArray, at: float) -> Closer:
        labels = [frame.series[row].labels for row in rows.tolist()]
        name = f"records of {self._watch.name}"
        metrics: list[dict[str, str]] = []
        values: list[FloatArray] = []
        for some in _in_parts(list(dict.fromkeys(labels))):
            vector = self._source.instant(Query(name, closer_query(some, self._names), 0), at=at)
            metrics += vector.metrics
            values.append(vector.values)
        return closer_of(rows, labels, metrics, np.concatenate(values))

    def _windows(self, frame: Frame, rows: IntArray, at: float) -> Frame:
        """A frame of these rows, in their order."""
        asked = [frame.series[row] for row in rows.tolist()]
        name = f"windows of {self._watch.name}"
        queries = [
            Query(name, window_query(some, self._names), 0)
            for some in _in_parts(list(dict.fromkeys(one.labels for one in asked)))
        ]
        came = self._source.past(queries, begin=at - self._watch.window, end=at, step=self._source.step)
        place = {one.labels: row for row, one in enumerate(came.series)}
        values = np.full((rows.size, came.times.size), np.nan)
        for row, one in enumerate(asked):
            if one.labels in place:
                values[row] = came.values[place[one.labels]]
        return Frame(frame.target, tuple(asked), frame.select[rows], came.times, values, came.interval)

    def _empty(self, frame: Frame) -> Frame:
        nothing = np.empty(0)
        return Frame(frame.target, (), frame.select[:0], nothing, np.empty((0, 0)), frame.interval)


def _in_parts(labels: Sequence[Labels]) -> Iterator[Sequence[Labels]]:
    return (labels[first : first + _SELECTORS] for first in range(0, len(labels), _SELECTORS))
