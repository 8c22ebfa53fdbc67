"""How many calls to a model incoming alerts may cost in a minute."""

import threading
from collections import deque

from exporter.clock import Clock

_MINUTE = 60.0


class CallBudget:
    """Calls within the last 60 seconds. Safe to use from several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._calls: deque[float] = deque()

    def take(self, limit: int) -> float | None:
        """Count a call, unless `limit` of them have been counted within a minute; what `give_back` wants, or None."""
        now = self._clock.monotonic()
        with self._lock:
            self._forget(now)
            if len(self._calls) >= limit:
                return None
            self._calls.append(now)
            return now

    def charge(self) -> None:
        """Count a call that is made in any case: the next ones wait for it."""
        with self._lock:
            self._calls.append(self._clock.monotonic())

    def give_back(self, taken: float) -> None:
        """Take back a call that was counted and not made, where it still counts."""
        with self._lock:
            if taken in self._calls:
                self._calls.remove(taken)

    def wait(self, limit: int) -> float | None:
        """Seconds until a call may be made; None where none ever may."""
        now = self._clock.monotonic()
        with self._lock:
            self._forget(now)
            if limit < 1:
                return None
            return max(0.0, self._calls[-limit] + _MINUTE - now) if len(self._calls) >= limit else 0.0

    def _forget(self, now: float) -> None:
        while self._calls and self._calls[0] <= now - _MINUTE:
            self._calls.popleft()
