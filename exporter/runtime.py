"""What one configuration brings to life: servers, sources, watches and their jobs.

A runtime is built whole before anything of it starts, so that a configuration that cannot be built changes nothing.
What a new configuration leaves as it was (a source with its windows, a watch with its verdicts, the servers with
their queues) passes from the old runtime to the new one.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from exporter.alerting.alertmanager import REASONS
from exporter.alerting.bridge import TICK_SECONDS, AlertBridge
from exporter.alerting.delivery import CAPACITY
from exporter.alerting.fleet import Fleet
from exporter.alerting.inbox import Inbox
from exporter.alerting.keeping import Keeper
from exporter.alerting.window import Sights
from exporter.board import Board, BoardHolder, ReloadState
from exporter.clock import Clock
from exporter.config.model import Config, Scrape, Source, Watch
from exporter.config.watches import HEARTBEAT_WATCH
from exporter.errors import LmwatchError, TransientError
from exporter.heartbeat import Heartbeat
from exporter.journal.histories import Histories
from exporter.journal.store import Journal
from exporter.lmstudio.pool import Pool, make_pool
from exporter.lmstudio.tokens import TokenCounter
from exporter.metrics.exposition import Exposition, make_registry
from exporter.metrics.instruments import Instruments
from exporter.metrics.pushing import PushInstruments
from exporter.metrics.rendering import WatchRenderer
from exporter.metrics.webhook import WebhookInstruments
from exporter.observers import Observers
from exporter.reasoning.analyst import Analyst
from exporter.reasoning.memory import Memory
from exporter.reasoning.sight import Sight
from exporter.reasoning.verdict import Verdict
from exporter.reporter import Reporter
from exporter.scheduling import KINDS, Kind, Scheduler
from exporter.screening.result import ScreenedGroup
from exporter.series.labels import Labels
from exporter.sources.prometheus import PrometheusSource
from exporter.sources.scrape import ScrapeSource, ScrapeTarget
from exporter.watching.feed import Feed, QueryFeed, ScrapeFeed
from exporter.watching.pushdown import Pushdown, PushdownFeed
from exporter.watching.watcher import Judging, Watcher

logger = logging.getLogger(__name__)

_DEFAULT_HORIZON = 3600.0
"""Seconds of history that a source keeps when no watch looks at it."""
_DISCOVERY_SECONDS = 5.0
"""How often targets are listed anew; a URL is asked only when its own refresh interval has passed."""
_FILL_SECONDS = 60.0
_FILL_FOR_SECONDS = 25.0
"""Of a minute: with a source's usual timeout of 30 s, what was begun last is over before the next turn."""
_FILL_OFFSET_SECONDS = 3.0
_REMEMBERED_VERDICTS = 1000
_HANDOVER_SECONDS = 1.0
"""How long the servers' threads of an old configuration may take to end."""


@dataclass(frozen=True)
class Services:
    """What outlives a configuration."""

    clock: Clock
    scheduler: Scheduler
    reporter: Reporter
    exposition: Exposition
    alerts: AlertBridge
    tokens: TokenCounter
    memory: Memory
    sight: Sight
    histories: Histories | None
    inbox: Inbox
    filling: threading.Lock = field(default_factory=threading.Lock)
    """Held by the watch whose history is being filled: one at a time."""


def make_services(
    clock: Clock,
    journal: Journal,
    on_verdict: Callable[[Verdict], None],
    histories: Histories | None = None,
    *,
    external_url: str = "",
    base_url: str = "",
) -> Services:
    """What outlives a configuration, nothing of it started.

    Args:
        clock: tells the time.
        journal: keeps verdicts and alerts.
        on_verdict: told each verdict after it was kept.
        histories: keep what is remembered of series over a restart; None where nothing is kept.
        external_url: under which address people reach lmwatch; empty where that is not configured.
        base_url: what goes in front of a page's path in links for others; empty where it is not known.
    """
    now = clock.now()
    loaded = ReloadState(successful=True, last_success_at=now)
    board = BoardHolder(Board(started_at=now, reload=loaded, external_url=external_url))
    registry = make_registry(board.current)
    instruments = Instruments(registry)
    for kind in KINDS:
        instruments.declare_job(kind)
    reporter = Reporter(clock, board, instruments, WatchRenderer(), journal, listener=on_verdict)
    tokens, memory = TokenCounter(), _memory_of(journal)
    inbox = Inbox(
        clock,
        journal,
        WebhookInstruments(registry),
        Analyst(tokens.estimate, tokens.learn, memory),
        base_url=base_url,
        on_verdict=reporter.verdict,
    )
    return Services(
        clock=clock,
        scheduler=Scheduler(instruments.job_missed),
        reporter=reporter,
        exposition=Exposition(registry, board.current),
        alerts=_alerts(clock, board, journal, PushInstruments(registry, REASONS, CAPACITY)),
        tokens=tokens,
        memory=memory,
        sight=Sight(),
        histories=histories,
        inbox=inbox,
    )


