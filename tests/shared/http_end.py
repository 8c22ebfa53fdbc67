"""An HTTP server on loopback for tests: it can die and come back on its port, and a fault of its own is no secret."""

import contextlib
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class HttpEnd:
    """One end of HTTP that a test holds.

    Args:
        handler: what it does with requests.

    Attributes:
        malformed: what was wrong with what came, and what failed in the handler; must stay empty.
    """

    def __init__(self, handler: type["Handler"]) -> None:
        self.malformed: list[str] = []
        self._handler = handler
        self._server: _Server | None = None
        self._port = 0
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> Self:
        self._server = _Server(self, self._port, self._handler)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening and cut what is under way; `start` comes back on the same port."""
        server, self._server = self._server, None
        if server is not None and self._thread is not None:
            server.shutdown()
            server.cut()
            server.server_close()
            self._thread.join()

    def close(self) -> None:
        """End; nothing may have been malformed."""
        self.stop()
        assert self.malformed == []

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, failed: object, *_: object) -> None:
        self.stop() if failed else self.close()


class Handler(BaseHTTPRequestHandler):
    """Reads requests and answers them for an end, `self.server.end`."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body of an answer in one packet
    server: "_Server"

    def body(self) -> bytes | None:
        """Of the request; None where it was cut off on the way."""
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return None
        return body

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def __init__(self, end: HttpEnd, port: int, handler: type[Handler]) -> None:
        self.end: Any = end
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        for connection in tuple(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        if not isinstance(error, OSError):  # a client that goes away is no news
            self.end.malformed.append(repr(error))
