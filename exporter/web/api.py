"""The JSON API's documents: the same facts as on the pages, for programs."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from exporter import __version__
from exporter.board import Board, WatchPicture
from exporter.lmstudio.wire import ServerHealth
from exporter.reasoning.verdict import Verdict
from exporter.screening.result import ScreenedSeries
from exporter.web.kept import Happened
from exporter.web.servers import ServerDetail
from exporter.web.views import SeriesView, WatchView, watch_view
from exporter.web.watchviews import GroupView, WatchDetail

_STATUS_SERIES = 5
_LARGE = ("pictures", "request")


def status(board: Board, newest: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is known at present, as JSON types.

    Args:
        board: the present.
        newest: the document of the newest verdict; None where there is none.
    """
    return {
        "version": __version__,
        "started_at": board.started_at,
        "ready": board.ready,
        "configuration": {
            "successful": board.reload.successful,
            "last_success_at": board.reload.last_success_at,
            "error": board.reload.error,
        },
        "servers": [server(health) for health in board.servers.values()],
        "sources": [
            {
                "source": state.source,
                "target": state.target,
                "up": state.up,
                "duration_seconds": state.duration_seconds,
                "samples": state.samples,
                "at": state.at,
                "error": state.error,
                "warnings": list(state.warnings),
            }
            for state in board.sources.values()
        ],
        "watches": [_watch(picture, watch_view(picture, _STATUS_SERIES)) for picture in board.watches.values()],
        "newest_verdict": None if newest is None else _newest(newest),
    }


def listed(document: Mapping[str, Any]) -> dict[str, Any]:
    """A verdict among others: without what is large."""
    return {name: value for name, value in document.items() if name not in _LARGE}


def event(found: Happened) -> dict[str, Any]:
    """One event, as JSON types."""
    return {**found.document, "server": found.server, "kind": found.kind, "at": found.at}


def server(health: ServerHealth) -> dict[str, Any]:
    """One server as its newest poll found it."""
    return {
        "server": health.server,
        "url": health.url,
        "up": health.up,
        "api": health.api,
        "version": health.version,
        "polled_at": health.polled_at,
        "poll_duration_seconds": health.poll_duration_seconds,
        "failure": health.failure,
        "detail": health.detail,
        "models": [
            {
                "id": model.id,
                "key": model.key,
                "kind": model.kind,
                "loaded": model.loaded,
                "status": model.status,
                "context_length": model.context_length,
                "queued_requests": model.queued_requests,
            }
            for model in health.models
        ],
    }


def server_detail(detail: ServerDetail) -> dict[str, Any]:
    """One server with figures, states over time, events and failures."""
    return {
        **server(detail.health),
        "circuit": detail.circuit or None,
        "figures": {row.model.id: asdict(row.figures) for row in detail.models},
        "states": [
            {
                "name": lane.name,
                "spans": [{"begin": span.begin, "end": span.end, "state": span.state} for span in lane.spans],
            }
            for lane in detail.lanes
        ],
        "events": [event(found) for found in detail.events],
        "failures": [
            {
                "id": view.id,
                "watch": view.watch,
                "at": view.at,
                "outcome": view.outcome,
                "problems": list(view.problems),
            }
            for view in detail.failures
        ],
    }


def watch_detail(detail: WatchDetail) -> dict[str, Any]:
    """One watch with its groups, the histories of what is odd, and one page of its series."""
    picture, page = detail.picture, detail.series
    return {
        "watch": picture.name,
        "state": picture.state,
        "reason": picture.reason,
        "at": picture.at,
        "threshold": picture.threshold,
        "group_by": list(picture.group_by),
        "score": detail.top,
        "series_total": detail.total,
        "suspicious": detail.suspicious,
        "groups": [_group(group) for group in detail.groups],
        "histories": [_history(one) for group in detail.charted for one in group.series],
        "page": page.page,
        "pages": page.pages,
        "series_found": page.found,
        "series": [_series(row) for row in page.rows],
    }


def _watch(picture: WatchPicture, view: WatchView) -> dict[str, Any]:
    return {
        "watch": picture.name,
        "state": picture.state,
        "reason": picture.reason,
        "at": picture.at,
        "series": view.total,
        "suspicious": view.suspicious,
        "top": [
            {"metric": row.series.name, "labels": dict(row.series.labels), "score": row.score, "kind": row.kind or None}
            for row in view.rows
        ],
        "verdicts": [_verdict(verdict) for verdict in picture.verdicts.values()],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "id": verdict.id,
        "group": dict(verdict.group),
        "at": verdict.at,
        "outcome": verdict.outcome,
        "score": verdict.group_score,
        "summary": verdict.summary,
    }


def _newest(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": document["id"],
        "watch": document["watch"],
        "at": document["at"],
        "score": document.get("group_score"),
        "summary": document.get("summary", ""),
    }


def _group(group: GroupView) -> dict[str, Any]:
    return {
        "group": dict(group.key),
        "series": group.total,
        "suspicious": group.suspicious,
        "score": group.top,
        "verdict": _verdict(group.verdict) if group.verdict else None,
    }


def _series(row: SeriesView) -> dict[str, Any]:
    return {
        "metric": row.series.name,
        "labels": dict(row.series.labels),
        "unit": row.series.unit,
        "score": row.score,
        "screen": row.screen,
        "model": row.llm,
        "confidence": row.confidence,
        "kind": row.kind or None,
    }


def _history(one: ScreenedSeries) -> dict[str, Any]:
    return {
        "metric": one.series.name,
        "labels": dict(one.series.labels),
        "unit": one.series.unit,
        "score": _finite(one.score),
        "kind": one.kind,
        "times": one.times.tolist(),
        "values": [_finite(value) for value in one.values.tolist()],
        "expected": [_finite(one.expected_lower), _finite(one.expected_upper)],
        "evidence": [fact.text for fact in one.evidence],
        "alarms": [asdict(alarm) for alarm in one.alarms],
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
