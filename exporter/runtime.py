"""One configuration at work: its jobs on the schedule, and how it takes over from the one before.

A runtime is built whole before anything of it starts, so that a configuration that cannot be built changes nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from exporter.alerting import annotations
from exporter.alerting.bridge import TICK_SECONDS
from exporter.alerting.window import Sights
from exporter.assembly import Parts, assemble
from exporter.config.model import Config, Scrape, Watch
from exporter.config.watches import HEARTBEAT_WATCH
from exporter.errors import LmwatchError
from exporter.observers import Observers
from exporter.scheduling import Kind
from exporter.screening.result import ScreenedGroup
from exporter.series.labels import Labels
from exporter.services import Services
from exporter.sources.scrape import ScrapeSource, ScrapeTarget

_DISCOVERY_SECONDS = 5.0
"""How often targets are listed anew; a URL is asked only when its own refresh interval has passed."""
_FILL_SECONDS = 60.0
_FILL_FOR_SECONDS = 25.0
"""Of a minute: with a source's usual timeout of 30 s, what was begun last is over before the next turn."""
_FILL_OFFSET_SECONDS = 3.0
_HANDOVER_SECONDS = 1.0
"""How long the servers' threads of an old configuration may take to end."""


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
        self.parts: Parts = assemble(config, services, previous.parts if previous is not None else None)

    def announce(self) -> None:
        """Let the reporter expect news of everything that this configuration names."""
        self._services.reporter.announce(
            servers=[server.name for server in self.config.servers],
            sources=[source.name for source in self.config.sources],
            watches=list(self.parts.watchers),
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
        if previous is None or previous.parts.pool is not self.parts.pool:
            self.parts.pool.start()
        for server in self.config.servers:
            poll = partial(self._poll, server.name)
            self._every(server.poll_interval, poll, f"poll:{server.name}", "poll", of=self.parts.pool, known=known)
        self._schedule_duties(known)
        alerts = self._services.alerts
        alerts.follow(self.config, self.groups)
        self._every(TICK_SECONDS, alerts.tick, "alerts", "poll", of=alerts, known=known)
        self._start_annotating(known)
        for name, source in self.parts.scrapes.items():
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
        sights = Sights(self.config.sources, self.parts.queries, self.parts.watchers)
        self._services.inbox.follow(self.config.alerting.webhook, sights, self.parts.pool)

    def stop(self, timeout: float) -> None:
        """End everything within `timeout` seconds; calls to models that are under way are abandoned."""
        clock = self._services.clock
        until = clock.monotonic() + timeout
        self._retired = True
        for name in list(self.jobs):
            self._services.scheduler.cancel(name)
        for watcher in self.parts.watchers.values():
            watcher.close()
        for scrape in self.parts.scrapes.values():
            scrape.close()
        for query in self.parts.queries.values():
            query.close()
        self.keep()
        self.parts.observers.stop(max(0.0, until - clock.monotonic()) / 2)
        self.parts.pool.stop(max(0.0, until - clock.monotonic()))

    def groups(self, watch: str, wanted: Callable[[Labels], bool] = lambda _: True) -> Sequence[ScreenedGroup]:
        """The groups of a watch whose labels are wanted, with their most anomalous series; none where there is no such watch."""
        watcher = self.parts.watchers.get(watch)
        return watcher.groups(wanted) if watcher else ()

    def keep(self) -> None:
        """Save what the watches remember of their targets."""
        for watcher in list(self.parts.watchers.values()):
            watcher.keep()

    def retire(self, successor: "Runtime") -> None:
        """End what the successor did not take over."""
        self._retired = True
        for name in self.jobs.keys() - successor.jobs.keys():
            self._services.scheduler.cancel(name)
        for name, watcher in self.parts.watchers.items():
            if successor.parts.watchers.get(name) is not watcher:
                watcher.close()
                watcher.keep()
                self._services.memory.forget(name)
        for name, scrape in self.parts.scrapes.items():
            if successor.parts.scrapes.get(name) is not scrape:
                scrape.close()
        for name, query in self.parts.queries.items():
            if successor.parts.queries.get(name) is not query:
                query.close()
        if successor.parts.pool is not self.parts.pool:
            self.parts.pool.stop(_HANDOVER_SECONDS)

    def reopen_observers(self) -> None:
        """Go on observing after a successor that stopped the observers could not start its own."""
        observers = Observers(self.config, self.parts.pool, self._services.reporter, self._services.clock)
        self.parts = replace(self.parts, observers=observers)
        self.parts.observers.start()
        self._schedule_duties({})

    def _start_observers(self, previous: "Runtime | None") -> None:
        if previous is not None and previous.parts.observers is self.parts.observers:
            return
        if previous is not None:
            previous.parts.observers.stop(_HANDOVER_SECONDS)
        try:
            self.parts.observers.start()
        except LmwatchError:
            self.parts.observers.stop(0.0)
            if previous is not None:
                previous.reopen_observers()
            raise

    def _schedule_duties(self, known: dict[str, object]) -> None:
        for duty in self.parts.observers.duties():
            self._every(
                duty.seconds, duty.run, duty.name, "poll", of=self.parts.observers, known=known, offset=duty.seconds
            )

    def _adopt_targets(self, name: str, source: ScrapeSource, known: dict[str, object]) -> None:
        """Scrapes that go on as they are count as ours before the previous runtime ends the rest."""
        for target in source.targets:
            job = _scrape_job(name, target)
            if known.get(job) is target:
                self.jobs[job] = target

    def _adopt_watches(self, known: dict[str, object]) -> None:
        for name, watcher in self.parts.watchers.items():
            for job in (f"watch:{name}", f"fill:{name}"):
                if known.get(job) is watcher:
                    self.jobs[job] = watcher

    def _retain(self, previous: "Runtime") -> None:
        """Forget what is shown of everything that the previous runtime had and this one has not, or has anew."""
        inherited = [
            source.name
            for source in self.config.sources
            if previous.parts.scrapes.get(source.name) is self.parts.scrapes.get(source.name)
            and previous.parts.queries.get(source.name) is self.parts.queries.get(source.name)
        ]
        reporter = self._services.reporter
        reporter.retain(
            servers=[server.name for server in self.config.servers],
            sources=inherited,
            watches=list(self.parts.watchers),
        )
        self.announce()

    def _poll(self, name: str) -> None:
        self.parts.pool.poll(name)
        self._services.reporter.circuit(name, self.parts.pool.circuit_states()[name])

    def _start_heartbeat(self, known: dict[str, object]) -> None:
        heartbeat = self.parts.heartbeat
        self._services.reporter.heartbeat(heartbeat.state if heartbeat is not None else None)
        if heartbeat is not None:
            seconds, name = heartbeat.watcher.watch.interval, f"watch:{HEARTBEAT_WATCH}"
            # Half a step later, so that a tick that is a little early or late still sees its own step.
            self._every(seconds, heartbeat.tick, name, "screen", of=heartbeat.watcher, known=known, offset=seconds / 2)

    def _start_annotating(self, known: dict[str, object]) -> None:
        verdicts = self._services.annotations
        verdicts.follow(self.config)
        if self.config.grafana is not None:
            seconds = annotations.TICK_SECONDS
            self._every(seconds, verdicts.tick, "annotations", "poll", of=verdicts, known=known)

    def _start_scraping(self, name: str, settings: Scrape, known: dict[str, object]) -> None:
        """Scrape each target at its own time within the interval, and keep the list of targets up to date."""
        source = self.parts.scrapes[name]
        reporter = self._services.reporter

        def scrape(target: ScrapeTarget) -> None:
            collected = target.collect()
            if source.holds(target):
                reporter.collected(collected)

        def follow() -> None:
            source.refresh()
            if self._retired:
                return
            reporter.discovered(name, source.errors)
            # By what is there, not by what this refresh changed: a reload may have come between an earlier one and its end.
            for job, target in list(self.jobs.items()):
                if isinstance(target, ScrapeTarget) and target.source == name and not source.holds(target):
                    del self.jobs[job]
                    self._services.scheduler.cancel(job)
            reporter.board.retain_targets(name, {target.address for target in source.targets})
            for target in source.targets:
                job = _scrape_job(name, target)
                if self.jobs.get(job) is not target:
                    offset = source.offset(target, settings.interval)
                    run = partial(scrape, target)
                    self._every(settings.interval, run, job, "collect", of=target, known=known, offset=offset)

        self._every(_DISCOVERY_SECONDS, follow, f"discover:{name}", "collect", of=self, known=known)

    def _start_watching(self, watch: Watch, known: dict[str, object]) -> None:
        watcher = self.parts.watchers[watch.name]
        # A query waits for another server, so it must not hold one of the few threads that screen.
        kind: Kind = "screen" if watch.source in self.parts.scrapes else "collect"
        self._every(watch.interval, watcher.tick, f"watch:{watch.name}", kind, of=watcher, known=known)
        if watch.source not in self.parts.queries:
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
