"""A small HTTP client that shows everything: status, headers, bytes as they come."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

DEADLINE_SECONDS = 10.0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll until it holds."""
    until = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < until, f"never happened: {what}"
        time.sleep(0.005)


@dataclass(frozen=True)
class Answered:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Event:
    """One server-sent event; `data` is None for [DONE]."""

    kind: str
    data: Any


class Client:
    """Talks to one server, a connection a request."""

    def __init__(self, port: int, token: str | None = None) -> None:
        self.port = port
        self.headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answered:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_SECONDS)
        try:
            data = None if body is None else body if isinstance(body, bytes) else json.dumps(body)
            connection.request(method, path, data, self.headers | (headers or {}))
            response = connection.getresponse()
            return Answered(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def get(self, path: str) -> Answered:
        return self.ask("GET", path)

    def post(self, path: str, body: Any) -> Answered:
        return self.ask("POST", path, body)

    def stream(self, path: str, body: Any) -> "Stream":
        return Stream(self.port, path, body, self.headers)


class Stream:
    """A streamed answer, read event by event; use as a context manager."""

    def __init__(self, port: int, path: str, body: Any, headers: dict[str, str]) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)
        self._connection.request("POST", path, json.dumps(body | {"stream": True}), headers)
        self.response = self._connection.getresponse()
        self.status = self.response.status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.response.close()
        self._connection.close()

    def __iter__(self) -> Iterator[Event]:
        kind, data = "", []
        while line := self.response.readline():
            text = line.decode().rstrip("\n")
            if text.startswith("event: "):
                kind = text.removeprefix("event: ")
            elif text.startswith("data: "):
                data.append(text.removeprefix("data: "))
            elif not text and data:
                joined = "\n".join(data)
                yield Event(kind, None if joined == "[DONE]" else json.loads(joined))
                kind, data = "", []

    def hang_up(self) -> None:
        """Go away without a word."""
        sock = self._connection.sock
        if sock is not None:
            sock.shutdown(socket.SHUT_RDWR)
        self.__exit__()


class Gate:
    """Stands before each token: lets as many pass as `open` was told, then blocks."""

    def __init__(self) -> None:
        self._tokens = threading.Semaphore(0)
        self._wide = threading.Event()
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if not self._wide.is_set():
            assert self._tokens.acquire(timeout=DEADLINE_SECONDS), "the gate was never opened"

    def let(self, tokens: int) -> None:
        self._tokens.release(tokens)

    def open(self) -> None:
        """Stay open."""
        self._wide.set()
        self._tokens.release(1000)


def chat(text: str = "Is that normal?", **more: Any) -> dict[str, Any]:
    """The body of an OpenAI chat request."""
    return {"model": "scripted-1b", "messages": [{"role": "user", "content": text}], "temperature": 0} | more
