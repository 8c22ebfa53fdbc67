"""What comes in by webhook: stored first, then explained, then sent on."""

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from exporter.alerting.firing import Firing
from exporter.alerting.forwarding import Forwarder, Letter
from exporter.alerting.notes import notes_of, unexplained
from exporter.alerting.receiver import HttpReceiver
from exporter.alerting.triage import Triage, make_case
from exporter.alerting.webhook import VERSION, Notification, parse_notification
from exporter.alerting.window import Sights
from exporter.alerting.worker import Worker
from exporter.clock import Clock
from exporter.config.alerting import Webhook
from exporter.errors import BadDataError, TransientError
from exporter.journal.notifications import AlertState, Standing, Stored
from exporter.journal.store import Journal
from exporter.logs import fields
from exporter.metrics.webhook import WebhookInstruments
from exporter.reasoning.analyst import Analyst
from exporter.reasoning.verdict import Verdict
from exporter.watching.watcher import JudgePool

logger = logging.getLogger(__name__)

_DAY = 86_400.0
_MARGIN = 0.05
"""Of the deadline, for the request itself."""
_MOST_ALERTS_LOOKED_AT = 200
_MOST_VERSIONS = 16


@dataclass(frozen=True)
class Arrangement:
    """What one configuration does with notifications."""

    settings: Webhook = field(default_factory=Webhook)
    sights: Sights = field(default_factory=Sights)
    pool: JudgePool | None = None
    receiver: HttpReceiver | None = None

    @property
    def calls_per_minute(self) -> int:
        """Calls to models a minute."""
        return self.settings.calls_per_minute


@dataclass(frozen=True, slots=True)
class Received:
    """What is answered to whoever sent a notification."""

    status: int
    """200: stored; 400: nonsense; 404: not asked for; 503: to be sent again."""
    text: str


