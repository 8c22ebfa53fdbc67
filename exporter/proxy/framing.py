"""Where HTTP/1.1 messages begin and end in one direction of a connection that is only watched (RFC 9112, section 7)."""

import re
from collections.abc import Callable

from exporter.proxy.head import BodyLength, Delimiter, FramingError, Head, parse_head

MAX_HEAD_BYTES = 256 * 1024
"""Sixteen times what Node, and so LM Studio, takes."""
_MAX_LINE_BYTES = 16 * 1024
"""For the size of a chunk with its extensions, or one trailer."""
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(;.*)?", re.DOTALL)


class MessageReader:
    """Cuts the bytes of one direction into messages; what it says depends on the bytes alone, not on how they came.

    Args:
        on_head: given each head; says how the body is delimited.
        on_body: given each piece of a body, without the chunk framing; the piece is valid only during the call.
        on_end: called at the end of each message, trailers included.
    """

    def __init__(
        self,
        on_head: Callable[[Head], BodyLength],
        on_body: Callable[[memoryview], None],
        on_end: Callable[[], None],
    ) -> None:
        self._on_head = on_head
        self._on_body = on_body
        self._on_end = on_end
        self._line = bytearray()
        self._left = 0
        self._step = self._head

    @property
    def between_messages(self) -> bool:
        """Whether the next byte begins a message."""
        return self._step == self._head and not self._line.strip()

    @property
    def until_close(self) -> bool:
        """Whether the present message ends where the connection does."""
        return self._step == self._until_close

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            FramingError: they are no HTTP/1; the reader cannot go on.
        """
        at = 0
        while at < len(data):
            at = self._step(data, at)

    def _head(self, data: bytes, at: int) -> int:
        before = len(self._line)
        self._line += data[at : at + MAX_HEAD_BYTES + 1]
        end = _HEAD_END.search(self._line, max(0, before - 3))
        if (len(self._line) if end is None else end.start()) > MAX_HEAD_BYTES:
            raise FramingError(f"a head of more than {MAX_HEAD_BYTES} bytes")
        if end is None:
            return len(data)
        head = bytes(self._line[: end.start()]).lstrip(b"\r\n")
        self._line.clear()
        if head:
            self._begin_body(self._on_head(parse_head(head)))
        return at + end.end() - before

    def _begin_body(self, length: BodyLength) -> None:
        if length is Delimiter.CHUNKED:
            self._step = self._chunk_size
        elif length is Delimiter.CLOSE:
            self._step = self._until_close
        elif length is Delimiter.TUNNEL:
            self._step = self._ignored
        elif length:
            self._left = length
            self._step = self._fixed
        else:
            self._end()

    def _end(self) -> None:
        self._step = self._head
        self._on_end()

    def _fixed(self, data: bytes, at: int) -> int:
        at = self._take(data, at)
        if not self._left:
            self._end()
        return at

    def _take(self, data: bytes, at: int) -> int:
        end = min(len(data), at + self._left)
        self._left -= end - at
        self._on_body(memoryview(data)[at:end])
        return end

    def _until_close(self, data: bytes, at: int) -> int:
        self._on_body(memoryview(data)[at:])
        return len(data)

    def _ignored(self, data: bytes, at: int) -> int:
        del at
        return len(data)

    def _chunk_size(self, data: bytes, at: int) -> int:
        at, line = self._take_line(data, at)
        if line is None:
            return at
        size = _CHUNK_SIZE.fullmatch(line)
        if size is None:
            raise FramingError("a chunk without its size")
        self._left = int(size[1], 16)
        self._step = self._chunk if self._left else self._trailers
        return at

    def _chunk(self, data: bytes, at: int) -> int:
        at = self._take(data, at)
        if not self._left:
            self._step = self._chunk_end
        return at

    def _chunk_end(self, data: bytes, at: int) -> int:
        at, line = self._take_line(data, at)
        if line:
            raise FramingError("a chunk that is longer than its size")
        if line is not None:
            self._step = self._chunk_size
        return at

    def _trailers(self, data: bytes, at: int) -> int:
        at, line = self._take_line(data, at)
        if line == b"":
            self._end()
        return at

    def _take_line(self, data: bytes, at: int) -> tuple[int, bytes | None]:
        """The position behind what was used, and the line without its end; None while it has not come to its end."""
        end = data.find(b"\n", at)
        self._line += data[at : end if end >= 0 else len(data)]
        if len(self._line) > _MAX_LINE_BYTES:
            raise FramingError(f"a line of more than {_MAX_LINE_BYTES} bytes between chunks")
        if end < 0:
            return len(data), None
        line = bytes(self._line.removesuffix(b"\r"))
        self._line.clear()
        return end + 1, line
