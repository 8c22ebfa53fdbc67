"""Failures on demand: what the stand-in does wrong, how often, and on which routes.

Each kind is something that users of LM Studio reported: a 200 that carries an error, an HTML page, a model evicted in
the middle of an answer, a worker that died, a reused connection that was closed meanwhile.
"""

import threading
from dataclasses import dataclass
from typing import Literal

FaultKind = Literal[
    "slow",
    "hang",
    "error_200",
    "html_500",
    "half_json",
    "empty_stream",
    "wrong_model",
    "context_overflow",
    "evicted",
    "crashed",
    "channel_error",
    "slot_timeout",
    "error_event",
    "stub_reply",
    "reset",
    "reset_mid_stream",
    "unauthorized",
    "rpc_refused",
    "rpc_dead",
]
Over = Literal["http", "upgrade", "greeting", "rpc"]
"""Where a fault may strike: at an HTTP request, at one that asks to become a websocket, at a websocket's first frame, or at
a later one."""

_OF_PREDICTIONS: frozenset[FaultKind] = frozenset(
    {
        "hang", "empty_stream", "wrong_model", "context_overflow", "evicted", "crashed", "channel_error",
        "slot_timeout", "error_event", "stub_reply", "reset_mid_stream",
    }
)  # fmt: skip
"""Kinds that make sense only where a model answers; other requests leave them for the next prediction."""
_OF_WEBSOCKETS: dict[FaultKind, Over] = {"rpc_refused": "greeting", "rpc_dead": "rpc"}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to do wrong.

    Of the kinds, `slow` waits; `hang` says nothing more after `after_pieces` pieces, until the client or the server
    goes; `evicted`, `crashed`, `channel_error`, `error_event` and `reset_mid_stream` strike after so many pieces;
    `empty_stream` ends a stream without a word (an answer in one piece comes back empty); `wrong_model` answers with
    another model's name; `reset` closes the connection before the first byte; `half_json` sends the first half of a
    JSON document (a stream goes unharmed). The others answer at once. `rpc_refused` refuses the client of a websocket;
    `rpc_dead` leaves a websocket open and never answers on it again, beginning with the frame that comes next.
    """

    kind: FaultKind
    first_byte_seconds: float = 0.0
    """For `slow`: how long before anything is answered."""
    between_seconds: float = 0.0
    """For `slow`: how long before each piece of the answer."""
    after_pieces: int = 2
    """How many pieces of text come before it strikes."""
    text: str = ""
    """Replaces the usual words of the failure, or the name of `wrong_model`; `unauthorized` keeps its own."""


@dataclass(slots=True)
class _Planned:
    fault: Fault
    route: str
    left: int | None


class FaultPlan:
    """What goes wrong with the next requests. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: list[_Planned] = []

    def inject(self, fault: Fault, *, times: int | None = 1, route: str = "/") -> None:
        """Plan a fault.

        Args:
            fault: what goes wrong.
            times: with how many requests; None means all until `clear`.
            route: the beginning of the path it applies to. The earliest planned fault that applies is taken. A request
                that asks to become a websocket takes only those of a narrower route than `/`.
        """
        with self._lock:
            self._planned.append(_Planned(fault, route, times))

    def take(self, path: str, *, predicts: bool, over: Over = "http") -> Fault | None:
        """The fault for a request that comes in now, counted as used; None means behave.

        Args:
            path: of the request.
            predicts: whether a model answers there.
            over: what has come in.
        """
        with self._lock:
            for planned in self._planned:
                if not path.startswith(planned.route) or not _strikes(planned, predicts=predicts, over=over):
                    continue
                if planned.left is not None:
                    planned.left -= 1
                    if planned.left <= 0:
                        self._planned.remove(planned)
                return planned.fault
        return None

    def clear(self) -> None:
        """Behave from now on."""
        with self._lock:
            self._planned.clear()

    @property
    def pending(self) -> int:
        """How many planned faults have not been used up."""
        with self._lock:
            return len(self._planned)


def _strikes(planned: _Planned, *, predicts: bool, over: Over) -> bool:
    kind = planned.fault.kind
    if kind in _OF_WEBSOCKETS or over in ("greeting", "rpc"):
        return _OF_WEBSOCKETS.get(kind) == over
    return (predicts or kind not in _OF_PREDICTIONS) and (over == "http" or planned.route != "/")
