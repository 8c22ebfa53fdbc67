"""The pool of servers: one queue of analyses, worked off by as many threads as the servers may serve at once.

One queue for all servers: of those with a free place the one with the least to do takes the oldest job, so a server that is slow,
down or cut off by its breaker holds up nobody's job but those it is already working on. A job whose server fails goes to
another one, once.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec

from exporter.clock import Clock
from exporter.config.model import Server
from exporter.lmstudio.asking import LaneSession, Listeners, Seat
from exporter.lmstudio.breaker import State
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.lane import Lane, open_lane
from exporter.lmstudio.wire import Model, Origin, Prediction, ServerHealth
from exporter.sources.http import Cancel

__all__ = ["Job", "LaneSession", "Listeners", "Pool", "make_pool"]

P = ParamSpec("P")

logger = logging.getLogger(__name__)

Job = Callable[[LaneSession], None]


@dataclass(frozen=True)
class _Waiting:
    job: Job
    expires_at: float
    on_expired: Callable[[], None]
    sparing: bool = False

    def suits(self, lane: Lane) -> bool:
        """Whether this server may be asked."""
        return not (self.sparing and lane.spares())


class Pool:
    """Servers that share a queue of jobs.

    Args:
        lanes: the servers.
        clock: tells the time.
        listeners: are told of answers, failures and polls.
        cancel: ends the lanes' polls and, at `stop`, everything under way.
    """

    def __init__(self, lanes: Sequence[Lane], clock: Clock, listeners: Listeners, cancel: Cancel | None = None) -> None:
        self.lanes: Mapping[str, Lane] = {lane.config.name: lane for lane in lanes}
        self._clock = clock
        self._listeners = listeners
        self._cancel = cancel if cancel is not None else Cancel()
        self._changed = threading.Condition()
        self._queue: deque[_Waiting] = deque()
        self._running = dict.fromkeys(self.lanes, 0)
        self._idle = dict.fromkeys(self.lanes, 0)
        """Threads that wait for a job, by server."""
        self._stopping = False
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads: `max_parallel` for each server."""
        for lane in self.lanes.values():
            for number in range(lane.config.max_parallel):
                name = f"lmwatch-ask-{lane.config.name}-{number}"
                self._threads.append(threading.Thread(target=self._work, args=(lane,), name=name, daemon=True))
        for thread in self._threads:
            thread.start()

    def submit(
        self, job: Job, *, patience_seconds: float, on_expired: Callable[[], None], sparing: bool = False
    ) -> bool:
        """Queue a job, first come, first served.

        Args:
            job: is run once, in one of the pool's threads, unless it expires.
            patience_seconds: how long it may wait to be started.
            on_expired: is called instead of the job if it waited longer, or the pool is stopped first.
            sparing: whether it goes by servers whose model it would keep loaded longer than the user wants, as a probe does.

        Returns:
            False if no server is usable now, or as many jobs wait as the `queue_limit` of the usable ones allows in all;
            then neither `job` nor `on_expired` is ever called.
        """
        self._drop_expired()
        waiting = _Waiting(job, self._clock.monotonic() + patience_seconds, on_expired, sparing)
        with self._changed:
            room = sum(lane.config.queue_limit for lane in self.lanes.values() if lane.usable() and waiting.suits(lane))
            if self._stopping or len(self._queue) >= room:
                return False
            self._queue.append(waiting)
            self._changed.notify_all()
        return True

    def poll(self, server: str) -> ServerHealth:
        """Poll one server and tell the listener. Does not wait for questions under way.

        Raises:
            KeyError: there is no server of this name.
        """
        health = self.lanes[server].poll()
        with self._changed:
            self._changed.notify_all()
            stopping = self._stopping
        self._drop_expired()
        if not stopping:
            self._listeners.on_poll(health)
        return health

    def usable(self) -> bool:
        """Whether some server could be asked now."""
        return any(lane.usable() for lane in self.lanes.values())

    def spares(self) -> bool:
        """Whether there are servers that could be asked now, and a sparing job goes by all of them."""
        usable = [lane for lane in self.lanes.values() if lane.usable()]
        return bool(usable) and all(lane.spares() for lane in usable)

    def waiting(self) -> int:
        """Jobs that wait."""
        return len(self._queue)

    def running(self) -> Mapping[str, int]:
        """Jobs under way, by server."""
        with self._changed:
            return dict(self._running)

    def circuit_states(self) -> Mapping[str, State]:
        """The state of each server's breaker."""
        return {name: lane.breaker.state for name, lane in self.lanes.items()}

    def stop(self, timeout: float) -> None:
        """End calls under way by closing their sockets, drop what waits, and wait up to `timeout` seconds for the threads."""
        with self._changed:
            self._stopping = True
            dropped = tuple(self._queue)
            self._queue.clear()
            self._changed.notify_all()
        self._cancel.cancel()
        until = self._clock.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, until - self._clock.monotonic()))
        for waiting in dropped:
            _call(waiting.on_expired)
        for lane in self.lanes.values():
            lane.close()

    def _work(self, lane: Lane) -> None:
        while (work := self._wait_for_work(lane)) is not None:
            waiting, session = work
            try:
                _call(waiting.job, session)
            finally:
                if not session.asked:
                    session.seat.lane.breaker.released()
                self._leave(session.seat)

    def _wait_for_work(self, lane: Lane) -> tuple[_Waiting, LaneSession] | None:
        """The oldest job, as soon as this lane may take it; None once the pool stops."""
        name = lane.config.name
        while True:
            self._drop_expired()
            with self._changed:
                if self._stopping:
                    return None
                waiting = next((waiting for waiting in self._queue if waiting.suits(lane)), None)
                seat = self._sit(lane) if waiting is not None and not self._somebody_is_freer(lane, waiting) else None
                if waiting is not None and seat is not None:
                    move = partial(self._move, waiting)
                    session = LaneSession(seat, self._clock, self._cancel, self._listeners, move)
                    self._queue.remove(waiting)
                    # Those who left this job to us may take the next.
                    self._changed.notify_all()
                    return waiting, session
                expiries = [waiting.expires_at for waiting in self._queue]
                self._idle[name] += 1
                self._changed.wait(max(0.0, min(expiries) - self._clock.monotonic()) if expiries else None)
                self._idle[name] -= 1

    def _somebody_is_freer(self, lane: Lane, waiting: _Waiting) -> bool:
        """Whether another server would take the job at once and has less to do. Call it with the lock held."""
        burden = self._burden(lane)
        return burden > 0 and any(
            self._burden(other) < burden
            for name, other in self.lanes.items()
            if self._idle[name]
            and self._running[name] < other.config.max_parallel
            and other.usable()
            and waiting.suits(other)
        )

    def _burden(self, lane: Lane) -> int:
        """Our own jobs there, or what the server itself had to do at the last poll, whichever is more."""
        return max(self._running[lane.config.name], lane.load())

    def _sit(self, lane: Lane) -> Seat | None:
        """A place at this server, if one is free. Call it with the lock held."""
        if self._running[lane.config.name] >= lane.config.max_parallel:
            return None
        model = lane.choose_model()
        if model is None or not lane.breaker.admit():
            return None
        self._running[lane.config.name] += 1
        return Seat(lane, model)

    def _leave(self, seat: Seat) -> None:
        with self._changed:
            self._running[seat.lane.config.name] -= 1
            self._changed.notify_all()

    def _move(self, waiting: _Waiting, seat: Seat) -> Seat | None:
        """A seat at the freest other server whose model has at least as much context, in place of this one."""
        others = [lane for lane in self.lanes.values() if lane is not seat.lane and waiting.suits(lane)]
        with self._changed:
            for lane in () if self._stopping else sorted(others, key=self._burden):
                model = lane.choose_model()
                if model is None or (model.context_length or 0) < (seat.model.context_length or 0):
                    continue
                found = self._sit(lane)
                if found is not None:
                    self._running[seat.lane.config.name] -= 1
                    self._changed.notify_all()
                    return found
        return None

    def _drop_expired(self) -> None:
        now = self._clock.monotonic()
        with self._changed:
            expired = [waiting for waiting in self._queue if waiting.expires_at <= now]
            if expired:
                self._queue = deque(waiting for waiting in self._queue if waiting.expires_at > now)
        for waiting in expired:
            _call(waiting.on_expired)


def make_pool(
    servers: Sequence[Server],
    clock: Clock,
    *,
    on_prediction: Callable[[Origin, Prediction, Model], None],
    on_failure: Callable[[str, str, Origin, ModelFailure], None],
    on_poll: Callable[[ServerHealth], None],
) -> Pool:
    """A pool of these servers, not started yet."""
    cancel = Cancel()
    lanes = [open_lane(server, clock, cancel) for server in servers]
    return Pool(lanes, clock, Listeners(on_prediction, on_failure, on_poll), cancel)


def _call(function: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call foreign code from a pool thread: what it raises is logged and ends nothing."""
    try:
        function(*args, **kwargs)
    except Exception:
        logger.exception("a job of the model pool failed")
