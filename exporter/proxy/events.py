"""Server-sent events from pieces that are pushed in, where `lmstudio.sse` reads from a body that can be waited for."""

import re
from collections.abc import Iterator

from exporter.lmstudio import sse

_EVENT_END = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
"""A line end and an empty line. The groups are atomic: one CRLF is never two line ends."""
_LONGEST_END = 4


class EventSplitter:
    """Collects the bytes of a stream until events are complete. Keeps nothing of an event that was delivered."""

    def __init__(self, max_event_bytes: int = sse.MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._open = bytearray()

    def feed(self, data: bytes) -> Iterator[sse.Event]:
        """The events that these bytes complete.

        Raises:
            EventTooLargeError: an event is larger than allowed.
        """
        searched = max(0, len(self._open) - _LONGEST_END + 1)
        self._open += data
        cut = 0
        for end in _EVENT_END.finditer(self._open, searched):
            cut = end.end()
        if cut:
            complete = bytes(self._open[:cut])
            del self._open[:cut]
            yield from sse.parse([complete], max_event_bytes=self._max_event_bytes)
        if len(self._open) > self._max_event_bytes:
            raise sse.EventTooLargeError(f"an event of the stream is larger than {self._max_event_bytes} bytes")

    def finish(self) -> Iterator[sse.Event]:
        """What the end of the stream leaves open, marked by `closed=False`."""
        rest, self._open = bytes(self._open), bytearray()
        yield from sse.parse([rest], max_event_bytes=self._max_event_bytes)
