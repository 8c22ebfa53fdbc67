"""The probe: a tiny streamed chat that measures a model which nobody uses at the moment.

It must do no harm, so it would rather not ask than ask wrongly:

- Only a model that is in memory is asked: LM Studio would load any other one for the request. Where the server does not
  say what is loaded, a model whose running context it tells is.
- A model that is to be unloaded after a time without use is left alone unless `keep_loaded` is set: each request starts that
  time anew. Where times are not told (v0, OpenAI), there is nothing to go by, and it is asked.
- Nothing is asked while the model works or requests wait for it, while analyses of our own run or wait, while
  the breaker is open, and for a while after a probe failed: a call that was given up may go on working in the server.
- The question goes the way of all others, over a route that keeps no history; `store` exists on LM Studio's native chat route alone, which
  is never used.

The question is always the same, so the time to its first token is that of a prompt in the server's cache.
"""

import threading
from collections.abc import Callable
from typing import Literal, get_args

from exporter.clock import Clock
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.lane import Lane, choose, in_memory, kept_by_asking
from exporter.lmstudio.wire import ChatRequest, Message, Model, Origin, Prediction, ServerHealth
from exporter.sources.http import Cancel

ProbeOutcome = Literal[
    "probed",
    "failed",
    "other_model",
    "skipped_disabled",
    "skipped_running",
    "skipped_down",
    "skipped_stale",
    "skipped_not_loaded",
    "skipped_ttl",
    "skipped_queue",
    "skipped_busy",
    "skipped_circuit",
    "skipped_backoff",
]
PROBE_OUTCOMES: tuple[ProbeOutcome, ...] = get_args(ProbeOutcome)
"""`other_model`: another model of the same server answered, so there are no figures of the one that was asked."""

ORIGIN: Origin = "probe"
DEADLINE_SECONDS = 30.0
"""For the whole probe; 16 tokens at 1 token/s, the slowest that is seen, and as long for the prompt."""
STALE_POLLS = 3
"""A picture of the server that is older than so many polls is not relied on."""
LONGEST_BACKOFF = 8
"""In intervals. After the first failure one is left out, then three, then seven."""

_QUESTION = "Count from one to twenty in words."


class Prober:
    """Probes one server.

    Args:
        lane: the server.
        clock: tells the time.
        cancel: ends a probe under way.
        busy: whether analyses of our own run on this server or wait for one.
        look: polls the server right before a probe, so that a model unloaded since the last poll is not loaded by it, and
            one in use since is left alone; None relies on the lane's last poll.
        on_prediction: told each answer, as the pool's listener is.
        on_failure: told each failure, likewise.
    """

    def __init__(
        self,
        lane: Lane,
        clock: Clock,
        *,
        cancel: Cancel,
        busy: Callable[[], bool],
        on_prediction: Callable[[Origin, Prediction, Model], None],
        on_failure: Callable[[str, str, Origin, ModelFailure], None],
        look: Callable[[], ServerHealth] | None = None,
    ) -> None:
        self._lane = lane
        self._clock = clock
        self._cancel = cancel
        self._busy = busy
        self._look = look
        self._on_prediction = on_prediction
        self._on_failure = on_failure
        self._running = threading.Lock()
        self._failures = 0
        self._not_before = 0.0

    def probe_once(self) -> ProbeOutcome:
        """Probe now if that does no harm. Of calls at the same time all but one skip."""
        if self._lane.config.probe.interval <= 0:
            return "skipped_disabled"
        if not self._running.acquire(blocking=False):
            return "skipped_running"
        try:
            return self._attempt()
        finally:
            self._running.release()

    def _attempt(self) -> ProbeOutcome:
        if self._clock.monotonic() < self._not_before:
            return "skipped_backoff"
        if self._busy():
            return "skipped_busy"
        if not self._lane.breaker.would_admit():
            return "skipped_circuit"
        health = self._look() if self._look is not None else self._lane.health
        if health is None or not health.up:
            return "skipped_down"
        model = self._choose(health)
        return self._ask(model, health) if isinstance(model, Model) else model

    def _choose(self, health: ServerHealth) -> Model | ProbeOutcome:
        """The model to probe, or why there is none."""
        if self._clock.now() - health.polled_at > STALE_POLLS * self._lane.config.poll_interval:
            return "skipped_stale"
        model = choose(self._lane.config, health)
        if model is None or not in_memory(model):
            return "skipped_not_loaded"
        return self._harm(model) or model

    def _harm(self, model: Model) -> ProbeOutcome | None:
        """Why a question to this loaded model would do harm; None if it would do none."""
        if kept_by_asking(self._lane.config, model):
            return "skipped_ttl"
        if model.queued_requests:
            return "skipped_queue"
        return "skipped_busy" if model.status not in (None, "idle") else None

    def _ask(self, model: Model, health: ServerHealth) -> ProbeOutcome:
        if not self._lane.breaker.admit():
            return "skipped_circuit"
        config = self._lane.config
        request = ChatRequest(model.id, (Message("user", _QUESTION),), config.probe.max_tokens)
        try:
            prediction = self._lane.client.chat(
                request,
                deadline_seconds=min(DEADLINE_SECONDS, config.deadline),
                cancel=self._cancel,
                api=health.api,
            )
        except ModelFailure as failure:
            self._lane.failed(failure)
            if failure.reason != "cancelled":
                self._back_off()
            self._on_failure(config.name, model.id, ORIGIN, failure)
            return "failed"
        except BaseException:
            self._lane.breaker.released()  # a fault of ours says nothing about the server
            raise
        self._lane.breaker.succeeded()
        self._failures = 0
        if _is_another(prediction.model, model, health):
            return "other_model"
        self._on_prediction(ORIGIN, prediction, model)
        return "probed"

    def _back_off(self) -> None:
        self._failures += 1
        intervals = min(2**self._failures, LONGEST_BACKOFF)
        # Half an interval less, so that the run that is due then is not left out for being a moment early.
        self._not_before = self._clock.monotonic() + (intervals - 0.5) * self._lane.config.probe.interval


def _is_another(name: str, asked: Model, health: ServerHealth) -> bool:
    """Whether the answer came from another model that the server lists; a name that it does not list is an alias."""
    return name not in (asked.id, asked.key) and any(name in (other.id, other.key) for other in health.models)
