"""Raw sockets on both sides of the proxy: a server that follows a script, a client that says exactly these bytes."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from exporter.clock import Clock, SystemClock
from exporter.config.model import Server
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.wire import Prediction
from exporter.proxy.server import MeteringProxy

DEADLINE_SECONDS = 10.0


def wait_until(condition: Callable[[], Any], what: str) -> None:
    until = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < until, f"never happened: {what}"
        time.sleep(0.002)


class Line:
    """One end of a connection, with everything that came in on it."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(DEADLINE_SECONDS)
        self.sock = sock
        self.heard = b""

    def say(self, data: bytes) -> None:
        self.sock.sendall(data)

    def hear(self, size: int) -> bytes:
        """Exactly so many further bytes."""
        got = b""
        while len(got) < size:
            data = self.sock.recv(size - len(got))
            assert data, f"closed after {got!r}"
            got += data
        self.heard += got
        return got

    def hear_until(self, end: bytes) -> bytes:
        """Further bytes up to and with this."""
        got = b""
        while not got.endswith(end):
            got += self.hear(1)
        return got

    def hear_all(self) -> bytes:
        """Everything until the other side closes in good order."""
        got = b""
        while data := self.sock.recv(65536):
            got += data
        self.heard += got
        return got

    def is_quiet(self) -> bool:
        """Whether nothing has come that was not heard."""
        self.sock.setblocking(False)
        try:
            return not self.sock.recv(1, socket.MSG_PEEK) and False
        except BlockingIOError:
            return True
        finally:
            self.sock.settimeout(DEADLINE_SECONDS)

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ScriptedUpstream:
    """Listens, and hands each connection to the script, on a thread of its own. What the script raises, `close` raises."""

    def __init__(self, script: Callable[[Line], None], wrap: Callable[[socket.socket], socket.socket] | None = None):
        self.lines: list[Line] = []
        self.failures: list[BaseException] = []
        self._script = script
        self._wrap = wrap or (lambda sock: sock)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._threads: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            line = Line(self._wrap(sock))
            self.lines.append(line)
            with line:
                self._script(line)
        except BaseException as failure:
            sock.close()
            self.failures.append(failure)

    def stop_listening(self) -> None:
        if self._listener.fileno() >= 0:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def close(self) -> None:
        self.stop_listening()
        self._thread.join(DEADLINE_SECONDS)
        for thread in self._threads:
            thread.join(DEADLINE_SECONDS)
            assert not thread.is_alive(), "a connection to the server was never closed"
        assert not self.failures, self.failures


class Books:
    """What the proxy reported."""

    def __init__(self) -> None:
        self.predictions: list[Prediction] = []
        self.contexts: list[int | None] = []
        self.failures: list[tuple[str, str, str, ModelFailure]] = []
        self.responses: list[tuple[str, str, int]] = []

    def prediction(self, origin: str, prediction: Prediction, context: int | None) -> None:
        assert origin == "traffic"
        self.contexts.append(context)
        self.predictions.append(prediction)

    def failure(self, server: str, model: str, origin: str, failure: ModelFailure) -> None:
        self.failures.append((server, model, origin, failure))

    def response(self, server: str, model: str, status: int) -> None:
        self.responses.append((server, model, status))

    @property
    def reasons(self) -> list[str]:
        return [failure.reason for _, _, _, failure in self.failures]

    def one_prediction(self) -> Prediction:
        wait_until(lambda: self.predictions or self.failures, "something was counted")
        assert not self.failures, self.failures
        assert len(self.predictions) == 1
        return self.predictions[0]

    def one_failure(self) -> ModelFailure:
        wait_until(lambda: self.predictions or self.failures, "something was counted")
        assert not self.predictions, self.predictions
        assert len(self.failures) == 1
        return self.failures[0][3]


LISTED = {"qwen/qwen3-4b": 8192, "scripted-1b": 4096}


def make_proxy(
    url: str,
    books: Books,
    *,
    clock: Clock | None = None,
    context_of: Callable[[str], int | None] = LISTED.get,
    **config: Any,
) -> MeteringProxy:
    return MeteringProxy(
        "127.0.0.1:0",
        Server(name="desk", url=url, **config),
        clock or SystemClock(),
        on_prediction=books.prediction,
        on_failure=books.failure,
        on_response=books.response,
        context_of=context_of,
    )


def connect(proxy: MeteringProxy) -> Line:
    host, _, port = proxy.address.rpartition(":")
    sock = socket.create_connection((host, int(port)), DEADLINE_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Line(sock)


@contextmanager
def passing(
    script: Callable[[Line], None], books: Books | None = None, **options: Any
) -> Iterator[tuple[ScriptedUpstream, MeteringProxy]]:
    """A server that follows the script, behind a proxy. All of it ends in the end, and nothing went wrong in it."""
    upstream = ScriptedUpstream(script)
    proxy = make_proxy(upstream.url, books or Books(), **options)
    proxy.start()
    try:
        yield upstream, proxy
    finally:
        proxy.stop(0)
        upstream.close()
    assert proxy.connections == 0


def request(body: bytes = b"", path: str = "/v1/chat/completions", *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: desk", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def answer(body: bytes, kind: str = "application/json", *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


EVENTS_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
