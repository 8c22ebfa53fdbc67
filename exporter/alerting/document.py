"""Alerts as JSON: in the journal, for Alertmanager, and for lmwatch's own API."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from exporter.alerting.alert import Alert, Subject, Words
from exporter.errors import BadDataError
from exporter.series.labels import Labels


def to_document(alert: Alert) -> dict[str, Any]:
    """All of an alert, as JSON types."""
    return asdict(alert)


def from_document(document: Mapping[str, Any]) -> Alert:
    """The alert that `to_document` made this of.

    Raises:
        BadDataError: it was made of none, or by another version.
    """
    try:
        subject, words = document["subject"], document["words"]
        return Alert(
            **{
                **document,
                "subject": Subject(**{**subject, "labels": _labels(subject["labels"])}),
                "words": Words(**{**words, "evidence": tuple(words["evidence"])}),
                "labels": _labels(document["labels"]),
            }
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadDataError(f"no alert of this version ({error!r})") from None


def _labels(pairs: list[list[str]]) -> Labels:
    return tuple((name, value) for name, value in pairs)


def shown(alert: Alert) -> dict[str, Any]:
    """An active alert as Prometheus' `/api/v1/alerts` shows it."""
    return {
        "labels": dict(alert.labels),
        "annotations": alert.words.annotations(),
        "state": alert.state,
        "activeAt": rfc3339(alert.active_at),
        "value": f"{alert.score:.6g}",
    }


def rfc3339(at: float) -> str:
    """Unix seconds as a time with milliseconds in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
