"""What would have been pushed to Alertmanagers: the alerts of one watch at one threshold, as the bridge keeps them. Pure.

The bridge looks at the board every two seconds and a replay only once a screening, so what changes between two screenings by the
passing of time alone (an alert has been pending, calm or without a score for long enough) is caught up with at its own time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from exporter.alerting.alert import Alert, Severity, Subject, Words
from exporter.alerting.explaining import Groups, explained
from exporter.alerting.lifecycle import Ledger, step
from exporter.alerting.observing import GONE_SECONDS, Observation, Observer, Policy, speaks_for_the_present
from exporter.alerting.wording import Links
from exporter.board import WatchPicture

_NOWHERE = Links()


@dataclass(frozen=True, slots=True)
class Push:
    """One alert from its first push until it is resolved; a rise to critical goes on with it."""

    subject: Subject
    severity: Severity
    """The highest it had."""
    kind: str
    words: Words
    """Those when its score was highest; of those that say something of the model's, where there are any."""
    pending_at: float
    """Unix seconds: since when its score had been at or above the threshold."""
    fired_at: float
    resolved_at: float | None
    """None: it still fired at the end."""
    peak: float
    """The highest score while it fired."""


class Pushes:
    """Follows the pictures of one watch.

    Args:
        policy: how its alerts behave, and at which threshold.
        groups: says what the screen saw in the series of a watch; None where nobody reads the words.
    """

    def __init__(self, policy: Policy, groups: Groups | None = None) -> None:
        self.policy = policy
        self._groups = groups
        self._observer = Observer()
        self._ledger = Ledger()
        self._seen = Observation()
        self._at = -float("inf")
        self._open: dict[Subject, Push] = {}
        self._over: list[Push] = []

    def look(self, picture: WatchPicture, now: float) -> None:
        """Take in a new picture.

        Args:
            picture: the newest of the watch.
            now: Unix seconds, later than the time before.
        """
        while (due := self._due()) is not None and self._at < due < now:
            self._step(self._seen, due)
        known = self._ledger.active.keys()
        if speaks_for_the_present(picture, self.policy, now):
            self._seen = self._observer.observe(picture, self.policy, _NOWHERE, known)
        else:
            self._seen = Observation(unscored=frozenset(known))
        self._step(self._seen, now, picture.name)

    def all(self) -> tuple[Push, ...]:
        """Every alert up to now, in the order in which they fired."""
        return tuple(sorted([*self._over, *self._open.values()], key=lambda push: (push.fired_at, push.subject.metric)))

    def _step(self, seen: Observation, now: float, watch: str = "") -> None:
        before = self._ledger
        after = step(before, seen, self.policy, now)
        self._ledger = explained(watch, before, after, self._groups) if watch and self._groups is not None else after
        self._at = now
        firing = {subject: alert for subject, alert in self._ledger.active.items() if alert.state == "firing"}
        for subject in self._open.keys() - firing.keys():
            self._over.append(replace(self._open.pop(subject), resolved_at=now))
        for subject, alert in firing.items():
            self._open[subject] = _followed(self._open.get(subject), alert, now)

    def _due(self) -> float | None:
        """When something changes though no new picture comes; None where nothing does."""
        return min((at for alert in self._ledger.active.values() for at in self._changes(alert)), default=None)

    def _changes(self, alert: Alert) -> Iterable[float]:
        if alert.state == "pending":
            if alert.subject in self._seen.anomalous:
                yield alert.active_at + self.policy.pending
        elif alert.below_since is not None:
            yield alert.below_since + self.policy.hold
        elif alert.silent_since is not None:
            unscored = alert.subject in self._seen.unscored
            yield alert.silent_since + (self.policy.patience if unscored else GONE_SECONDS)


def _followed(push: Push | None, alert: Alert, now: float) -> Push:
    if push is None:
        return Push(
            alert.subject,
            alert.severity,
            alert.kind,
            alert.words,
            alert.active_at,
            now,
            resolved_at=None,
            peak=alert.score,
        )
    higher = alert.score >= push.peak
    told = (bool(alert.words.explanation), higher) >= (bool(push.words.explanation), True)
    return replace(
        push,
        severity=alert.severity,
        words=alert.words if told else push.words,
        peak=max(push.peak, alert.score),
    )
