"""The server's side of a websocket, as RFC 6455 has it: upgrade, text messages, pings, the end. No extensions."""

import base64
import contextlib
import hashlib
import struct
from collections.abc import Callable
from io import BufferedIOBase

from exporter.embedded.studio_errors import ApiError
from exporter.embedded.studio_http import Call

_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, section 1.3."""
_LARGEST_MESSAGE = 16 << 20
_LONGEST_CONTROL = 125
_CONTINUED, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_NORMAL, _PROTOCOL_ERROR, _NOT_TEXT, _TOO_LARGE = 1000, 1002, 1003, 1009


def wants_websocket(call: Call) -> bool:
    """Whether a request asks to become a websocket."""
    return call.received.method == "GET" and "websocket" in _words(call, "upgrade")


def accept(call: Call) -> "WebSocket":
    """Turn a request into a websocket.

    Raises:
        ApiError: its headers are not those of a websocket of version 13.
        ClientGoneError: nobody waits any more.
    """
    headers = call.received.headers
    key = headers.get("sec-websocket-key", "")
    if "upgrade" not in _words(call, "connection") or headers.get("sec-websocket-version") != "13" or not key:
        raise ApiError(400, "Invalid Upgrade request")
    digest = base64.b64encode(hashlib.sha1((key + _MAGIC).encode(), usedforsecurity=False).digest()).decode()
    read, write = call.switch({"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": digest})
    return WebSocket(read, write)


def _words(call: Call, header: str) -> list[str]:
    return [word.strip().lower() for word in call.received.headers.get(header, "").split(",")]


class WebSocket:
    """One connection that has been upgraded. For one thread."""

    def __init__(self, read: BufferedIOBase, write: Callable[[bytes], None]) -> None:
        self._read = read
        self._write = write
        self._closing = False

    def receive(self) -> str | None:
        """The next text message; None once the client has gone. Pings are answered on the way.

        What breaks the protocol ends the connection.
        """
        parts: list[bytes] = []
        size = 0
        while not self._closing:
            frame = self._frame()
            if frame is None:
                return None
            final, opcode, data = frame
            if opcode in (_CLOSE, _PING, _PONG):
                self._control(final, opcode, data)
                continue
            size += len(data)
            if opcode == _BINARY or size > _LARGEST_MESSAGE:
                self.close(_NOT_TEXT if opcode == _BINARY else _TOO_LARGE)
            elif opcode != (_CONTINUED if parts else _TEXT):
                self.close(_PROTOCOL_ERROR)
            else:
                parts.append(data)
                if final:
                    return b"".join(parts).decode("utf-8", "replace")
        return None

    def send(self, text: str) -> None:
        """Send a text message.

        Raises:
            ClientGoneError: nobody is there any more.
        """
        self._send(_TEXT, text.encode())

    def close(self, code: int = _NORMAL) -> None:
        """Say goodbye; nothing is received after that."""
        if not self._closing:
            self._closing = True
            self._send(_CLOSE, struct.pack("!H", code))

    def hang(self) -> None:
        """Take in what comes and answer nothing, until the client closes the connection."""
        with contextlib.suppress(OSError):
            while self._read.read1(65536):
                pass

    def _control(self, final: bool, opcode: int, data: bytes) -> None:
        if not final or len(data) > _LONGEST_CONTROL:
            self.close(_PROTOCOL_ERROR)
        elif opcode == _PING:
            self._send(_PONG, data)
        elif opcode == _CLOSE:
            self.close()

    def _frame(self) -> tuple[bool, int, bytes] | None:
        """The next frame: whether it is the last of its message, its opcode, its data unmasked."""
        head = self._exactly(2)
        if head is None:
            return None
        masked, length = head[1] & 0x80, head[1] & 0x7F
        if not masked or head[0] & 0x70:
            self.close(_PROTOCOL_ERROR)
            return None
        if length > _LONGEST_CONTROL:
            more = self._exactly(2 if length == _LONGEST_CONTROL + 1 else 8)
            if more is None:
                return None
            length = int.from_bytes(more)
        if length > _LARGEST_MESSAGE:
            self.close(_TOO_LARGE)
            return None
        body = self._exactly(4 + length)
        return None if body is None else (bool(head[0] & 0x80), head[0] & 0x0F, _unmasked(body[:4], body[4:]))

    def _exactly(self, count: int) -> bytes | None:
        try:
            data = self._read.read(count)
        except OSError:
            return None
        return data if len(data) == count else None

    def _send(self, opcode: int, data: bytes) -> None:
        if len(data) <= _LONGEST_CONTROL:
            length = bytes([len(data)])
        elif len(data) < 1 << 16:
            length = struct.pack("!BH", 126, len(data))
        else:
            length = struct.pack("!BQ", 127, len(data))
        self._write(bytes([0x80 | opcode]) + length + data)


def _unmasked(key: bytes, data: bytes) -> bytes:
    mask = (key * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data) ^ int.from_bytes(mask)).to_bytes(len(data))
