"""The window around an alert: the series behind its expression, and those of the watches that share its labels, screened."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np

from exporter.alerting.expression import expression_of, measured
from exporter.alerting.webhook import Alert, Notification
from exporter.config.model import Selection, Source
from exporter.errors import LmwatchError
from exporter.logs import fields
from exporter.screening.baseline import Settings
from exporter.screening.groups import assemble, group_rows, peer_sets
from exporter.screening.policy import policy_of
from exporter.screening.result import THRESHOLD, Grouping, ScreenedGroup, ScreenedSeries
from exporter.screening.screen import screen
from exporter.series.frame import Frame, IntArray
from exporter.series.labels import Labels, Series
from exporter.sources.prometheus import PrometheusSource, Query
from exporter.watching.watcher import Watcher

logger = logging.getLogger(__name__)

WATCH = "@alertmanager"
"""What verdicts on alerts name as their watch. No watch can be called so."""

_BEFORE_SECONDS = 3600.0
"""How much of the time before the first alert is looked at."""
_LONGEST_SECONDS = 6 * 3600.0
_INSTANTS = 480
"""Instants of a window at most; a longer one has a longer step."""
_LEAST_JUDGED = 4
_MOST_JUDGED_SHARE = 3
"""At most a third of the window is judged by the rest."""
_MOST_SERIES = 24
_MOST_ALERTING = 12
_MOST_BESIDE = 6
"""Series of an expression that no alert is about."""
_MOST_COMPARED = 200
"""Alerts whose labels are compared with those of series."""
_MOST_EXPRESSIONS = 3
_OURS = "lmwatch_"
_SELECTION = Selection(query="alert", name="alert")


@dataclass(frozen=True)
class Sights:
    """Where windows come from, as one configuration has them."""

    sources: Sequence[Source] = ()
    queries: Mapping[str, PrometheusSource] = field(default_factory=dict)
    """By the name of their source."""
    watchers: Mapping[str, Watcher] = field(default_factory=dict)


def look(notification: Notification, sights: Sights, at: float) -> ScreenedGroup:
    """What the sources and the watches show about a notification, screened; it may have no series.

    Asks Prometheus, which takes up to the timeout of its source.

    Args:
        notification: with at least one alert that fires.
        sights: where to look.
        at: the end of the window, Unix seconds.
    """
    alerts = notification.firing
    groups = [*_queried(alerts, sights, at), *_watched(alerts, sights.watchers)]
    series = _distinct([one for group in groups for one in group.series])[:_MOST_SERIES]
    return ScreenedGroup(
        watch=WATCH,
        key=notification.group_labels,
        series=tuple(sorted(series, key=lambda one: -np.nan_to_num(one.score, nan=-1.0))),
        total=sum(group.total for group in groups),
        suspicious=sum(group.suspicious for group in groups),
    )


def _distinct(series: Sequence[ScreenedSeries]) -> list[ScreenedSeries]:
    """Each series once, in the same order."""
    found: dict[tuple[str, Labels], ScreenedSeries] = {}
    for one in series:
        found.setdefault((one.series.name, one.series.labels), one)
    return list(found.values())


def _queried(alerts: Sequence[Alert], sights: Sights, at: float) -> Iterator[ScreenedGroup]:
    """The series behind the expressions of the alerts, from the first source that has any."""
    of_expression: dict[str, list[Alert]] = {}
    for alert in alerts:
        expr = expression_of(alert.generator_url)
        if expr is not None and _OURS not in expr:
            of_expression.setdefault(expr, []).append(alert)
    for expr, of in list(of_expression.items())[:_MOST_EXPRESSIONS]:
        for source in _by_origin(sights, of[0].generator_url):
            frame = _frame(sights.queries[source.name], source, expr, of, at)
            if frame is not None and frame.series:
                yield _screened(frame, of)
                break


def _by_origin(sights: Sights, url: str) -> list[Source]:
    """The sources that can be asked, the one that the alert comes from first."""
    usable = [source for source in sights.sources if source.prometheus is not None and source.name in sights.queries]
    try:
        origin = urlsplit(url).netloc
    except ValueError:
        origin = ""
    return sorted(
        usable, key=lambda source: source.prometheus is None or urlsplit(source.prometheus.url).netloc != origin
    )


def _frame(queries: PrometheusSource, source: Source, expr: str, alerts: Sequence[Alert], at: float) -> Frame | None:
    """The window of what the expression compares; of the expression itself where that cannot be asked for."""
    begin = _begin(alerts, at)
    step = max(source.prometheus.step if source.prometheus else 0.0, (at - begin) / _INSTANTS)
    name = alerts[0].name or "alert"
    for text in dict.fromkeys((measured(expr), expr)):
        try:
            return queries.past([Query(name, text, 0)], begin=begin, end=at, step=step)
        except LmwatchError as error:
            where = fields(source=source.name, alert=name, error=str(error))
            logger.warning("the window around an alert could not be fetched", extra=where)
    return None


def _begin(alerts: Sequence[Alert], at: float) -> float:
    first = min((alert.started for alert in alerts if alert.started is not None), default=at)
    return max(min(first, at) - _BEFORE_SECONDS, at - _LONGEST_SECONDS)


def _screened(frame: Frame, alerts: Sequence[Alert]) -> ScreenedGroup:
    """The frame's series, those that alerts are about kept apart so that others cannot crowd them out."""
    alone = group_rows(frame.series, ())
    result = screen(
        frame,
        policy_of([_SELECTION], frame.select),
        Settings(judged=_judged(frame, alerts)),
        peer=peer_sets(frame.series, alone),
    )
    grouping = Grouping(keys=((), (("alerting", "1"),)), group=_alerting(frame.series, alerts))
    parts = [
        assemble(WATCH, key, [result], [grouping], [""], limit=limit)
        for key, limit in zip(reversed(grouping.keys), (_MOST_ALERTING, _MOST_BESIDE), strict=True)
    ]
    total, suspicious = len(frame.series), int(np.count_nonzero(result.score >= THRESHOLD))
    return ScreenedGroup(WATCH, (), tuple(one for part in parts for one in part.series), total, suspicious)


def _judged(frame: Frame, alerts: Sequence[Alert]) -> int:
    """How many instants are judged: those since the first alert began."""
    began = min((alert.started for alert in alerts if alert.started is not None), default=np.inf)
    since = int(np.count_nonzero(frame.times >= began))
    return max(1, min(max(since, _LEAST_JUDGED), frame.times.size // _MOST_JUDGED_SHARE))


def _alerting(series: Sequence[Series], alerts: Sequence[Alert]) -> IntArray:
    """[series]: 1 for those that an alert is about, as it carries all of their labels, else 0."""
    labels = [frozenset(alert.labels) for alert in alerts[:_MOST_COMPARED]]
    return np.array(
        [any(labels_of_alert.issuperset(one.labels) for labels_of_alert in labels) for one in series]
    ).astype(np.intp)


def _watched(alerts: Sequence[Alert], watchers: Mapping[str, Watcher]) -> Iterator[ScreenedGroup]:
    """The present groups of the watches that share the labels of an alert."""
    labels = [frozenset(alert.labels) for alert in alerts[:_MOST_COMPARED]]
    for name, watcher in watchers.items():
        named = any(("watch", name) in of for of in labels)

        def shares(key: Labels, named: bool = named) -> bool:
            return (bool(key) or named) and any(of.issuperset(key) for of in labels)

        yield from watcher.groups(shares)
