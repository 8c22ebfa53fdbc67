"""Verdicts that find something become annotations in Grafana: one region for each episode of a group.

The annotation is written with the first verdict, brought up to date with each later one, and gets its end when the
group has been calm for a while. What people see is one region with the newest words, not a mark for each verdict.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from exporter.alerting.annotator import Annotator
from exporter.alerting.episodes import Episode, finds_something
from exporter.alerting.grafana import Annotation, GrafanaClient
from exporter.alerting.wording import Links
from exporter.board import Board
from exporter.clock import Clock
from exporter.config.model import Config, Grafana
from exporter.metrics.annotating import AnnotationInstruments
from exporter.reasoning.verdict import Verdict
from exporter.series.labels import Labels

TICK_SECONDS = 5.0
"""How often episodes are looked at."""
CALM_SECONDS = 120.0
"""How long a group is calm before its episode is over; one that comes back sooner goes on."""

_Key = tuple[str, Labels]


@dataclass(frozen=True)
class _Plan:
    """What the configuration says."""

    settings: Grafana | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """By watch."""


class Annotations:
    """Follows episodes and has them written. Any thread may call any method.

    Args:
        clock: tells the time.
        board: the present board.
        instruments: count what happens.
        base_url: what goes in front of a page's path in links; empty where it is not known.
    """

    def __init__(
        self, clock: Clock, board: Callable[[], Board], instruments: AnnotationInstruments, *, base_url: str = ""
    ) -> None:
        self._clock = clock
        self._board = board
        self._instruments = instruments
        self._links = Links(base_url)
        self._changing = threading.RLock()
        self._plan = _Plan()
        self._annotator: Annotator | None = None
        self._open: dict[_Key, Episode] = {}
        self._written: dict[_Key, Annotation] = {}

    def follow(self, config: Config) -> None:
        """Go over to a configuration. Another Grafana, or another way to it, begins with the episodes still to come."""
        with self._changing:
            before, self._plan = self._plan, _plan_of(config)
            if self._plan.settings == before.settings:
                return
            ended, self._annotator = self._annotator, None
            self._open, self._written = {}, {}
            if self._plan.settings is not None:
                client = GrafanaClient(self._plan.settings)
                self._annotator = Annotator(client, self._instruments, self._clock)
                self._annotator.start()
        if ended is not None:
            ended.stop(0.0)

    def put(self, verdict: Verdict) -> None:
        """A verdict was reached. Those on alerts that came in are not annotated: the alerts are."""
        with self._changing:
            threshold = self._plan.thresholds.get(verdict.watch)
            if self._annotator is None or threshold is None or verdict.answers:
                return
            key = (verdict.watch, verdict.group)
            known = self._open.get(key)
            if finds_something(verdict, threshold):
                self._open[key] = known.confirmed(verdict) if known else Episode.of(verdict)
                self._write(key)
            elif known is not None and verdict.group_score is not None:
                self._end(key)

    def tick(self) -> None:
        """See which episodes go on, by the screen's word, and which are over."""
        board, now = self._board(), self._clock.now()
        with self._changing:
            for key, episode in tuple(self._open.items()):
                watch, group = key
                picture, threshold = board.watches.get(watch), self._plan.thresholds.get(watch)
                if picture is None or threshold is None:
                    self._end(key)
                elif picture.standings.get(group, 0.0) >= threshold:
                    self._open[key] = episode.still(picture.at)
                elif now - episode.seen_at >= CALM_SECONDS:
                    self._end(key)

    def stop(self, timeout: float) -> None:
        """Write how far the open episodes have come, for so many seconds at most, and end."""
        with self._changing:
            for key in tuple(self._open):
                self._end(key)
            ended, self._annotator = self._annotator, None
        if ended is not None:
            ended.stop(timeout)

    def _end(self, key: _Key) -> None:
        self._write(key)
        del self._open[key]
        self._written.pop(key, None)

    def _write(self, key: _Key) -> None:
        if self._annotator is None or self._plan.settings is None:
            return
        annotation = self._open[key].annotation(tuple(self._plan.settings.tags), self._links)
        if annotation != self._written.get(key):
            self._written[key] = annotation
            self._annotator.put(annotation)


def _plan_of(config: Config) -> _Plan:
    return _Plan(config.grafana, {watch.name: watch.threshold for watch in config.watches})
