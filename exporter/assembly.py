"""What one configuration consists of: servers, sources and watches, put together from the services that outlive it.

What a new configuration leaves as it was (a source with its windows, a watch with its verdicts, the servers with their queues)
is taken over from the parts of the one before.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.config.model import Config, Source, Watch
from exporter.config.watches import HEARTBEAT_WATCH
from exporter.heartbeat import Heartbeat
from exporter.lmstudio.pool import Pool, make_pool
from exporter.observers import Observers
from exporter.reasoning.analyst import Analyst
from exporter.services import Services
from exporter.sources.prometheus import PrometheusSource
from exporter.sources.scrape import ScrapeSource
from exporter.watching.feed import Feed, QueryFeed, ScrapeFeed
from exporter.watching.pushdown import Pushdown, PushdownFeed
from exporter.watching.watcher import Judging, Watcher

_DEFAULT_HORIZON = 3600.0
"""Seconds of history that a source keeps when no watch looks at it."""


@dataclass(frozen=True, eq=False)
class Parts:
    """All of it, by name where there are several."""

    config: Config
    pool: Pool
    observers: Observers
    scrapes: Mapping[str, ScrapeSource]
    queries: Mapping[str, PrometheusSource]
    watchers: Mapping[str, Watcher]
    """That of the heartbeat included."""
    heartbeat: Heartbeat | None


def assemble(config: Config, services: Services, previous: Parts | None) -> Parts:
    """The parts of a configuration; nothing of what is new is started.

    Args:
        config: a checked configuration.
        services: what outlives it.
        previous: the parts of the one before, which go on working.

    Raises:
        ConfigError: something in the configuration turns out not to be usable.
    """
    pool = _pool(config, services, previous)
    scrapes = {source.name: _scrape(source, config, services, previous) for source in config.sources if source.scrape}
    queries = {source.name: _query(source, services, previous) for source in config.sources if source.prometheus}
    watchers = {}
    for watch in config.watches:
        known = _same_watcher(watch, pool, scrapes.get(watch.source), queries.get(watch.source), previous)
        watchers[watch.name] = known or _watcher(
            watch, pool, scrapes.get(watch.source), queries.get(watch.source), services
        )
    heartbeat = _heartbeat(config, pool, services, previous)
    if heartbeat is not None:
        watchers[HEARTBEAT_WATCH] = heartbeat.watcher
    return Parts(config, pool, _observers(config, pool, services, previous), scrapes, queries, watchers, heartbeat)


def _pool(config: Config, services: Services, previous: Parts | None) -> Pool:
    if previous is not None and previous.config.servers == config.servers:
        return previous.pool
    reporter = services.reporter
    return make_pool(
        config.servers,
        services.clock,
        on_prediction=reporter.prediction,
        on_failure=reporter.failure,
        on_poll=reporter.poll,
    )


def _observers(config: Config, pool: Pool, services: Services, previous: Parts | None) -> Observers:
    if previous is not None and previous.pool is pool and previous.config.proxy == config.proxy:
        return previous.observers
    held = previous.observers.proxy_port if previous is not None else None
    return Observers(config, pool, services.reporter, services.clock, held=held)


def _scrape(source: Source, config: Config, services: Services, previous: Parts | None) -> ScrapeSource:
    windows = [watch.window for watch in config.watches if watch.source == source.name]
    horizon = max(windows, default=_DEFAULT_HORIZON)
    if previous is not None and source in previous.config.sources:
        known = previous.scrapes[source.name]
        if known.horizon >= horizon:
            return known
    return ScrapeSource(source, horizon=horizon, clock=services.clock)


def _query(source: Source, services: Services, previous: Parts | None) -> PrometheusSource:
    if previous is not None and source in previous.config.sources:
        return previous.queries[source.name]
    return PrometheusSource(source, services.clock)


def _same_watcher(
    watch: Watch, pool: Pool, scrape: ScrapeSource | None, query: PrometheusSource | None, previous: Parts | None
) -> Watcher | None:
    """The watcher of before, where neither the watch nor what it depends on has changed."""
    if (
        previous is not None
        and watch in previous.config.watches
        and previous.pool is pool
        and previous.scrapes.get(watch.source) is scrape
        and previous.queries.get(watch.source) is query
    ):
        return previous.watchers[watch.name]
    return None


def _watcher(
    watch: Watch, pool: Pool, scrape: ScrapeSource | None, query: PrometheusSource | None, services: Services
) -> Watcher:
    reporter = services.reporter
    analyst = Analyst(services.tokens.estimate, services.tokens.learn, services.memory, services.sight)
    judging = Judging(pool, analyst, reporter.instruments, reporter.verdict, services.inbox.firing.words)
    keeper = services.histories.of(watch.name) if services.histories is not None else None
    if query is None:
        assert scrape is not None, "a checked configuration has the source of each watch"
        feed: Feed = ScrapeFeed(watch, scrape)
        return Watcher(watch, feed, judging, reporter.picture, services.clock, keeper=keeper)
    if watch.screen == "pushdown":
        pushed = PushdownFeed(watch, query, reporter.collected, services.clock)
        screener = Pushdown(watch, query)
        return Watcher(watch, pushed, judging, reporter.picture, services.clock, keeper=keeper, screener=screener)
    queried = QueryFeed(watch, query, reporter.collected)
    return Watcher(watch, queried, judging, reporter.picture, services.clock, keeper=keeper, past=queried)


def _heartbeat(config: Config, pool: Pool, services: Services, previous: Parts | None) -> Heartbeat | None:
    interval = config.heartbeat_interval
    if not interval:
        return None
    known = previous.heartbeat if previous is not None and previous.pool is pool else None
    if known is not None and known.interval == interval:
        return known
    return Heartbeat(interval, pool, services.reporter, services.tokens, services.clock)
