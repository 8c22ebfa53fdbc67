"""The threads of the bridge: one decides what is due; looking at alerts and sending them on wait for other servers."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from exporter.alerting.forwarding import Forwarder
from exporter.alerting.triage import Triage
from exporter.clock import Clock

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

_SEND_THREADS = 64
"""At most; they come into being when they are needed."""
_LOOK_THREADS = 4
_IDLE_SECONDS = 60.0
_AFTER_FAILURE_SECONDS = 1.0
_LOOK_SECONDS = 0.1


class Worker:
    """Begins what is due of a triage and a forwarder.

    Args:
        clock: tells the time.
        triage: the cases.
        forwarder: the notifications to be sent on.
        show: told after each turn, for the gauges.
    """

    def __init__(self, clock: Clock, triage: Triage, forwarder: Forwarder, show: Callable[[], None]) -> None:
        self._clock = clock
        self._triage = triage
        self._forwarder = forwarder
        self._show = show
        self._changed = threading.Condition()
        self._poked = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="lmwatch-webhook", daemon=True)
        self._sending = ThreadPoolExecutor(_SEND_THREADS, "lmwatch-forward")
        self._under_way: set[Future[None]] = set()
        """What `_sending` has been given and has not done."""
        self._looking = ThreadPoolExecutor(_LOOK_THREADS, "lmwatch-triage")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def poke(self) -> None:
        """Something may be due now."""
        with self._changed:
            self._poked = True
            self._changed.notify_all()

    def drain(self, timeout: float) -> None:
        """Let everything go out as it is, and wait for that up to `timeout` seconds."""
        until = self._clock.monotonic() + timeout
        self._forwarder.hurry()
        self.poke()
        while len(self._forwarder) and self._thread.is_alive() and self._clock.monotonic() < until:
            with self._changed:
                self._changed.wait(_LOOK_SECONDS)

    def stop(self, timeout: float, abort: Callable[[], None]) -> None:
        """Begin nothing more, and wait up to `timeout` seconds for what is under way, which `abort` ends."""
        until = self._clock.monotonic() + timeout
        self._stopping = True
        self.poke()
        abort()
        if self._thread.is_alive():
            self._thread.join(timeout)
        self._sending.shutdown(wait=False, cancel_futures=True)
        self._looking.shutdown(wait=False, cancel_futures=True)
        wait(tuple(self._under_way), max(0.0, until - self._clock.monotonic()))

    def turn(self) -> float:
        """Begin what is due; seconds until something may be due again."""
        for case in self._triage.due():
            self._looking.submit(self._guarded, self._triage.investigate, case)
        for letter in self._forwarder.due():
            sent = self._sending.submit(self._guarded, self._forwarder.attempt, letter)
            self._under_way.add(sent)
            sent.add_done_callback(self._under_way.discard)
        self._show()
        waits = [wait for wait in (self._triage.wait(), self._forwarder.wait()) if wait is not None]
        return min([_IDLE_SECONDS, *waits])

    def _guarded(self, work: Callable[[Item], None], item: Item) -> None:
        try:
            work(item)
        except Exception:
            logger.exception("a notification could not be seen to")
        finally:
            self.poke()

    def _run(self) -> None:
        while not self._stopping:
            with self._changed:
                self._poked = False
            try:
                wait = self.turn()
            except Exception:
                logger.exception("notifications wait for a moment")
                wait = _AFTER_FAILURE_SECONDS
            with self._changed:
                if not self._poked and not self._stopping:
                    self._changed.wait(wait)
