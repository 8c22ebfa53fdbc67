"""Telling lmwatch's own predictions, and those that its proxy counted, from all the others in the log stream.

An event of the stream carries no request id, so the two sides are matched by what both know. A call and an event belong
together if the model is the same, they ended within `WINDOW_SECONDS` of each other, the prompt tokens are equal, and the
output tokens differ by no more than 1 (LM Studio's HTTP answers are off by one at a token limit). A count that one side
does not know fits any. Of several calls that fit, the one that fits most exactly is taken, then the one nearest in time,
and each is taken once. Events wait `SETTLE_SECONDS` for their call, because the stream is often ahead of the HTTP answer.

What can go wrong:

- Two predictions of one model that end together with the same counts, or a call of unknown counts among others, may be
  taken for each other. The number of predictions stays right, their figures are those of the other one.
- A call whose answer is noted later than the event waits is counted twice: a proxy's client that reads slowly. Note the
  end of the model's answer, not the end of the client's reading.
- A call that is noted but has no event takes a stranger's, if one fits: note only chats and completions that LM Studio
  worked on, neither embeddings nor requests that it refused.
- A call that was given up and that LM Studio finishes much later is counted as a stranger's.
- A wall clock that is set during the seconds in between makes a call and its event miss each other.
"""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from exporter.lmstudio.logfigures import LoggedPrediction
from exporter.lmstudio.wire import Prediction

WINDOW_SECONDS = 5.0
SETTLE_SECONDS = 3.0
MOST_CALLS = 4096
"""Calls that are remembered at most, and events that wait."""


@dataclass(frozen=True, slots=True)
class _Call:
    models: frozenset[str]
    prompt_tokens: int | None
    output_tokens: int | None
    finished_at: float


class OwnCalls:
    """The predictions of one server that are counted elsewhere already. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: deque[_Call] = deque(maxlen=MOST_CALLS)

    def note(
        self,
        model: str,
        prompt_tokens: int | None,
        output_tokens: int | None,
        finished_at: float,
        *,
        also: Sequence[str] = (),
    ) -> None:
        """Remember a call that LM Studio has worked on.

        Args:
            model: the instance identifier.
            prompt_tokens: as the server counted them; None if it did not tell.
            output_tokens: likewise.
            finished_at: Unix seconds of the answer's end.
            also: further names under which the model may be logged.
        """
        call = _Call(frozenset((model, *also)), prompt_tokens, output_tokens, finished_at)
        with self._lock:
            self._calls.append(call)

    def note_prediction(self, prediction: Prediction, finished_at: float) -> None:
        """Remember a call by its answer, under the name that was asked for and the one that answered."""
        self.note(
            prediction.model,
            prediction.prompt_tokens,
            prediction.output_tokens,
            finished_at,
            also=(prediction.asked_model,),
        )

    def claim(self, logged: LoggedPrediction, at: float) -> bool:
        """Whether this event belongs to a call; that call is then forgotten.

        Args:
            logged: the event.
            at: Unix seconds of its end.
        """
        with self._lock:
            fitting = [call for call in self._calls if _fits(call, logged, at)]
            if not fitting:
                return False
            self._calls.remove(min(fitting, key=lambda call: (_vagueness(call, logged), abs(call.finished_at - at))))
            return True

    def expire(self, before: float) -> float | None:
        """Forget the calls that ended before this time, and for which no event came.

        Returns:
            When the newest of them ended; None if there was none.
        """
        with self._lock:
            expired = [call.finished_at for call in self._calls if call.finished_at < before]
            if expired:
                kept = [call for call in self._calls if call.finished_at >= before]
                self._calls = deque(kept, maxlen=MOST_CALLS)
        return max(expired, default=None)


class Settling:
    """Events that wait until their call must have been noted. For one thread at a time.

    Args:
        own: the calls; None if there are none to be told apart, then nothing waits.
        seconds: how long an event waits.
        most: events that wait at most; beyond that the oldest go early.
    """

    def __init__(self, own: OwnCalls | None, seconds: float = SETTLE_SECONDS, most: int = MOST_CALLS) -> None:
        self._own = own
        self._seconds = seconds if own is not None else 0.0
        self._most = most
        self._waiting: deque[tuple[float, float, LoggedPrediction]] = deque()
        self.claimed = 0
        """Events so far that belonged to a call."""

    def __len__(self) -> int:
        """Events that wait."""
        return len(self._waiting)

    def put(self, logged: LoggedPrediction, *, monotonic: float, now: float) -> None:
        """Take in an event that arrives at this time; `now` stands in where it does not tell when the prediction ended."""
        at = logged.at if logged.at is not None else now
        self._waiting.append((monotonic + self._seconds, at, logged))

    def due(self, monotonic: float) -> list[LoggedPrediction]:
        """Take out the events that have waited long enough, without those that belong to a call."""
        strangers = []
        while self._waiting and (self._waiting[0][0] <= monotonic or len(self._waiting) > self._most):
            _, at, logged = self._waiting.popleft()
            if self._own is not None and self._own.claim(logged, at):
                self.claimed += 1
            else:
                strangers.append(logged)
        return strangers

    def next_due(self) -> float | None:
        """When the oldest event has waited long enough, on the monotonic clock."""
        return self._waiting[0][0] if self._waiting else None


def _fits(call: _Call, logged: LoggedPrediction, at: float) -> bool:
    return (
        logged.model in call.models
        and abs(call.finished_at - at) <= WINDOW_SECONDS
        and _near(call.prompt_tokens, logged.prompt_tokens, 0)
        and _near(call.output_tokens, logged.output_tokens, 1)
    )


def _near(ours: int | None, theirs: int | None, tolerance: int) -> bool:
    return ours is None or theirs is None or abs(ours - theirs) <= tolerance


def _vagueness(call: _Call, logged: LoggedPrediction) -> int:
    """How many of the two counts are not the same on both sides."""
    return (call.prompt_tokens != logged.prompt_tokens) + (call.output_tokens != logged.output_tokens)
