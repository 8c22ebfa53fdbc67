"""What is written into alerts, and what a model is told of them. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from exporter.alerting.webhook import Alert, Notification
from exporter.reasoning.clean import one_line, quoted

SUMMARY, CAUSE, URL = "lmwatch_summary", "lmwatch_cause", "lmwatch_url"
"""The annotations that are added to alerts."""

_NOTHING = "No explanation: "
_SENTENCE_LIMIT = 600
_MOST_ALERTS = 5
_NAME_LIMIT = 60
_LABELS_LIMIT = 120
_TEXT_LIMIT = 160
_TOLD = ("summary", "description", "message")
"""Annotations that say what an alert is about, by the habits of the field."""
_SEVERITIES = ("critical", "page", "error", "high", "warning", "medium")
"""The urgent first; what is not among them comes last."""


def notes_of(document: Mapping[str, Any], url: str) -> dict[str, str]:
    """The annotations that a verdict's document gives; of one without a readable answer only that there is none."""
    summary = one_line(str(document.get("summary") or ""), _SENTENCE_LIMIT)
    notes = {SUMMARY: summary or f"{_NOTHING}the model gave no usable answer."}
    cause = one_line(str(document.get("cause") or ""), _SENTENCE_LIMIT)
    if cause:
        notes[CAUSE] = cause
    return {**notes, URL: url} if url else notes


def unexplained(why: str, url: str = "") -> dict[str, str]:
    """The annotations of alerts that are sent on without an explanation.

    Args:
        why: completes the sentence "No explanation: …".
        url: where one may still appear; empty where none will.
    """
    return {SUMMARY: f"{_NOTHING}{why}.", **({URL: url} if url else {})}


def explains(notes: Mapping[str, str]) -> bool:
    """Whether annotations hold an explanation."""
    return not notes.get(SUMMARY, _NOTHING).startswith(_NOTHING)


def urgency(alerts: Sequence[Alert]) -> int:
    """The rank of the most severe alert by its label `severity`, 0 for critical ones."""
    severities = {dict(alert.labels).get("severity", "").lower() for alert in alerts}
    return next((rank for rank, name in enumerate(_SEVERITIES) if name in severities), len(_SEVERITIES))


def told_to_model(notification: Notification) -> str:
    """The alerts of a notification in a few cleaned sentences, the urgent first: data about what fires, nothing else."""
    firing = sorted(notification.firing, key=lambda alert: urgency([alert]))
    told = [_told(alert) for alert in firing[:_MOST_ALERTS]]
    left = len(firing) - len(told) + notification.truncated
    more = f"; and {left} more" if left else ""
    return f"Alertmanager says that these fire: {'; '.join(told)}{more}."


def headline(notification: Notification) -> str:
    """What fires, in a line for people."""
    names = list(dict.fromkeys(alert.name or "unnamed" for alert in notification.firing))
    count = len(notification.firing)
    return one_line(f"{', '.join(names)} ({count} {'alert' if count == 1 else 'alerts'})", _TEXT_LIMIT)


def _told(alert: Alert) -> str:
    labels = ", ".join(f"{name} {value}" for name, value in alert.labels if name != "alertname")
    said = next((alert.annotations[name] for name in _TOLD if alert.annotations.get(name)), "")
    words = [quoted(alert.name or "unnamed", _NAME_LIMIT)]
    words += [f"({quoted(labels, _LABELS_LIMIT)})"] if labels else []
    words += [f"says '{quoted(said, _TEXT_LIMIT)}'"] if said else []
    return " ".join(words)
