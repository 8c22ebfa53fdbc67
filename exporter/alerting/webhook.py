"""Alertmanager's webhook payload, version 4: read leniently, written back with annotations added and nothing else changed.

Pure. The fields are those of Alertmanager's `webhook_config`; keys that are not known here are left alone.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast, get_args

from exporter.errors import BadDataError
from exporter.series.labels import Labels, labels_of

Status = Literal["firing", "resolved"]
STATUSES: tuple[Status, ...] = get_args(Status)
VERSION = "4"
"""The version of the payload that Alertmanager has sent since 0.7."""

_FROM_PROMETHEUS = (
    "this is the list of alerts that Prometheus sends to an Alertmanager; lmwatch is none: name your Alertmanager under "
    "alerting.alertmanagers in prometheus.yml, and lmwatch in a webhook_configs receiver of alertmanager.yml"
)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_DEEPEST = 3
"""Of the paths that are of interest: `alerts`, a number, `annotations`."""

Path = tuple[str | int | None, ...]


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of a notification."""

    status: Status
    labels: Labels
    annotations: Mapping[str, str]
    starts_at: str
    """As it was written."""
    started: float | None
    """Unix seconds; None where `starts_at` is no time."""
    generator_url: str
    fingerprint: str

    @property
    def name(self) -> str:
        """The label `alertname`; empty where there is none."""
        return dict(self.labels).get("alertname", "")


@dataclass(frozen=True, slots=True)
class Notification:
    """What Alertmanager says about one group of alerts."""

    version: str
    group_key: str
    receiver: str
    status: Status
    group_labels: Labels
    alerts: tuple[Alert, ...]
    truncated: int
    """Alerts of the group that the payload leaves out."""
    payload: str
    """The whole of it as it came."""

    @property
    def firing(self) -> tuple[Alert, ...]:
        """The alerts that fire."""
        return tuple(alert for alert in self.alerts if alert.status == "firing")

    @property
    def fingerprints(self) -> frozenset[str]:
        """Of all its alerts."""
        return frozenset(alert.fingerprint for alert in self.alerts)


def parse_notification(body: bytes) -> Notification:
    """The notification in the body of a request.

    Unknown keys and versions are accepted; what an older version does not send is made up from the rest.

    Raises:
        BadDataError: it is none; says what is wrong.
    """
    text, document = _json(body)
    if isinstance(document, list):
        alike = document and isinstance(document[0], dict) and "labels" in document[0]
        raise BadDataError(_FROM_PROMETHEUS if alike else "the body is a list, not Alertmanager's webhook payload")
    if not isinstance(document, dict):
        raise BadDataError(f"the body is {_kind(document)}, not Alertmanager's webhook payload")
    given = document.get("alerts")
    if not isinstance(given, list) or not given:
        raise BadDataError(f"alerts must be a list with at least one alert, not {_kind(given)}")
    status = _status(document.get("status", "firing"), "status")
    alerts = tuple(_alert(alert, f"alerts[{place}]", status) for place, alert in enumerate(given))
    group_labels = labels_of(_texts(document.get("groupLabels"), "groupLabels"))
    _texts(document.get("commonAnnotations"), "commonAnnotations")
    receiver = _text(document.get("receiver"), "receiver")
    truncated = document.get("truncatedAlerts")
    return Notification(
        version=_safe(str(document.get("version", ""))[:32]),
        group_key=_text(document.get("groupKey"), "groupKey") or f"{receiver}:{json.dumps(group_labels)}",
        receiver=receiver,
        status=status,
        group_labels=group_labels,
        alerts=alerts,
        truncated=truncated if isinstance(truncated, int) and truncated > 0 else 0,
        payload=text,
    )


def annotated(payload: str, notes: Mapping[str, str]) -> str:
    """The payload with annotations added to each alert and to the common ones; no other byte of it changes.

    Args:
        payload: as `parse_notification` accepted it.
        notes: annotations by name; one that is there already is replaced.
    """
    if not notes:
        return payload
    document, places = json.loads(payload), _places(payload)
    edits = [_edit(document, (), "commonAnnotations", places, notes)]
    edits += [
        _edit(alert, ("alerts", place), "annotations", places, notes) for place, alert in enumerate(document["alerts"])
    ]
    parts: list[str] = []
    done = 0
    for start, end, text in sorted(edits):
        parts += [payload[done:start], text]
        done = end
    return "".join([*parts, payload[done:]])


