"""What a person at a terminal reads: tables of servers and models, once or again and again."""

import contextlib
import dataclasses
import json
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from exporter.clock import SystemClock
from exporter.config.durations import format_duration
from exporter.config.http import HttpClient
from exporter.config.model import Config
from exporter.errors import BadDataError
from exporter.lmstudio.events import HealthEvent, Tracker, events_between
from exporter.lmstudio.failures import readable
from exporter.lmstudio.lane import open_lane
from exporter.lmstudio.wire import Model, ServerHealth
from exporter.metrics.reading import FIGURE_METRICS, ModelFigures, ServerFigures, read_figures
from exporter.sources.http import Cancel, HttpError, HttpSession

DEFAULT_URL = "http://127.0.0.1:9917"
"""Where a running lmwatch is looked for."""

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_FIGURES_SECONDS = 3.0
_FIGURES_BYTES = 16 * 1024**2
_KEPT_EVENTS = 8
_PLAIN_WIDTH = 240
"""Columns where the output is no terminal: nothing is folded there."""
_NOTHING = "-"
_LOADED = {True: "[green]yes[/]", False: "[dim]no[/]", None: "?"}
_NO_FIGURES = ModelFigures()


@dataclasses.dataclass(frozen=True, slots=True)
class Picture:
    """What one look found."""

    servers: tuple[ServerHealth, ...]
    figures: Mapping[str, ServerFigures]
    """By server, from a running lmwatch; empty where none answers."""
    note: str
    """Why there are no figures, where they were asked for."""
    events: tuple[HealthEvent, ...]
    """What happened since the first look, the newest last."""
    at: float
    """Unix seconds."""


