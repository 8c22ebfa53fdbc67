"""All Alertmanagers: listed and discovered, each with a delivery of its own."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from exporter.alerting.alertmanager import AlertmanagerClient, Outgoing
from exporter.alerting.delivery import Delivery
from exporter.clock import Clock
from exporter.config.alerting import Alertmanager
from exporter.logs import fields
from exporter.metrics.pushing import PushInstruments
from exporter.sources.discovery import FileTargets

logger = logging.getLogger(__name__)

_PATIENCE = 0.5
"""Seconds that cancelled calls may take to end, all together."""


@dataclass(frozen=True)
class _Entry:
    """One entry of `alertmanagers`, with the files that it names."""

    settings: Alertmanager
    files: tuple[FileTargets, ...]

    def urls(self) -> Sequence[str]:
        """The addresses that it stands for at present."""
        if self.settings.url is not None:
            return (self.settings.url,)
        prefix = self.settings.path_prefix.rstrip("/")
        found = (endpoint for files in self.files for endpoint in files.endpoints)
        return [f"{endpoint.scheme or self.settings.scheme}://{endpoint.address}{prefix}" for endpoint in found]


class Fleet:
    """Sends alerts to every Alertmanager there is. `follow`, `refresh` and `stop` exclude each other.

    Args:
        instruments: count what happens.
        clock: tells the time.
    """

    def __init__(self, instruments: PushInstruments, clock: Clock) -> None:
        self._instruments = instruments
        self._clock = clock
        self._changing = threading.Lock()
        self._entries: tuple[_Entry, ...] = ()
        self._deliveries: dict[str, tuple[Alertmanager, Delivery]] = {}
        self._errors: tuple[str, ...] = ()
        self._stopped = False

    @property
    def urls(self) -> Sequence[str]:
        """The Alertmanagers that alerts go to."""
        return tuple(self._deliveries)

    def follow(self, alertmanagers: Sequence[Alertmanager]) -> None:
        """Go over to a new list; an Alertmanager that stays in it keeps what waits for it."""
        entries = tuple(
            _Entry(settings, tuple(FileTargets(files, self._clock) for files in settings.file_sd))
            for settings in alertmanagers
        )
        with self._changing:
            self._entries = entries
        self.refresh()

    def refresh(self) -> None:
        """Look into the files again, and go over to what they list now."""
        with self._changing:
            if self._stopped:
                return
            files = [one for entry in self._entries for one in entry.files]
            for one in files:
                one.refresh()
            self._complain(tuple(error for one in files for error in one.errors))
            wanted: dict[str, Alertmanager] = {}
            for entry in self._entries:
                for url in entry.urls():
                    wanted.setdefault(url, entry.settings)
            self._change_to(wanted)

    def send(self, alerts: Sequence[Outgoing]) -> None:
        """Queue alerts for every Alertmanager."""
        for _, delivery in tuple(self._deliveries.values()):
            delivery.put(alerts)

    def stop(self, timeout: float) -> None:
        """Deliver what waits, and end within so many seconds."""
        with self._changing:
            self._stopped = True
            left = self._end([delivery for _, delivery in self._deliveries.values()], max(0.0, timeout - _PATIENCE))
            for url, alerts in left.items():
                self._instruments.dropped(url, len(alerts))

    def _change_to(self, wanted: dict[str, Alertmanager]) -> None:
        before = self._deliveries
        kept = {url: before[url] for url in before if url in wanted and before[url][0] == wanted[url]}
        ended = [delivery for url, (_, delivery) in before.items() if url not in kept]
        self._deliveries = dict(kept)
        left = self._end(ended, 0.0)
        for url in before.keys() - wanted.keys():
            self._instruments.forget(url)
        added = {url: self._begin(url, settings) for url, settings in wanted.items() if url not in kept}
        for url in left.keys() & added.keys():
            added[url][1].put(left[url])
        self._deliveries = {**kept, **added}
        self._instruments.discovered(len(self._deliveries))

    def _begin(self, url: str, settings: Alertmanager) -> tuple[Alertmanager, Delivery]:
        client = AlertmanagerClient(url, settings, self._instruments, self._clock)
        delivery = Delivery(client, self._instruments, self._clock)
        delivery.start()
        return settings, delivery

    def _end(self, deliveries: Sequence[Delivery], timeout: float) -> dict[str, Sequence[Outgoing]]:
        """End deliveries within about so many seconds; what each of them leaves undelivered, by its address."""
        until = self._clock.monotonic() + timeout
        for delivery in deliveries:
            delivery.drain(until)
        for delivery in deliveries:
            delivery.wait()
        return {
            delivery.url: delivery.finish(max(0.0, until + _PATIENCE - self._clock.monotonic()))
            for delivery in deliveries
        }

    def _complain(self, errors: tuple[str, ...]) -> None:
        for error in errors:
            if error not in self._errors:
                logger.warning("Alertmanagers cannot be discovered", extra=fields(error=error))
        self._errors = errors
