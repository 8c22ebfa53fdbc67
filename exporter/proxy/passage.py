"""One client's connection, and the one to the server that belongs to it: what comes in on one goes out on the other.

A piece is passed on as soon as it has come, then it is counted. Each direction holds at most one piece: while the taker is slow,
nothing more is read from the giver, so that a body of any size passes in the same memory, and the giver notices.
"""

import selectors
import socket
import ssl
import struct
import sys
import threading
from contextlib import suppress

from exporter.clock import Clock
from exporter.proxy.dialogue import Dialogue
from exporter.proxy.refusal import bad_gateway
from exporter.proxy.upstream import UnreachableError, Upstream

PIECE_BYTES = 128 * 1024
MAX_KEPT_BYTES = 1024**2
"""Of a request that may have to be sent again."""
STALE_SECONDS = 1.0
"""A connection that the server had closed while it was idle fails at once; a later break is a break."""
FIRST_BYTE_SECONDS = 60.0
"""How long a client may be connected before it says anything; Node waits as long for a request's head."""
GRACE_SECONDS = 2.0
"""How much longer a client may be silent once the server has closed an idle connection. A request that is on its way at that
moment is not lost, as it would be without the proxy."""
LINGER_SECONDS = 2.0
"""How long a client is given to take the end of an answer before the connection is closed."""

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_RESET_ON_CLOSE = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class _ClientLeftError(Exception):
    """The client closed its connection, or is cut off."""


class _ServerEndedError(Exception):
    """The server closed its connection.

    Args:
        in_order: False for a reset.
    """

    def __init__(self, *, in_order: bool) -> None:
        self.in_order = in_order
        super().__init__()


