"""The metrics about the bridge: alerts that are pushed, notifications that come in, and annotations in Grafana."""

from exporter.metrics.row import Row, counter, gauge, histogram

FORWARD_BUCKETS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 320.0, 640.0)

PUSH: tuple[Row, ...] = (
    counter("lmwatch_alerts_sent_total", "Alerts that the Alertmanager accepted, repeats included.", ("alertmanager",)),
    counter(
        "lmwatch_alert_failures_total",
        "Alerts affected by attempts to deliver them that failed, by reason from a closed list.",
        ("alertmanager", "reason"),
    ),
    counter(
        "lmwatch_alerts_dropped_total",
        "Alerts that were given up undelivered: the oldest of a full queue, and what was left at the end.",
        ("alertmanager",),
    ),
    gauge("lmwatch_alert_queue_length", "Alerts that wait to be delivered.", ("alertmanager",)),
    gauge("lmwatch_alert_queue_capacity", "Alerts that may wait for each Alertmanager."),
    gauge(
        "lmwatch_alert_last_success_timestamp_seconds",
        "When the Alertmanager last accepted alerts; no series before it did.",
        ("alertmanager",),
        "seconds",
    ),
    gauge("lmwatch_alertmanagers_discovered", "Alertmanagers that alerts are pushed to, listed and discovered."),
    gauge("lmwatch_alerts_firing", "Alerts that are firing at present."),
    gauge("lmwatch_alerts_pending", "Alerts that have not been active for `alerting.for` yet."),
)

WEBHOOK: tuple[Row, ...] = (
    counter(
        "lmwatch_webhook_alerts_total",
        "Alerts that came in by webhook, by status and outcome: new, reminder, repeat, queue_full, not_stored.",
        ("status", "outcome"),
    ),
    counter(
        "lmwatch_webhook_notifications_total",
        "Notifications that came in by webhook, by outcome: accepted, repeat, malformed, queue_full, not_stored.",
        ("outcome",),
    ),
    gauge("lmwatch_webhook_queue_length", "Notifications that wait to be explained or sent on."),
    gauge("lmwatch_webhook_queue_capacity", "Notifications that may wait to be explained or sent on."),
    counter(
        "lmwatch_webhook_forwards_total",
        "Notifications that are done with: sent on explained or unexplained, refused by the receiver, or superseded by a newer one.",
        ("outcome",),
    ),
    counter(
        "lmwatch_webhook_forward_failures_total",
        "Attempts to send a notification on that failed, by reason from a closed list.",
        ("reason",),
    ),
    histogram(
        "lmwatch_webhook_forward_duration_seconds",
        "Seconds from the receipt of a notification until its receiver took it.",
        (),
        FORWARD_BUCKETS,
        "seconds",
    ),
    counter(
        "lmwatch_webhook_triage_total",
        "Groups of alerts that were to be explained, by outcome: ok, ungrounded, invalid, llm_error, timeout, no_data, coalesced, "
        "skipped_budget, skipped_busy, failed.",
        ("outcome",),
    ),
)

GRAFANA: tuple[Row, ...] = (
    counter(
        "lmwatch_grafana_annotations_total",
        "Writes of annotations by outcome: created, updated, or dropped (given up undelivered).",
        ("outcome",),
    ),
    counter(
        "lmwatch_grafana_annotation_failures_total",
        "Attempts to write an annotation that failed, by reason from a closed list.",
        ("reason",),
    ),
    gauge("lmwatch_grafana_annotation_queue_length", "Annotations that wait to be written."),
)
