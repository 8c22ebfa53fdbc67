"""The push of alerts: looks at the board, keeps the alerts, and has them sent to Alertmanagers again and again."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from exporter.alerting.alert import Alert
from exporter.alerting.alertmanager import Outgoing, outgoing
from exporter.alerting.explaining import Groups, explained
from exporter.alerting.fleet import Fleet
from exporter.alerting.keeping import OUTAGE_SECONDS, Keeper
from exporter.alerting.lifecycle import Ledger, retire, step
from exporter.alerting.observing import Observation, Observer, Policy, policy_of, speaks_for_the_present
from exporter.alerting.wording import Links
from exporter.board import Board, WatchPicture
from exporter.clock import Clock
from exporter.config.model import Config
from exporter.errors import BadDataError
from exporter.logs import fields
from exporter.metrics.pushing import PushInstruments

logger = logging.getLogger(__name__)

TICK_SECONDS = 2.0
"""How often the board is looked at."""
_VALID_INTERVALS = 4
"""Resend intervals for which Alertmanager keeps a firing alert: some may be lost, as with Prometheus."""


@dataclass(frozen=True)
class _Plan:
    """What the configuration says."""

    policies: Mapping[str, Policy] = field(default_factory=dict)
    """By watch."""
    resend: float = 60.0
    links: Links = field(default_factory=Links)
    groups: Groups = lambda _watch: ()


@dataclass
class _Look:
    """What was last seen of one watch."""

    observer: Observer = field(default_factory=Observer)
    picture: WatchPicture | None = None
    policy: Policy | None = None
    seen: Observation = field(default_factory=Observation)


class AlertBridge:
    """Turns what the board shows into alerts. `tick` is called by one thread at a time.

    Args:
        clock: tells the time.
        board: the present board.
        keeper: keeps alerts over a restart.
        fleet: the Alertmanagers.
        instruments: show how many alerts there are.
    """

    def __init__(
        self,
        clock: Clock,
        board: Callable[[], Board],
        keeper: Keeper,
        fleet: Fleet,
        instruments: PushInstruments,
    ) -> None:
        self._clock = clock
        self._board = board
        self._keeper = keeper
        self._fleet = fleet
        self._instruments = instruments
        self._plan = _Plan()
        self._looks: dict[str, _Look] = {}
        self._before = keeper.restore(clock.now())
        self._ledgers: Mapping[str, Ledger] = self._before.ledgers
        self._resumed: set[str] = set()
        """The watches that had news since the start."""
        self._sent: dict[str, object] = {}
        """By fingerprint: what of each alert was last sent that others want to know of at once."""
        self._sent_to: Sequence[str] = ()
        self._resend_at = -float("inf")

    def follow(self, config: Config, groups: Groups) -> None:
        """Go over to a configuration.

        Args:
            config: a checked one.
            groups: says what the screen saw in the series of a watch.
        """
        alerting = config.alerting
        self._plan = _Plan(
            {watch.name: policy_of(watch, alerting) for watch in config.watches},
            alerting.resend_interval,
            Links(config.web.external_url or ""),
            groups,
        )
        self._fleet.follow(alerting.alertmanagers)

    def active(self) -> Sequence[Alert]:
        """The alerts that are pending or firing now."""
        return [alert for ledger in self._ledgers.values() for alert in ledger.active.values()]

    def tick(self) -> None:
        """Look at the board, keep what changed, and send what is new or due."""
        plan, board, now = self._plan, self._board(), self._clock.now()
        ledgers = {}
        for watch in sorted({*plan.policies, *self._ledgers}):
            after = self._after(watch, plan, board.watches.get(watch), now)
            if watch in plan.policies or after.resolved:
                ledgers[watch] = after
        self._looks = {watch: look for watch, look in self._looks.items() if watch in plan.policies}
        changed = ledgers.keys() != self._ledgers.keys() or any(
            self._ledgers[watch] is not after for watch, after in ledgers.items()
        )
        self._ledgers = ledgers
        self._fleet.refresh()
        due = self._is_due(now, plan.resend)
        if due or changed or self._keeper.is_due(now):
            told = {alert.fingerprint: alert for ledger in ledgers.values() for alert in ledger.told()}
            self._keeper.keep(told, (alert for alert in self.active() if alert.state == "pending"), now)
            self._send(told, plan, now, due=due)
        states = [alert.state for alert in self.active()]
        self._instruments.active(firing=states.count("firing"), pending=states.count("pending"))

    def stop(self, timeout: float) -> None:
        """Deliver what waits, for so many seconds at most. What fires goes on firing for Alertmanager."""
        self._fleet.stop(timeout)

    def _after(self, watch: str, plan: _Plan, picture: WatchPicture | None, now: float) -> Ledger:
        """The alerts of a watch as they are now."""
        before, policy = self._ledgers.get(watch, Ledger()), plan.policies.get(watch)
        if policy is None:
            return retire(before, now)
        if picture is None or not speaks_for_the_present(picture, policy, now):
            self._looks.pop(watch, None)
            return step(before, Observation(unscored=frozenset(before.active)), policy, now)
        before = self._with_what_was_pending(watch, before, now)
        look = self._looks.setdefault(watch, _Look())
        if look.picture is not picture or look.policy != policy:
            look.seen = look.observer.observe(picture, policy, plan.links, before.active.keys())
            look.picture, look.policy = picture, policy
        elif not before.waits():
            return before
        return explained(watch, before, step(before, look.seen, policy, now), plan.groups)

    def _with_what_was_pending(self, watch: str, ledger: Ledger, now: float) -> Ledger:
        """With the first news after the start: what was pending before goes on. The time without news does not count."""
        absent = now - self._before.alive_at
        if watch in self._resumed:
            return ledger
        self._resumed.add(watch)
        if absent > OUTAGE_SECONDS:
            return ledger
        pending = {
            alert.subject: replace(alert, active_at=alert.active_at + absent)
            for alert in self._before.pending.get(watch, ())
        }
        return replace(ledger, active={**pending, **ledger.active})

    def _is_due(self, now: float, resend: float) -> bool:
        """Whether everything is to be sent again: the interval has passed, or somebody new has to learn of it."""
        to = self._fleet.urls
        due = now >= self._resend_at or self._resend_at > now + resend or to != self._sent_to
        if due:
            self._resend_at, self._sent_to = now + resend, to
        return due

    def _send(self, told: Mapping[str, Alert], plan: _Plan, now: float, *, due: bool) -> None:
        """Send all alerts where that is due, else those that changed."""
        news = {fingerprint: _news(alert) for fingerprint, alert in told.items()}
        chosen = [
            alert for fingerprint, alert in told.items() if due or self._sent.get(fingerprint) != news[fingerprint]
        ]
        self._sent = dict(news)
        if chosen:
            self._fleet.send(list(_wired(chosen, now, now + _VALID_INTERVALS * plan.resend)))


def _news(alert: Alert) -> object:
    """What of an alert others want to know at once; figures that tremble wait for the next time."""
    return alert.state, alert.starts_at, alert.resolved_at, alert.words.url, alert.words.explanation


def _wired(alerts: Iterable[Alert], now: float, ends_at: float) -> Iterable[Outgoing]:
    for alert in alerts:
        try:
            yield outgoing(alert, now, ends_at)
        except BadDataError as error:
            logger.error("an alert cannot be sent", extra=fields(watch=alert.subject.watch, error=str(error)))  # noqa: TRY400
