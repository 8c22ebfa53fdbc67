"""What a running lmwatch knows, asked over HTTP by the commands that have not been running themselves."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exporter.errors import BadDataError
from exporter.metrics.reading import FIGURE_METRICS, ServerFigures, read_figures
from exporter.series.labels import Series, labels_of
from exporter.sources.http import Answer, Cancel, HttpError, HttpSession

_SECONDS = 3.0
_BYTES = 16 * 1024**2


@dataclass(frozen=True, slots=True)
class WatchStanding:
    """How one watch stands."""

    name: str
    state: str
    reason: str
    series: int
    suspicious: int
    """How many of them score at or above the threshold."""
    top: Series | None
    """The one with the highest score; None where none has a score."""
    score: float | None
    kind: str


@dataclass(frozen=True, slots=True)
class Running:
    """What it said."""

    figures: Mapping[str, ServerFigures] = field(default_factory=dict)
    """By server; empty where nobody answers."""
    watches: tuple[WatchStanding, ...] = ()
    trouble: str = ""
    """Why something is missing."""


def ask_running(session: HttpSession, url: str, cancel: Cancel) -> Running:
    """Ask the lmwatch at this address; whatever goes wrong is told in words.

    Args:
        session: the HTTP client.
        url: its address.
        cancel: gives up what is under way.
    """
    base = url.rstrip("/")
    try:
        answer = _get(session, f"{base}/metrics", cancel, {"name[]": list(FIGURE_METRICS)})
        if answer.status != 200:
            return Running(trouble=f"no figures from {base}/metrics: status {answer.status}")
        figures = read_figures(answer.body, answer.headers.get("Content-Type", ""))
    except (HttpError, BadDataError) as error:
        return Running(trouble=f"no figures from lmwatch: {error}")
    try:
        answer = _get(session, f"{base}/api/v1/status", cancel)
        if answer.status != 200:
            return Running(figures, trouble=f"no watches from {base}/api/v1/status: status {answer.status}")
        return Running(figures, read_watches(answer.body))
    except (HttpError, BadDataError) as error:
        return Running(figures, trouble=f"no watches from lmwatch: {error}")


def read_watches(body: bytes) -> tuple[WatchStanding, ...]:
    """The watches in an answer of `/api/v1/status`, in its order.

    Raises:
        BadDataError: it is no such answer.
    """
    try:
        return tuple(_standing(watch) for watch in json.loads(body)["data"]["watches"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadDataError(f"/api/v1/status is not what lmwatch answers: {error!r}") from error


def _standing(watch: Mapping[str, Any]) -> WatchStanding:
    scored = [one for one in watch["top"] if one["score"] is not None]
    top = max(scored, key=lambda one: float(one["score"]), default=None)
    return WatchStanding(
        name=str(watch["watch"]),
        state=str(watch["state"]),
        reason=str(watch["reason"]),
        series=int(watch["series"]),
        suspicious=int(watch["suspicious"]),
        top=None if top is None else Series(str(top["metric"]), labels_of(top["labels"])),
        score=None if top is None else float(top["score"]),
        kind="" if top is None else str(top["kind"] or ""),
    )


def _get(session: HttpSession, url: str, cancel: Cancel, params: Mapping[str, list[str]] | None = None) -> Answer:
    return session.get(
        url,
        deadline_seconds=_SECONDS,
        max_bytes=_BYTES,
        params=dict(params or {}),
        headers={"Accept": "text/plain;version=0.0.4, application/json;q=0.9"},
        cancel=cancel,
    )