def _alerts(clock: Clock, board: BoardHolder, journal: Journal, instruments: PushInstruments) -> AlertBridge:
    return AlertBridge(clock, board.current, Keeper(journal.alerts), Fleet(instruments, clock), instruments)


def _memory_of(journal: Journal) -> Memory:
    """What models said before this start, as far as the journal still knows."""
    memory = Memory()
    try:
        memory.restore(record.document for record in journal.list(limit=_REMEMBERED_VERDICTS))
    except TransientError as error:
        logger.warning("the model is not told of earlier verdicts: %s", error)
    return memory


class Runtime:
    """One configuration at work.

    Args:
        config: a checked configuration.
        services: what outlives it.
        previous: the runtime that this one follows; it keeps running until `start`.

    Raises:
        ConfigError: something in the configuration turns out not to be usable.
    """

    def __init__(self, config: Config, services: Services, previous: "Runtime | None" = None) -> None:
        self.config = config
        self._services = services
        self._previous = previous
        self._retired = False
        self.jobs: dict[str, object] = {}
        """By name: what each scheduled job works on."""
        self.pool = self._pool(previous)
        self.observers = self._observers(previous)
        self.scrapes = {source.name: self._scrape(source, previous) for source in config.sources if source.scrape}
        self.queries = {source.name: self._query(source, previous) for source in config.sources if source.prometheus}
        self.watchers = {watch.name: self._watcher(watch, previous) for watch in config.watches}
        self.heartbeat = self._heartbeat(previous)
        if self.heartbeat is not None:
            self.watchers[HEARTBEAT_WATCH] = self.heartbeat.watcher

    def announce(self) -> None:
        """Let the reporter expect news of everything that this configuration names."""
        self._services.reporter.announce(
            servers=[server.name for server in self.config.servers],
            sources=[source.name for source in self.config.sources],
            watches=list(self.watchers),
        )

    def start(self) -> None:
        """Take over from the previous runtime and run.

        Raises:
            LmwatchError: the observers cannot start; the previous runtime goes on.
        """
        previous, self._previous = self._previous, None
        known = previous.jobs if previous is not None else {}
        self._start_observers(previous)
        self.announce()
        if previous is None or previous.pool is not self.pool:
            self.pool.start()
        for server in self.config.servers:
            poll = partial(self._poll, server.name)
            self._every(server.poll_interval, poll, f"poll:{server.name}", "poll", of=self.pool, known=known)
        self._schedule_duties(known)
        alerts = self._services.alerts
        alerts.follow(self.config, self.groups)
        self._every(TICK_SECONDS, alerts.tick, "alerts", "poll", of=alerts, known=known)
        for name, source in self.scrapes.items():
            self._adopt_targets(name, source, known)
        self._adopt_watches(known)
        if previous is not None:
            previous.retire(self)
            self._retain(previous)
        for config in self.config.sources:
            if config.scrape is not None:
                self._start_scraping(config.name, config.scrape, known)
        for watch in self.config.watches:
            self._start_watching(watch, known)
        self._start_heartbeat(known)
        sights = Sights(self.config.sources, self.queries, self.watchers)
        self._services.inbox.follow(self.config.alerting.webhook, sights, self.pool)

    def stop(self, timeout: float) -> None:
        """End everything within `timeout` seconds; calls to models that are under way are abandoned."""
        self._retired = True
        for name in list(self.jobs):
            self._services.scheduler.cancel(name)
        for watcher in self.watchers.values():
            watcher.close()
        for scrape in self.scrapes.values():
            scrape.close()
        for query in self.queries.values():
            query.close()
        self.keep()
        self.observers.stop(timeout / 2)
        self.pool.stop(timeout / 2)

    def groups(self, watch: str, wanted: Callable[[Labels], bool] = lambda _: True) -> Sequence[ScreenedGroup]:
        """The groups of a watch whose labels are wanted, with their most anomalous series; none where there is no such watch."""
        watcher = self.watchers.get(watch)
        return watcher.groups(wanted) if watcher else ()

    def keep(self) -> None:
        """Save what the watches remember of their targets."""
        for watcher in list(self.watchers.values()):
            watcher.keep()

    def retire(self, successor: "Runtime") -> None:
        """End what the successor did not take over."""
        self._retired = True
        for name in self.jobs.keys() - successor.jobs.keys():
            self._services.scheduler.cancel(name)
        for name, watcher in self.watchers.items():
            if successor.watchers.get(name) is not watcher:
                watcher.close()
                watcher.keep()
                self._services.memory.forget(name)
        for name, scrape in self.scrapes.items():
            if successor.scrapes.get(name) is not scrape:
                scrape.close()
        for name, query in self.queries.items():
            if successor.queries.get(name) is not query:
                query.close()
        if successor.pool is not self.pool:
            self.pool.stop(_HANDOVER_SECONDS)

    def reopen_observers(self) -> None:
        """Go on observing after a successor that stopped the observers could not start its own."""
        self.observers = Observers(self.config, self.pool, self._services.reporter, self._services.clock)
        self.observers.start()
        self._schedule_duties({})

    def _start_observers(self, previous: "Runtime | None") -> None:
        if previous is not None and previous.observers is self.observers:
            return
        if previous is not None:
            previous.observers.stop(_HANDOVER_SECONDS)
        try:
            self.observers.start()
        except LmwatchError:
            self.observers.stop(0.0)
            if previous is not None:
                previous.reopen_observers()
            raise

    def _schedule_duties(self, known: dict[str, object]) -> None:
        for duty in self.observers.duties():
            self._every(duty.seconds, duty.run, duty.name, "poll", of=self.observers, known=known, offset=duty.seconds)

    def _adopt_targets(self, name: str, source: ScrapeSource, known: dict[str, object]) -> None:
        """Scrapes that go on as they are count as ours before the previous runtime ends the rest."""
        for target in source.targets:
            job = _scrape_job(name, target)
            if known.get(job) is target:
                self.jobs[job] = target

    def _adopt_watches(self, known: dict[str, object]) -> None:
        for name, watcher in self.watchers.items():
            for job in (f"watch:{name}", f"fill:{name}"):
                if known.get(job) is watcher:
                    self.jobs[job] = watcher

    def _retain(self, previous: "Runtime") -> None:
        """Forget what is shown of everything that the previous runtime had and this one has not, or has anew."""
        inherited = [
            source.name
            for source in self.config.sources
            if previous.scrapes.get(source.name) is self.scrapes.get(source.name)
            and previous.queries.get(source.name) is self.queries.get(source.name)
        ]
        reporter = self._services.reporter
        reporter.retain(
            servers=[server.name for server in self.config.servers],
            sources=inherited,
            watches=list(self.watchers),
        )
        self.announce()

    def _poll(self, name: str) -> None:
        self.pool.poll(name)
        self._services.reporter.circuit(name, self.pool.circuit_states()[name])

    def _observers(self, previous: "Runtime | None") -> Observers:
        if previous is not None and previous.pool is self.pool and previous.config.proxy == self.config.proxy:
            return previous.observers
        held = previous.observers.proxy_port if previous is not None else None
        return Observers(self.config, self.pool, self._services.reporter, self._services.clock, held=held)

    def _pool(self, previous: "Runtime | None") -> Pool:
        if previous is not None and previous.config.servers == self.config.servers:
            return previous.pool
        reporter = self._services.reporter
        return make_pool(
            self.config.servers,
            self._services.clock,
            on_prediction=reporter.prediction,
            on_failure=reporter.failure,
            on_poll=reporter.poll,
        )

    def _scrape(self, source: Source, previous: "Runtime | None") -> ScrapeSource:
        windows = [watch.window for watch in self.config.watches if watch.source == source.name]
        horizon = max(windows, default=_DEFAULT_HORIZON)
        if previous is not None and source in previous.config.sources:
            known = previous.scrapes[source.name]
            if known.horizon >= horizon:
                return known
        return ScrapeSource(source, horizon=horizon, clock=self._services.clock)

    def _query(self, source: Source, previous: "Runtime | None") -> PrometheusSource:
        if previous is not None and source in previous.config.sources:
            return previous.queries[source.name]
        return PrometheusSource(source, self._services.clock)

    def _watcher(self, watch: Watch, previous: "Runtime | None") -> Watcher:
        scrape, query = self.scrapes.get(watch.source), self.queries.get(watch.source)
        if (
            previous is not None
            and watch in previous.config.watches
            and previous.pool is self.pool
            and previous.scrapes.get(watch.source) is scrape
            and previous.queries.get(watch.source) is query
        ):
            return previous.watchers[watch.name]
        services, reporter = self._services, self._services.reporter
        analyst = Analyst(services.tokens.estimate, services.tokens.learn, services.memory, services.sight)
        firing = services.inbox.firing.words
        judging = Judging(self.pool, analyst, reporter.instruments, reporter.verdict, firing)
        keeper = services.histories.of(watch.name) if services.histories is not None else None
        if watch.screen == "pushdown" and query is not None:
            pushed = PushdownFeed(watch, query, reporter.collected, services.clock)
            screener = Pushdown(watch, query)
            return Watcher(watch, pushed, judging, reporter.picture, services.clock, keeper=keeper, screener=screener)
        queried = QueryFeed(watch, query, reporter.collected) if query is not None else None
        feed: Feed = queried or ScrapeFeed(watch, self.scrapes[watch.source])
        return Watcher(watch, feed, judging, reporter.picture, services.clock, keeper=keeper, past=queried)

    def _heartbeat(self, previous: "Runtime | None") -> Heartbeat | None:
        interval = self.config.heartbeat_interval
        if not interval:
            return None
        known = previous.heartbeat if previous is not None and previous.pool is self.pool else None
        if known is not None and known.interval == interval:
            return known
        services = self._services
        return Heartbeat(interval, self.pool, services.reporter, services.tokens, services.clock)

    def _start_heartbeat(self, known: dict[str, object]) -> None:
        heartbeat = self.heartbeat
        self._services.reporter.heartbeat(heartbeat.state if heartbeat is not None else None)
        if heartbeat is not None:
            seconds, name = heartbeat.watcher.watch.interval, f"watch:{HEARTBEAT_WATCH}"
            # Half a step later, so that a tick that is a little early or late still sees its own step.
            self._every(seconds, heartbeat.tick, name, "screen", of=heartbeat.watcher, known=known, offset=seconds / 2)

    def _start_scraping(self, name: str, settings: Scrape, known: dict[str, object]) -> None:
        """Scrape each target at its own time within the interval, and keep the list of targets up to date."""
        source = self.scrapes[name]
        reporter = self._services.reporter

        def scrape(target: ScrapeTarget) -> None:
            collected = target.collect()
            if source.holds(target):
                reporter.collected(collected)

        def follow() -> None:
            changes = source.refresh()
            if self._retired:
                return
            for target in changes.removed:
                self.jobs.pop(_scrape_job(name, target), None)
                self._services.scheduler.cancel(_scrape_job(name, target))
                reporter.board.drop_source(name, target.address)
            for target in source.targets:
                job = _scrape_job(name, target)
                if self.jobs.get(job) is not target:
                    offset = source.offset(target, settings.interval)
                    run = partial(scrape, target)
                    self._every(settings.interval, run, job, "collect", of=target, known=known, offset=offset)

        self._every(_DISCOVERY_SECONDS, follow, f"discover:{name}", "collect", of=self, known=known)

    def _start_watching(self, watch: Watch, known: dict[str, object]) -> None:
        watcher = self.watchers[watch.name]
        # A query waits for another server, so it must not hold one of the few threads that screen.
        kind: Kind = "screen" if watch.source in self.scrapes else "collect"
        self._every(watch.interval, watcher.tick, f"watch:{watch.name}", kind, of=watcher, known=known)
        if watch.source not in self.queries:
            return
        filling = self._services.filling

        def fill() -> None:
            if filling.acquire(blocking=False):
                try:
                    watcher.fill(_FILL_FOR_SECONDS)
                finally:
                    filling.release()

        name, after = f"fill:{watch.name}", _FILL_OFFSET_SECONDS
        self._every(_FILL_SECONDS, fill, name, "collect", of=watcher, known=known, offset=after)

    def _every(
        self,
        seconds: float,
        run: Callable[[], object],
        name: str,
        kind: Kind,
        *,
        of: object,
        known: dict[str, object],
        offset: float = 0.0,
    ) -> None:
        """Schedule a job of `of`; one that the previous runtime scheduled for the same object keeps its rhythm."""
        self.jobs[name] = of
        if known.get(name) is not of:
            self._services.scheduler.every(seconds, run, name=name, kind=kind, offset=offset)


def _scrape_job(source: str, target: ScrapeTarget) -> str:
    return f"scrape:{source}:{target.address}"
