"""What the page of one server shows: its models with their figures, and which state they were in when."""

from collections.abc import Sequence
from dataclasses import dataclass

from exporter.drawing.timelines import Span
from exporter.lmstudio.wire import Model, ServerHealth
from exporter.metrics.reading import ModelFigures, ServerFigures
from exporter.web.kept import Happened, Kept
from exporter.web.verdicts import VerdictLine

SHOWN_SECONDS = 86_400.0
"""How far back timeline, events and failures reach."""
_NO_FIGURES = ModelFigures()
_MOST_LANES = 20


@dataclass(frozen=True, eq=False)
class ModelRow:
    """One model with the figures of its last prediction."""

    model: Model
    figures: ModelFigures


@dataclass(frozen=True, eq=False)
class StateLane:
    """The states of a server or of one of its models, one after the other."""

    name: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, eq=False)
class ServerDetail:
    """One server, whole."""

    health: ServerHealth
    circuit: str
    models: tuple[ModelRow, ...]
    """Those that are, or may be, loaded first."""
    journal_read: bool
    """Where not, there are no lanes, events and failures, and nobody knows."""
    begin: float
    """Unix seconds at which the timeline begins."""
    lanes: tuple[StateLane, ...]
    events: Sequence[Happened]
    """The newest first."""
    failures: Sequence[VerdictLine]
    """Analyses of the shown time that brought no usable answer, the newest first."""


def server_detail(
    health: ServerHealth,
    figures: ServerFigures | None,
    happened: tuple[Sequence[Happened], Sequence[Kept]] | None,
    *,
    watched_since: float,
    now: float,
) -> ServerDetail:
    """One server as it stands.

    Args:
        health: its newest poll.
        figures: of its last predictions; None where there were none.
        happened: the events of the shown time, and the verdicts for which it gave no usable answer, the newest first; None
            where the journal cannot be read.
        watched_since: Unix seconds at which this lmwatch began; before, only events tell anything.
        now: Unix seconds.
    """
    known = figures.models if figures else {}
    begin = now - SHOWN_SECONDS
    events, failures = happened or ((), ())
    told_since = max(begin, min([watched_since, *(event.at for event in events)]))
    return ServerDetail(
        health=health,
        circuit=(figures.circuit if figures else None) or "",
        models=tuple(
            ModelRow(model, known.get(model.id, _NO_FIGURES))
            for model in sorted(health.models, key=lambda model: model.loaded is False)
        ),
        journal_read=happened is not None,
        begin=begin,
        lanes=state_lanes(health, events, told_since, now) if happened is not None else (),
        events=events,
        failures=[VerdictLine.of(kept.document) for kept in failures],
    )


def state_lanes(health: ServerHealth, events: Sequence[Happened], begin: float, now: float) -> tuple[StateLane, ...]:
    """When the server was up, and when which model was loaded, as far as events tell.

    Args:
        health: the newest poll: how everything ends.
        events: the newest first.
        begin: Unix seconds from which on states are told.
        now: at which the last ones end.
    """
    told = sorted(events, key=lambda event: event.at)
    up = [(event.at, event.kind == "server_up") for event in told if event.kind in ("server_up", "server_down")]
    lanes = [StateLane(health.server, tuple(_server_spans(up, health.up, begin, now)))]
    changes: dict[str, list[tuple[float, bool]]] = {}
    for event in told:
        model = event.document.get("model")
        if model and event.kind in ("loaded", "unloaded"):
            changes.setdefault(model, []).append((event.at, event.kind == "loaded"))
    now_loaded = {model.id for model in health.models if model.loaded} if health.up else set()
    lanes += [
        StateLane(name, tuple(_loaded_spans(changes.get(name, []), up, name in now_loaded, begin, now)))
        for name in dict.fromkeys([*sorted(now_loaded), *changes])
    ]
    return tuple(lane for lane in lanes[:_MOST_LANES] if lane.spans)


def _server_spans(changes: Sequence[tuple[float, bool]], is_up: bool, begin: float, now: float) -> list[Span]:
    # Before the first change it was the other way round.
    state = not changes[0][1] if changes else is_up
    spans, since = [], begin
    for at, next_state in [*changes, (now, is_up)]:
        spans.append(Span(since, at, "up" if state else "down", "ok" if state else "failed"))
        since, state = at, next_state
    return spans


def _loaded_spans(
    changes: Sequence[tuple[float, bool]], up: Sequence[tuple[float, bool]], is_loaded: bool, begin: float, now: float
) -> list[Span]:
    """Stretches in which a model was loaded. One that was loaded when its server went away ends there."""
    steps = sorted([*changes, *(away for away in up if not away[1])])
    since: float | None = None if (changes and changes[0][1]) or (not changes and not is_loaded) else begin
    spans = []
    for at, loaded in steps:
        if since is not None and not loaded:
            spans.append(Span(since, at, "loaded", "loaded"))
            since = None
        elif loaded and since is None:
            since = at
    if is_loaded:
        # Nothing says when: since the server was back, as far as is known.
        back = max((at for at, is_up in up if is_up), default=begin)
        spans.append(Span(since if since is not None else back, now, "loaded", "loaded"))
    return spans