def print_status(
    config: Config,
    *,
    as_json: bool,
    watch_seconds: float | None = None,
    url: str | None = None,
    stop: threading.Event | None = None,
) -> int:
    """Poll every server and print what they are, have and do.

    Figures of predictions, queues and failures come from a running lmwatch; where none answers, their columns are absent.

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
        console = Console() if sys.stdout.isatty() else Console(width=_PLAIN_WIDTH)
        return _print_tables(_looks(looker, watch_seconds, stop), console, live=watch_seconds is not None)


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
        asked = self._threads.submit(self._ask)
        found = tuple(self._threads.map(lambda lane: lane.poll(), self._lanes))
        for health in found:
            events, self._trackers[health.server] = events_between(self._trackers[health.server], health)
            self._events.extend(events)
        figures, note = asked.result()
        return Picture(found, figures, note, tuple(self._events), self._clock.now())

    def close(self) -> None:
        """End what is under way and close all connections."""
        self._cancel.cancel()
        self._threads.shutdown()
        self._session.close()
        for lane in self._lanes:
            lane.close()

    def _ask(self) -> tuple[Mapping[str, ServerFigures], str]:
        """The figures of a running lmwatch, or why there are none; no reason where nobody named one."""
        try:
            answer = self._session.get(
                (self._url or DEFAULT_URL).rstrip("/") + "/metrics",
                deadline_seconds=_FIGURES_SECONDS,
                max_bytes=_FIGURES_BYTES,
                params={"name[]": list(FIGURE_METRICS)},
                headers={"Accept": "text/plain;version=0.0.4"},
                cancel=self._cancel,
            )
            if answer.status == 200:
                return read_figures(answer.body, answer.headers.get("Content-Type", "")), ""
            note = f"no figures from {answer.url.partition('?')[0]}: status {answer.status}"
        except (HttpError, BadDataError) as error:
            note = f"no figures from lmwatch: {error}"
        return {}, note if self._url else ""


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
                refreshed.update(_tables(picture), refresh=True)
            else:
                console.print(_tables(picture))
            up = all(health.up for health in picture.servers)
    return 0 if up else 1


def _tables(picture: Picture) -> Group:
    parts: list[Table | str] = [_servers(picture)]
    if any(health.models for health in picture.servers):
        parts += ["", _models(picture)]
    if picture.events:
        parts += ["", _events(picture.events)]
    if picture.note:
        parts += ["", f"[dim]{escape(readable(picture.note))}[/]"]
    return Group(*parts)


def _servers(picture: Picture) -> Table:
    headings = ("server", "url", "state", "api", "version", "answered in", "circuit", "detail")
    rows = []
    for health in picture.servers:
        known = picture.figures.get(health.server)
        circuit = known.circuit if known else None
        rows.append(
            (
                _cell(health.server),
                _cell(health.url),
                "[green]up[/]" if health.up else "[red]down[/]",
                _cell(health.api),
                _cell(health.version),
                f"{health.poll_duration_seconds * 1000:.0f} ms",
                _cell(circuit if circuit == "closed" else circuit and circuit.replace("_", " ")),
                _NOTHING if health.up else _cell(f"{health.failure}: {health.detail}"),
            )
        )
    return _table(headings, rows)


def _models(picture: Picture) -> Table:
    headings = ("server", "model", "loaded", "status", "queue", "context", "used", "tokens/s", "first token")
    more = ("quantization", "size", "unloads in", "last failure")
    rows = []
    for health in picture.servers:
        known = picture.figures.get(health.server)
        for model in sorted(health.models, key=lambda model: (model.loaded is False, model.id)):
            figures = (known.models.get(model.id) if known else None) or _NO_FIGURES
            rows.append((_cell(health.server), *_described(model, figures), _failure(figures, picture.at)))
    return _table((*headings, *more), rows, right=("queue", "context", "used", "tokens/s", "first token", "size"))


def _described(model: Model, figures: ModelFigures) -> tuple[str, ...]:
    loaded = model.loaded is not False
    status = model.status or (figures.status if loaded else None)
    queue = model.queued_requests if model.queued_requests is not None else figures.queued_requests
    ttl = model.ttl_remaining_seconds if model.ttl_remaining_seconds is not None else figures.ttl_remaining_seconds
    context = model.context_length or model.max_context_length
    speed, first = figures.tokens_per_second, figures.time_to_first_token_seconds
    return (
        _cell(model.id),
        _LOADED[model.loaded],
        _NOTHING if status is None else _status(status),
        _NOTHING if queue is None or not loaded else f"{queue:.0f}",
        _NOTHING if context is None else f"{context:,}",
        _NOTHING if figures.context_used_ratio is None else f"{figures.context_used_ratio:.0%}",
        _NOTHING if speed is None else f"{speed:.1f}",
        _NOTHING if first is None else f"{first:.2f} s",
        _cell(model.quantization),
        format_size(model.size_bytes) if model.size_bytes else _NOTHING,
        _NOTHING if ttl is None or not loaded else format_duration(max(0.0, round(ttl))),
    )


def _status(status: str) -> str:
    words = escape(readable(status.replace("_", " ")))
    return f"[dim]{words}[/]" if status == "idle" else f"[yellow]{words}[/]"


def _failure(figures: ModelFigures, now: float) -> str:
    if figures.last_failure is None or figures.last_failure_at is None:
        return _NOTHING
    return f"{_cell(figures.last_failure)}, {format_duration(max(1.0, round(now - figures.last_failure_at)))} ago"


def _events(events: Sequence[HealthEvent]) -> Table:
    rows = [
        (
            datetime.fromtimestamp(event.at).astimezone().strftime("%H:%M:%S"),
            _cell(event.server),
            _cell(event.model),
            f"[bold]{_cell(event.detail)}[/]" if event.serious else _cell(event.detail),
        )
        for event in events
    ]
    return _table(("seen at", "server", "model", "what happened"), rows)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> Table:
    """A table of markup; a column that says nothing in any row is left out."""
    shown = [at for at in range(len(headings)) if any(row[at] != _NOTHING for row in rows)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for at in shown:
        table.add_column(headings[at].upper(), overflow="fold", justify="right" if headings[at] in right else "left")
    for row in rows:
        table.add_row(*(row[at] for at in shown))
    return table


def _cell(text: str | None) -> str:
    """A text that a server chose, as markup that shows it and does nothing else, to the terminal neither."""
    return escape(readable(text)) if text else _NOTHING


def format_size(size: float) -> str:
    """Bytes in the largest unit that leaves at least 1: `91.7 MiB`."""
    unit = 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"
