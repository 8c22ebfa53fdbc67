"""What tells two states of the pages apart, at little cost: a page that is open asks for it every few seconds."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from exporter.alerting.alert import Alert
from exporter.board import Board
from exporter.drawing.wording import duration
from exporter.lmstudio.wire import Model
from exporter.web.views import shown_watches


@dataclass(frozen=True, slots=True)
class Seen:
    """What a page shows, or something newer: an open page asks for what comes after it."""

    revision: str
    newest_verdict: str
    """Its id; empty where there is none."""


def revision(board: Board, newest_verdict: str, alerts: Sequence[Alert]) -> str:
    """A short name that changes whenever people would see something new.

    A poll or a scrape that found everything as it was changes it once a minute: so old is what an open page shows at
    most of times and figures that each poll renews.

    Args:
        board: the present.
        newest_verdict: the id of the newest verdict in the journal; empty where there is none.
        alerts: that are pending or firing.
    """
    polled_at = max((of.polled_at for of in board.servers.values()), default=0.0)
    seen = (
        (board.started_at, board.ready, board.reload, polled_at // 60),
        [
            (name, of.up, of.failure, of.version, [_shown(model) for model in of.models])
            for name, of in board.servers.items()
        ],
        [(name, of.up, of.error) for name, of in board.sources.items()],
        [
            (of.name, of.at, of.state, of.reason, [one.id for one in of.verdicts.values()])
            for of in shown_watches(board)
        ],
        newest_verdict,
        sorted((alert.fingerprint, alert.state) for alert in alerts),
    )
    return hashlib.sha256(repr(seen).encode("utf-8", "backslashreplace")).hexdigest()[:20]


def _shown(model: Model) -> tuple[object, ...]:
    """A model as pages show it: the time until it is unloaded runs, and is told in minutes while it is long."""
    left = duration(model.ttl_remaining_seconds)
    return (replace(model, ttl_remaining_seconds=None, last_used_at=None), left)
