"""A circuit breaker: stops sending work to a server that keeps failing, and lets one call try when it looks well again."""

import threading
from typing import Literal

from exporter.clock import Clock

State = Literal["closed", "open", "half_open"]


class Breaker:
    """Closed: calls go through. Open: none do. Half open: one trial call decides.

    It opens after `threshold` failures in a row. It becomes half open at the first successful poll after a
    wait, which doubles each time the trial fails, from `first_wait` up to `longest_wait` seconds. Safe to use from several threads.
    """

    def __init__(
        self, clock: Clock, *, threshold: int = 3, first_wait: float = 10.0, longest_wait: float = 300.0
    ) -> None:
        self._clock = clock
        self._threshold = threshold
        self._first_wait = first_wait
        self._longest_wait = longest_wait
        self._lock = threading.Lock()
        self._state: State = "closed"
        self._failures = 0
        self._wait = first_wait
        self._opened_at = 0.0
        self._trial = False

    @property
    def state(self) -> State:
        """What it does with calls at present."""
        with self._lock:
            return self._state

    def would_admit(self) -> bool:
        """Whether `admit` would let a call through now."""
        with self._lock:
            return self._open_to_calls()

    def admit(self) -> bool:
        """Ask to make a call. After True, one of `succeeded`, `failed` and `released` must follow."""
        with self._lock:
            if not self._open_to_calls():
                return False
            self._trial = self._state == "half_open"
            return True

    def succeeded(self) -> None:
        """A call brought an answer: the server works."""
        with self._lock:
            self._state = "closed"
            self._failures = 0
            self._wait = self._first_wait
            self._trial = False

    def failed(self) -> None:
        """A call failed in a way that speaks against the server."""
        with self._lock:
            self._failures += 1
            if self._state == "half_open":
                self._wait = min(2 * self._wait, self._longest_wait)
            elif self._state == "open" or self._failures < self._threshold:
                return
            self._state = "open"
            self._opened_at = self._clock.monotonic()
            self._trial = False

    def released(self) -> None:
        """An admitted call was not made, or ended without saying anything about the server."""
        with self._lock:
            self._trial = False

    def polled_well(self) -> None:
        """The server answered a poll."""
        with self._lock:
            if self._state == "open" and self._clock.monotonic() - self._opened_at >= self._wait:
                self._state = "half_open"
                self._trial = False

    def _open_to_calls(self) -> bool:
        return self._state == "closed" or (self._state == "half_open" and not self._trial)