def _edit(
    holder: Mapping[str, Any], path: Path, key: str, places: Mapping[Path, tuple[int, int]], notes: Mapping[str, str]
) -> tuple[int, int, str]:
    """Which part of the text gives way to what, so that the annotations in `holder` are complete."""
    text = json.dumps({**(holder.get(key) or {}), **notes}, separators=(",", ":"))
    if (*path, key) in places:
        return (*places[*path, key], text)
    after_brace = places[path][0] + 1
    return after_brace, after_brace, f"{json.dumps(key)}:{text},"


def _places(text: str) -> dict[Path, tuple[int, int]]:
    """Where in a JSON text the values of the first levels stand, by their path."""
    found: dict[Path, tuple[int, int]] = {}
    path: list[str | int | None] = []
    opened: list[int] = []
    key_comes = False

    def note(start: int, end: int) -> None:
        if len(path) <= _DEEPEST:
            found[tuple(path)] = (start, end)

    for match in _TOKEN.finditer(text):
        piece = match[0]
        if piece in ("{", "["):
            opened.append(match.start())
            path.append(0 if piece == "[" else None)
            key_comes = piece == "{"
        elif piece in ("}", "]"):
            path.pop()
            note(opened.pop(), match.end())
            key_comes = False
        elif piece == ",":
            inner = path[-1]
            if isinstance(inner, int):
                path[-1] = inner + 1
            key_comes = not isinstance(inner, int)
        elif key_comes:
            path[-1] = json.loads(piece)
            key_comes = False
        elif piece != ":":
            note(*match.span())
    return found


def _json(body: bytes) -> tuple[str, Any]:
    """The body as text and as values."""
    try:
        text = body.decode("utf-8")
        return text, json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise BadDataError(f"the body is not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise BadDataError(f"the body is no JSON: {error}") from None
    except ValueError as error:
        raise BadDataError(f"the body is no JSON that can be read: {_safe(str(error)[:200])}") from None
    except RecursionError:
        raise BadDataError("the body is nested too deeply") from None


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        (name, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the key {name!r} stands twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _alert(given: Any, where: str, otherwise: Status) -> Alert:
    if not isinstance(given, dict):
        raise BadDataError(f"{where} must be an alert, not {_kind(given)}")
    if "labels" not in given:
        raise BadDataError(f"{where} has no labels")
    labels = labels_of(_texts(given["labels"], f"{where}.labels"))
    starts_at = _text(given.get("startsAt"), f"{where}.startsAt")
    return Alert(
        status=_status(given.get("status", otherwise), f"{where}.status"),
        labels=labels,
        annotations=_texts(given.get("annotations"), f"{where}.annotations"),
        starts_at=starts_at,
        started=_instant(starts_at),
        generator_url=_text(given.get("generatorURL"), f"{where}.generatorURL"),
        fingerprint=_text(given.get("fingerprint"), f"{where}.fingerprint")
        or hashlib.sha256(json.dumps(labels).encode()).hexdigest()[:16],
    )


def _status(value: Any, where: str) -> Status:
    if value not in STATUSES:
        told = _safe(repr(value)[:40]) if isinstance(value, str) else _kind(value)
        raise BadDataError(f"{where} must be firing or resolved, not {told}")
    return cast("Status", value)


def _text(value: Any, where: str) -> str:
    """A text that may be missing."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadDataError(f"{where} must be a text, not {_kind(value)}")
    return _safe(value)


def _texts(value: Any, where: str) -> dict[str, str]:
    """A mapping of texts to texts that may be missing."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadDataError(f"{where} must be an object, not {_kind(value)}")
    return {_safe(name): _text(text, f"{where}.{_safe(name[:64])}") for name, text in value.items()}


def _safe(text: str) -> str:
    """The text with halves of surrogate pairs, which no file and no database takes, written out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _instant(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", type(None): "nothing"}
    return names.get(type(value), "a number")
