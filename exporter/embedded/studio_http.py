"""HTTP on the loopback address as LM Studio speaks it: no Server, no Date, idle connections closed, server-sent events.

Nothing here knows what is asked. A `Call` is one request with the ways to answer it; `Listener` accepts connections
and hands calls to a function.
"""

import json
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

from exporter.embedded.studio_errors import ApiError
from exporter.embedded.studio_faults import Fault

_LARGEST_BODY = 32 << 20
_REQUEST_SECONDS = 300.0
"""How long a request that has begun may be silent: Node's default for a whole one, `server.requestTimeout`."""
_JOIN_SECONDS = 5.0
_WAIT_STEP_SECONDS = 0.02
_STOP_POLL_SECONDS = 0.02


class ClientGoneError(ConnectionError):
    """Nobody waits for this answer any more."""


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Call:
    """One request, and the ways to answer it: exactly one of the methods `send_…`, `events`, `switch` and `reset` is used."""

    def __init__(self, handler: "_Handler", received: Received, stopping: threading.Event) -> None:
        self.received = received
        self.fault: Fault | None = None
        self.answered = False
        self._handler = handler
        self._stopping = stopping

    @property
    def path(self) -> str:
        """Without the query."""
        return self.received.path.partition("?")[0]

    def body(self) -> dict[str, Any]:
        """The JSON object that was posted.

        Raises:
            ApiError: it is none.
        """
        try:
            body = json.loads(self.received.body)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise ApiError(400, "Invalid JSON in the request body", "invalid_request", "invalid_json")
        return body

    def client_gone(self) -> bool:
        """Whether the client has closed the connection, or the server is stopping."""
        if self._stopping.is_set():
            return True
        try:
            readable, _, _ = select.select([self._handler.connection], [], [], 0)
            return bool(readable) and not self._handler.connection.recv(1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True

    def wait(self, seconds: float) -> None:
        """Let real time pass.

        Raises:
            ClientGoneError: the client left meanwhile, or the server stops.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self.client_gone():
                raise ClientGoneError
            self._stopping.wait(min(left, _WAIT_STEP_SECONDS))

    def send_json(self, status: int, document: Any) -> None:
        """Answer with a JSON document."""
        data = json.dumps(document, ensure_ascii=False).encode()
        if self.fault is not None and self.fault.kind == "half_json":
            data = data[: len(data) // 2]
        self._send(status, "application/json; charset=utf-8", data)

    def send_text(self, status: int, content_type: str, text: str) -> None:
        """Answer with a text."""
        self._send(status, content_type, text.encode())

    def send_html(self, status: int, title: str) -> None:
        """Answer as Express does when a handler throws."""
        page = (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Error</title>\n</head>\n'
            f"<body>\n<pre>{title}</pre>\n</body>\n</html>\n"
        )
        self._send(status, "text/html; charset=utf-8", page.encode())

    def _send(self, status: int, content_type: str, data: bytes) -> None:
        self.answered = True
        self._handler.send_head(status, {"Content-Type": content_type, "Content-Length": str(len(data))})
        self._write(b"" if self.received.method == "HEAD" else data)

    @contextmanager
    def events(self) -> Iterator[Callable[[str], None]]:
        """Answer with server-sent events; yields the function that sends one block of lines as it is.

        Leaving normally ends the response; leaving with an exception cuts the connection, so that no client can
        mistake half a stream for a whole one.
        """
        self.answered = True
        chunked = self._handler.request_version == "HTTP/1.1"
        self._handler.close_connection |= not chunked
        head = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        self._handler.send_head(200, head | ({"Transfer-Encoding": "chunked"} if chunked else {}))

        def send(block: str) -> None:
            data = f"{block}\n\n".encode()
            self._write(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)

        try:
            yield send
        except BaseException:
            self._handler.close_connection = True
            raise
        self._write(b"0\r\n\r\n" if chunked else b"")

    def switch(self, headers: Mapping[str, str]) -> tuple[BufferedIOBase, Callable[[bytes], None]]:
        """Answer with 101 and hand out the connection, to be read and written until this call is answered; then it closes."""
        self.answered = True
        self._handler.close_connection = True
        self._handler.connection.settimeout(None)
        lines = [f"{name}: {value}" for name, value in headers.items()]
        self._write("\r\n".join(["HTTP/1.1 101 Switching Protocols", *lines, "", ""]).encode())
        return self._handler.rfile, self._write

    def reset(self) -> None:
        """Cut the connection so that the client sees a reset."""
        self.answered = True
        self._handler.close_connection = True
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._handler.connection.close()

    def _write(self, data: bytes) -> None:
        try:
            self._handler.wfile.write(data)
            self._handler.wfile.flush()
        except OSError as error:
            self._handler.close_connection = True
            raise ClientGoneError from error


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: "Listener"

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self.server.track(self.connection)

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.server.forget(self.connection)

    def handle_one_request(self) -> None:
        """Any verb goes to the same place; a connection that stays silent between requests is closed."""
        self.close_connection = True
        try:
            self.connection.settimeout(self.server.keep_alive_seconds)
            self.raw_requestline = self.rfile.readline(65537)
            self.connection.settimeout(_REQUEST_SECONDS)
            if not self.raw_requestline or not self.parse_request():
                return
            received = self._receive()
            if received is None:
                self.send_error(400)
            else:
                self.server.answer(Call(self, received, self.server.stopping))
        except OSError:
            self.close_connection = True

    def _receive(self) -> Received | None:
        """The whole request; None if its body is too large or of unknown length."""
        given = self.headers.get("Content-Length") or "0"
        length = int(given) if given.isdecimal() else _LARGEST_BODY + 1
        if length > _LARGEST_BODY or "Transfer-Encoding" in self.headers:
            return None
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Received(self.command, self.path, headers, self.rfile.read(length))

    def send_head(self, status: int, headers: dict[str, str]) -> None:
        """Status line and headers; neither Server nor Date."""
        self.send_response_only(status)
        for name, value in (self.server.headers | headers).items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        else:
            self.send_header("Connection", "keep-alive")
            self.send_header("Keep-Alive", f"timeout={self.server.keep_alive_seconds:g}")
        self.end_headers()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What cannot be parsed as HTTP is answered without a body, as Node does."""
        del message, explain
        self.request_version = self.protocol_version
        self.close_connection = True
        self.send_head(code, {"Content-Length": "0"})

    def log_message(self, *_: Any) -> None:
        """Say nothing: what was asked is kept as `received`."""


class Listener(ThreadingMixIn, TCPServer):
    """Accepts connections, one thread each.

    Args:
        host: the IPv4 address to listen on.
        port: to listen on; 0 takes a free one.
        answer: called with each request, on the connection's thread.
        keep_alive_seconds: how long a connection may stay silent between requests before it is closed.
        headers: sent with each response.

    Raises:
        OSError: the port is taken, or the host is no address of this machine.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self,
        port: int,
        answer: Callable[[Call], None],
        *,
        host: str = "127.0.0.1",
        keep_alive_seconds: float = 5.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.answer = answer
        self.keep_alive_seconds = keep_alive_seconds
        self.headers = dict(headers or {})
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        super().__init__((host, port), _Handler)
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": _STOP_POLL_SECONDS}, name="listener", daemon=True
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Accept connections from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Close everything and wait until all threads are through, at most five seconds each."""
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        self.server_close()
        with self._lock:
            still_open = dict(self._open)
        for connection in still_open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in still_open.values():
            thread.join(_JOIN_SECONDS)

    def track(self, connection: socket.socket) -> None:
        """A connection was accepted; too late if the server is stopping."""
        with self._lock:
            self._open[connection] = threading.current_thread()
        if self.stopping.is_set():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def forget(self, connection: socket.socket) -> None:
        """A connection is closed."""
        with self._lock:
            self._open.pop(connection, None)
