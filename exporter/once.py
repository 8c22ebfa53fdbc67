"""`lmwatch once`: collect, judge every group once, print the verdicts."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import numpy as np
from rich.console import Console, RenderableType
from rich.markup import escape

from exporter.board import WatchPicture
from exporter.clock import SystemClock
from exporter.config.model import Config
from exporter.drawing.terminal import NOTHING, make_table, open_console, put
from exporter.errors import ConfigError
from exporter.journal.store import Journal
from exporter.lmstudio.failures import readable
from exporter.reasoning.document import explain, to_document
from exporter.reasoning.verdict import Verdict
from exporter.runtime import Runtime
from exporter.screening.baseline import DEFAULT_SENSITIVITY_DAYS
from exporter.services import make_services
from exporter.sources.scrape import ScrapeTarget

CALM, FAILED, ANOMALOUS = 0, 1, 3
"""Exit codes."""
_COLLECT_INTERVAL = 1.0
_EACH_SECOND = {"interval": _COLLECT_INTERVAL, "timeout": _COLLECT_INTERVAL}
_JUDGED_SECONDS = 4.0
"""The newest part of the collection, which is judged by the rest."""
_DAY = 86400.0
_ASK_ALL = {"when": "always", "cooldown": _DAY}
"""Each group once: the cooldown is also how long a question may wait for its turn."""
_ALL = 1_000_000
_LOOK_SECONDS = 0.05
_SHOWN = 10


def judge_once(config: Config, *, collect_seconds: float, as_json: bool) -> int:
    """Collect, judge every group of every watch once, print the verdicts, and return the exit code.

    Args:
        config: a checked configuration; its watches' `reason.when` and intervals do not count here.
        collect_seconds: how long scraped targets are collected, once a second, before they are judged.
        as_json: print one JSON document instead of words.

    Raises:
        ConfigError: there is nothing to judge.
    """
    if not config.watches:
        raise ConfigError("nothing to judge: the configuration has no watches")
    verdicts: list[Verdict] = []
    services = make_services(SystemClock(), Journal(None), verdicts.append)
    runtime = Runtime(hurried(config, collect_seconds), services)
    runtime.announce()
    runtime.parts.pool.start()
    try:
        with ThreadPoolExecutor(max_workers=32) as threads:
            list(threads.map(runtime.parts.pool.poll, [server.name for server in config.servers]))
            _collect(runtime, threads, collect_seconds)
        for watcher in runtime.parts.watchers.values():
            watcher.tick()
        while any(watcher.waiting() for watcher in runtime.parts.watchers.values()):
            time.sleep(_LOOK_SECONDS)
    finally:
        runtime.stop(timeout=2.0)
    pictures = list(services.reporter.board.current().watches.values())
    if as_json:
        json.dump(_document(pictures, verdicts), sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        print_pictures(pictures, verdicts)
    return exit_code(config, pictures)


def hurried(config: Config, collect_seconds: float) -> Config:
    """The configuration with every group to be asked about now, and scraped windows as long as the collection.

    A series collected more often is judged more often; the sensitivity is shortened by as much, so that one judgement
    stays as strict as the configuration makes it.
    """
    intervals = {source.name: source.scrape.interval for source in config.sources if source.scrape is not None}
    sources = [
        source.model_copy(update={"scrape": source.scrape.model_copy(update=_EACH_SECOND)}) if source.scrape else source
        for source in config.sources
    ]
    watches = []
    for watch in config.watches:
        changes: dict[str, Any] = {"reason": watch.reason.model_copy(update=_ASK_ALL), "history": 0.0}
        if watch.source in intervals:
            sensitivity = watch.sensitivity or DEFAULT_SENSITIVITY_DAYS * _DAY
            changes |= {
                "window": collect_seconds,
                "interval": _JUDGED_SECONDS,
                "sensitivity": sensitivity * _COLLECT_INTERVAL / intervals[watch.source],
            }
        watches.append(watch.model_copy(update=changes))
    servers = [server.model_copy(update={"queue_limit": _ALL}) for server in config.servers]
    silent = config.heartbeat.model_copy(update={"interval": 0.0})
    return config.model_copy(update={"servers": servers, "sources": sources, "watches": watches, "heartbeat": silent})


def _collect(runtime: Runtime, threads: Executor, seconds: float) -> None:
    """Scrape every target once a second for so many seconds; sources that are queried need no collection."""
    targets: list[ScrapeTarget] = []
    for source in runtime.parts.scrapes.values():
        source.refresh()
        targets += source.targets
    until = time.monotonic() + seconds
    while targets:
        began = time.monotonic()
        list(threads.map(ScrapeTarget.collect, targets))
        if time.monotonic() >= until:
            break
        time.sleep(max(0.0, began + _COLLECT_INTERVAL - time.monotonic()))


def exit_code(config: Config, pictures: Sequence[WatchPicture]) -> int:
    """FAILED when a watch could not be judged, else ANOMALOUS when a score reaches its watch's threshold, else CALM."""
    thresholds = {watch.name: watch.threshold for watch in config.watches}
    if any(picture.state not in ("ok", "degraded") for picture in pictures) or len(pictures) < len(thresholds):
        return FAILED
    odd = any(
        bool((table.anomaly >= thresholds[picture.name]).any()) for picture in pictures for table in picture.tables
    )
    return ANOMALOUS if odd else CALM


def _document(pictures: Sequence[WatchPicture], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    return {
        "watches": [
            {
                "name": picture.name,
                "state": picture.state,
                "reason": picture.reason,
                "scores": [
                    {"metric": series.name, "labels": dict(series.labels), "score": round(float(score), 4)}
                    for table in picture.tables
                    for series, score in zip(table.series, table.anomaly, strict=True)
                    if not np.isnan(score)
                ],
            }
            for picture in pictures
        ],
        "verdicts": [to_document(verdict) for verdict in verdicts],
    }


def print_pictures(
    pictures: Sequence[WatchPicture], verdicts: Sequence[Verdict], console: Console | None = None
) -> None:
    """Print for each watch its state, what the model said, and its highest scores.

    Args:
        pictures: of the watches.
        verdicts: on their groups.
        console: where to; standard output when None.
    """
    console = console if console is not None else open_console()
    for number, picture in enumerate(pictures):
        if number:
            console.print()
        reason = escape(f" ({readable(picture.reason)})") if picture.reason else ""
        console.print(f"[bold]{escape(picture.name)}[/]: {picture.state}{reason}", soft_wrap=True)
        for verdict in verdicts:
            if verdict.watch == picture.name:
                console.print(escape(explain(verdict)), soft_wrap=True)
        if picture.tables:
            put(console, *_scores(picture))


def _scores(picture: WatchPicture) -> Iterator[RenderableType]:
    """The highest scores of a watch, and of how many they are."""
    rows = [
        (float(of.anomaly[row]), float(of.screen[row]), float(of.llm[row]), str(series))
        for of in picture.tables
        for row, series in enumerate(of.series)
        if not np.isnan(of.anomaly[row])
    ]
    cells = [
        (
            f"[{'red' if score >= picture.threshold else 'green'}]{score:.2f}[/]",
            f"{screen:.2f}",
            NOTHING if np.isnan(llm) else f"{llm:.2f}",
            escape(readable(name)),
        )
        for score, screen, llm, name in sorted(rows, reverse=True)[:_SHOWN]
    ]
    yield make_table(("SCORE", "SCREEN", "MODEL", "SERIES"), cells, left=("SERIES",))
    if len(rows) > _SHOWN:
        yield f"[dim]the {_SHOWN} highest of {len(rows):,} scores; --json has all[/]"
