"""What a person reads of `lmwatch status`: tables of servers, models, watches and events that fit where they are printed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from exporter.config.durations import format_duration
from exporter.drawing.terminal import NOTHING, fitted_table
from exporter.drawing.wording import duration
from exporter.lmstudio.events import HealthEvent
from exporter.lmstudio.failures import readable
from exporter.lmstudio.wire import Model, ServerHealth
from exporter.metrics.reading import ModelFigures, ServerFigures
from exporter.running import WatchStanding

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_LOADED = {True: "[green]yes[/]", False: "[dim]no[/]", None: "?"}
_NO_FIGURES = ModelFigures()
_STATES = {"ok": "[green]ok[/]", "failed": "[red]failed[/]"}
_FIGURES: Final = (
    "QUEUE",
    "CONTEXT",
    "USED",
    "TOKENS/S",
    "FIRST TOKEN",
    "SIZE",
    "ANSWERED IN",
    "SERIES",
    "ODD",
    "SCORE",
)
"""Columns that stand on the right."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What one look found."""

    servers: tuple[ServerHealth, ...]
    figures: Mapping[str, ServerFigures]
    """By server, from a running lmwatch; empty where none answers."""
    watches: tuple[WatchStanding, ...]
    """Of a running lmwatch."""
    note: str
    """Why something is missing that was asked for."""
    events: tuple[HealthEvent, ...]
    """What happened since the first look, the newest last."""
    at: float
    """Unix seconds."""


def status_parts(picture: Picture, width: int | None) -> Iterator[RenderableType]:
    """What to print below each other.

    Args:
        picture: what was found.
        width: columns of the terminal, where tables leave out what fits least; None: all is shown.
    """
    yield _servers(picture, width)
    for health in picture.servers:
        if not health.up:
            yield f"{_cell(health.server)}: {_cell(_trouble(health))}"
    if any(health.models for health in picture.servers):
        yield ""
        yield _models(picture, width)
    if picture.watches:
        yield ""
        yield _watches(picture.watches, width)
        for watch in picture.watches:
            if watch.reason:
                yield f"{_cell(watch.name)}: {_cell(watch.reason)}"
    if picture.events:
        yield ""
        yield _events(picture.events, width)
    if picture.note:
        yield ""
        yield f"[dim]{escape(readable(picture.note))}[/]"


def _trouble(health: ServerHealth) -> str:
    failure, detail = str(health.failure), health.detail
    return detail if detail.startswith(failure) else f"{failure}: {detail}"


def _servers(picture: Picture, width: int | None) -> Table:
    headings = ("SERVER", "URL", "STATE", "API", "VERSION", "ANSWERED IN", "CIRCUIT")
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
                duration(round(health.poll_duration_seconds, 3)),
                _cell(circuit if circuit == "closed" else circuit and circuit.replace("_", " ")),
            )
        )
    return _table(headings, rows, width, expendable=("VERSION", "API", "ANSWERED IN", "CIRCUIT"))


def _models(picture: Picture, width: int | None) -> Table:
    headings = ("SERVER", "MODEL", "LOADED", "STATUS", "QUEUE", "CONTEXT", "USED", "TOKENS/S", "FIRST TOKEN")
    more = ("QUANTIZATION", "SIZE", "UNLOADS IN", "LAST FAILURE")
    rows = []
    for health in picture.servers:
        known = picture.figures.get(health.server)
        for model in sorted(health.models, key=lambda model: (model.loaded is False, model.id)):
            figures = (known.models.get(model.id) if known else None) or _NO_FIGURES
            rows.append((_cell(health.server), *_described(model, figures), _failure(figures, picture.at)))
    expendable = ("QUANTIZATION", "SIZE", "UNLOADS IN", "CONTEXT", "FIRST TOKEN", "USED", "QUEUE", "LAST FAILURE")
    return _table((*headings, *more), rows, width, expendable=expendable)


def _watches(watches: Sequence[WatchStanding], width: int | None) -> Table:
    rows = [
        (
            _cell(watch.name),
            _STATES.get(watch.state, f"[yellow]{_cell(watch.state)}[/]"),
            f"{watch.series:,}",
            f"[red]{watch.suspicious:,}[/]" if watch.suspicious else "0",
            NOTHING if watch.score is None else f"{watch.score:.2f}",
            _cell(watch.kind.replace("_", " ")),
            NOTHING if watch.top is None else _cell(str(watch.top)),
        )
        for watch in watches
    ]
    headings = ("WATCH", "STATE", "SERIES", "ODD", "SCORE", "KIND", "HIGHEST SCORE")
    return _table(headings, rows, width, expendable=("KIND", "SERIES"))


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
        NOTHING if status is None else _status(status),
        NOTHING if queue is None or not loaded else f"{queue:.0f}",
        NOTHING if context is None else f"{context:,}",
        NOTHING if figures.context_used_ratio is None else f"{figures.context_used_ratio:.0%}",
        NOTHING if speed is None else f"{speed:.1f}",
        NOTHING if first is None else duration(round(first, 3)),
        _cell(model.quantization),
        format_size(model.size_bytes) if model.size_bytes else NOTHING,
        NOTHING if ttl is None or not loaded else format_duration(max(0.0, round(ttl))),
    )


def _status(status: str) -> str:
    words = escape(readable(status.replace("_", " ")))
    return f"[dim]{words}[/]" if status == "idle" else f"[yellow]{words}[/]"


def _failure(figures: ModelFigures, now: float) -> str:
    if figures.last_failure is None or figures.last_failure_at is None:
        return NOTHING
    return f"{_cell(figures.last_failure)}, {format_duration(max(1.0, round(now - figures.last_failure_at)))} ago"


def _events(events: Sequence[HealthEvent], width: int | None) -> Table:
    rows = [
        (
            datetime.fromtimestamp(event.at).astimezone().strftime("%H:%M:%S"),
            _cell(event.server),
            _cell(event.model),
            f"[bold]{_cell(event.detail)}[/]" if event.serious else _cell(event.detail),
        )
        for event in events
    ]
    return _table(("SEEN AT", "SERVER", "MODEL", "WHAT HAPPENED"), rows, width)


def _table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], width: int | None, *, expendable: Sequence[str] = ()
) -> Table:
    """A table without the columns that say nothing in any row, nor those that there is no room for."""
    shown = [at for at in range(len(headings)) if any(row[at] != NOTHING for row in rows)]
    kept = [headings[at] for at in shown]
    left = [heading for heading in kept if heading not in _FIGURES]
    return fitted_table(kept, [[row[at] for at in shown] for row in rows], width, left=left, expendable=expendable)


def _cell(text: str | None) -> str:
    """A text that a server chose, as markup that shows it and does nothing else, to the terminal neither."""
    return escape(readable(text)) if text else NOTHING


def format_size(size: float) -> str:
    """Bytes in the largest unit that leaves at least 1: `91.7 MiB`."""
    unit = 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"
