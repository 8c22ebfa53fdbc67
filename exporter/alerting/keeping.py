"""Alerts over a restart: kept in the journal before they are first sent, and taken up again afterwards."""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from exporter.alerting.alert import Alert, Subject
from exporter.alerting.document import from_document, to_document
from exporter.alerting.lifecycle import Ledger
from exporter.errors import BadDataError, TransientError
from exporter.journal.alerts import AlertStore
from exporter.logs import fields

logger = logging.getLogger(__name__)

OUTAGE_SECONDS = 3600.0
"""After a longer absence nothing is taken up again, as with Prometheus' `for-outage-tolerance`: Alertmanager has resolved
the alerts long since, and what still goes on is found anew."""
ALIVE_SECONDS = 60.0
"""How often it is noted until when the alerts were looked after."""


@dataclass(frozen=True)
class Before:
    """The alerts of before the start."""

    ledgers: Mapping[str, Ledger] = field(default_factory=dict)
    """By watch: what others were told of."""
    pending: Mapping[str, tuple[Alert, ...]] = field(default_factory=dict)
    """By watch."""
    alive_at: float = 0.0
    """Unix seconds until when they were looked after."""


class Keeper:
    """Keeps alerts. Not for two threads at a time.

    Args:
        store: the journal's part for alerts.
    """

    def __init__(self, store: AlertStore) -> None:
        self._store = store
        self._behind = False
        """Whether something could not be written the last time."""
        self._noted_at = -float("inf")
        self._kept: dict[str, object] | None = {}
        """By key: what of each alert the journal holds; None where that could not be read yet."""

    def restore(self, now: float) -> Before:
        """The alerts of before; none after an absence of more than an hour, or if they cannot be read."""
        try:
            documents, alive_at = self._store.all(), self._store.alive_at()
        except TransientError as error:
            logger.error("alerts of before the start are not known", extra=fields(error=str(error)))  # noqa: TRY400
            self._kept, self._behind = None, True
            return Before()
        self._kept = dict.fromkeys(documents)
        if alive_at is None or now - alive_at > OUTAGE_SECONDS:
            return Before()
        of_watch: defaultdict[str, list[Alert]] = defaultdict(list)
        for alert in map(_restored, documents.values()):
            if alert is not None:
                of_watch[alert.subject.watch].append(alert)
        return Before(
            {watch: _ledger(alerts) for watch, alerts in of_watch.items()},
            {watch: tuple(one for one in alerts if one.state == "pending") for watch, alerts in of_watch.items()},
            alive_at,
        )

    def is_due(self, now: float) -> bool:
        """Whether there is something to write although no alert changed."""
        return self._behind or (bool(self._kept) and not 0.0 <= now - self._noted_at < ALIVE_SECONDS)

    def keep(self, told: Mapping[str, Alert], pending: Iterable[Alert], now: float) -> None:
        """Write what changed since the last time. What cannot be written is tried again, and holds up no alert.

        Args:
            told: the alerts that others are told of, by fingerprint.
            pending: those that are pending.
            now: Unix seconds.
        """
        alerts = {**told, **{_key(alert.subject): alert for alert in pending}}
        essence = {key: _essence(alert) for key, alert in alerts.items()}
        try:
            kept = self._kept if self._kept is not None else dict.fromkeys(self._store.all())
            put = {key: to_document(alert) for key, alert in alerts.items() if kept.get(key) != essence[key]}
            gone = kept.keys() - alerts.keys()
            if not (put or gone or self.is_due(now)):
                return
            self._store.change(now, put, gone)
        except TransientError as error:
            self._behind = True
            logger.error("alerts were not kept and are sent all the same", extra=fields(error=str(error)))  # noqa: TRY400
            return
        self._kept, self._behind, self._noted_at = essence, False, now


def _key(subject: Subject) -> str:
    """Of a pending alert: its name is not final, and may be that of one that is still repeated as resolved."""
    return f"pending {hashlib.sha256(repr(subject).encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def _essence(alert: Alert) -> object:
    """What a restart must not lose."""
    if alert.state == "pending":
        return alert.active_at
    return alert.state, alert.starts_at, alert.resolved_at, alert.below_since, alert.silent_since, alert.words.url


def _restored(document: Mapping[str, Any]) -> Alert | None:
    try:
        return from_document(document)
    except BadDataError as error:
        logger.warning("an alert of before the start is forgotten", extra=fields(error=str(error)))
        return None


def _ledger(alerts: list[Alert]) -> Ledger:
    return Ledger(
        active={alert.subject: alert for alert in alerts if alert.state == "firing"},
        resolved={alert.labels: alert for alert in alerts if alert.state == "resolved"},
    )
