"""What a person at a terminal reads: tables of servers and models."""

import dataclasses
import json
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from exporter.clock import SystemClock
from exporter.config.durations import format_duration
from exporter.config.model import Config, Server
from exporter.lmstudio.lane import open_lane
from exporter.lmstudio.wire import Model, ServerHealth
from exporter.sources.http import Cancel

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def print_status(config: Config, *, as_json: bool) -> int:
    """Poll every server once and print what they are and have. Returns 0 when all are up, else 1."""
    with ThreadPoolExecutor(max_workers=len(config.servers) or 1) as threads:
        found = list(threads.map(_poll, config.servers))
    if as_json:
        json.dump([dataclasses.asdict(health) for health in found], sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        console = Console()
        console.print(_servers(found))
        if any(health.models for health in found):
            console.print(_models(found))
    return 0 if all(health.up for health in found) else 1


def _poll(server: Server) -> ServerHealth:
    lane = open_lane(server, SystemClock(), Cancel())
    try:
        return lane.poll()
    finally:
        lane.close()


def _servers(found: Iterable[ServerHealth]) -> Table:
    table = _table("server", "url", "state", "api", "version", "answered in", "detail")
    for health in found:
        state = "[green]up[/]" if health.up else "[red]down[/]"
        took = f"{health.poll_duration_seconds * 1000:.0f} ms"
        detail = "" if health.up else f"{health.failure}: {health.detail}"
        _add(
            table, health.server, health.url, health.api or "-", health.version or "-", took, detail, at=2, markup=state
        )
    return table


def _models(found: Iterable[ServerHealth]) -> Table:
    table = _table("server", "model", "loaded", "kind", "quantization", "context", "size", "unloads in")
    for health in found:
        for model in sorted(health.models, key=lambda model: (model.loaded is False, model.id)):
            loaded = {True: "[green]yes[/]", False: "[dim]no[/]", None: "?"}[model.loaded]
            cells = (health.server, model.id, *_figures(model))
            _add(table, *cells, at=2, markup=loaded)
    return table


def _figures(model: Model) -> tuple[str, str, str, str, str]:
    context = model.context_length or model.max_context_length
    ttl = model.ttl_remaining_seconds
    return (
        model.kind,
        model.quantization or "-",
        "-" if context is None else f"{context:,}",
        "-" if model.size_bytes is None else format_size(model.size_bytes),
        "-" if ttl is None else format_duration(max(0.0, round(ttl))),
    )


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading.upper(), overflow="fold")
    return table


def _add(table: Table, *cells: str, at: int, markup: str) -> None:
    """Add a row of texts that come from servers and so are no markup, with one cell of ours among them."""
    texts = [escape(cell) for cell in cells]
    table.add_row(*texts[:at], markup, *texts[at:])


def format_size(size: float) -> str:
    """Bytes in the largest unit that leaves at least 1: `91.7 MiB`."""
    unit = 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"
