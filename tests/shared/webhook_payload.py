"""What a strict receiver of Alertmanager's webhooks accepts."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

_TEXTS = {"receiver": str, "externalURL": str, "version": str, "groupKey": str, "status": str}
_MAPS = ("groupLabels", "commonLabels", "commonAnnotations")
_OF_ALERT = {
    "status": str, "labels": dict, "annotations": dict, "startsAt": str, "endsAt": str, "generatorURL": str, "fingerprint": str,
}  # fmt: skip
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")


def problems(document: Any) -> list[str]:
    """What a strict receiver of Alertmanager's webhook, version 4, has to object to.

    Source: `template.Data` and `webhook.Message` of Alertmanager: these keys, these types, and no others.
    """
    if not isinstance(document, dict):
        return [f"a {type(document).__name__} in the place of a message"]
    found = [
        f"{key} is {document.get(key)!r}" for key, kind in _TEXTS.items() if not isinstance(document.get(key), kind)
    ]
    found += [f"unknown key {key}" for key in document.keys() - {*_TEXTS, *_MAPS, "alerts", "truncatedAlerts"}]
    if document.get("version") != "4" or document.get("status") not in ("firing", "resolved"):
        found.append(f"version {document.get('version')!r}, status {document.get('status')!r}")
    if type(document.get("truncatedAlerts")) is not int:
        found.append(f"truncatedAlerts is {document.get('truncatedAlerts')!r}")
    for key in _MAPS:
        found += _not_texts(key, document.get(key))
    alerts = document.get("alerts")
    if not isinstance(alerts, list) or not alerts:
        return [*found, f"alerts is {alerts!r}"]
    found += [problem for alert in alerts for problem in _problems_of_alert(alert)]
    firing = any(alert.get("status") == "firing" for alert in alerts)
    if (document.get("status") == "firing") is not firing:
        found.append("the status is not that of the alerts")
    return found


def _problems_of_alert(alert: Any) -> Iterator[str]:
    if not isinstance(alert, dict):
        yield f"an alert is {alert!r}"
        return
    yield from (
        f"{key} of an alert is {alert.get(key)!r}"
        for key, kind in _OF_ALERT.items()
        if not isinstance(alert.get(key), kind)
    )
    yield from (f"unknown key {key} of an alert" for key in alert.keys() - _OF_ALERT.keys())
    for key in ("labels", "annotations"):
        yield from _not_texts(key, alert.get(key))
    for key in ("startsAt", "endsAt"):
        if not _TIME.fullmatch(str(alert.get(key))):
            yield f"{key} is {alert.get(key)!r}"
        else:
            datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", alert[key]))
    if not re.fullmatch(r"[0-9a-f]{16}", str(alert.get("fingerprint"))):
        yield f"fingerprint is {alert.get('fingerprint')!r}"
    if "alertname" not in alert.get("labels", {}):
        yield "an alert has no name"


def _not_texts(key: str, value: Any) -> list[str]:
    if not isinstance(value, dict):
        return [f"{key} is {value!r}"]
    return [f"{name} in {key} is {text!r}" for name, text in value.items() if not isinstance(text, str)]
