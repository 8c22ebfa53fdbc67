"""One websocket of LM Studio's RPC that is open: who we are, then calls and what comes back.

websocket-client does the framing, on sockets of lmwatch's HTTP client: they hold each operation to the deadline of the look
under way and can be woken from another thread.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import websocket
from websocket import ABNF

from exporter.lmstudio.rpc_frames import Frame, Namespace, call_frame, endpoints_meant, parse_frame
from exporter.lmstudio.rpc_trouble import WEBSOCKET_ERRORS, Look, RpcError, trouble_in
from exporter.sources.transport import PlainSocket, TlsSocket, adopt

_CLOSING_SECONDS = 0.1


class RpcSocket:
    """An accepted connection to one namespace. For one thread at a time."""

    def __init__(
        self, namespace: Namespace, url: str, connection: websocket.WebSocket, sock: PlainSocket | TlsSocket
    ) -> None:
        self.namespace = namespace
        self.url = url
        self.unknown: set[str] = set()
        """Endpoints that the server turned out not to know."""
        self._websocket = connection
        self._socket = sock
        self._waiting: dict[int, str] = {}
        self._calls = 0

    def introduce(self, identity: str, look: Look) -> None:
        """Say who we are and wait to be accepted.

        Raises:
            RpcError: refused, or no LM Studio.
        """
        look.reach("waiting to be accepted")
        with self._translated(look):
            self._send(identity, look)
            frame = self._receive(look)
        if frame is not None and frame.kind == "refused":
            raise RpcError("denied", self.url, f"LM Studio refused the client: {frame.text or 'no reason given'}")
        if frame is None or frame.kind != "accepted":
            raise RpcError("absent", self.url, "a websocket, but not LM Studio's: it did not answer the greeting")

    def send(self, endpoint: str, look: Look, parameter: Mapping[str, Any] | None = None) -> int:
        """Send one call and return its number; `answers` waits for the result.

        Raises:
            RpcError: the connection failed.
            ValueError: lmwatch does not make such calls.
        """
        self._calls += 1
        text = call_frame(self.namespace, endpoint, self._calls, parameter)
        with self._translated(look):
            self._send(text, look)
        self._waiting[self._calls] = endpoint
        return self._calls

    def answers(self, look: Look) -> dict[int, Frame]:
        """What came back for the calls sent, by number: results and errors.

        A call that the server only warns about has none, and its endpoint is in `unknown`.

        Raises:
            RpcError: not all answers came.
        """
        look.reach("waiting for answers")
        found: dict[int, Frame] = {}
        while self._waiting:
            with self._translated(look):
                frame = self._receive(look)
            if frame is None:
                continue
            if frame.kind == "warning":
                self._take_warning(frame)
            elif frame.call_id is not None and self._waiting.pop(frame.call_id, None) is not None:
                found[frame.call_id] = frame
        return found

    def close(self) -> None:
        """Close the connection; the server is told, if it still listens."""
        with contextlib.suppress(*WEBSOCKET_ERRORS):
            self._socket.settimeout(_CLOSING_SECONDS)
            self._websocket.send_close()
        self._socket.close()

    def _take_warning(self, frame: Frame) -> None:
        meant = endpoints_meant(frame, set(self._waiting.values()))
        self.unknown |= meant
        self._waiting = {number: name for number, name in self._waiting.items() if name not in meant}

    def _send(self, text: str, look: Look) -> None:
        adopt(self._socket, look)
        self._socket.settimeout(look.left())
        self._websocket.send_text(text)

    def _receive(self, look: Look) -> Frame | None:
        """The next frame; None for a message that is none."""
        adopt(self._socket, look)
        opcode, data = self._websocket.recv_data()
        if opcode == ABNF.OPCODE_CLOSE:
            raise websocket.WebSocketConnectionClosedException
        return parse_frame(data) if opcode == ABNF.OPCODE_TEXT else None

    @contextlib.contextmanager
    def _translated(self, look: Look) -> Iterator[None]:
        try:
            yield
        except WEBSOCKET_ERRORS as error:
            raise trouble_in(error, look, self.url) from None
