"""The two ends of a webhook under test: a receiver that accepts nothing malformed, and a tap that keeps what passes."""

import contextlib
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from webhook_payload import problems

PATIENCE = 30.0


@dataclass(frozen=True)
class Delivered:
    """One request that was answered 2xx."""

    path: str
    at: float
    """Monotonic seconds when it was there in full."""
    body: bytes

    @property
    def payload(self) -> dict[str, Any]:
        """Its body."""
        document: dict[str, Any] = json.loads(self.body)
        return document

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """The alerts in it."""
        alerts: list[dict[str, Any]] = self.payload["alerts"]
        return alerts


class _End:
    """An HTTP server on loopback that can die and come back on its port."""

    def __init__(self) -> None:
        self._server: _Server | None = None
        self._port = 0
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> Self:
        self._server = _Server(("127.0.0.1", self._port), _Handler)
        self._server.end = self
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
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

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        raise NotImplementedError


class Receiver(_End):
    """Records what it is sent, and objects to everything that Alertmanager would not send.

    Attributes:
        status: what it answers; what is not 2xx is not taken.
        malformed: what was wrong with what came; must stay empty.
    """

    def __init__(self) -> None:
        super().__init__()
        self.status = 200
        self.malformed: list[str] = []
        self._delivered: list[Delivered] = []
        self._refused = 0
        self._lock = threading.Lock()

    @property
    def refused(self) -> int:
        """How many requests it did not take."""
        with self._lock:
            return self._refused

    def delivered(self, path: str = "") -> list[Delivered]:
        """What it took, in order; only that with this path where one is given."""
        with self._lock:
            return [one for one in self._delivered if not path or one.path == path]

    def alerts(self, path: str = "", **labels: str) -> list[dict[str, Any]]:
        """The alerts with these labels in all that it took, in order."""
        return [
            alert for one in self.delivered(path) for alert in one.alerts if labels.items() <= alert["labels"].items()
        ]

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        try:
            wrong = problems(json.loads(body))
        except ValueError as error:
            wrong = [f"no JSON: {error}"]
        if not headers.get("Content-Type", "").startswith("application/json"):
            wrong.append(f"Content-Type {headers.get('Content-Type')!r}")
        with self._lock:
            self.malformed += wrong
            if 200 <= self.status < 300:
                self._delivered.append(Delivered(path, time.monotonic(), body))
            else:
                self._refused += 1
        return self.status, b""


class Tap(_End):
    """Passes requests on and keeps the bodies that were answered 200.

    Args:
        target: gives the URL in front of the path; it may change.
    """

    def __init__(self, target: Callable[[], str]) -> None:
        super().__init__()
        self._target = target
        self._passed: list[Delivered] = []
        self._lock = threading.Lock()

    def passed(self) -> list[Delivered]:
        """What was acknowledged, in order."""
        with self._lock:
            return list(self._passed)

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        kept = {name: headers[name] for name in ("Content-Type", "Authorization") if name in headers}
        request = urllib.request.Request(self._target() + path, data=body, headers=kept)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                status, text = response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                status, text = error.code, error.read()
        except OSError:
            return 502, b"lmwatch does not answer"
        if status == 200:
            with self._lock:
                self._passed.append(Delivered(path, time.monotonic(), body))
        return status, text


class Intake(_End):
    """Takes what is pushed to an Alertmanager, and keeps the versions of each alert in the order in which they came."""

    def __init__(self) -> None:
        super().__init__()
        self._versions: dict[frozenset[tuple[str, str]], list[dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def versions(self) -> dict[frozenset[tuple[str, str]], list[dict[str, Any]]]:
        """By labels: all versions of an alert."""
        with self._lock:
            return {labels: list(versions) for labels, versions in self._versions.items()}

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        assert path == "/api/v2/alerts", path
        with self._lock:
            for alert in json.loads(body):
                self._versions.setdefault(frozenset(alert["labels"].items()), []).append(alert)
        return 200, b""


class _Server(ThreadingHTTPServer):
    end: _End
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._connections: set[socket.socket] = set()
        super().__init__(address, handler)

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
        """A client that goes away is no news here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: _Server

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:  # cut off on the way
            self.close_connection = True
            return
        status, text = self.server.end.answer(self.path, self.headers, body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass
