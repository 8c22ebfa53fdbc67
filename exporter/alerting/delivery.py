"""The way to one Alertmanager: a bounded queue, and a thread that empties it. A dead one holds up nobody else."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from exporter.alerting.alertmanager import AlertmanagerClient, Left, Outgoing
from exporter.clock import Clock
from exporter.logs import fields
from exporter.metrics.pushing import PushInstruments
from exporter.series.labels import Labels

logger = logging.getLogger(__name__)

BATCH = 64
"""Alerts in one request, at most."""
CAPACITY = 10_000
"""Alerts that may wait, as in Prometheus."""
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_LAST_PAUSE = 0.5
"""While the end waits for what is left."""


class Delivery:
    """Delivers alerts to one Alertmanager. Any thread may call any method.

    The newest version of an alert takes the place of the one that still waits, so that what comes late is never out of
    date. When the queue is full the oldest give way and are counted.

    Args:
        client: speaks to the Alertmanager.
        instruments: count what is dropped and show the queue.
        clock: tells the time.
        capacity: alerts that may wait.
    """

    def __init__(
        self, client: AlertmanagerClient, instruments: PushInstruments, clock: Clock, *, capacity: int = CAPACITY
    ) -> None:
        self.url = client.url
        self._client = client
        self._instruments = instruments
        self._clock = clock
        self._capacity = capacity
        self._waiting: OrderedDict[Labels, Outgoing] = OrderedDict()
        self._in_hand: tuple[Outgoing, ...] = ()
        self._changed = threading.Condition()
        self._until: float | None = None
        """Monotonic seconds at which a stop that was asked for gives up; None while nobody asked."""
        self._finished = False
        self._thread = threading.Thread(target=self._work, name=f"alerts {self.url}", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._instruments.declare(self.url)
        self._thread.start()

    def put(self, alerts: Iterable[Outgoing]) -> None:
        """Queue alerts. Never blocks."""
        with self._changed:
            for alert in alerts:
                self._waiting[alert.labels] = alert
            self._drop_oldest()
            self._changed.notify_all()

    def drain(self, until: float) -> None:
        """Deliver what waits until this monotonic time, then end; does not wait."""
        with self._changed:
            self._until = until
            self._changed.notify_all()

    def wait(self) -> None:
        """Wait for the end that `drain` has asked for, then end the call that is still under way."""
        self._thread.join(max(0.0, (self._until or 0.0) - self._clock.monotonic()))
        self._client.close()

    def finish(self, timeout: float) -> Sequence[Outgoing]:
        """After `wait`: give a cancelled call up to `timeout` seconds to end; what was not delivered by then."""
        self._thread.join(timeout)
        with self._changed:
            left = {alert.labels: alert for alert in self._in_hand} | self._waiting
            self._waiting.clear()
            self._in_hand = ()
            self._show()
            self._finished = True
        return tuple(left.values())

    def _work(self) -> None:
        pause = _FIRST_PAUSE
        while batch := self._take():
            left = self._sent(batch)
            self._give_back(left.alerts)
            if left.alerts:
                self._rest(max(pause, left.not_before))
            pause = min(2 * pause, _LONGEST_PAUSE) if left.alerts else _FIRST_PAUSE

    def _sent(self, batch: Sequence[Outgoing]) -> Left:
        try:
            return self._client.send(batch)
        except Exception:
            # Whatever is wrong with this batch must not end the thread: the next ones still have to go out.
            logger.exception("alerts were given up", extra=fields(alertmanager=self.url, alerts=len(batch)))
            self._instruments.dropped(self.url, len(batch))
            return Left()

    def _take(self) -> tuple[Outgoing, ...]:
        """The oldest alerts, as many as fit one request; none when it is time to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._until is not None)
            if self._until is not None and self._clock.monotonic() >= self._until:
                return ()
            count = min(BATCH, len(self._waiting))
            self._in_hand = tuple(self._waiting.popitem(last=False)[1] for _ in range(count))
            self._show()
            return self._in_hand

    def _give_back(self, alerts: Sequence[Outgoing]) -> None:
        """Put alerts back to the head of the queue, unless a newer version waits already."""
        with self._changed:
            if self._finished:  # a call that would not end in time: what it had in hand was given away
                return
            for alert in reversed(alerts):
                if alert.labels not in self._waiting:
                    self._waiting[alert.labels] = alert
                    self._waiting.move_to_end(alert.labels, last=False)
            self._in_hand = ()
            self._drop_oldest()

    def _rest(self, seconds: float) -> None:
        """Wait before the next attempt; at the end no longer than is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._until is not None, timeout=seconds)
            if self._until is not None:
                self._changed.wait(min(seconds, _LAST_PAUSE, max(0.0, self._until - self._clock.monotonic())))

    def _drop_oldest(self) -> None:
        excess = max(0, len(self._waiting) - self._capacity)
        for _ in range(excess):
            self._waiting.popitem(last=False)
        if excess:
            self._instruments.dropped(self.url, excess)
        self._show()

    def _show(self) -> None:
        self._instruments.queue_length(self.url, len(self._waiting))
