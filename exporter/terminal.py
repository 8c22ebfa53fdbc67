"""`lmwatch status`: servers, models and watches, once or again and again, for people and for programs."""

import contextlib
import dataclasses
import json
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rich.console import Console, Group
from rich.live import Live

from exporter.clock import SystemClock
from exporter.config.http import HttpClient
from exporter.config.model import Config
from exporter.drawing.terminal import open_console, put
from exporter.lmstudio.events import HealthEvent, Tracker, events_between
from exporter.lmstudio.lane import open_lane
from exporter.lmstudio.wire import ServerHealth
from exporter.metrics.reading import ServerFigures
from exporter.running import ask_running
from exporter.sources.http import Cancel, HttpSession
from exporter.status_tables import Picture, status_parts

DEFAULT_URL = "http://127.0.0.1:9917"
"""Where a running lmwatch is looked for."""

_KEPT_EVENTS = 8


def print_status(
    config: Config,
    *,
    as_json: bool,
    watch_seconds: float | None = None,
    url: str | None = None,
    stop: threading.Event | None = None,
) -> int:
    """Poll every server and print what they are, have and do, and how the watches stand.

    Figures of predictions, queues and failures, and the watches, come from a running lmwatch; where none answers, they are
    absent. The documents for programs hold the servers; `/api/v1/status` has the watches.

    Args:
        config: names the servers.
        as_json: one document for programs, one a line with `watch_seconds`.
        watch_seconds: print anew after so many seconds, until the user or `stop` ends it; None prints once.
        url: of the running lmwatch; None tries `DEFAULT_URL` and does not mind.
        stop: ends watching.

    Returns:
        0 if all servers were up at the last look, else 1.
    """
    stop = stop if stop is not None else threading.Event()
    with contextlib.closing(_Looker(config, url)) as looker:
        if as_json:
            return _print_json(_looks(looker, watch_seconds, stop), indent=2 if watch_seconds is None else None)
        return _print_tables(_looks(looker, watch_seconds, stop), open_console(), live=watch_seconds is not None)


class _Looker:
    """Polls the servers and asks a running lmwatch. For one thread."""

    def __init__(self, config: Config, url: str | None) -> None:
        self._clock = SystemClock()
        self._cancel = Cancel()
        self._lanes = [open_lane(server, self._clock, self._cancel) for server in config.servers]
        self._threads = ThreadPoolExecutor(max_workers=len(self._lanes) + 1)
        self._session = HttpSession(HttpClient())
        self._url = url
        self._trackers = {server.name: Tracker() for server in config.servers}
        self._events: deque[HealthEvent] = deque(maxlen=_KEPT_EVENTS)

    def look(self) -> Picture:
        """Ask everybody at the same time."""
        asked = self._threads.submit(ask_running, self._session, self._url or DEFAULT_URL, self._cancel)
        found = tuple(self._threads.map(lambda lane: lane.poll(), self._lanes))
        for health in found:
            events, self._trackers[health.server] = events_between(self._trackers[health.server], health)
            self._events.extend(events)
        running = asked.result()
        # Nobody named an address: that nobody answers at the default one is no news.
        note = running.trouble if self._url or running.figures else ""
        return Picture(found, running.figures, running.watches, note, tuple(self._events), self._clock.now())

    def close(self) -> None:
        """End what is under way and close all connections."""
        self._cancel.cancel()
        self._threads.shutdown()
        self._session.close()
        for lane in self._lanes:
            lane.close()


def _looks(looker: _Looker, every: float | None, stop: threading.Event) -> Iterator[Picture]:
    """Pictures until there is enough of them; Ctrl-C is how a person says so."""
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            yield looker.look()
            if every is None or stop.wait(every):
                return


def _print_json(pictures: Iterable[Picture], indent: int | None) -> int:
    up = False
    for picture in pictures:
        json.dump([_document(health, picture.figures) for health in picture.servers], sys.stdout, indent=indent)
        sys.stdout.write("\n")
        sys.stdout.flush()
        up = all(health.up for health in picture.servers)
    return 0 if up else 1


def _document(health: ServerHealth, figures: Mapping[str, ServerFigures]) -> dict[str, Any]:
    """A poll as JSON values, with what a running lmwatch knows beside it: `circuit`, and `figures` of each model."""
    known = figures.get(health.server)
    document = dataclasses.asdict(health)
    document["circuit"] = known.circuit if known else None
    for model in document["models"]:
        found = known.models.get(model["id"]) if known else None
        model["figures"] = dataclasses.asdict(found) if found else None
    return document


def _print_tables(pictures: Iterable[Picture], console: Console, *, live: bool) -> int:
    up = False
    refreshed = Live(console=console, auto_refresh=False) if live and console.is_terminal else None
    with refreshed or contextlib.nullcontext():
        for picture in pictures:
            if refreshed is not None:
                refreshed.update(Group(*status_parts(picture, console.width)), refresh=True)
            else:
                put(console, *status_parts(picture, console.width if console.is_terminal else None))
            up = all(health.up for health in picture.servers)
    return 0 if up else 1
