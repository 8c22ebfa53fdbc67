"""What is counted of alerts that are pushed. All names come from the catalogue."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from exporter.metrics.making import counter, gauge


class PushInstruments:
    """Counters and gauges of the push to Alertmanagers. Safe to use from any thread.

    Args:
        registry: where the metrics appear; each registry can hold one set of instruments.
        reasons: the closed list of reasons for failed deliveries.
        capacity: alerts that may wait for each Alertmanager.
    """

    def __init__(self, registry: CollectorRegistry, reasons: Sequence[str], capacity: int) -> None:
        self._reasons = tuple(reasons)
        self._sent = counter(registry, "lmwatch_alerts_sent_total")
        self._failures = counter(registry, "lmwatch_alert_failures_total")
        self._dropped = counter(registry, "lmwatch_alerts_dropped_total")
        self._queue = gauge(registry, "lmwatch_alert_queue_length")
        self._last_success = gauge(registry, "lmwatch_alert_last_success_timestamp_seconds")
        self._discovered = gauge(registry, "lmwatch_alertmanagers_discovered")
        self._firing = gauge(registry, "lmwatch_alerts_firing")
        self._pending = gauge(registry, "lmwatch_alerts_pending")
        gauge(registry, "lmwatch_alert_queue_capacity").set(capacity)

    def declare(self, alertmanager: str) -> None:
        """Show an Alertmanager's counters at 0 before anything happens."""
        self._sent.labels(alertmanager)
        self._dropped.labels(alertmanager)
        self._queue.labels(alertmanager)
        for reason in self._reasons:
            self._failures.labels(alertmanager, reason)

    def forget(self, alertmanager: str) -> None:
        """Remove everything that carries an Alertmanager's address."""
        for metric in (self._sent, self._failures, self._dropped, self._queue, self._last_success):
            metric.remove_by_labels({"alertmanager": alertmanager})

    def sent(self, alertmanager: str, count: int, at: float) -> None:
        """Count alerts that were accepted at this time, in Unix seconds."""
        self._sent.labels(alertmanager).inc(count)
        self._last_success.labels(alertmanager).set(at)

    def failed(self, alertmanager: str, reason: str, count: int) -> None:
        """Count alerts that an attempt did not deliver.

        Raises:
            ValueError: the reason is not in the closed list.
        """
        if reason not in self._reasons:
            raise ValueError(f"unknown reason {reason!r}; it must be one of {', '.join(self._reasons)}")
        self._failures.labels(alertmanager, reason).inc(count)

    def dropped(self, alertmanager: str, count: int) -> None:
        """Count alerts that were given up."""
        self._dropped.labels(alertmanager).inc(count)

    def queue_length(self, alertmanager: str, length: int) -> None:
        """Show how many alerts wait."""
        self._queue.labels(alertmanager).set(length)

    def discovered(self, count: int) -> None:
        """Show how many Alertmanagers there are."""
        self._discovered.set(count)

    def active(self, *, firing: int, pending: int) -> None:
        """Show how many alerts are active."""
        self._firing.set(firing)
        self._pending.set(pending)
