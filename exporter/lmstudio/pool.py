"""The pool of servers: one queue of analyses, worked off by as many threads as the servers may serve at once.

One queue for all servers: whichever has a free place takes the oldest job, so a server that is slow, down or
cut off by its breaker holds up nobody's job but those it is already working on.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ParamSpec

from exporter.clock import Clock
from exporter.config.model import Server
from exporter.lmstudio.breaker import State
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.lane import Lane, open_lane
from exporter.lmstudio.wire import ChatRequest, Model, Origin, Prediction, ServerHealth
from exporter.sources.http import Cancel

P = ParamSpec("P")

logger = logging.getLogger(__name__)

ORIGIN: Origin = "analysis"


@dataclass(frozen=True)
class Listeners:
    """Who is told what happens. They are called from the pool's threads."""

    on_prediction: Callable[[Origin, Prediction, Model], None]
    """A model answered; the Model is as it was chosen."""
    on_failure: Callable[[str, str, Origin, ModelFailure], None]
    """Server and model (the instance) that did not answer, and why."""
    on_poll: Callable[[ServerHealth], None]


class LaneSession:
    """What a job gets: a server and a model to ask, within the deadline that the server's configuration sets."""

    def __init__(self, lane: Lane, model: Model, clock: Clock, cancel: Cancel, listeners: Listeners) -> None:
        self.server: str = lane.config.name
        self.model = model
        self.asked = False
        """Whether a call was made."""
        self._lane = lane
        self._clock = clock
        self._cancel = cancel
        self._listeners = listeners
        self._until = clock.monotonic() + lane.config.deadline

    def ask(self, request: ChatRequest) -> Prediction:
        """Ask this session's model; the request's own `model` is replaced by it.

        Raises:
            ModelFailure: there was no usable answer; `timeout` also where earlier calls used up the deadline.
        """
        left = self._until - self._clock.monotonic()
        if left <= 0:
            raise ModelFailure(
                "timeout", f"the deadline of {self._lane.config.deadline:g} s was used up before the call"
            )
        self.asked = True
        health = self._lane.health
        try:
            prediction = self._lane.client.chat(
                replace(request, model=self.model.id),
                deadline_seconds=left,
                cancel=self._cancel,
                api=health.api if health is not None else None,
            )
        except ModelFailure as failure:
            self._lane.failed(failure)
            self._listeners.on_failure(self.server, self.model.id, ORIGIN, failure)
            raise
        self._lane.breaker.succeeded()
        self._listeners.on_prediction(ORIGIN, prediction, self.model)
        return prediction


Job = Callable[[LaneSession], None]


@dataclass(frozen=True)
class _Waiting:
    job: Job
    expires_at: float
    on_expired: Callable[[], None]


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

    def submit(self, job: Job, *, patience_seconds: float, on_expired: Callable[[], None]) -> bool:
        """Queue a job, first come, first served.

        Args:
            job: is run once, in one of the pool's threads, unless it expires.
            patience_seconds: how long it may wait to be started.
            on_expired: is called instead of the job if it waited longer, or the pool is stopped first.

        Returns:
            False if no server is usable now, or as many jobs wait as the `queue_limit` of the usable ones allows in all;
            then neither `job` nor `on_expired` is ever called.
        """
        self._drop_expired()
        with self._changed:
            room = sum(lane.config.queue_limit for lane in self.lanes.values() if lane.usable())
            if self._stopping or len(self._queue) >= room:
                return False
            self._queue.append(_Waiting(job, self._clock.monotonic() + patience_seconds, on_expired))
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
                    lane.breaker.released()
                with self._changed:
                    self._running[lane.config.name] -= 1
                    self._changed.notify_all()

    def _wait_for_work(self, lane: Lane) -> tuple[_Waiting, LaneSession] | None:
        """The oldest job, as soon as this lane may take it; None once the pool stops."""
        while True:
            self._drop_expired()
            with self._changed:
                if self._stopping:
                    return None
                model = lane.choose_model() if self._queue else None
                if model is not None and lane.breaker.admit():
                    self._running[lane.config.name] += 1
                    session = LaneSession(lane, model, self._clock, self._cancel, self._listeners)
                    return self._queue.popleft(), session
                expiries = [waiting.expires_at for waiting in self._queue]
                self._changed.wait(max(0.0, min(expiries) - self._clock.monotonic()) if expiries else None)

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
