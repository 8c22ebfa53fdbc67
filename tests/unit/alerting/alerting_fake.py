"""An Alertmanager on a real socket that behaves as it is told, stores as the real one does, and accepts nothing malformed."""

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATIENCE = 20.0
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
MOST = 64


class FakeAlertmanager:
    """Answers POST /api/v2/alerts.

    Attributes:
        status: what it answers; "hang" answers nothing until the test ends, "redirect" sends to its pages.
        retry_after: the header of answers other than 200; none where empty.
        refuses: tells whether an alert is bad: a batch with one is answered 400, the good ones are stored.
        stored: the newest version of each alert that it took, by labels.
        requests: the batches as they came, accepted or not.
        malformed: what no Alertmanager should ever be sent.
    """

    def __init__(self, port: int = 0, prefix: str = "") -> None:
        self.status: int | str = 200
        self.retry_after = ""
        self.refuses: Callable[[dict], bool] = lambda _: False
        self.stored: dict[tuple, dict] = {}
        self.requests: list[list[dict]] = []
        self.malformed: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.prefix = prefix
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.fake = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{prefix}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def names(self) -> set[str]:
        """The label `name` of everything that it took."""
        return {alert["labels"]["name"] for alert in self.stored.values()}

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        for connection in self._server.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()
        assert self.malformed == []

    def take(self, batch: list[dict]) -> int | str:
        """Store a batch as the real one does; the status to answer."""
        self.requests.append(batch)
        self.malformed += [problem for alert in batch for problem in problems(alert)]
        if not 1 <= len(batch) <= MOST:
            self.malformed.append(f"{len(batch)} alerts in a batch")
        if self.status != 200:
            return self.status
        for alert in batch:
            if not self.refuses(alert):
                self.stored[tuple(sorted(alert["labels"].items()))] = alert
        return 400 if any(map(self.refuses, batch)) else 200


def problems(alert: dict) -> list[str]:
    """What is wrong with an alert, by Alertmanager's OpenAPI document and its validation."""
    found = [
        f"unknown field {name}"
        for name in alert.keys() - {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}
    ]
    found += [f"label {name}" for name in alert["labels"] if not _NAME.fullmatch(name)]
    found += [f"empty {name}" for name, value in {**alert["labels"], **alert["annotations"]}.items() if not value]
    found += [f"value of {name}" for name, value in alert["labels"].items() if not isinstance(value, str)]
    found += [f"time {alert[name]}" for name in ("startsAt", "endsAt") if not _TIME.fullmatch(alert[name])]
    if "alertname" not in alert["labels"]:
        found.append("no alertname")
    if datetime.fromisoformat(alert["startsAt"]) > datetime.fromisoformat(alert["endsAt"]):
        found.append("ends before it starts")
    return found


class _Server(ThreadingHTTPServer):
    fake: FakeAlertmanager

    def __init__(self, *args) -> None:
        self.connections: list[socket.socket] = []
        super().__init__(*args)

    def get_request(self):
        connection, address = super().get_request()
        self.connections.append(connection)
        return connection, address

    def handle_error(self, request, client_address):
        import sys

        if not isinstance(sys.exception(), OSError):
            self.fake.malformed.append(repr(sys.exception()))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body of an answer in one packet
    server: _Server

    def do_POST(self):
        fake = self.server.fake
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fake.headers.append(dict(self.headers.items()))
        if self.path != f"{fake.prefix}/api/v2/alerts" or self.headers["Content-Type"] != "application/json":
            fake.malformed.append(f"POST {self.path} {self.headers['Content-Type']}")
        status = fake.take(json.loads(body))
        if status == "hang":
            fake.closing.wait(PATIENCE)
        elif status == "redirect":
            self._answer(302, b"", Location="/page")
        else:
            told = {"Retry-After": fake.retry_after} if status != 200 and fake.retry_after else {}
            self._answer(status, b"" if status == 200 else b'"the reason"\n', **told)

    def do_GET(self):
        self._answer(200, b"<html>Log in</html>")

    def _answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Poll until the condition holds."""
    ticks = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if condition():
            return
        ticks.wait(0.01)
    raise AssertionError(f"never: {what}")
