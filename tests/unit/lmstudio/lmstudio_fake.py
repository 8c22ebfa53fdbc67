"""A scripted model server on a real socket. It answers what it was told to, and remembers what it did not expect."""

import json
import socket
import struct
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

V1_LIST = "/api/v1/models"
V0_LIST = "/api/v0/models"
OPENAI_LIST = "/v1/models"
V0_CHAT = "/api/v0/chat/completions"
OPENAI_CHAT = "/v1/chat/completions"

Reply = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "FakeServer"

    def do_GET(self):
        self._answer(None)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(json.loads(body))

    def _answer(self, body):
        self.server.requests.append((self.command, self.path, body, dict(self.headers)))
        reply = self.server.next_reply(self.command, self.path)
        if reply is None:
            self.server.unexpected.append(f"{self.command} {self.path}")
            reply = json_reply({"error": {"message": "the test did not expect this"}}, status=599)
        try:
            reply(self)
        except (ConnectionError, OSError):
            self.server.broken.set()
            self.close_connection = True

    def head(self, status: int, content_type: str, length: int | None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        if length is None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, *args):
        pass


class FakeServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.requests: list[tuple[str, str, Any, dict[str, str]]] = []
        self.unexpected: list[str] = []
        self.broken = threading.Event()
        """Set when a client went away during an answer."""
        self.release = threading.Event()
        """Lets hanging answers end; set when the test ends."""
        self._once: dict[tuple[str, str], deque[Reply]] = defaultdict(deque)
        self._always: dict[tuple[str, str], Reply] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def once(self, method: str, path: str, *replies: Reply) -> None:
        """Expect a request; each reply serves one."""
        self._once[method, path].extend(replies)

    def always(self, method: str, path: str, reply: Reply) -> None:
        """Expect any number of requests."""
        self._always[method, path] = reply

    def next_reply(self, method: str, path: str) -> Reply | None:
        with self._lock:
            waiting = self._once[method, path]
            return waiting.popleft() if waiting else self._always.get((method, path))

    def paths(self) -> list[str]:
        return [path for _, path, _, _ in self.requests]

    def bodies(self) -> list[Any]:
        return [body for _, _, body, _ in self.requests]

    def close(self) -> None:
        self.release.set()
        self.shutdown()
        self.server_close()
        self._thread.join(5)

    def handle_error(self, request, client_address):
        self.broken.set()


def raw(body: bytes, content_type: str = "application/json", status: int = 200) -> Reply:
    def reply(handler: Handler) -> None:
        handler.head(status, content_type, len(body))
        handler.wfile.write(body)

    return reply


def json_reply(document: Any, status: int = 200) -> Reply:
    return raw(json.dumps(document).encode(), status=status)


def html(status: int, words: str = "Internal Server Error") -> Reply:
    page = f"<!DOCTYPE html>\n<html><head><title>Error</title></head><body><pre>{words}</pre></body></html>"
    return raw(page.encode(), "text/html; charset=utf-8", status)


def unexpected_endpoint(method: str, path: str, status: int = 200) -> Reply:
    return json_reply({"error": f"Unexpected endpoint or method. ({method} {path})"}, status)


def delta(
    content: str | None = None, *, finish: str | None = None, model: str = "qwen/qwen3-4b", **fields: Any
) -> bytes:
    part = dict(fields) if content is None else {"content": content, **fields}
    return data(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "model": model,
            "choices": [{"index": 0, "delta": part, "finish_reason": finish}],
        }
    )


def usage(prompt: int = 20, output: int = 10, **more: Any) -> bytes:
    counts = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
    return data({"model": "qwen/qwen3-4b", "choices": [], "usage": counts, **more})


def data(document: Any) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def stream(*parts: bytes | Callable[[Handler], None], content_type: str = "text/event-stream") -> Reply:
    """A chunked answer; a part that can be called is called with the handler instead of being sent."""

    def reply(handler: Handler) -> None:
        handler.head(200, content_type, None)
        for part in parts:
            if callable(part):
                part(handler)
            else:
                handler.chunk(part)
        handler.chunk(b"")

    return reply


def answer(words: Iterable[str] = ("All", " is", " well."), *more: bytes) -> Reply:
    """A whole, ordinary streamed answer; `more` comes before the end mark."""
    return stream(
        delta(role="assistant", content=""), *(delta(word) for word in words), delta(finish="stop"), *more, DONE
    )


def hang(handler: Handler) -> None:
    """Say nothing more until the test ends, or the client leaves."""
    handler.connection.settimeout(0.02)
    while not handler.server.release.is_set():
        try:
            if handler.connection.recv(1) == b"":
                handler.server.broken.set()
                raise ConnectionResetError
        except TimeoutError:
            continue
    raise ConnectionResetError


def reset(handler: Handler) -> None:
    """Cut the connection with a TCP reset."""
    handler.wfile.flush()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    raise ConnectionResetError


def close(handler: Handler) -> None:
    """End the connection in good order, in the middle of a chunked answer."""
    handler.close_connection = True
    raise ConnectionResetError


def serving() -> Iterator[FakeServer]:
    server = FakeServer()
    try:
        yield server
    finally:
        server.close()
    assert not server.unexpected, f"requests that the test did not expect: {server.unexpected}"
