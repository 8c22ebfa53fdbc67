"""A real HTTP server on loopback whose every answer a test writes, byte by byte if need be."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

PATIENCE = 10.0
"""Seconds after which a condition that a test waits for counts as never coming."""


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    client: tuple[str, int]


class Reply:
    """What a route answers with; every method may be called once or often, in the order of the wire."""

    def __init__(self, handler: BaseHTTPRequestHandler, stopping: threading.Event) -> None:
        self.stopping = stopping
        self._handler = handler

    def send(self, body: bytes = b"", *, status: int = 200, **headers: str) -> None:
        """A whole answer; header names are written with underscores."""
        self.raw(
            b"HTTP/1.1 %d x\r\n" % status
            + b"".join(f"{name.replace('_', '-')}: {value}\r\n".encode("latin-1") for name, value in headers.items())
            + b"Content-Length: %d\r\n\r\n" % len(body)
            + body
        )

    def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        self._handler.wfile.write(data)
        self._handler.wfile.flush()

    def chunk(self, data: bytes) -> None:
        """One chunk of a body with `Transfer-Encoding: chunked`; an empty one ends it."""
        self.raw(b"%x\r\n%s\r\n" % (len(data), data))

    def drip(self, data: bytes, seconds: float = 0.02) -> None:
        """The same bytes again and again, slowly, until the client has gone or the test ends."""
        while not self.stopping.wait(seconds):
            self.raw(data)

    def hang(self) -> None:
        """Nothing, until the client has gone or the test ends."""
        connection = self._handler.connection
        while not self.stopping.is_set():
            connection.settimeout(0.05)
            with contextlib.suppress(TimeoutError):
                if not connection.recv(1):
                    return

    def reset(self) -> None:
        """Close the connection with RST, without an answer."""
        connection = self._handler.connection
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self._handler.close_connection = True
        connection.close()

    def close(self) -> None:
        """Close the connection after this answer."""
        self._handler.close_connection = True


Route = Callable[[Seen, Reply], None]


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, fake: "FakeServer") -> None:
        self.fake = fake
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request, client_address):
        import sys

        error = sys.exception()
        if not isinstance(error, OSError):
            self.fake.unexpected.append(repr(error))

    def get_request(self):
        connection, address = super().get_request()
        if self.fake.tls is not None:
            # The handshake takes place at the first read, in the connection's own thread.
            connection = self.fake.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self.fake.connections.append(connection)
        return connection, address

    def shutdown_request(self, request):
        with contextlib.suppress(OSError):
            request.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self):
        fake = self.server.fake
        length = int(self.headers.get("Content-Length") or 0)
        url = urlsplit(self.path)
        seen = Seen(
            self.command,
            url.path,
            parse_qsl(url.query),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(length),
            self.client_address,
        )
        fake.seen.append(seen)
        route = fake.routes.get((self.command, url.path))
        if route is None:
            fake.unexpected.append(f"{self.command} {self.path}")
            self.send_error(500)
            return
        route(seen, Reply(self, fake.stopping))

    def do_POST(self):
        self.do_GET()

    def log_message(self, *args):
        pass


class FakeServer:
    """Answers the paths it was given; any other request fails the test that uses it."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.routes: dict[tuple[str, str], Route] = {}
        self.seen: list[Seen] = []
        self.unexpected: list[str] = []
        self.connections: list[socket.socket] = []
        self.stopping = threading.Event()
        self._server = _Server(self)
        self.port: int = self._server.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.address}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def on(self, path: str, route: Route, method: str = "GET") -> str:
        """Answer a path; returns its URL."""
        self.routes[method, path] = route
        return self.url + path

    def reply(self, path: str, body: bytes = b"", *, status: int = 200, method: str = "GET", **headers: str) -> str:
        """Answer a path always the same; returns its URL."""
        return self.on(path, lambda _, reply: reply.send(body, status=status, **headers), method)

    def close(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[FakeServer]:
    """A server for the time of a block; afterwards nothing unexpected may have been asked."""
    server = FakeServer(tls)
    try:
        yield server
    finally:
        server.close()
    assert server.unexpected == []


@contextlib.contextmanager
def listening() -> Iterator[socket.socket]:
    """A socket that accepts connections into its backlog and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


@contextlib.contextmanager
def full() -> Iterator[tuple[str, int]]:
    """An address whose backlog is full: Linux drops further attempts to connect, as a firewall does."""
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(socket.socket())
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(sock.getsockname())
        yield sock.getsockname()


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll until the condition holds."""
    ticks = threading.Event()
    for _ in range(int(PATIENCE / 0.005)):
        if condition():
            return
        ticks.wait(0.005)
    raise AssertionError("the condition never came true")
