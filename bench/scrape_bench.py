"""What scraping costs: CPU seconds of the collecting process for a round of 1,000 targets with 500 series each."""

import multiprocessing
import os
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from exporter.clock import SystemClock
from exporter.config.model import Scrape, Source
from exporter.sources.scrape import ScrapeSource

TARGETS = 250
SERIES = 500
ROUNDS = 4
INTERVAL = 15.0
WORKERS = 8
GOAL = 1_000
"""Targets that the result is given for."""


def exposition(number: int) -> bytes:
    """500 series in 50 families with labels, as exporters write them; two in five values change each time."""
    lines = []
    for family in range(SERIES // 10):
        name = f"bench_family_{family}_total"
        lines += [f"# HELP {name} Something that is counted.", f"# TYPE {name} counter"]
        lines += [
            f'{name}{{device="disk{row}",mode="read",zone="eu-west-{family % 3}"}} {row * 1e6 + (number * row if row % 5 < 2 else 0)}'
            for row in range(10)
        ]
    return ("\n".join(lines) + "\n").encode()


def _serve(pipe: Connection) -> None:
    """Answer any request on any 127.x address with the next exposition; the simplest server that keeps connections.

    It listens on all addresses, since there is no other way to listen on all of 127.x, and lets nobody else in.
    """
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\r\n"
    answers = [head.format(len(body)).encode() + body for body in (exposition(number) for number in range(ROUNDS + 1))]

    def connection(sock: socket.socket) -> None:
        with sock:
            asked = 0
            while sock.recv(65536):
                sock.sendall(answers[asked % len(answers)])
                asked += 1

    with socket.create_server(("0.0.0.0", 0), backlog=1024) as server:
        pipe.send(server.getsockname()[1])
        while True:
            sock, (peer, _) = server.accept()
            if peer.startswith("127."):
                threading.Thread(target=connection, args=(sock,), daemon=True).start()
            else:
                sock.close()


@contextmanager
def _server() -> Iterator[int]:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(there,), daemon=True)
    process.start()
    try:
        yield int(here.recv())
    finally:
        process.kill()
        process.join()


def _round(source: ScrapeSource, pool: ThreadPoolExecutor) -> tuple[float, float]:
    """CPU seconds and wall-clock seconds of one round."""
    cpu, wall = time.process_time(), time.perf_counter()
    states = list(pool.map(lambda target: target.collect(), source.targets))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    failed = [state.error for state in states if not state.up]
    if failed or any(state.samples != SERIES for state in states):
        raise RuntimeError(f"{len(failed)} scrapes failed: {failed[:1]}")
    return cpu, wall


def run() -> list[dict[str, Any]]:
    """The rows of the benchmark; `ok` says whether the bar is met."""
    with _server() as port:
        addresses = [f"127.0.{number // 250 + 1}.{number % 250 + 1}:{port}" for number in range(TARGETS)]
        config = Source(name="bench", scrape=Scrape(targets=addresses))
        source = ScrapeSource(config, horizon=3600.0, clock=SystemClock())
        source.refresh()
        with ThreadPoolExecutor(WORKERS) as pool:
            first, _ = _round(source, pool)
            rounds = [_round(source, pool) for _ in range(ROUNDS)]
        source.close()
    scale = GOAL / TARGETS
    cpu = statistics.median(cpu for cpu, _ in rounds) * scale
    note = f"{TARGETS} targets x {SERIES} series over HTTP on loopback, median of {ROUNDS} rounds, scaled to {GOAL}"
    return [
        _row("scrape 1,000 targets each 15 s", cpu / INTERVAL, "cores", 1.0, note),
        _row("scrape: CPU of a round", cpu, "s", INTERVAL, f"CPU of a round of {GOAL} scrapes; {note}"),
        _row(
            "scrape: CPU of the first round",
            first * scale,
            "s",
            INTERVAL,
            f"connections and layouts are new; scaled to {GOAL}",
        ),
        _row("scrape: CPU of one target", cpu / GOAL * 1000, "ms", INTERVAL, f"on {os.cpu_count()} cores"),
    ]


def _row(name: str, value: float, unit: str, bar: float, note: str) -> dict[str, Any]:
    return {"name": name, "value": round(value, 4), "unit": unit, "bar": bar, "ok": value < bar, "note": note}


if __name__ == "__main__":
    for row in run():
        print(row)
