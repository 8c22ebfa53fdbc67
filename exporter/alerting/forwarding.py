"""Sending notifications on: each within its deadline, those of a group in their order, none lost and none sent twice as new.

What is to be sent is kept in the journal until the receiver has answered with 2xx, and is the same at each attempt. Between
that answer and the note of it in the journal a kill -9 makes the same request go out once more after the restart; its
header `Idempotency-Key` is the same.
"""

import heapq
import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from exporter.alerting.notes import explains
from exporter.alerting.webhook import annotated
from exporter.clock import Clock
from exporter.errors import TransientError
from exporter.journal.notifications import Forward, Notifications
from exporter.logs import fields
from exporter.metrics.webhook import ForwardOutcome, WebhookInstruments
from exporter.sources.failures import HttpError
from exporter.sources.retrying import may_help

logger = logging.getLogger(__name__)

_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0

Notes = Mapping[str, str]


class Receiver(Protocol):
    """Who is sent notifications."""

    def post(self, body: bytes, key: str, /) -> tuple[int, float]:
        """Send a body under an idempotency key; the status that is answered, and seconds to leave the receiver alone.

        Raises:
            HttpError: there was no answer.
        """
        ...


@dataclass(eq=False)
class Letter:
    """A notification on its way."""

    number: int
    at: float
    """Unix seconds when it came."""
    group_key: str
    received: float
    """Monotonic seconds."""
    due: float
    """Monotonic seconds when it goes out, explained or not."""
    fingerprints: frozenset[str] = frozenset()
    """Of its alerts; empty where they are not known."""
    notes: Callable[[], Notes] = dict
    """The annotations as they would be at this moment."""
    ready: bool = False
    """Whether there is nothing to wait for any more."""
    attempts: int = field(default=0, init=False)
    on_its_way: bool = field(default=False, init=False)
    planned: float = field(default=0.0, init=False)
    """Monotonic seconds of the next attempt."""
    settled: Notes | None = field(default=None, init=False)

    @property
    def key(self) -> str:
        """The same at each attempt; unique also where a new journal begins to count anew."""
        return f"lmwatch-{self.number}-{round(self.at * 1000)}"

    def takes_the_place_of(self, earlier: "Letter", now: float) -> bool:
        """Whether it may go out and tells of every alert of an earlier one of its group."""
        tells_of_all = bool(earlier.fingerprints) and earlier.fingerprints <= self.fingerprints
        return tells_of_all and (self.ready or self.due <= now)


