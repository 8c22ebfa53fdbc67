"""What `screen: pushdown` costs: CPU seconds of lmwatch for an interval of 5,000 series, against screening them here.

A server in another process answers from memory, so that nothing of its work is counted.
"""

import json
import multiprocessing
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from exporter.clock import ManualClock
from exporter.config.model import PrometheusApi, Source, Watch
from exporter.sources.prometheus import PrometheusSource
from exporter.watching.feed import QueryFeed
from exporter.watching.pushdown import Pushdown, PushdownFeed
from exporter.watching.tables import members_of
from exporter.watching.trackers import Trackers

SERIES = 5_000
SUSPICIOUS = 10
GROUP = 50
PART = 50
"""Series that one query for windows names."""
INSTANTS = 240
STEP = 15.0
AT = 1_700_000_010.0
ROUNDS = 3
BAR_RATIO = 0.2


def labels(number: int) -> dict[str, str]:
    return {
        "anomaly_name": "bench",
        "instance": f"10.0.{number % 256}.{number // 256}:9100",
        "group": str(number // GROUP),
    }


def matrix(numbers: range) -> bytes:
    times = [AT - STEP * back for back in range(INSTANTS - 1, -1, -1)]
    result = [
        {
            "metric": labels(number),
            "values": [[at, str(100 + (7 * number + 13 * row) % 19)] for row, at in enumerate(times)],
        }
        for number in numbers
    ]
    return answer("matrix", result)


def distances() -> bytes:
    """The first series of each of the first groups is suspicious."""
    suspicious = {group * GROUP for group in range(SUSPICIOUS)}
    result = [
        {
            "metric": {"__name__": "lmwatch:input:beyond", "lmwatch_select": "0", **labels(number)},
            "value": [AT, "2.5" if number in suspicious else "0"],
        }
        for number in range(SERIES)
    ]
    return answer("vector", result)


def answer(kind: str, result: list[dict[str, Any]]) -> bytes:
    data = {"status": "success", "data": {"resultType": kind, "result": result}}
    body = json.dumps(data, separators=(",", ":")).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _serve(pipe: Connection) -> None:
    """Answers as large as the real ones; only the records of the closer look, a few hundred samples, are left out."""
    whole, few = matrix(range(SERIES)), matrix(range(PART))
    scores, nothing = distances(), answer("vector", [])

    def choose(request: bytes) -> bytes:
        if b"query_range" in request:
            return few if b"+or+" in request else whole
        return scores if b"label_replace" in request else nothing

    def connection(sock: socket.socket) -> None:
        with sock, sock.makefile("rb") as stream:
            while line := stream.readline():
                length, request = 0, line
                while (line := stream.readline()) not in (b"\r\n", b""):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                sock.sendall(choose(request + stream.read(length)))

    with socket.create_server(("127.0.0.1", 0)) as server:
        pipe.send(server.getsockname()[1])
        while True:
            threading.Thread(target=connection, args=(server.accept()[0],), daemon=True).start()


@contextmanager
def _source() -> Iterator[PrometheusSource]:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(there,), daemon=True)
    process.start()
    url = f"http://127.0.0.1:{here.recv()}"
    source = PrometheusSource(Source(name="tsdb", prometheus=PrometheusApi(url=url)), ManualClock(AT))
    try:
        yield source
    finally:
        source.close()
        process.terminate()
        process.join()


def _watch(screen: str) -> Watch:
    select = [{"query": 'lmwatch:input{anomaly_name="bench"}', "name": "bench"}]
    return Watch.model_validate(
        {"name": "bench", "source": "tsdb", "select": select, "group_by": ["group"], "screen": screen}
    )


def _least(interval: Callable[[], object]) -> float:
    interval()
    spent = []
    for _ in range(ROUNDS):
        started = time.process_time()
        interval()
        spent.append(time.process_time() - started)
    return min(spent)


def run() -> list[dict[str, Any]]:
    """Rows for the table: the least of three rounds of either, without what happens once for a set of series."""
    clock = ManualClock(AT)
    known: dict[int, Any] = {}

    def judged(feed: Any, screener: Any, watch: Watch) -> None:
        (frame,) = feed.take(AT).frames
        members = known.setdefault(id(frame.series), members_of(frame, watch))
        result = screener.judge(frame, members)
        assert len(result.score) == SERIES

    with _source() as source:
        here, there = _watch("local"), _watch("pushdown")
        local_feed = QueryFeed(here, source, lambda _: None)
        trackers = Trackers(here, clock, None, None)
        pushed_feed = PushdownFeed(there, source, lambda _: None, clock)
        pushed = Pushdown(there, source)
        local = _least(lambda: judged(local_feed, trackers, here))
        pushdown = _least(lambda: judged(pushed_feed, pushed, there))
    ratio = pushdown / local
    note = f"{SUSPICIOUS} of {SERIES // GROUP} groups suspicious"
    return [
        {
            "name": f"pushdown: an interval of {SERIES} series over screening them here",
            "value": ratio,
            "unit": "ratio",
            "bar": BAR_RATIO,
            "ok": ratio < BAR_RATIO,
            "note": note,
        },
        {
            "name": f"pushdown: an interval of {SERIES} series",
            "value": pushdown,
            "unit": "s CPU",
            "bar": None,
            "ok": None,
            "note": f"local {local:.3g} s",
        },
    ]
