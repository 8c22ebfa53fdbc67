"""The present board as metric families. One broken part never costs the others, nor the scrape."""

import logging
import platform
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from prometheus_client import GCCollector, Metric, PlatformCollector, ProcessCollector
from prometheus_client.registry import Collector, CollectorRegistry

from exporter import __version__
from exporter.board import WATCH_STATES, Board, WatchPicture
from exporter.config.watches import HEARTBEAT_WATCH
from exporter.lmstudio.wire import MODEL_STATUSES, Model, ServerHealth
from exporter.metrics.catalogue import row
from exporter.metrics.families import Family, empty
from exporter.metrics.names import MAX_MODELS, clip

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of the exposition that may fail on its own."""

    name: str
    """Value of the label `collector`."""
    families: tuple[str, ...]
    """Catalogue names of what it brings."""
    collect: Callable[[Board], Iterable[Metric]]


class BoardCollector:
    """Shows the board that `current` returns. `collect` does no I/O on the network and cannot raise."""

    def __init__(self, current: Callable[[], Board], parts: Iterable[Part] | None = None) -> None:
        self._current = current
        self._parts = tuple(default_parts() if parts is None else parts)
        self._lock = threading.Lock()
        self._failures = dict.fromkeys((part.name for part in self._parts), 0)

    def describe(self) -> Iterable[Metric]:
        """The families that `collect` may bring, without samples."""
        names = [name for part in self._parts for name in part.families]
        return [empty(row(name)) for name in (*names, "lmwatch_collector_success", "lmwatch_collector_failures_total")]

    def collect(self) -> Iterator[Metric]:
        """All parts that work, and for each part whether it did."""
        success = Family("lmwatch_collector_success")
        failures = Family("lmwatch_collector_failures_total")
        board = self._current()
        for part in self._parts:
            families = self._attempt(part, board)
            yield from families or ()
            success.add((part.name,), families is not None)
            failures.add((part.name,), self._failures[part.name])
        yield success.metric
        yield failures.metric

    def _attempt(self, part: Part, board: Board) -> list[Metric] | None:
        try:
            return list(part.collect(board))
        except Exception:
            # Whatever goes wrong in one part must not turn the whole scrape into an error.
            with self._lock:
                self._failures[part.name] += 1
            logger.exception("cannot collect the %s part of the metrics; the others go on", part.name)
            return None


def default_parts() -> tuple[Part, ...]:
    """What lmwatch exposes beside its scores and its own counters."""
    return (
        Part(
            "servers",
            ("lmstudio_up", "lmstudio_process_up", "lmstudio_rpc_up", "lmstudio_server_info", "lmstudio_models"),
            _servers,
        ),
        Part(
            "models", (*_MODEL_GAUGES, "lmstudio_model_loaded", "lmstudio_model_info", "lmstudio_model_status"), _models
        ),
        Part(
            "sources",
            ("lmwatch_source_up", "lmwatch_source_scrape_duration_seconds", "lmwatch_source_samples"),
            _sources,
        ),
        Part("watches", ("lmwatch_watch_state", "lmwatch_watch_threshold", "lmwatch_prompt_tokens"), _watches),
        Part("standings", ("lmwatch_screen_group_anomaly_score",), _standings),
        Part("verdicts", ("lmwatch_group_anomaly_score", "lmwatch_verdict_timestamp_seconds"), _verdicts),
        Part(
            "heartbeat",
            (
                "lmwatch_heartbeat_interval_seconds",
                "lmwatch_heartbeat_success_timestamp_seconds",
                "lmwatch_heartbeat_screen_success_timestamp_seconds",
            ),
            _heartbeat,
        ),
        Part("build", ("lmwatch_build_info",), _build),
        Part("web", ("lmwatch_web_info",), _web),
        Part(
            "reload",
            ("lmwatch_config_last_reload_successful", "lmwatch_config_last_reload_success_timestamp_seconds"),
            _reload,
        ),
        _library_part("process", _PROCESS_FAMILIES, ProcessCollector(registry=None)),
        _library_part("python", ("python_info",), PlatformCollector(registry=None)),
        _library_part("gc", _GC_FAMILIES, GCCollector(registry=CollectorRegistry())),
    )


_PROCESS_FAMILIES = (
    "process_virtual_memory_bytes",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_max_fds",
)
_GC_FAMILIES = (
    "python_gc_objects_collected_total",
    "python_gc_objects_uncollectable_total",
    "python_gc_collections_total",
)
_MODEL_GAUGES: dict[str, Callable[[Model], float | None]] = {
    "lmstudio_model_size_bytes": lambda model: model.size_bytes,
    "lmstudio_model_context_length_tokens": lambda model: model.context_length,
    "lmstudio_model_max_context_length_tokens": lambda model: model.max_context_length,
    "lmstudio_model_parallel_slots": lambda model: model.parallel_slots,
    "lmstudio_model_ttl_remaining_seconds": lambda model: model.ttl_remaining_seconds,
    "lmstudio_model_ttl_seconds": lambda model: model.ttl_seconds,
    "lmstudio_model_last_used_timestamp_seconds": lambda model: model.last_used_at,
    "lmstudio_model_queued_requests": lambda model: model.queued_requests,
}


def _library_part(name: str, families: tuple[str, ...], collector: Collector) -> Part:
    return Part(name, families, lambda _board: collector.collect())


def _servers(board: Board) -> Iterable[Metric]:
    up, process, rpc = Family("lmstudio_up"), Family("lmstudio_process_up"), Family("lmstudio_rpc_up")
    info, models = Family("lmstudio_server_info"), Family("lmstudio_models")
    for health in board.servers.values():
        for family, state in ((up, health.up), (process, health.process_up), (rpc, health.rpc_up)):
            if state is not None:
                family.add((health.server,), state)
        if health.up:
            info.add((health.server, health.api or "", clip(health.version), health.url), 1)
            states = Counter(model.loaded for model in health.models)
            for name, loaded in _MODEL_STATES.items():
                models.add((health.server, name), states[loaded])
    return up.metric, process.metric, rpc.metric, info.metric, models.metric


_MODEL_STATES = {"loaded": True, "not_loaded": False, "unknown": None}


def _models(board: Board) -> Iterable[Metric]:
    gauges = {name: Family(name) for name in _MODEL_GAUGES}
    loaded, info = Family("lmstudio_model_loaded"), Family("lmstudio_model_info")
    status = Family("lmstudio_model_status")
    for server, name, model in _models_of(board.servers.values()):
        key = (server, name)
        for gauge, read in _MODEL_GAUGES.items():
            if (value := read(model)) is not None:
                gauges[gauge].add(key, value)
        if model.loaded is not None:
            loaded.add(key, model.loaded)
        kind = (model.key, model.kind, model.publisher, model.architecture, model.quantization, model.format)
        info.add((*key, *map(clip, kind)), 1)
        if model.status is not None:
            for state in MODEL_STATUSES:
                status.add((*key, state), state == model.status)
    return (*(family.metric for family in gauges.values()), loaded.metric, info.metric, status.metric)


def _models_of(servers: Iterable[ServerHealth]) -> Iterator[tuple[str, str, Model]]:
    """Server, label and model: the first of each label, loaded ones first, no more than have series of their own."""
    for health in servers:
        firsts: dict[str, Model] = {}
        for model in sorted(health.models if health.up else (), key=lambda model: model.loaded is False):
            firsts.setdefault(clip(model.id), model)
        yield from ((health.server, name, model) for name, model in islice(firsts.items(), MAX_MODELS))


def _sources(board: Board) -> Iterable[Metric]:
    up = Family("lmwatch_source_up")
    duration = Family("lmwatch_source_scrape_duration_seconds")
    samples = Family("lmwatch_source_samples")
    for state in board.sources.values():
        key = (state.source, state.target)
        up.add(key, state.up)
        duration.add(key, state.duration_seconds)
        samples.add(key, state.samples)
    return up.metric, duration.metric, samples.metric


def _watches(board: Board) -> Iterable[Metric]:
    states, tokens = Family("lmwatch_watch_state"), Family("lmwatch_prompt_tokens")
    thresholds = Family("lmwatch_watch_threshold")
    for picture in board.watches.values():
        thresholds.add((picture.name,), picture.threshold)
        for name in WATCH_STATES:
            states.add((picture.name, name), name == picture.state)
        if picture.prompt_tokens is not None:
            tokens.add((picture.name,), picture.prompt_tokens)
    return states.metric, thresholds.metric, tokens.metric


def _standings(board: Board) -> Iterable[Metric]:
    scores = Family("lmwatch_screen_group_anomaly_score")
    for picture in _users(board):
        for group, score in picture.standings.items():
            scores.add((picture.name,), score, group)
    return (scores.metric,)


def _verdicts(board: Board) -> Iterable[Metric]:
    scores, reached = Family("lmwatch_group_anomaly_score"), Family("lmwatch_verdict_timestamp_seconds")
    for picture in _users(board):
        for group, verdict in picture.verdicts.items():
            reached.add((picture.name,), verdict.at, group)
            if verdict.group_score is not None:
                scores.add((picture.name,), verdict.group_score, group)
    return scores.metric, reached.metric


def _users(board: Board) -> Iterable[WatchPicture]:
    """The watches whose scores mean something: an anomaly that lmwatch plants for itself must reach nobody's alert rules."""
    return (picture for name, picture in board.watches.items() if name != HEARTBEAT_WATCH)


