"""What the metering proxy costs: time to the first byte, and throughput, against the same server asked directly.

Server, proxy and client are three processes, as in real life; all on the loopback address, where nothing hides the cost.
"""

import json
import multiprocessing
import os
import random
import re
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from exporter.clock import SystemClock
from exporter.config.model import Server
from exporter.proxy.server import SWITCH_SECONDS, MeteringProxy

REQUESTS = 600
FRESH = 300
PAUSE_SECONDS = 0.005
"""Between requests, so that all three processes sleep when one comes, as they mostly do."""
TOKENS_PER_SECOND = 200.0
STREAM_SECONDS = 3.0
BODY_BYTES = 96 * 1024**2
BODY_PER_SECOND = 125e6
"""A network of 1 Gbit/s."""
RAW_BYTES = 512 * 1024**2
RAW_EVENTS = 30_000
MODEL = "qwen/qwen3-4b"
PIECE = bytes(256 * 1024)
EVENT = b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"%s","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}\n\n'  # fmt: skip
LAST = b'data: {"id":"chatcmpl-1","model":"%s","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _paced(count: int, per_second: float | None) -> Iterator[int]:
    """Numbers at a constant rate by the clock; all at once without one."""
    began = time.perf_counter()
    for number in range(count):
        if per_second is not None:
            time.sleep(max(0.0, began + number / per_second - time.perf_counter()))
        yield number


def _stream(sock: socket.socket, events: int, per_second: float | None) -> None:
    event = _chunk(EVENT % MODEL.encode())
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in _paced(events, per_second):
        sock.sendall(event)
    sock.sendall(_chunk(LAST % MODEL.encode()) + b"0\r\n\r\n")


