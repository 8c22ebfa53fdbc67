"""One job's turn with a server: the calls it makes, and the one time it may go to another server."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from exporter.clock import Clock
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.lane import Lane
from exporter.lmstudio.wire import ChatRequest, Model, Origin, Prediction, ServerHealth
from exporter.sources.http import Cancel

ORIGIN: Origin = "analysis"
_OF_THE_QUESTION = ("context_overflow", "grammar")
"""Failures that another server may not have, but for which a question can be put differently to the same one: whoever asks
does that."""


@dataclass(frozen=True)
class Listeners:
    """Who is told what happens. They are called from the pool's threads."""

    on_prediction: Callable[[Origin, Prediction, Model], None]
    """A model answered; the Model is as it was chosen."""
    on_failure: Callable[[str, str, Origin, ModelFailure], None]
    """Server and model (the instance) that did not answer, and why."""
    on_poll: Callable[[ServerHealth], None]


@dataclass(frozen=True)
class Seat:
    """A place at a server, which its breaker has admitted, and the model to ask there."""

    lane: Lane
    model: Model


class LaneSession:
    """What a job gets: a server and a model to ask, within the deadline that the server's configuration sets.

    Where the server fails before anything was answered, in a way that another one need not, the question is put to
    another server that is free, once; `server` and `model` are that one's from then on, and so is the deadline.

    Args:
        seat: where to ask first.
        clock: tells the time.
        cancel: ends calls under way.
        listeners: are told of answers and failures.
        move: gives up the present seat for one at another server; None if there is none, and the seat is kept.
    """

    def __init__(
        self, seat: Seat, clock: Clock, cancel: Cancel, listeners: Listeners, move: Callable[[Seat], Seat | None]
    ) -> None:
        self.seat = seat
        """Where the job is now."""
        self.asked = False
        """Whether a call was made at this seat."""
        self._clock = clock
        self._cancel = cancel
        self._listeners = listeners
        self._move = move
        self._settled = False
        self._until = clock.monotonic() + seat.lane.config.deadline

    @property
    def server(self) -> str:
        """The name of the server that is asked."""
        return self.seat.lane.config.name

    @property
    def model(self) -> Model:
        """The model that is asked."""
        return self.seat.model

    def ask(self, request: ChatRequest) -> Prediction:
        """Ask this session's model; the request's own `model` is replaced by it.

        Raises:
            ModelFailure: there was no usable answer; `timeout` also where earlier calls used up the deadline. Where two
                servers were tried it is the second one's.
        """
        try:
            prediction = self._ask(request)
        except ModelFailure as failure:
            if not self._may_move(failure) or not self._go_elsewhere():
                raise
            prediction = self._ask(request)
        self._settled = True
        return prediction

    def _may_move(self, failure: ModelFailure) -> bool:
        return not self._settled and failure.elsewhere and failure.reason not in _OF_THE_QUESTION

    def _go_elsewhere(self) -> bool:
        seat = self._move(self.seat)
        if seat is None:
            return False
        self._settled = True
        self.seat = seat
        self.asked = False
        self._until = self._clock.monotonic() + seat.lane.config.deadline
        return True

    def _ask(self, request: ChatRequest) -> Prediction:
        lane, model = self.seat.lane, self.seat.model
        left = self._until - self._clock.monotonic()
        if left <= 0:
            raise ModelFailure("timeout", f"the deadline of {lane.config.deadline:g} s was used up before the call")
        self.asked = True
        health = lane.health
        try:
            prediction = lane.client.chat(
                replace(request, model=model.id),
                deadline_seconds=left,
                cancel=self._cancel,
                api=health.api if health is not None else None,
            )
        except ModelFailure as failure:
            lane.failed(failure)
            self._listeners.on_failure(self.server, model.id, ORIGIN, failure)
            raise
        except BaseException:
            # A fault of ours says nothing about the server; a trial that nobody ends would keep the breaker half open.
            lane.breaker.released()
            raise
        lane.breaker.succeeded()
        self._listeners.on_prediction(ORIGIN, prediction, model)
        return prediction
