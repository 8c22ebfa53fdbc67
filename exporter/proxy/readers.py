"""Reading the body of an answer as it passes: unpacked, in bounded memory, into a tally."""

from typing import Protocol

from exporter.lmstudio import sse
from exporter.lmstudio.failures import classify, load_json
from exporter.proxy.capture import Allowance, Capture
from exporter.proxy.events import EventSplitter
from exporter.proxy.head import Head, answer_status
from exporter.proxy.routes import Route
from exporter.proxy.tally import Tally
from exporter.sources.inflate import Inflater

MAX_WHOLE_BYTES = 4 * 1024**2
"""Of an answer in one piece. Longer ones are vectors for embeddings: parsing them would hold up the passing, and tells nothing."""
MAX_VECTORS_BYTES = 256 * 1024
"""Of an answer with embeddings, whose usage LM Studio leaves at zero."""
MAX_STREAM_BYTES = 64 * 1024**2


class UnreadableError(Exception):
    """The body is packed, too long or not as its headers say; it can be counted by its status only."""


class Reader(Protocol):
    """Takes the unpacked body of an answer."""

    def feed(self, data: bytes, at: float) -> None:
        """Take the next bytes, which arrived at `at`.

        Raises:
            UnreadableError: this body cannot be read to its end.
        """
        ...

    def finish(self, at: float) -> None:
        """The body is complete."""
        ...


class WholeReader:
    """An answer in one JSON document, or an error of any form."""

    def __init__(self, route: Route, tally: Tally, head: Head, allowance: Allowance) -> None:
        self._route = route
        self._tally = tally
        self._status = answer_status(head)
        self._content_type = head.headers.get("content-type", "")
        limit = MAX_VECTORS_BYTES if route.name == "embeddings" else MAX_WHOLE_BYTES
        self._body = Capture(limit, allowance)

    def feed(self, data: bytes, at: float) -> None:
        """Keep the bytes until the end."""
        del at
        if not self._body.add(data):
            raise UnreadableError("an answer that is longer than what may be held")

    def finish(self, at: float) -> None:
        """Read the document and forget it."""
        del at
        body = self._body.take_out()
        failure = classify(self._status, self._content_type, body)
        if failure is not None:
            self._tally.failed = failure.reason
            return
        document = load_json(body)
        if isinstance(document, dict):
            facts = self._route.whole(document)
            self._tally.take(facts, at=None)
        self._tally.complete = True


class EventReader:
    """An answer in server-sent events."""

    def __init__(self, route: Route, tally: Tally) -> None:
        self._route = route
        self._tally = tally
        self._splitter = EventSplitter()
        self._size = 0

    def feed(self, data: bytes, at: float) -> None:
        """Take the events that these bytes complete."""
        self._size += len(data)
        if self._size > MAX_STREAM_BYTES:
            raise UnreadableError(f"a stream of more than {MAX_STREAM_BYTES} bytes")
        try:
            for event in self._splitter.feed(data):
                self._take(event, at)
        except sse.EventTooLargeError as error:
            raise UnreadableError(str(error)) from None

    def finish(self, at: float) -> None:
        """Take the event that the end of the stream left open, if it is a whole one."""
        for event in self._splitter.finish():
            self._take(event, at)

    def _take(self, event: sse.Event, at: float) -> None:
        if event.data.strip() == "[DONE]":
            self._tally.complete = True
            return
        document = load_json(event.data)
        if event.event == "error" and not (isinstance(document, dict) and document.get("error")):
            document = {"type": "error", "error": document or event.data}
        if isinstance(document, dict):
            kind = document.get("type")
            facts = self._route.event(kind if isinstance(kind, str) else event.event, document)
            self._tally.take(facts, at)
        elif event.closed and self._tally.failed is None:
            self._tally.failed = "bad_answer"


class Unpacker:
    """Undoes the content encoding of a body on its way into a reader."""

    def __init__(self, encoding: str, reader: Reader) -> None:
        self._reader = reader
        try:
            self._inflater = Inflater(encoding)
        except ValueError as error:
            raise UnreadableError(str(error)) from None

    def feed(self, data: bytes, at: float) -> None:
        """Take the next bytes as they were sent."""
        try:
            for piece in self._inflater.feed(data):
                self._reader.feed(piece, at)
        except ValueError as error:
            raise UnreadableError(str(error)) from None

    def finish(self, at: float) -> None:
        """The body is complete."""
        try:
            self._inflater.finish()
        except ValueError as error:
            raise UnreadableError(str(error)) from None
        self._reader.finish(at)


def reader_for(head: Head, route: Route, tally: Tally, allowance: Allowance, *, streamed: bool) -> Reader:
    """The reader for the body behind this head.

    Args:
        head: of the answer.
        route: that it came from.
        tally: what is read goes there.
        allowance: for what has to be held.
        streamed: whether a stream was asked for, which decides where the content type does not.

    Raises:
        UnreadableError: the body is packed in a way that cannot be undone here.
    """
    kind = head.headers.get("content-type", "").partition(";")[0].strip().lower()
    ok = 200 <= answer_status(head) < 300
    events = kind == "text/event-stream" or (streamed and kind not in ("application/json", "text/html"))
    reader: Reader = EventReader(route, tally) if ok and events else WholeReader(route, tally, head, allowance)
    return Unpacker(head.headers.get("content-encoding", ""), reader)