class Passage:
    """Passes everything between one client and the server, on the thread that calls `run`.

    A client that closes its side, be it only for sending, has left: the connection to the server is closed at once.
    When the server closes, the client's connection is closed too; if by a reset and in the middle of an answer, so is it. Two
    exceptions: when the server closes a connection that is idle, as LM Studio does after five seconds, the next request
    within `GRACE_SECONDS` gets a new one. And where it closes under a request that is sent on an idle connection, that request
    is sent once more, on a new one, if all of it was kept and no byte of an answer has come.

    Args:
        client: the client's socket; closed in the end.
        upstream: where the server is.
        dialogue: told all that passes, after it has.
        clock: for the times that the dialogue is told.
        stopping: once set, the passage ends when all requests are answered.
    """

    def __init__(
        self, client: socket.socket, upstream: Upstream, dialogue: Dialogue, clock: Clock, stopping: threading.Event
    ) -> None:
        self._client = client
        self._upstream = upstream
        self._dialogue = dialogue
        self._clock = clock
        self._stopping = stopping
        self._selector = _Selector()
        self._server: socket.socket | None = None
        self._to_server: bytes | memoryview = b""
        self._to_client: bytes | memoryview = b""
        self._server_hears = True
        self._answered = False
        self._kept: bytearray | None = None
        self._kept_since = 0.0
        self._is_cut = False

    def run(self) -> None:
        """Pass everything on until one side ends."""
        try:
            self._pass_everything()
        except _ClientLeftError:
            self._close_server()
        except _ServerEndedError as end:
            self._close_server()
            in_order = end.in_order or self._dialogue.is_answered
            self._dialogue.server_ended(self._clock.monotonic(), in_order=end.in_order)
            self._end_client(in_order=in_order)
        except UnreachableError as error:
            self._refuse(error)
        finally:
            self._close_server()
            self._client.close()
            self._selector.close()
            self._dialogue.broken("cancelled", self._clock.monotonic())

    def retire(self) -> None:
        """End now if nothing is under way; called from another thread, with `stopping` set."""
        if self._awaits_no_answer():
            self.cut()

    def cut(self) -> None:
        """End now; called from another thread."""
        self._is_cut = True
        for side in (self._client, self._server):
            if side is not None:
                with suppress(OSError):
                    # Not the method of a TLS socket, which takes its state away under the thread that uses it.
                    socket.socket.shutdown(side, socket.SHUT_RDWR)

    def _pass_everything(self) -> None:
        self._client.setblocking(False)
        self._watch(self._client, _READ)
        while not (self._stopping.is_set() and self._awaits_no_answer()):
            ready = self._selector.select(self._patience())
            if not ready:
                return
            happened = {key.fileobj: events for key, events in ready}
            self._serve_client(happened.get(self._client, 0))
            if self._server is not None:
                self._serve_server(happened.get(self._server, 0))
            self._watch(self._client, self._interest(self._to_server, self._to_client))
            if self._server is not None:
                self._watch(self._server, self._interest(self._to_client, self._to_server))

    def _awaits_no_answer(self) -> bool:
        return self._dialogue.is_idle or self._dialogue.is_tunnel

    def _patience(self) -> float | None:
        """Seconds that nothing needs to happen; None where the server decides."""
        if self._server is not None:
            return None
        return GRACE_SECONDS if self._answered else FIRST_BYTE_SECONDS

    @staticmethod
    def _interest(to_other: bytes | memoryview, to_this: bytes | memoryview) -> int:
        return (0 if to_other else _READ) | (_WRITE if to_this else 0)

    def _watch(self, side: socket.socket, events: int) -> None:
        known = self._selector.get_map().get(side)
        if known is None:
            if events:
                self._selector.register(side, events)
        elif not events:
            self._selector.unregister(side)
        elif known.events != events:
            self._selector.modify(side, events)

    def _serve_client(self, events: int) -> None:
        """First take what is to be said to the client, then hear what it says."""
        if events & _WRITE and self._to_client:
            self._to_client = self._say(self._to_client)
        if events & _READ and not self._to_server:
            self._hear_client()

    def _hear_client(self) -> None:
        try:
            data = self._client.recv(PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            raise _ClientLeftError from None
        at = self._clock.monotonic()
        if not data:
            raise _ClientLeftError
        if self._server is None:
            try:
                self._connect()
            except UnreachableError:
                self._dialogue.sent(data, at)
                raise
        self._keep(data, at)
        self._to_server = self._tell(data)
        self._dialogue.sent(data, at)

    def _serve_server(self, events: int) -> None:
        if events & _WRITE and self._to_server:
            self._to_server = self._tell(self._to_server)
        if events & _READ and not self._to_client:
            self._hear_server()
            # What TLS has unpacked already makes no socket readable.
            while isinstance(self._server, ssl.SSLSocket) and self._server.pending() and not self._to_client:
                self._hear_server()

    def _hear_server(self) -> None:
        if self._server is None:
            return
        try:
            data = self._server.recv(PIECE_BYTES)
        except _NOT_NOW:
            return
        except OSError:
            self._server_ended(in_order=False)
            return
        at = self._clock.monotonic()
        if not data:
            self._server_ended(in_order=True)
            return
        self._kept = None
        self._answered = True
        self._to_client = self._say(data)
        self._dialogue.received(data, at)

    def _say(self, data: bytes | memoryview) -> bytes | memoryview:
        """Send to the client; what it does not take now comes back."""
        try:
            return _send(self._client, data)
        except OSError:
            raise _ClientLeftError from None

    def _tell(self, data: bytes | memoryview) -> bytes | memoryview:
        """Send to the server; what it does not take now comes back. One that has closed may have said something first."""
        if self._server is None or not self._server_hears:
            return b""
        try:
            return _send(self._server, data)
        except OSError:
            self._server_hears = False
            return b""

    def _keep(self, data: bytes, at: float) -> None:
        """Keep a request that goes out on a connection which the server may have closed meanwhile."""
        if self._kept is None:
            if not (self._answered and self._dialogue.is_idle):
                return
            self._kept = bytearray()
            self._kept_since = at
        self._kept += data
        if len(self._kept) > MAX_KEPT_BYTES:
            self._kept = None

    def _server_ended(self, *, in_order: bool) -> None:
        if self._is_cut:
            raise _ClientLeftError
        if self._dialogue.is_idle and self._dialogue.may_go_on:
            self._close_server()
            return
        kept, self._kept = self._kept, None
        if kept is None or self._clock.monotonic() - self._kept_since > STALE_SECONDS:
            raise _ServerEndedError(in_order=in_order)
        self._close_server()
        self._connect()
        self._to_server = self._tell(bytes(kept))

    def _connect(self) -> None:
        self._server = self._upstream.connect()
        self._server_hears = True
        self._answered = False
        self._watch(self._server, _READ)

    def _close_server(self) -> None:
        server, self._server = self._server, None
        self._to_server = b""
        if server is not None:
            if server in self._selector.get_map():
                self._selector.unregister(server)
            server.close()

    def _end_client(self, *, in_order: bool) -> None:
        if in_order:
            self._linger(counting=False)
        else:
            with suppress(OSError):
                self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    def _refuse(self, error: UnreachableError) -> None:
        """Answer in the server's place that there is none."""
        self._client.settimeout(LINGER_SECONDS)
        with suppress(OSError):
            self._client.sendall(bad_gateway(f"lmwatch: {error}"))
            self._linger(counting=True)
        self._dialogue.broken("unreachable", self._clock.monotonic())

    def _linger(self, *, counting: bool) -> None:
        """Let the client take what was sent: closing while it still sends would destroy that on the way."""
        until = self._clock.monotonic() + LINGER_SECONDS
        with suppress(OSError):
            self._client.settimeout(LINGER_SECONDS)
            self._client.shutdown(socket.SHUT_WR)
            while (data := self._client.recv(PIECE_BYTES)) and (at := self._clock.monotonic()) < until:
                if counting:
                    self._dialogue.sent(data, at)


def _send(taker: socket.socket, data: bytes | memoryview) -> bytes | memoryview:
    try:
        sent = taker.send(data)
    except _NOT_NOW:
        return data
    return memoryview(data)[sent:] if sent < len(data) else b""
