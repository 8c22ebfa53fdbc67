"""Where a watch's frames come from: the windows of scraped targets, or range queries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from exporter.config.model import Watch
from exporter.series.frame import Frame
from exporter.series.transforms import FrameBuilder, pick_of
from exporter.sources.collected import Collected
from exporter.sources.prometheus import PrometheusSource, Query
from exporter.sources.scrape import ScrapeSource


@dataclass(frozen=True, eq=False)
class Fed:
    """What a source had at one moment."""

    frames: tuple[Frame, ...]
    """One for each target that answered its last collection."""
    troubles: tuple[str, ...]
    """What went wrong with the others, and with finding them, in words."""


class Feed(Protocol):
    """A source as a watch sees it."""

    def take(self, at: float) -> Fed:
        """The frames of this moment (Unix seconds)."""
        ...


class PastFeed(Protocol):
    """A source that has the past."""

    def past(self, begin: float, end: float, step: float) -> Frame:
        """The frame of the instants after `begin` (Unix seconds) up to `end`, each a multiple of `step` seconds.

        Raises:
            LmwatchError: the source did not deliver it.
        """
        ...


class ScrapeFeed:
    """Frames from the windows that scraping fills; takes no longer than a copy."""

    def __init__(self, watch: Watch, source: ScrapeSource) -> None:
        self._picks = [pick_of(selection) for selection in watch.select]
        self._span = watch.window
        self._source = source
        self._builders: dict[str, FrameBuilder] = {}

    def take(self, at: float) -> Fed:  # noqa: ARG002 - a window's own instants say when
        """Frames of the targets whose last scrape succeeded."""
        frames: list[Frame] = []
        troubles = list(self._source.errors)
        targets = self._source.targets
        for target in targets:
            last = target.last
            if last is None:
                continue
            if not last.up:
                troubles.append(f"{target.address}: {last.error}")
                continue
            builder = self._builders.get(target.address)
            if builder is None:
                builder = self._builders[target.address] = FrameBuilder(self._picks, self._span)
            frames.append(builder.build(target.window))
        for address in self._builders.keys() - {target.address for target in targets}:
            del self._builders[address]
        return Fed(tuple(frame for frame in frames if frame.series), tuple(troubles))


class QueryFeed:
    """Frames from range queries; takes as long as the server needs, within the source's timeout."""

    def __init__(self, watch: Watch, source: PrometheusSource, on_collected: Callable[[Collected], None]) -> None:
        self._queries: Sequence[Query] = [
            Query(name=selection.name or "", expr=selection.query or "", select=index, unit=selection.unit)
            for index, selection in enumerate(watch.select)
        ]
        self._span = watch.window
        self._source = source
        self._on_collected = on_collected

    def take(self, at: float) -> Fed:
        """The window up to this moment, asked for anew."""
        result = self._source.collect(self._queries, span=self._span, at=at)
        self._on_collected(result.collected)
        if result.frame is None:
            return Fed((), (result.collected.error,))
        return Fed((result.frame,) if result.frame.series else (), result.collected.warnings)

    def past(self, begin: float, end: float, step: float) -> Frame:
        """What the server has of a stretch of the past.

        Args:
            begin: Unix seconds; the first instant is later.
            end: the last instant is not later.
            step: seconds between instants.

        Raises:
            LmwatchError: a query failed.
        """
        return self._source.past(self._queries, begin=begin, end=end, step=step)