class Forwarder:
    """The notifications that are to be sent on. Any thread may call any method; nothing waits but `attempt`.

    Args:
        store: keeps them.
        clock: tells the time.
        instruments: count.
        receiver: who is sent them at present; None where nothing is sent on.
    """

    def __init__(
        self,
        store: Notifications,
        clock: Clock,
        instruments: WebhookInstruments,
        receiver: Callable[[], Receiver | None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._instruments = instruments
        self._receiver = receiver
        self._lock = threading.Lock()
        self._groups: dict[str, deque[Letter]] = {}
        self._calendar: list[tuple[float, int, Letter]] = []
        self._counter = itertools.count()
        self._resting: tuple[Receiver | None, float] = (None, 0.0)
        """A receiver that wants to be left alone, and until when, in monotonic seconds."""

    def __len__(self) -> int:
        """How many there are."""
        with self._lock:
            return sum(len(letters) for letters in self._groups.values())

    def add(self, letter: Letter) -> None:
        """Take a notification, after the others of its group."""
        with self._lock:
            self._groups.setdefault(letter.group_key, deque()).append(letter)
            self._plan(letter, self._clock.monotonic() if letter.ready else letter.due)

    def settled(self, letter: Letter) -> None:
        """There is nothing more to wait for: a notification may go out."""
        with self._lock:
            letter.ready = True
            if letter in self._groups.get(letter.group_key, ()) and not letter.attempts:
                self._plan(letter, self._clock.monotonic())

    def hurry(self) -> None:
        """Let all go out now."""
        with self._lock:
            for letters in self._groups.values():
                for letter in letters:
                    letter.ready = True
                    self._plan(letter, self._clock.monotonic())

    def due(self) -> list[Letter]:
        """Those that are to be sent at this moment, each to be given to `attempt`; at most one of each group."""
        now = self._clock.monotonic()
        found: list[Letter] = []
        with self._lock:
            opens = self._opens()
            if opens is None or now < opens:
                return []
            while self._calendar and self._calendar[0][0] <= now:
                at, _, letter = heapq.heappop(self._calendar)
                letters = self._groups.get(letter.group_key)
                if letters and letters[0] is letter and at == letter.planned and not letter.on_its_way:
                    letter.on_its_way = True
                    found.append(letter)
        return found

    def wait(self) -> float | None:
        """Seconds until something may be due; None where nothing will be."""
        with self._lock:
            opens = self._opens()
            if not self._calendar or opens is None:
                return None
            return max(0.0, max(self._calendar[0][0], opens) - self._clock.monotonic())

    def attempt(self, letter: Letter) -> None:
        """Send one of those that `due` gave, and note what came of it."""
        again = True
        letter.attempts += 1
        try:
            again = not self._send(letter)
        except TransientError as error:
            logger.error("the journal failed; a notification is sent later", extra=fields(error=str(error)))  # noqa: TRY400
        finally:
            self._next(letter, again=again)

    def _send(self, letter: Letter) -> bool:
        """Send it; whether it is done with."""
        receiver, kept = self._receiver(), self._store.payload(letter.number)
        if kept is None:
            return True
        if receiver is None:
            return False
        payload, notes = kept
        if notes is None:
            notes = self._settle(letter)
        try:
            status, alone = receiver.post(annotated(payload, notes).encode(), letter.key)
        except HttpError as error:
            self._failed(letter, error.kind, str(error))
            return False
        if 200 <= status < 300:
            self._finish(letter, "done", "explained" if explains(notes) else "unexplained")
            return True
        if may_help(status):
            self._failed(letter, "rate_limited" if status == 429 else "server_error", f"the receiver answered {status}")
            self._leave_alone(receiver, alone)
            return False
        self._failed(letter, "client_error", f"the receiver answered {status}, and would again: given up")
        self._finish(letter, "refused", "refused")
        return True

    def _settle(self, letter: Letter) -> Notes:
        """The annotations from now on; where they cannot be kept they are sent all the same."""
        if letter.settled is None:
            letter.settled = dict(letter.notes())
        try:
            self._store.settle(letter.number, letter.settled)
        except TransientError as error:
            extra = fields(notification=letter.number, error=str(error))
            logger.error("the journal could not keep what is sent on", extra=extra)  # noqa: TRY400
        return letter.settled

    def _failed(self, letter: Letter, reason: str, text: str) -> None:
        self._instruments.forward_failed(reason)
        where = fields(notification=letter.number, attempt=letter.attempts, reason=reason, error=text)
        logger.warning("a notification could not be sent on", extra=where)

    def _finish(self, letter: Letter, forward: Forward, outcome: ForwardOutcome) -> None:
        took = self._clock.monotonic() - letter.received if forward == "done" else None
        self._instruments.forwarded(outcome, took)
        try:
            self._store.forwarded(letter.number, forward)
        except TransientError as error:
            # It must not go out again while we run; after a restart it may, as the journal does not know.
            extra = fields(notification=letter.number, error=str(error))
            logger.error("the journal could not note that a notification was sent on", extra=extra)  # noqa: TRY400

    def _next(self, letter: Letter, *, again: bool) -> None:
        """Plan what comes after an attempt: the same again, or the next of its group."""
        superseded = False
        with self._lock:
            letter.on_its_way = False
            letters = self._groups[letter.group_key]
            now = self._clock.monotonic()
            if again and len(letters) > 1:
                superseded = letters[1].takes_the_place_of(letter, now)
            if again and not superseded:
                self._plan(letter, now + min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(letter.attempts - 1, 10)))
                return
            letters.popleft()
            if letters:
                self._plan(letters[0], now if letters[0].ready else letters[0].due)
            else:
                del self._groups[letter.group_key]
        if superseded:
            self._finish(letter, "superseded", "superseded")

    def _leave_alone(self, receiver: Receiver, seconds: float) -> None:
        until = self._clock.monotonic() + seconds
        with self._lock:
            if self._resting[0] is not receiver or self._resting[1] < until:
                self._resting = (receiver, until)

    def _opens(self) -> float | None:
        """From when on the present receiver may be sent something, in monotonic seconds; None where there is none."""
        receiver = self._receiver()
        if receiver is None:
            return None
        resting, until = self._resting
        return until if receiver is resting else 0.0

    def _plan(self, letter: Letter, at: float) -> None:
        letter.planned = at
        heapq.heappush(self._calendar, (at, next(self._counter), letter))
