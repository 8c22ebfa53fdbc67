"""What watches the servers beside the polls: probes, log streams, the metering proxy."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from exporter.clock import Clock
from exporter.config.model import Config, Server
from exporter.lmstudio.events import HealthEvent
from exporter.lmstudio.lane import Lane
from exporter.lmstudio.logopen import open_log_stream
from exporter.lmstudio.logstream import LogStream
from exporter.lmstudio.pool import Pool
from exporter.lmstudio.probe import Prober
from exporter.proxy.server import SWITCH_SECONDS, MeteringProxy
from exporter.reporter import Reporter
from exporter.sources.http import Cancel

_GAUGE_SECONDS = 5.0
"""How often the state of the proxy is taken."""
_STARTED_ANEW = ("server_restarted", "server_up")


@dataclass(frozen=True)
class Duty:
    """Something to be done regularly."""

    name: str
    seconds: float
    run: Callable[[], object]


class Observers:
    """Probes, log streams and the proxy of one configuration. Built whole; nothing runs before `start`.

    Args:
        config: names the servers, and the proxy.
        pool: the servers.
        reporter: told what is seen.
        clock: tells the time.
        held: the port of a proxy that is stopped before this one starts; None if there is none.

    Raises:
        ConfigError: the proxy's address is malformed, or cannot be listened on.
    """

    def __init__(
        self, config: Config, pool: Pool, reporter: Reporter, clock: Clock, *, held: int | None = None
    ) -> None:
        self._config = config
        self._pool = pool
        self._reporter = reporter
        self._clock = clock
        self._cancel = Cancel()
        self._switch_seconds = sys.getswitchinterval()
        self._streams = {server.name: stream for server in config.servers if (stream := self._stream(server))}
        self._probers = {server.name: self._prober(pool.lanes[server.name]) for server in config.servers}
        self._proxy = self._metering(config)
        if self._proxy is not None:
            self._proxy.check(held)

    @property
    def proxy_port(self) -> int | None:
        """The port that the proxy listens on; None where it does not."""
        return self._proxy.port if self._proxy is not None else None

    def start(self) -> None:
        """Begin.

        Raises:
            ConfigError: the proxy's address cannot be listened on.
        """
        if self._proxy is not None:
            self._switch_seconds = sys.getswitchinterval()
            sys.setswitchinterval(SWITCH_SECONDS)
            self._proxy.start()
        for name, lane in self._pool.lanes.items():
            if name not in self._streams and lane.config.log_stream != "on":
                self._reporter.instruments.log_stream(name, None)
        for stream in self._streams.values():
            stream.start()
        self._reporter.follow(self._react)

    def stop(self, timeout: float) -> None:
        """End everything within about `timeout` seconds; answers that pass through the proxy may end by then."""
        until = self._clock.monotonic() + timeout
        self._cancel.cancel()
        if self._proxy is not None:
            self._proxy.stop(timeout)
            sys.setswitchinterval(self._switch_seconds)
            self._show_proxy()
        for stream in self._streams.values():
            stream.stop(max(0.0, until - self._clock.monotonic()))

    def duties(self) -> Iterator[Duty]:
        """What has to be done regularly while they run."""
        for name, lane in self._pool.lanes.items():
            if lane.config.probe.interval > 0:
                yield Duty(f"probe:{name}", lane.config.probe.interval, partial(self._probe, name))
        if self._proxy is not None:
            yield Duty("proxy:gauges", _GAUGE_SECONDS, self._show_proxy)

    def _probe(self, name: str) -> None:
        self._reporter.probed(name, self._probers[name].probe_once())

    def _react(self, event: HealthEvent) -> None:
        stream = self._streams.get(event.server)
        if stream is not None and event.kind in _STARTED_ANEW:
            stream.renew()

    def _prober(self, lane: Lane) -> Prober:
        name = lane.config.name
        return Prober(
            lane,
            self._clock,
            cancel=self._cancel,
            busy=lambda: bool(self._pool.running()[name] or self._pool.waiting()),
            on_prediction=self._reporter.prediction,
            on_failure=self._reporter.failure,
            look=partial(self._pool.poll, name),
        )

    def _stream(self, server: Server) -> LogStream | None:
        return open_log_stream(
            server,
            self._clock,
            environ=os.environ,
            home=Path.home(),
            on_prediction=self._reporter.logged,
            on_failure=partial(self._reporter.logged_failure, server.name),
            on_state=partial(self._show_stream, server.name),
            own=self._reporter.own_calls(server.name),
        )

    def _metering(self, config: Config) -> MeteringProxy | None:
        if config.proxy is None:
            return None
        lane = self._pool.lanes[config.proxy.server]
        return MeteringProxy(
            config.proxy.listen,
            lane.config,
            self._clock,
            on_prediction=self._reporter.proxied,
            on_failure=self._reporter.failure,
            on_response=self._reporter.responded,
            context_of=partial(_context_of, lane),
            is_listed=partial(_is_listed, lane),
        )

    def _show_stream(self, server: str, up: bool) -> None:
        """Not of one that is stopped: whoever follows shows whether there is a stream, and it may end late."""
        if not self._cancel.is_set():
            self._reporter.instruments.log_stream(server, up)

    def _show_proxy(self) -> None:
        if self._proxy is not None and self._config.proxy is not None:
            # Of one that was stopped there are no connections to show, not even 0: its last counts alone.
            self._reporter.instruments.proxy(
                self._config.proxy.server,
                connections=None if self._cancel.is_set() else self._proxy.connections,
                uncounted=self._proxy.uncounted,
            )


def _context_of(lane: Lane, model: str) -> int | None:
    health = lane.health
    found = [each for each in health.models if model in (each.id, each.key)] if health is not None else []
    return next((each.context_length for each in found if each.loaded is not False), None)


def _is_listed(lane: Lane, model: str) -> bool:
    health = lane.health
    return health is not None and any(model in (each.id, each.key) for each in health.models)