class Inbox:
    """Takes notifications in and sees to them. It outlives configurations; `follow` tells it of each.

    With the first, what was stored before the start and not sent on goes out at once.

    Args:
        clock: tells the time.
        journal: keeps notifications and verdicts.
        instruments: count.
        analyst: puts groups to models.
        base_url: what goes in front of a page's path in links; empty where it is not known.
        on_verdict: told each verdict, to keep and show it.
    """

    def __init__(
        self,
        clock: Clock,
        journal: Journal,
        instruments: WebhookInstruments,
        analyst: Analyst,
        *,
        base_url: str,
        on_verdict: Callable[[Verdict], None],
    ) -> None:
        self._clock = clock
        self._journal = journal
        self._store = journal.notifications
        self._instruments = instruments
        self._base_url = base_url
        self._present = Arrangement()
        self._followed = False
        """Whether a configuration said what to do."""
        self._resuming = threading.Lock()
        self._resumed = False
        self._versions: set[str] = {VERSION}
        self.firing = Firing(clock)
        self.triage = Triage(
            clock,
            store=self._store,
            instruments=instruments,
            analyst=analyst,
            asking=lambda: self._present,
            on_verdict=on_verdict,
        )
        self.forwarder = Forwarder(self._store, clock, instruments, lambda: self._present.receiver)
        self._worker = Worker(clock, self.triage, self.forwarder, self._show_queue)

    @property
    def settings(self) -> Webhook:
        """The present configuration of the webhook."""
        return self._present.settings

    def follow(self, settings: Webhook, sights: Sights, pool: JudgePool) -> None:
        """Go over to another configuration; what waits goes on waiting."""
        before = self._present
        receiver = before.receiver if _same_receiver(before.settings, settings) else None
        if receiver is None and settings.enabled and settings.forward_to is not None:
            receiver = HttpReceiver(settings.forward_to, settings)
        self._present = Arrangement(settings, sights, pool, receiver)
        if before.receiver is not None and before.receiver is not receiver:
            before.receiver.close()
        self._followed = True
        self._resume()
        self._show_queue()
        self._worker.poke()

    def start(self) -> None:
        """Begin to see to what is due."""
        self._worker.start()

    def stop(self, timeout: float) -> None:
        """End within about `timeout` seconds: what waits is sent on as it is; what cannot be goes out after the next start."""
        receiver = self._present.receiver
        if receiver is not None:
            self._worker.drain(timeout / 2)
        self._worker.stop(timeout / 2, abort=receiver.close if receiver is not None else lambda: None)

    def receive(self, body: bytes) -> Received:
        """Take in the body of a request. With 200 the notification is in the journal."""
        if self._followed and not self.settings.enabled:
            return Received(404, "alerting.webhook.enabled is false in this configuration")
        try:
            notification = parse_notification(body)
        except BadDataError as error:
            self._instruments.request("malformed")
            logger.warning("a notification was refused", extra=fields(error=str(error)))
            return Received(400, str(error))
        self._note_version(notification.version)
        if not self._resume():
            self._count(notification, "not_stored")
            return Received(503, "lmwatch is starting; send it again later")
        settings = self.settings
        if self._waiting() >= settings.queue_limit:
            self._count(notification, "queue_full")
            return Received(503, f"{settings.queue_limit} notifications wait already; send it again later")
        try:
            standings = self._take(notification)
        except TransientError as error:
            self._count(notification, "not_stored")
            logger.error("a notification could not be stored", extra=fields(error=str(error)))  # noqa: TRY400
            return Received(503, "the journal could not store it; send it again later")
        self._instruments.request("repeat" if set(standings) <= {"repeat"} else "accepted")
        for alert, standing in zip(notification.alerts, standings, strict=True):
            self._instruments.alert(alert.status, standing)
        return Received(200, "stored")

    def _take(self, notification: Notification) -> tuple[Standing, ...]:
        now, received, settings = self._clock.now(), self._clock.monotonic(), self.settings
        taken = self._store.take(
            group_key=notification.group_key,
            status=notification.status,
            at=now,
            payload=notification.payload,
            alerts=[AlertState(one.fingerprint, one.status, one.starts_at) for one in notification.alerts],
            repeat_after=settings.repeat_after,
            pending=settings.forward_to is not None,
        )
        if taken.number is None:
            return taken.standings
        self.firing.note(notification)
        letter = Letter(
            taken.number,
            now,
            notification.group_key,
            received,
            received + settings.deadline * (1 - _MARGIN),
            notification.fingerprints,
        )
        pairs = zip(notification.alerts, taken.standings, strict=True)
        if any(alert.status == "firing" and standing == "new" for alert, standing in pairs):
            self._explain(notification, letter, now)
        else:
            letter.ready, letter.notes = True, self._earlier(notification)
        if settings.forward_to is not None:
            self.forwarder.add(letter)
        self._worker.poke()
        return taken.standings

    def _explain(self, notification: Notification, letter: Letter, now: float) -> None:
        firing = sorted(notification.firing, key=lambda alert: alert.starts_at)
        left = max(0, len(firing) - _MOST_ALERTS_LOOKED_AT)
        few = replace(
            notification, alerts=tuple(firing[:_MOST_ALERTS_LOOKED_AT]), truncated=notification.truncated + left
        )
        case = make_case(few, now, letter.received, self._base_url)

        def done() -> None:
            self.forwarder.settled(letter)
            self._worker.poke()

        letter.notes = self.triage.offer(case, letter.number, done).notes

    def _earlier(self, notification: Notification) -> Callable[[], Mapping[str, str]]:
        """Gives the annotations by what was said of the same episode of a group before; none where nothing was."""
        key = notification.group_key
        began = min((one.started for one in notification.alerts if one.started is not None), default=self._clock.now())

        def notes() -> Mapping[str, str]:
            try:
                name = self._store.verdict_of(key, began)
                return self._notes_of(name) if name is not None else {}
            except TransientError as error:
                logger.warning("an earlier verdict could not be read", extra=fields(error=str(error)))
                return {}

        return notes

    def _notes_of(self, verdict: str) -> Mapping[str, str]:
        record = self._journal.get(verdict)
        if record is None:
            return {}
        return notes_of(record.document, f"{self._base_url}/verdicts/{record.id}" if self._base_url else "")

    def _resume(self) -> bool:
        """Once, before anything new: take up what was stored before the start. Whether that is done."""
        with self._resuming:
            if not self._resumed and self._followed and self.settings.enabled:
                try:
                    self._take_up()
                except TransientError as error:
                    logger.error("notifications of before could not be read", extra=fields(error=str(error)))  # noqa: TRY400
                else:
                    self._resumed = True
            return self._resumed

    def _take_up(self) -> None:
        now = self._clock.monotonic()
        letters = [self._resumed_letter(stored, now) for stored in self._store.pending()]
        for payload in self._store.newest_of_groups(self._clock.now() - _DAY):
            with contextlib.suppress(BadDataError):
                self.firing.note(parse_notification(payload.encode()))
        for letter in letters:
            self.forwarder.add(letter)

    def _resumed_letter(self, stored: Stored, now: float) -> Letter:
        """A notification of before the start, with what was known of it then."""
        age = max(0.0, self._clock.now() - stored.at)
        letter = Letter(stored.number, stored.at, stored.group_key, now - age, now, ready=True)
        kept = self._store.payload(stored.number)
        known: Callable[[], Mapping[str, str]] = dict
        if kept is not None:
            with contextlib.suppress(BadDataError):
                notification = parse_notification(kept[0].encode())
                letter.fingerprints, known = notification.fingerprints, self._earlier(notification)
        if stored.verdict is not None:
            notes = self._notes_of(stored.verdict)
            letter.notes = lambda: notes
        elif stored.status == "firing":
            letter.notes = lambda: known() or unexplained("lmwatch was restarted before it was looked at")
        else:
            letter.notes = known
        return letter

    def _count(self, notification: Notification, outcome: Literal["queue_full", "not_stored"]) -> None:
        self._instruments.request(outcome)
        for alert in notification.alerts:
            self._instruments.alert(alert.status, outcome)

    def _note_version(self, version: str) -> None:
        """Say once that a version is not known here."""
        if version not in self._versions and len(self._versions) < _MOST_VERSIONS:
            self._versions.add(version)
            logger.warning(
                "a notification of an unknown version is read like one of version 4", extra=fields(version=version)
            )

    def _waiting(self) -> int:
        unsent = len(self.forwarder) if self._present.receiver is not None else 0
        return max(unsent, len(self.triage))

    def _show_queue(self) -> None:
        settings = self.settings
        self._instruments.queue(self._waiting(), settings.queue_limit if settings.enabled else 0)


def _same_receiver(before: Webhook, after: Webhook) -> bool:
    return (before.enabled, before.forward_to, before.forward_http_config) == (
        after.enabled,
        after.forward_to,
        after.forward_http_config,
    )
