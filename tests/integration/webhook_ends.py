"""The two ends of a webhook under test: a receiver that accepts nothing malformed, and a tap that keeps what passes."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from http_end import Handler, HttpEnd
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


class _End(HttpEnd):
    """Answers what is posted."""

    def __init__(self) -> None:
        super().__init__(_Handler)

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        raise NotImplementedError


class Receiver(_End):
    """Records what it is sent, and objects to everything that Alertmanager would not send.

    Attributes:
        status: what it answers; what is not 2xx is not taken.
    """

    def __init__(self) -> None:
        super().__init__()
        self.status = 200
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


class _Handler(Handler):
    def do_POST(self) -> None:
        body = self.body()
        if body is not None:
            status, text = self.server.end.answer(self.path, self.headers, body)
            self.reply(status, text)
