"""Server-sent events: from bytes, however they were cut on the way, to events.

Follows the event stream format of the WHATWG HTML standard, section 9.2.6, with one deviation: an event that the
end of the stream leaves open is delivered too, marked by `closed=False`, because some servers leave out the last empty line.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from exporter.errors import BadDataError

MAX_EVENT_BYTES = 4 * 1024**2
"""Enough for the last event of LM Studio's native chat, which repeats the whole answer."""

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"[\r\n]")
_LF = 0x0A
_CR = 0x0D


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its type (`message` where the stream names none) and its data lines, joined by line feeds."""

    event: str
    data: str
    closed: bool = True
    """False if the stream ended before the empty line that closes an event."""


class EventTooLargeError(BadDataError):
    """One event of a stream is larger than allowed; nothing after it was read."""


def parse(chunks: Iterable[bytes], *, max_event_bytes: int = MAX_EVENT_BYTES) -> Iterator[Event]:
    """The events of a stream, each as soon as the chunk that closes it has arrived.

    The events depend on the bytes alone, never on where they were cut into chunks. Lines end with CRLF, LF or CR;
    comments and unknown fields are skipped; bytes that are no UTF-8 become U+FFFD.

    Args:
        chunks: the body as it arrives; may hold empty chunks.
        max_event_bytes: the most that the lines of one event may hold in all.

    Raises:
        EventTooLargeError: an event is larger; the events before it were delivered.
    """
    event = _OpenEvent(max_event_bytes)
    for line in _lines(chunks, max_event_bytes):
        finished = event.add(line)
        if finished is not None:
            yield finished
    leftover = event.close(closed=False)
    if leftover is not None:
        yield leftover


def _lines(chunks: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
    buffer = bytearray()
    searched = 0
    first = True
    after_cr = False
    for chunk in chunks:
        buffer += chunk
        while buffer:
            if after_cr:
                after_cr = False
                if buffer[0] == _LF:
                    del buffer[0]
                    continue
            end = _LINE_END.search(buffer, searched)
            if end is None:
                searched = len(buffer)
                _check(searched, max_bytes)
                break
            line = bytes(buffer[: end.start()])
            after_cr = buffer[end.start()] == _CR
            del buffer[: end.end()]
            searched = 0
            _check(len(line), max_bytes)
            yield line.removeprefix(_BOM) if first else line
            first = False
    if buffer:
        yield bytes(buffer).removeprefix(_BOM) if first else bytes(buffer)


def _check(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise EventTooLargeError(f"an event of the stream is larger than {max_bytes} bytes")


class _OpenEvent:
    """The event whose lines are being read."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._type = ""
        self._data: list[str] = []
        self._size = 0

    def add(self, line: bytes) -> Event | None:
        """Take one line without its end; the event if this line closes one."""
        if not line:
            return self.close(closed=True)
        name, _, value = line.partition(b":")
        if name not in (b"event", b"data"):
            return None
        self._size += len(line)
        _check(self._size, self._max_bytes)
        text = value.removeprefix(b" ").decode("utf-8", "replace")
        if name == b"event":
            self._type = text
        else:
            self._data.append(text)
        return None

    def close(self, *, closed: bool) -> Event | None:
        """The event as read so far, if it has any data; the next line starts another one."""
        event = Event(self._type or "message", "\n".join(self._data), closed) if self._data else None
        self._type, self._data, self._size = "", [], 0
        return event
