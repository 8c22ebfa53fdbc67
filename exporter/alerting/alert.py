"""What an alert is: whom it is about, what it is called, how long it has been going on."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from exporter.config.alerting import OWN_LABELS
from exporter.metrics.labelling import beside_ours
from exporter.series.labels import Labels, labels_of

Severity = Literal["warning", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
State = Literal["pending", "firing", "resolved"]

SERIES_ALERT = "LMWatchAnomaly"
GROUP_ALERT = "LMWatchGroupAnomaly"


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom an alert is about: one series of a watch, or one of its groups as a whole."""

    watch: str
    metric: str
    """Empty for a group as a whole."""
    labels: Labels
    """Those of the series or of the group, as the source has them."""


@dataclass(frozen=True, slots=True)
class Words:
    """What people read. It may change from picture to picture; the alert stays the same."""

    summary: str
    explanation: str
    """The model's; empty where it said nothing."""
    evidence: tuple[str, ...]
    measures: str
    """Score, value and expected band in words."""
    url: str
    """Of the verdict's page, or the watch's; empty where the address of lmwatch is not known."""

    @property
    def description(self) -> str:
        """Explanation, evidence and figures, one after the other."""
        evidence = f"Evidence: {' '.join(self.evidence)}" if self.evidence else ""
        return " ".join(filter(None, (self.explanation, evidence, self.measures)))

    def annotations(self) -> dict[str, str]:
        """As Alertmanager gets them."""
        named = {"summary": self.summary, "description": self.description, "lmwatch_url": self.url}
        return {name: text for name, text in named.items() if text}


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert at one moment."""

    subject: Subject
    state: State
    severity: Severity
    kind: str
    """What the anomaly looks like; empty where nobody said, and for groups."""
    labels: Labels
    """Its identity. Final from the moment it fires."""
    score: float
    words: Words
    active_at: float
    """Unix seconds: since when the score has been at or above the threshold."""
    starts_at: float | None = None
    """Unix seconds: since when it has fired under these labels; None while pending."""
    resolved_at: float | None = None
    below_since: float | None = None
    """Unix seconds: since when a firing alert's score has been below the threshold; None where it is not."""
    silent_since: float | None = None
    """Unix seconds: since when there has been no score; None where there is one."""

    @property
    def fingerprint(self) -> str:
        """A short name for the identity, the same after a restart."""
        return hashlib.sha256(repr(self.labels).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def identity(subject: Subject, severity: Severity, kind: str, user: Mapping[str, str]) -> Labels:
    """The labels of an alert: nothing in them changes while it goes on.

    Names of the subject's own labels that lmwatch or the user's labels use get `exported_` in front.
    """
    own = beside_ours(subject.labels, OWN_LABELS | user.keys())
    ours = {
        "alertname": SERIES_ALERT if subject.metric else GROUP_ALERT,
        "watch": subject.watch,
        "metric": subject.metric,
        "kind": kind,
        "severity": severity,
    }
    return labels_of({**dict(own), **user, **ours})