def _body(sock: socket.socket, size: int, per_second: float | None) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n" % size)
    for _ in _paced(size // len(PIECE), per_second / len(PIECE) if per_second else None):
        sock.sendall(PIECE)


def _connection(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with sock:
        while True:
            request = b""
            while b"\r\n\r\n" not in request or not request.endswith(b"}"):
                data = sock.recv(65536)
                if not data:
                    return
                request += data
            asked = json.loads(request.partition(b"\r\n\r\n")[2])
            (_stream if "events" in asked else _body)(sock, asked.get("events") or asked["size"], asked["per_second"])


def _serve(pipe: Connection) -> None:
    """A server that says what the request tells it to, at the rate that it tells."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as server:
        pipe.send(server.getsockname()[1])
        while True:
            threading.Thread(target=_connection, args=(server.accept()[0],), daemon=True).start()


def _proxy(pipe: Connection, upstream: int) -> None:
    """The proxy; tells its port, then does what it is told, and answers how many predictions it has counted."""
    counted: list[Any] = []
    proxy = MeteringProxy(
        "127.0.0.1:0",
        Server(name="bench", url=f"http://127.0.0.1:{upstream}"),
        SystemClock(),
        on_prediction=lambda *told: counted.append(told),
        on_failure=lambda *_: counted.clear(),
        on_response=lambda *_: None,
        context_of=lambda _: 4096,
    )
    proxy.start()
    pipe.send(int(proxy.address.rpartition(":")[2]))
    while True:
        order = pipe.recv()
        if order == "compute":
            threading.Thread(target=_compute, daemon=True).start()
        elif order == "switch":
            sys.setswitchinterval(SWITCH_SECONDS)
        pipe.send(len(counted))


def _compute() -> None:
    """Keep the interpreter busy, as reading a large exposition does."""
    while True:
        re.findall(r"\d+", "1 2 3 " * 50)


@contextmanager
def _process(work: Callable[..., None], *arguments: Any) -> Iterator[tuple[Connection, int]]:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=work, args=(there, *arguments), daemon=True)
    process.start()
    try:
        yield here, int(here.recv())
    finally:
        process.kill()
        process.join()


class Client:
    """One connection that is kept; measures with as little of its own as can be."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port))
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        self._sock.close()

    def ask(self, **wanted: Any) -> tuple[float, float]:
        """Seconds to the first byte, and to the last."""
        body = json.dumps({"model": MODEL, "stream": "events" in wanted, **wanted}).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        began = time.perf_counter()
        self._sock.sendall(head % len(body) + body)
        data = self._sock.recv(65536)
        first = time.perf_counter() - began
        size = wanted.get("size")
        left = size - len(data.partition(b"\r\n\r\n")[2]) if size else 0
        buffer = bytearray(1024**2)
        while left > 0:
            left -= self._sock.recv_into(buffer)
        while not size and not data.endswith(b"0\r\n\r\n"):
            data = data[-8:] + self._sock.recv(65536)
        return first, time.perf_counter() - began


def _first_bytes(direct: int, through: int, count: int, *, fresh: bool = False) -> dict[int, list[float]]:
    """Seconds to the first byte by port, asked in random order so that both see the same machine in the same state."""
    times: dict[int, list[float]] = {direct: [], through: []}
    clients = {port: Client(port) for port in times}
    order = [direct, through] * count
    random.Random(0).shuffle(order)
    for port in order:
        time.sleep(PAUSE_SECONDS)
        began = time.perf_counter()
        client = Client(port) if fresh else clients[port]
        connecting = time.perf_counter() - began
        times[port].append(client.ask(events=2, per_second=None)[0] + connecting)
        if fresh:
            client.close()
    for client in clients.values():
        client.close()
    return times


def _total(port: int, repeat: int = 3, **wanted: Any) -> float:
    """Seconds for the whole answer, the median of several."""
    client = Client(port)
    seconds = statistics.median(client.ask(**wanted)[1] for _ in range(repeat))
    client.close()
    return seconds


def run() -> list[dict[str, Any]]:
    """The rows of the benchmark; `ok` says whether the bar is met."""
    with _process(_serve) as (_, direct), _process(_proxy, direct) as (proxy, through):
        _first_bytes(direct, through, 50)
        rows = _latency(direct, through) + _paced_throughput(direct, through) + _raw_throughput(direct, through)
        proxy.send("count")
        if proxy.recv() == 0:
            raise RuntimeError("the proxy counted nothing: these figures are not those of a metering proxy")
        return rows + _latency_while_computing(proxy, direct, through)


def _latency(direct: int, through: int) -> list[dict[str, Any]]:
    return [
        _added("proxy_first_byte_added", direct, through, count=REQUESTS, bar=1.0),
        _added(
            "proxy_first_byte_added_new_connection",
            direct,
            through,
            count=FRESH,
            bar=1.0,
            note="with connecting",
            fresh=True,
        ),
    ]


def _latency_while_computing(proxy: Connection, direct: int, through: int) -> list[dict[str, Any]]:
    rows = []
    for order, name, note in (
        ("compute", "default_switching", "another thread of the process computes without a pause"),
        ("switch", "quick_switching", f"the same, with a switch interval of {SWITCH_SECONDS * 1000:g} ms"),
    ):
        proxy.send(order)
        proxy.recv()
        rows.append(_added(f"proxy_first_byte_added_{name}", direct, through, count=REQUESTS // 4, bar=None, note=note))
    return rows


def _added(
    name: str, direct: int, through: int, *, count: int, bar: float | None, note: str = "", fresh: bool = False
) -> dict[str, Any]:
    times = _first_bytes(direct, through, count, fresh=fresh)
    medians = {port: statistics.median(seconds) * 1000 for port, seconds in times.items()}
    slow = {port: statistics.quantiles(seconds, n=100)[98] * 1000 for port, seconds in times.items()}
    said = (
        f"medians of {count}: direct {medians[direct]:.3f} ms, through the proxy {medians[through]:.3f} ms"
        f" (p99 {slow[direct]:.2f} and {slow[through]:.2f}); {os.cpu_count()} cores"
    )
    return _row(name, medians[through] - medians[direct], "ms", bar, f"{note}; {said}" if note else said)


def _paced_throughput(direct: int, through: int) -> list[dict[str, Any]]:
    stream = {"events": int(TOKENS_PER_SECOND * STREAM_SECONDS), "per_second": TOKENS_PER_SECOND}
    body = {"size": BODY_BYTES, "per_second": BODY_PER_SECOND}
    rows = []
    for name, wanted, note in (
        ("proxy_stream_throughput_loss", stream, f"{TOKENS_PER_SECOND:g} tokens/s for {STREAM_SECONDS:g} s"),
        ("proxy_body_throughput_loss", body, f"{BODY_BYTES >> 20} MB at {BODY_PER_SECOND / 1e6:g} MB/s"),
    ):
        seconds = _total(direct, **wanted), _total(through, **wanted)
        loss = max(0.0, 1 - seconds[0] / seconds[1])
        rows.append(_row(name, loss * 100, "%", 2.0, f"{note}: direct {seconds[0]:.3f} s, through {seconds[1]:.3f} s"))
    return rows


def _raw_throughput(direct: int, through: int) -> list[dict[str, Any]]:
    rows = []
    for name, port in (("direct", direct), ("through_proxy", through)):
        body = RAW_BYTES / _total(port, size=RAW_BYTES, per_second=None) / 1e6
        events = RAW_EVENTS / _total(port, events=RAW_EVENTS, per_second=None)
        note = f"a server that never waits, {os.cpu_count()} cores for three processes"
        rows.append(_row(f"raw_body_{name}", body, "MB/s", None, note))
        rows.append(_row(f"raw_stream_{name}", events, "events/s", None, f"{note}; each event is read and counted"))
    return rows


def _row(name: str, value: float, unit: str, bar: float | None, note: str) -> dict[str, Any]:
    ok = None if bar is None else value < bar
    return {"name": name.replace("_", " "), "value": round(value, 4), "unit": unit, "bar": bar, "ok": ok, "note": note}


if __name__ == "__main__":
    for row in run():
        print(row)