def _heartbeat(board: Board) -> Iterable[Metric]:
    if board.heartbeat is None:
        return ()
    interval, success = (
        Family("lmwatch_heartbeat_interval_seconds"),
        Family("lmwatch_heartbeat_success_timestamp_seconds"),
    )
    screen = Family("lmwatch_heartbeat_screen_success_timestamp_seconds")
    interval.add((), board.heartbeat.interval_seconds)
    screen.add((), board.heartbeat.screen_success_at)
    if board.heartbeat.success_at is not None:
        success.add((), board.heartbeat.success_at)
    return interval.metric, success.metric, screen.metric


def _build(_board: Board) -> Iterable[Metric]:
    info = Family("lmwatch_build_info")
    info.add((__version__, platform.python_version()), 1)
    return (info.metric,)


def _web(board: Board) -> Iterable[Metric]:
    info = Family("lmwatch_web_info")
    if board.external_url:
        info.add((board.external_url,), 1)
    return (info.metric,)


def _reload(board: Board) -> Iterable[Metric]:
    successful = Family("lmwatch_config_last_reload_successful")
    at = Family("lmwatch_config_last_reload_success_timestamp_seconds")
    successful.add((), board.reload.successful)
    at.add((), board.reload.last_success_at)
    return successful.metric, at.metric
