"""What tells two states of the pages apart, at little cost: a page that is open asks for it every few seconds."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from exporter.alerting.alert import Alert
from exporter.board import Board


@dataclass(frozen=True, slots=True)
class Seen:
    """What a page shows, or something newer: an open page asks for what comes after it."""

    revision: str
    newest_verdict: str
    """Its id; empty where there is none."""


def revision(board: Board, newest_verdict: str, alerts: Sequence[Alert]) -> str:
    """A short name that changes whenever people would see something new.

    A poll or a scrape that found everything as it was changes nothing, although its time is shown.

    Args:
        board: the present.
        newest_verdict: the id of the newest verdict in the journal; empty where there is none.
        alerts: that are pending or firing.
    """
    seen = (
        (board.started_at, board.ready, board.reload),
        [(name, of.up, of.failure, of.version, of.models) for name, of in board.servers.items()],
        [(name, of.up, of.error) for name, of in board.sources.items()],
        [
            (name, of.at, of.state, of.reason, [one.id for one in of.verdicts.values()])
            for name, of in board.watches.items()
        ],
        newest_verdict,
        sorted((alert.fingerprint, alert.state) for alert in alerts),
    )
    return hashlib.sha256(repr(seen).encode("utf-8", "backslashreplace")).hexdigest()[:20]
