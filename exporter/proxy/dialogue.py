"""Both directions of one connection, read together: which answer belongs to which request, and who hears about it.

Nothing that goes wrong here reaches the passing. What counts an exchange runs behind a guard: when it raises, that exchange is
not counted. Bytes that are no HTTP/1 end the reading of the whole connection.
"""

from collections import deque
from collections.abc import Callable
from typing import ParamSpec

from exporter.proxy.exchange import Broken, Exchange
from exporter.proxy.framing import MessageReader
from exporter.proxy.head import (
    BodyLength,
    Delimiter,
    FramingError,
    Head,
    answer_body,
    answer_status,
    ends_connection,
    request_body,
)

P = ParamSpec("P")

_MOST_OPEN = 1000
"""Requests that may wait for their answers on one connection before it is no longer read."""


class _Open:
    """A request whose answer is not complete. Its exchange is None once counting it has failed."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.exchange: Exchange | None = None


class Dialogue:
    """What passes on one client's connection.

    Args:
        begin: makes the exchange for a request's head, given when it came.
        on_uncounted: told each time that something cannot be counted, with the error, if one is behind it.
    """

    def __init__(
        self, begin: Callable[[Head, float], Exchange], on_uncounted: Callable[[Exception | None], None]
    ) -> None:
        self._begin = begin
        self._on_uncounted = on_uncounted
        self._requests = MessageReader(self._request_head, self._request_body, self._request_end)
        self._answers = MessageReader(self._answer_head, self._answer_body, self._answer_end)
        self._open: deque[_Open] = deque()
        self._latest = _Open("")
        self._interim = False
        self._at = 0.0
        self.is_lost = False
        """Whether it is no longer known where messages begin and end."""
        self.is_tunnel = False
        """Whether what passes is no HTTP any more, as after an upgrade to a websocket."""
        self.may_go_on = True
        """Whether neither side has said that the connection ends with the present answer."""

    @property
    def is_answered(self) -> bool:
        """Whether no answer is owed: none is under way, and all requests that have begun have theirs."""
        return not (self._open or self.is_lost or self.is_tunnel)

    @property
    def is_idle(self) -> bool:
        """Whether all requests are answered, and no further one has begun."""
        return self.is_answered and self._requests.between_messages and self._answers.between_messages

    def sent(self, data: bytes, at: float) -> None:
        """Bytes of the client have gone to the server."""
        self._read(self._requests, data, at)

    def received(self, data: bytes, at: float) -> None:
        """Bytes of the server have gone to the client."""
        self._read(self._answers, data, at)

    def server_ended(self, at: float, *, in_order: bool) -> None:
        """The server has closed the connection.

        Args:
            at: when.
            in_order: False for a reset, which is never the end of an answer.
        """
        self._at = at
        if in_order and self._answers.until_close and not self.is_lost:
            self._answer_end()
        self.broken("cut", at)

    def broken(self, how: Broken, at: float) -> None:
        """Nothing more will pass; what is not answered is told so."""
        while self._open:
            waiting = self._open.popleft()
            if waiting.exchange is not None:
                self._guarded(waiting, waiting.exchange.broken, how, at)

    def _read(self, reader: MessageReader, data: bytes, at: float) -> None:
        if self.is_lost or self.is_tunnel:
            return
        self._at = at
        try:
            reader.feed(data)
        except FramingError:
            self._lose(None)
        except Exception as error:  # noqa: BLE001 - whatever it is, the bytes must go on passing
            self._lose(error)

    def _lose(self, error: Exception | None) -> None:
        self.is_lost = True
        self._open.clear()
        self._on_uncounted(error)

    def _guarded(self, waiting: _Open, hook: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            hook(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever it is, the bytes must go on passing
            waiting.exchange = None
            self._on_uncounted(error)

    def _request_head(self, head: Head) -> BodyLength:
        length = request_body(head)
        self.may_go_on = self.may_go_on and not ends_connection(head)
        if len(self._open) >= _MOST_OPEN:
            raise FramingError(f"more than {_MOST_OPEN} requests without an answer")
        self._latest = waiting = _Open(head.first[0])
        self._open.append(waiting)

        def begin() -> None:
            waiting.exchange = self._begin(head, self._at)

        self._guarded(waiting, begin)
        return length

    def _request_body(self, piece: memoryview) -> None:
        if self._latest.exchange is not None:
            self._guarded(self._latest, self._latest.exchange.request_body, piece)

    def _request_end(self) -> None:
        if self._latest.exchange is not None:
            self._guarded(self._latest, self._latest.exchange.request_end)

    def _answer_head(self, head: Head) -> BodyLength:
        if not self._open:
            raise FramingError("an answer to no request")
        waiting = self._open[0]
        length = answer_body(head, waiting.method)
        self._interim = answer_status(head) < 200 and length is not Delimiter.TUNNEL
        self.may_go_on = self.may_go_on and not ends_connection(head)
        if not self._interim and waiting.exchange is not None:
            self._guarded(waiting, waiting.exchange.answer_head, head)
        if length is Delimiter.TUNNEL:
            self.is_tunnel = True
            self._answer_end()
        return length

    def _answer_body(self, piece: memoryview) -> None:
        exchange = self._open[0].exchange
        if exchange is not None:
            self._guarded(self._open[0], exchange.answer_body, piece, self._at)

    def _answer_end(self) -> None:
        if self._interim:
            self._interim = False
            return
        waiting = self._open.popleft()
        if waiting.exchange is not None:
            self._guarded(waiting, waiting.exchange.answer_end, self._at)
