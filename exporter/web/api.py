"""The JSON API: the same facts as on the pages, for programs."""

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Request, Response

from exporter import __version__
from exporter.board import Board, WatchPicture
from exporter.lmstudio.wire import ServerHealth
from exporter.reasoning.verdict import Verdict
from exporter.web.verdicts import Happened
from exporter.web.views import WatchView, watch_view

MOST_ROWS = 1000
_DEFAULT_ROWS = 100
_STATUS_SERIES = 5


def success(data: Any) -> Response:
    """`{"status": "success", "data": …}`."""
    return _json({"status": "success", "data": data}, 200)


def failure(code: int, text: str) -> Response:
    """`{"status": "error", "error": …}`."""
    return _json({"status": "error", "error": text}, code)


def _json(document: Mapping[str, Any], code: int) -> Response:
    body = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(body + "\n", status=code, content_type="application/json; charset=utf-8")


def verdict_query(request: Request) -> dict[str, Any]:
    """The arguments of a search for verdicts, as the journal takes them.

    Raises:
        BadRequest: an argument is not what it should be; says which and why.
    """
    return {
        "watch": request.args.get("watch"),
        "since": _instant(request, "since"),
        "before": request.args.get("before"),
        "limit": limit_of(request),
    }


def event_query(request: Request) -> dict[str, Any]:
    """The arguments of a search for events, as the journal takes them.

    Raises:
        BadRequest: an argument is not what it should be; says which and why.
    """
    return {"server": request.args.get("server"), "since": _instant(request, "since"), "limit": limit_of(request)}


def event(found: Happened) -> dict[str, Any]:
    """One event, as JSON types."""
    return {**found.document, "server": found.server, "kind": found.kind, "at": found.at}


def limit_of(request: Request) -> int:
    """How many rows are asked for.

    Raises:
        BadRequest: not a number from 1 to 1000.
    """
    text = request.args.get("limit", str(_DEFAULT_ROWS))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_ROWS:
        raise BadRequest(f"limit must be a whole number from 1 to {MOST_ROWS}, not {text!r}")
    return int(text)


def _instant(request: Request, name: str) -> float | None:
    text = request.args.get(name)
    if text is None:
        return None
    try:
        instant = float(text)
    except ValueError:
        try:
            instant = datetime.fromisoformat(text).timestamp()
        except (ValueError, OverflowError):
            instant = math.nan
    if not math.isfinite(instant):
        raise BadRequest(f"{name} must be Unix seconds or a time like 2026-01-31T12:00:00Z, not {text!r}")
    return instant


def status(board: Board) -> dict[str, Any]:
    """What is known at present, as JSON types."""
    return {
        "version": __version__,
        "started_at": board.started_at,
        "ready": board.ready,
        "configuration": {
            "successful": board.reload.successful,
            "last_success_at": board.reload.last_success_at,
            "error": board.reload.error,
        },
        "servers": [_server(health) for health in board.servers.values()],
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
    }


def _server(health: ServerHealth) -> dict[str, Any]:
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
