"""Panels about the bridge to Alertmanager and Grafana."""

from typing import Any

import house
from house import RATE, bars, graph, grid, now, query

LMWATCH = house.OF_LMWATCH


def alerts() -> list[Any]:
    """Alerts and annotations: raised, delivered, waiting."""
    to = "{{alertmanager}}"
    none = "No Alertmanager is configured"
    return [
        graph(
            "Alerts",
            "Alerts that lmwatch itself raises: firing, and not active long enough yet.",
            [
                query(f"sum(lmwatch_alerts_firing{{{LMWATCH}}})", "firing", ref="A"),
                query(f"sum(lmwatch_alerts_pending{{{LMWATCH}}})", "pending", ref="B"),
            ],
            unit="short",
            none=none,
        ),
        graph(
            "Delivered",
            "Alerts that each Alertmanager accepted, repeats included.",
            [query(f"sum by (alertmanager) (rate(lmwatch_alerts_sent_total{{{LMWATCH}}}{RATE}))", to)],
            unit="cps",
            none=none,
        ),
        bars(
            "Not delivered",
            "Alerts affected by attempts that failed, by reason, and alerts that were given up.",
            [
                query(
                    f"sum by (alertmanager, reason) (increase(lmwatch_alert_failures_total{{{LMWATCH}}}{RATE})) > 0",
                    f"{to}: {{{{reason}}}}",
                    ref="A",
                ),
                query(
                    f"sum by (alertmanager) (increase(lmwatch_alerts_dropped_total{{{LMWATCH}}}{RATE})) > 0",
                    f"{to}: given up",
                    ref="B",
                ),
            ],
            none="Everything was delivered",
        ),
        graph(
            "Waiting for delivery",
            "Share of the room for alerts that wait for each Alertmanager; when it is full, the oldest are given up.",
            [
                query(
                    f"""max by (alertmanager) (lmwatch_alert_queue_length{{{LMWATCH}}})
                    / on () group_left () max(lmwatch_alert_queue_capacity{{{LMWATCH}}})""",
                    to,
                )
            ],
            unit="percentunit",
            none=none,
        ).max(1),
        grid(
            "Alertmanagers",
            "When each last accepted alerts.",
            [
                now(
                    "max by (alertmanager, instance) "
                    f"(lmwatch_alert_last_success_timestamp_seconds{{{LMWATCH}}}) * 1000"
                )
            ],
            columns={"alertmanager": "alertmanager", "instance": "lmwatch", "Value": "last accepted"},
            none="None has accepted any yet",
            unit="dateTimeFromNow",
        ).span(12),
        bars(
            "Annotations in Grafana",
            "Annotations that lmwatch wrote for its verdicts, by what was done, and attempts that failed.",
            [
                query(
                    f"sum by (outcome) (increase(lmwatch_grafana_annotations_total{{{LMWATCH}}}{RATE})) > 0",
                    "{{outcome}}",
                    ref="A",
                ),
                query(
                    f"sum by (reason) (increase(lmwatch_grafana_annotation_failures_total{{{LMWATCH}}}{RATE})) > 0",
                    "failed: {{reason}}",
                    ref="B",
                ),
            ],
            none="None was written",
        ),
    ]


def webhook() -> list[Any]:
    """Notifications: what came in, what was explained, what was sent on."""
    none = "No notifications"
    return [
        bars(
            "Notifications",
            "Notifications of Alertmanager that came in, by outcome.",
            [
                query(
                    f"sum by (outcome) (increase(lmwatch_webhook_notifications_total{{{LMWATCH}}}{RATE})) > 0",
                    "{{outcome}}",
                )
            ],
            none=none,
        ),
        bars(
            "Explanations",
            "Groups of alerts that were to be explained, by outcome.",
            [query(f"sum by (outcome) (increase(lmwatch_webhook_triage_total{{{LMWATCH}}}{RATE})) > 0", "{{outcome}}")],
            none=none,
        ),
        bars(
            "Sent on",
            "Notifications that are done with, by how, and attempts to send one on that failed.",
            [
                query(
                    f"sum by (outcome) (increase(lmwatch_webhook_forwards_total{{{LMWATCH}}}{RATE})) > 0",
                    "{{outcome}}",
                    ref="A",
                ),
                query(
                    f"sum by (reason) (increase(lmwatch_webhook_forward_failures_total{{{LMWATCH}}}{RATE})) > 0",
                    "failed: {{reason}}",
                    ref="B",
                ),
            ],
            none=none,
        ),
        house.quantiles(
            "Time until sent on",
            "From the receipt of a notification until its receiver took it.",
            "lmwatch_webhook_forward_duration_seconds",
            LMWATCH,
        ),
        bars(
            "Alerts in notifications",
            "Alerts that came in, by status and what they were: new, or known already.",
            [
                query(
                    f"sum by (status, outcome) (increase(lmwatch_webhook_alerts_total{{{LMWATCH}}}{RATE})) > 0",
                    "{{status}}, {{outcome}}",
                )
            ],
            none=none,
        ),
        graph(
            "Waiting notifications",
            "Share of the room for notifications that wait to be explained or sent on; when it is full, new ones are refused.",
            [
                query(
                    f"sum(lmwatch_webhook_queue_length{{{LMWATCH}}}) / sum(lmwatch_webhook_queue_capacity{{{LMWATCH}}})",
                    "of the room",
                )
            ],
            unit="percentunit",
            none="Not scraped",
        ).max(1),
    ]
