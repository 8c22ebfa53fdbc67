"""Notifications as an Alertmanager sends them."""

from typing import Any


def fingerprint(number: int) -> str:
    return f"{number:016x}"


def notification(number: int) -> dict[str, Any]:
    """A notification of Alertmanager about one alert of its own."""
    labels = {"alertname": "Disk", "instance": f"host-{number}"}
    alert = {
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": "The disk is full."},
        "startsAt": "2026-02-02T09:14:08.261Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": fingerprint(number),
    }
    return {
        "receiver": "lmwatch",
        "status": "firing",
        "alerts": [alert],
        "groupLabels": labels,
        "commonLabels": labels,
        "commonAnnotations": {"summary": "The disk is full."},
        "externalURL": "http://alertmanager.example:9093",
        "version": "4",
        "groupKey": f'{{}}:{{alertname="Disk", instance="host-{number}"}}',
        "truncatedAlerts": 0,
    }
