"""The metrics about the bridge: alerts that are pushed, and notifications that come in."""

from exporter.metrics.row import Row, counter, gauge

PUSH: tuple[Row, ...] = (
    counter("lmwatch_alerts_sent_total", "Alerts that the Alertmanager accepted.", ("alertmanager",), planned=True),
    counter(
        "lmwatch_alert_failures_total",
        "Alerts that could not be delivered, by reason from a closed list.",
        ("alertmanager", "reason"),
        planned=True,
    ),
    counter(
        "lmwatch_alerts_dropped_total",
        "Alerts that were given up undelivered: the oldest of a full queue, and what was left at the end.",
        ("alertmanager",),
        planned=True,
    ),
    gauge("lmwatch_alerts_firing", "Alerts that are firing at present.", planned=True),
)

WEBHOOK: tuple[Row, ...] = (
    counter(
        "lmwatch_webhook_alerts_total",
        "Alerts that came in by webhook, by status and outcome: new, reminder, repeat, queue_full, not_stored.",
        ("status", "outcome"),
        planned=True,
    ),
    counter(
        "lmwatch_webhook_forward_failures_total",
        "Attempts to send a notification on that failed, by reason from a closed list.",
        ("reason",),
        planned=True,
    ),
)
