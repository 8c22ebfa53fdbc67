"""Alerts over a restart: kept in the journal before they are first sent, and taken up again afterwards."""

import logging
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from exporter.alerting.alert import Alert
from exporter.alerting.document import from_document, to_document
from exporter.alerting.lifecycle import Ledger
from exporter.errors import BadDataError, TransientError
from exporter.journal.alerts import AlertStore
from exporter.logs import fields

logger = logging.getLogger(__name__)

OUTAGE_SECONDS = 3600.0
"""After a longer absence nothing is taken up again, as with Prometheus' `for-outage-tolerance`: Alertmanager has resolved
the alerts long since, and what still goes on is found anew."""


class Keeper:
    """Keeps the alerts that others were told of. Not for two threads at a time.

    Args:
        store: the journal's part for alerts.

    Attributes:
        behind: whether something could not be written the last time.
    """

    def __init__(self, store: AlertStore) -> None:
        self._store = store
        self.behind = False
        self._kept: dict[str, object] = {}
        """By fingerprint: what of each alert the journal holds."""

    def restore(self, now: float) -> dict[str, Ledger]:
        """The alerts of before, by watch; none after an absence of more than an hour, or if they cannot be read."""
        try:
            documents, alive_at = self._store.all(), self._store.alive_at()
        except TransientError as error:
            logger.error("alerts of before the start are not known", extra=fields(error=str(error)))  # noqa: TRY400
            return {}
        self._kept = dict.fromkeys(documents)
        if alive_at is None or now - alive_at > OUTAGE_SECONDS:
            return {}
        of_watch: defaultdict[str, list[Alert]] = defaultdict(list)
        for alert in map(_restored, documents.values()):
            if alert is not None:
                of_watch[alert.subject.watch].append(alert)
        return {watch: _ledger(alerts) for watch, alerts in of_watch.items()}

    def keep(self, told: Mapping[str, Alert], now: float, *, alive: bool) -> None:
        """Write what changed since the last time. What cannot be written is tried again, and holds up no alert.

        Args:
            told: the alerts that others are told of, by fingerprint.
            now: Unix seconds.
            alive: whether to note this time also if no alert changed.
        """
        essence = {fingerprint: _essence(alert) for fingerprint, alert in told.items()}
        put = {one: to_document(told[one]) for one in told if self._kept.get(one) != essence[one]}
        gone = self._kept.keys() - told.keys()
        if not (put or gone or (alive and told)):
            return
        try:
            self._store.change(now, put, gone)
        except TransientError as error:
            self.behind = True
            logger.error("alerts were not kept and are sent all the same", extra=fields(error=str(error)))  # noqa: TRY400
            return
        self._kept, self.behind = dict(essence), False


def _essence(alert: Alert) -> object:
    """What a restart must not lose."""
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
