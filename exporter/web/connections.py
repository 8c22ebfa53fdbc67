"""cheroot, made safe against clients that connect and say nothing, or say it slowly.

As it comes, cheroot does TLS handshakes in the thread that accepts, and gives a worker to every new connection
before a byte has arrived: one silent client stops everybody, a handful of them takes all workers. Here a connection
waits in the selector until its first byte, the handshake happens in a worker, and every step has a deadline.
"""

import logging
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cheroot import wsgi
from cheroot.errors import FatalSSLAlert
from cheroot.makefile import StreamReader, StreamWriter
from cheroot.server import HTTPConnection
from cheroot.ssl import Adapter

from exporter.clock import Clock, SystemClock
from exporter.errors import LmwatchError

logger = logging.getLogger(__name__)

ContextProvider = Callable[[], ssl.SSLContext]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of the server one client, or all of them, can take."""

    requests: int = 16
    """Requests that are worked on at the same time, for each address."""
    queued: int = 128
    """Requests that wait for a worker; further ones are answered with 503."""
    connections: int = 512
    """Connections that may be open without a request."""
    idle_seconds: float = 15.0
    """How long a connection may be open without a request."""
    check_seconds: float = 0.5
    """How often idle connections are looked for; stopping may take as long."""
    handshake_seconds: float = 10.0
    request_seconds: float = 15.0
    """How long sending one request may take the client."""
    response_seconds: float = 60.0
    """How long taking one response may take the client."""
    stop_seconds: float = 3.0
    """How long requests that are being answered may go on when the server stops."""
    header_bytes: int = 64 * 1024
    body_bytes: int = 4 * 1024**2


class Listener(wsgi.Server):
    """A WSGI server on one address.

    Args:
        address: host and port; port 0 takes a free one.
        app: the WSGI application.
        limits: what clients may take.
        context: gives the TLS context for each new connection; None for plain HTTP.
        clock: tells the time for deadlines.
    """

    def __init__(
        self,
        address: tuple[str, int],
        app: Any,
        limits: Limits,
        context: ContextProvider | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(
            address,
            app,
            numthreads=limits.requests,
            max=limits.requests,
            server_name="lmwatch",
            request_queue_size=128,
            accepted_queue_size=limits.queued,
            # The thread that accepts asks for a place in the queue: it must not wait for one.
            accepted_queue_timeout=0,
        )
        self.timeout = limits.idle_seconds
        self.expiration_interval = limits.check_seconds
        self.shutdown_timeout = limits.stop_seconds
        self.limits = limits
        self.busy: set[Connection] = set()
        self.clock = clock or SystemClock()
        self.keep_alive_conn_limit = limits.connections
        self.max_request_header_size = limits.header_bytes
        self.max_request_body_size = limits.body_bytes
        self.ConnectionClass = Connection
        self.ssl_adapter = LateHandshake(context) if context else None

    @staticmethod
    def bind_socket(socket_: socket.socket, bind_addr: tuple[str, int]) -> socket.socket:
        """Bind the socket; closes it when that fails, which cheroot forgets."""
        try:
            socket_.bind(bind_addr)
        except OSError:
            socket_.close()
            raise
        return socket_

    def process_conn(self, conn: "Connection") -> None:
        """Take a connection that has something to say; a new one has to wait for its first byte."""
        if conn.last_used is not None:
            super().process_conn(conn)
        elif self.can_add_keepalive_connection:
            self.put_conn(conn)
        else:
            conn.close()

    def stop(self) -> None:
        """End serving; what is being answered gets a few seconds."""
        # cheroot stops waiting only for clients that send, not for those that do not take their answer.
        cut = threading.Timer(self.limits.stop_seconds, self._cut_off)
        cut.daemon = True
        cut.start()
        try:
            super().stop()
        finally:
            cut.cancel()
            cut.join()

    def _cut_off(self) -> None:
        for connection in tuple(self.busy):
            connection.cut_off()

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        """Log instead of writing to stderr. What clients do wrong is of interest only when debugging."""
        logger.log(level if level > logging.INFO else logging.DEBUG, "%s", msg, exc_info=traceback)


class Connection(HTTPConnection):
    """A connection whose handshake, reads and writes have deadlines."""

    def __init__(self, server: Listener, sock: socket.socket, _makefile: object = None) -> None:
        self._incoming = Deadline(sock, server.limits.request_seconds, server.clock)
        self._outgoing = Deadline(sock, server.limits.response_seconds, server.clock)
        super().__init__(server, sock, self._stream)
        self._shaken = not isinstance(sock, ssl.SSLSocket)

    def communicate(self) -> bool:
        """Serve one request; True if the connection stays open."""
        self.server.busy.add(self)
        try:
            if not self._shaken:
                # The request may take its time, as with a browser that connects in advance: no worker waits for it.
                return self._handshake()
            self._incoming.restart()
            self._outgoing.restart()
            return bool(super().communicate())  # type: ignore[no-untyped-call]  # cheroot's stub does not annotate it
        finally:
            self.server.busy.discard(self)

    def close(self) -> None:
        """Close the connection, with care for an answer that was sent before the request was read.

        The system would reset a connection with unread data, and the client might lose the answer; cheroot
        leaves such a socket to the garbage collector instead.
        """
        if self.linger:
            self.linger = False
            with suppress(OSError):
                self.socket.settimeout(0)
                self.socket.recv(self.server.limits.header_bytes)
        super().close()

    def cut_off(self) -> None:
        """End all reading and writing at once, from another thread."""
        with suppress(OSError):
            # Past TLS, whose own shutdown is not for other threads.
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)

    def _stream(self, _socket: socket.socket, mode: str, size: int) -> StreamReader | StreamWriter:
        return StreamReader(self._incoming, mode, size) if "r" in mode else StreamWriter(self._outgoing, mode, size)

    def _handshake(self) -> bool:
        self.socket.settimeout(self.server.limits.handshake_seconds)
        try:
            self.socket.do_handshake()
        except OSError as error:
            # An SSLError is an OSError too. Scanners and clients that do not trust us come here all the time.
            logger.debug("TLS handshake with %s failed: %s", self.remote_addr, error)
            return False
        self._shaken = True
        return True


class LateHandshake(Adapter):
    """Wraps accepted sockets for TLS and leaves the handshake to the worker."""

    def __init__(self, context: ContextProvider) -> None:
        # The base class wants file names of certificates; the context provider knows them.
        self._provide = context

    def bind(self, sock: socket.socket) -> socket.socket:
        """The listening socket stays as it is."""
        return sock

    def wrap(self, sock: socket.socket) -> tuple[socket.socket, dict[str, str]]:
        """The socket of a new connection, with what the application is to know about it.

        Raises:
            FatalSSLAlert: the client is gone already, or there is no usable certificate.
        """
        try:
            wrapped = self._provide().wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        except (OSError, LmwatchError) as error:
            sock.close()
            raise FatalSSLAlert(str(error)) from error
        return wrapped, self.get_environ()

    def get_environ(self) -> dict[str, str]:
        """Entries for the environment of each request."""
        return {"wsgi.url_scheme": "https", "HTTPS": "on"}

    def makefile(self, sock: socket.socket, mode: str = "r", bufsize: int = -1) -> None:
        """Connections make their own files."""


class Deadline:
    """The part of a socket that a stream uses; all calls since `restart` share one span of time.

    A timeout on the socket alone would begin anew with every byte.

    Args:
        sock: the socket.
        seconds: the span; it begins with the first call after `restart`.
        clock: tells the time.
    """

    def __init__(self, sock: socket.socket, seconds: float, clock: Clock) -> None:
        self._socket = sock
        self._seconds = seconds
        self._clock = clock
        self._end: float | None = None

    def restart(self) -> None:
        """Begin a new span with the next call."""
        self._end = None

    def recv_into(self, buffer: bytearray) -> int:
        """Receive into the buffer, in the time that is left.

        Raises:
            TimeoutError: no time is left.
        """
        self._arm()
        return self._socket.recv_into(buffer)

    def send(self, data: bytes) -> int:
        """Send some of the data, in the time that is left.

        Raises:
            TimeoutError: no time is left.
        """
        self._arm()
        return self._socket.send(data)

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def _decref_socketios(self) -> None:
        """Streams report their end here; the connection closes the socket itself."""

    def _arm(self) -> None:
        now = self._clock.monotonic()
        if self._end is None:
            self._end = now + self._seconds
        left = self._end - now
        if left <= 0:
            # cheroot recognises a timeout by these words.
            raise TimeoutError("timed out")
        self._socket.settimeout(left)
