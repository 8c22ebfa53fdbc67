"""What is counted about notifications that come in by webhook."""

from typing import Literal, get_args

from prometheus_client import CollectorRegistry

from exporter.metrics.making import counter, gauge, histogram
from exporter.reasoning.verdict import Outcome
from exporter.sources.failures import KINDS

AlertOutcome = Literal["new", "reminder", "repeat", "queue_full", "not_stored"]
ALERT_OUTCOMES: tuple[AlertOutcome, ...] = get_args(AlertOutcome)
RequestOutcome = Literal["accepted", "repeat", "malformed", "queue_full", "not_stored"]
REQUEST_OUTCOMES: tuple[RequestOutcome, ...] = get_args(RequestOutcome)
ForwardOutcome = Literal["explained", "unexplained", "refused", "superseded"]
FORWARD_OUTCOMES: tuple[ForwardOutcome, ...] = get_args(ForwardOutcome)
FORWARD_FAILURES: tuple[str, ...] = (*KINDS, "client_error", "rate_limited", "server_error")
TriageOutcome = Outcome | Literal["no_data", "coalesced", "skipped_budget", "skipped_busy", "failed"]
TRIAGE_OUTCOMES: tuple[TriageOutcome, ...] = (
    *get_args(Outcome),
    "no_data",
    "coalesced",
    "skipped_budget",
    "skipped_busy",
    "failed",
)
STATUSES = ("firing", "resolved")


class WebhookInstruments:
    """Counters, gauges and the histogram of the webhook. Safe to use from any thread.

    Args:
        registry: where they appear; each registry can hold one set.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._alerts = counter(registry, "lmwatch_webhook_alerts_total")
        self._requests = counter(registry, "lmwatch_webhook_notifications_total")
        self._length = gauge(registry, "lmwatch_webhook_queue_length")
        self._capacity = gauge(registry, "lmwatch_webhook_queue_capacity")
        self._forwards = counter(registry, "lmwatch_webhook_forwards_total")
        self._failures = counter(registry, "lmwatch_webhook_forward_failures_total")
        self._duration = histogram(registry, "lmwatch_webhook_forward_duration_seconds")
        self._triage = counter(registry, "lmwatch_webhook_triage_total")
        for status in STATUSES:
            for alert_outcome in ALERT_OUTCOMES:
                self._alerts.labels(status, alert_outcome)
        for family, values in (
            (self._requests, REQUEST_OUTCOMES),
            (self._forwards, FORWARD_OUTCOMES),
            (self._failures, FORWARD_FAILURES),
            (self._triage, TRIAGE_OUTCOMES),
        ):
            for value in values:
                family.labels(value)

    def alert(self, status: str, outcome: AlertOutcome) -> None:
        """Count an alert that came in."""
        self._alerts.labels(status, outcome).inc()

    def request(self, outcome: RequestOutcome) -> None:
        """Count a notification that came in."""
        self._requests.labels(outcome).inc()

    def queue(self, length: int, capacity: int) -> None:
        """Show how many notifications wait, and how many may."""
        self._length.set(length)
        self._capacity.set(capacity)

    def forwarded(self, outcome: ForwardOutcome, seconds: float | None = None) -> None:
        """Count a notification that is done with.

        Args:
            outcome: how it ended.
            seconds: since its receipt; None where it is not known, or nobody took it.
        """
        self._forwards.labels(outcome).inc()
        if seconds is not None:
            self._duration.observe(seconds)

    def forward_failed(self, reason: str) -> None:
        """Count an attempt that the receiver did not accept.

        Raises:
            ValueError: the reason is not in the closed list.
        """
        if reason not in FORWARD_FAILURES:
            raise ValueError(f"unknown reason {reason!r}; it must be one of {', '.join(FORWARD_FAILURES)}")
        self._failures.labels(reason).inc()

    def triage(self, outcome: TriageOutcome) -> None:
        """Count a group that was explained, or why it was not."""
        self._triage.labels(outcome).inc()
