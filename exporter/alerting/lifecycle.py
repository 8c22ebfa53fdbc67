"""From inactive to pending, firing and resolved: what becomes of alerts when a watch was looked at again. Pure.

- A score at or above the threshold makes a pending alert, and after `pending` seconds without a break a firing one; a
  pending alert ends as soon as its subject is not known to be anomalous.
- A firing alert's labels are final. A rise to critical resolves the warning and fires the critical one, once; nothing
  ever makes an alert milder.
- It is resolved when the score has been below the threshold for `hold` seconds: a score that trembles at the boundary
  keeps its alert.
- No score is no news: a firing alert goes on for `patience` seconds, or `GONE_SECONDS` where the watch works and its
  subject has vanished.
- A resolved alert is kept for `RESOLVED_SECONDS`, to be repeated.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from exporter.alerting.alert import SEVERITIES, Alert, Severity, Subject, Words, identity
from exporter.alerting.observing import GONE_SECONDS, Observation, Policy, Sighting
from exporter.series.labels import Labels

RESOLVED_SECONDS = 900.0
"""How long resolved alerts are repeated, as Prometheus does: an Alertmanager that was away learns of them too."""


@dataclass(frozen=True)
class Ledger:
    """The alerts of one watch."""

    active: Mapping[Subject, Alert] = field(default_factory=dict)
    """Pending or firing."""
    resolved: Mapping[Labels, Alert] = field(default_factory=dict)
    """By identity: those that are still repeated."""

    def told(self) -> Iterator[Alert]:
        """The alerts that others are told of: firing and resolved, each identity once."""
        firing = {alert.labels: alert for alert in self.active.values() if alert.state == "firing"}
        yield from firing.values()
        yield from (alert for labels, alert in self.resolved.items() if labels not in firing)

    def waits(self) -> bool:
        """Whether something in it changes when nothing but time passes."""
        steady = (
            alert.state == "firing" and alert.below_since is None and alert.silent_since is None
            for alert in self.active.values()
        )
        return bool(self.resolved) or not all(steady)


def step(ledger: Ledger, seen: Observation, policy: Policy, now: float) -> Ledger:
    """The alerts of a watch after an observation.

    Args:
        ledger: the alerts before.
        seen: what the newest picture says, at least of every subject in the ledger.
        policy: how the watch's alerts behave.
        now: Unix seconds.
    """
    active: dict[Subject, Alert] = {}
    ended: list[Alert] = []
    for subject in {**ledger.active, **seen.anomalous}:
        after: Alert | None = None
        resolved: list[Alert] = []
        before, sighting = ledger.active.get(subject), seen.anomalous.get(subject)
        if sighting is not None:
            after, resolved = _anomalous(subject, before, sighting, policy, now)
        elif before is not None:
            after, resolved = _not_anomalous(before, seen, policy, now)
        ended += resolved
        if after is not None:
            active[subject] = after
    return _settled(active, [*ledger.resolved.values(), *ended], now)


def retire(ledger: Ledger, now: float) -> Ledger:
    """The alerts of a watch that is no longer configured: what fired is resolved."""
    ended = [_resolve(alert, now) for alert in ledger.active.values() if alert.state == "firing"]
    return _settled({}, [*ledger.resolved.values(), *ended], now)


def _settled(active: Mapping[Subject, Alert], resolved: list[Alert], now: float) -> Ledger:
    """A ledger without resolved alerts that are old, or that fire again."""
    firing = {alert.labels for alert in active.values() if alert.state == "firing"}
    kept = {
        alert.labels: alert
        for alert in resolved
        if alert.labels not in firing and _passed(alert.resolved_at, now) < RESOLVED_SECONDS
    }
    return Ledger(active, kept)


def _anomalous(
    subject: Subject, before: Alert | None, sighting: Sighting, policy: Policy, now: float
) -> tuple[Alert, list[Alert]]:
    """The alert of a subject that is anomalous now, and the identity that a rise has ended."""
    if before is None or before.state == "pending":
        since = now if before is None else min(before.active_at, now)
        labels = identity(subject, sighting.severity, sighting.kind, policy.labels)
        alert = Alert(
            subject, "pending", sighting.severity, sighting.kind, labels, sighting.score, sighting.words, since
        )
        if now - since >= policy.pending:
            alert = replace(alert, state="firing", starts_at=now)
        return alert, []
    words = _with_evidence_of(before.words, sighting.words)
    alert = replace(before, score=sighting.score, words=words, below_since=None, silent_since=None)
    if SEVERITIES.index(sighting.severity) <= SEVERITIES.index(before.severity):
        return alert, []
    return _risen(alert, sighting.severity, now), [_resolve(alert, now)]


def _risen(alert: Alert, severity: Severity, now: float) -> Alert:
    """The same alert under the identity of a higher severity; everything else in its labels stays."""
    labels = tuple(sorted({**dict(alert.labels), "severity": severity}.items()))
    return replace(alert, severity=severity, labels=labels, starts_at=now)


def _not_anomalous(before: Alert, seen: Observation, policy: Policy, now: float) -> tuple[Alert | None, list[Alert]]:
    """What is left of an alert whose subject is not seen to be anomalous, and what was resolved."""
    if before.state == "pending":
        return None, []
    if before.subject in seen.calm:
        after = replace(before, below_since=_since(before.below_since, now), silent_since=None)
        over = _passed(after.below_since, now) >= policy.hold
    else:
        after = replace(before, silent_since=_since(before.silent_since, now))
        patience = policy.patience if before.subject in seen.unscored else GONE_SECONDS
        over = _passed(after.silent_since, now) >= patience
    return (None, [_resolve(after, now)]) if over else (after, [])


def _resolve(alert: Alert, now: float) -> Alert:
    return replace(alert, state="resolved", resolved_at=now)


def _since(known: float | None, now: float) -> float:
    """When something began; never in the future, wherever the clock was set."""
    return now if known is None else min(known, now)


def _passed(since: float | None, now: float) -> float:
    return 0.0 if since is None else now - since


def _with_evidence_of(old: Words, new: Words) -> Words:
    """The new words, with the evidence that was known before where they bring none."""
    return new if new.evidence else replace(new, evidence=old.evidence)
