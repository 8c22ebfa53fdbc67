"""Which alerts fire at present, for the models that judge what they are about."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from exporter.alerting.webhook import Alert, Notification
from exporter.clock import Clock
from exporter.reasoning.clean import quoted
from exporter.series.labels import Labels

_OURS = "LMWatch"
"""How the names of our own alerts begin: told to the model, they would confirm what it said before."""
_FORGET_SECONDS = 86_400.0
"""An alert that nobody speaks of for this long is over: its end may never have been sent."""
_MOST = 10_000
_MOST_TOLD = 4
_NAME_LIMIT = 60
_SUMMARY_LIMIT = 80


@dataclass(frozen=True, slots=True)
class _Firing:
    alert: Alert
    at: float


class Firing:
    """The alerts that fire, as far as notifications told. Safe to use from several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._alerts: OrderedDict[tuple[str, str], _Firing] = OrderedDict()

    def note(self, notification: Notification) -> None:
        """Take in what a notification says."""
        now = self._clock.now()
        with self._lock:
            for alert in notification.alerts:
                key = (notification.group_key, alert.fingerprint)
                self._alerts.pop(key, None)
                if alert.status == "firing" and not alert.name.startswith(_OURS):
                    self._alerts[key] = _Firing(alert, now)
            while len(self._alerts) > _MOST:
                self._alerts.popitem(last=False)

    def words(self, group: Labels) -> str:
        """The alerts that carry all labels of a group, in a few cleaned words; empty where none does."""
        if not group:
            return ""
        oldest, wanted = self._clock.now() - _FORGET_SECONDS, set(group)
        with self._lock:
            found = [one.alert for one in self._alerts.values() if one.at >= oldest and wanted <= set(one.alert.labels)]
        if not found:
            return ""
        told = list(dict.fromkeys(_told(alert) for alert in found))
        more = f" and {len(told) - _MOST_TOLD} more" if len(told) > _MOST_TOLD else ""
        return f"Alerts firing now: {'; '.join(told[:_MOST_TOLD])}{more}."


def _told(alert: Alert) -> str:
    severity = dict(alert.labels).get("severity", "")
    name = quoted(alert.name or "unnamed", _NAME_LIMIT) + (f" ({quoted(severity, _NAME_LIMIT)})" if severity else "")
    summary = quoted(alert.annotations.get("summary", ""), _SUMMARY_LIMIT)
    return f"{name}, '{summary}'" if summary else name
