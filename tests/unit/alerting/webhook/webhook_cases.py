"""Notifications as Alertmanager sends them, for the tests of the webhook."""

import hashlib
import json
from pathlib import Path

from exporter.alerting.webhook import Notification, parse_notification

GOLDEN = Path(__file__).parents[3] / "golden" / "alerting"
FIRING, RESOLVED, TRUNCATED = (
    (GOLDEN / f"{name}.json").read_bytes() for name in ("firing-0.25", "resolved-0.25", "truncated-unknown-keys")
)


def alert(
    name="HighLoad", instance="a:1", *, status="firing", severity="warning", starts="2026-02-02T09:14:08Z", **more
):
    labels = {"alertname": name, "instance": instance, "severity": severity}
    return {
        "status": status,
        "labels": labels,
        "annotations": {"summary": f"The load of {instance} is high."},
        "startsAt": starts,
        "endsAt": "0001-01-01T00:00:00Z" if status == "firing" else "2026-02-02T10:00:00Z",
        "generatorURL": "http://prometheus.example:9090/graph?g0.expr=node_load1+%3E+5&g0.tab=1",
        "fingerprint": hashlib.sha256(f"{name}-{instance}".encode()).hexdigest()[:16],
        **more,
    }


def payload(*alerts, group="HighLoad", **more) -> bytes:
    status = "firing" if any(each["status"] == "firing" for each in alerts) else "resolved"
    document = {
        "receiver": "lmwatch",
        "status": status,
        "alerts": list(alerts),
        "groupLabels": {"alertname": group},
        "commonLabels": {"alertname": group},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example:9093",
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{group}"}}',
        "truncatedAlerts": 0,
        **more,
    }
    return json.dumps(document, separators=(",", ":")).encode()


def notification(*alerts, **more) -> Notification:
    return parse_notification(payload(*(alerts or (alert(),)), **more))
