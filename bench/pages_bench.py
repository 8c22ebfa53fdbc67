"""What a page costs with 10,000 verdicts in the journal and 2,000 series in a watch, beside what it costs with 10 verdicts and 50 series.

The whole answer is counted: the journal's file is read, histories are drawn, templates rendered; only the socket is left out.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry
from werkzeug.test import Client

from exporter.board import Board, ReloadState, ScoreTable, WatchPicture
from exporter.clock import ManualClock
from exporter.journal.store import Journal, Record
from exporter.lmstudio.wire import Model, ServerHealth
from exporter.metrics.exposition import Exposition
from exporter.reasoning.document import to_document
from exporter.reasoning.verdict import Fact, Finding, Verdict
from exporter.screening.result import Evidence, ScreenedGroup, ScreenedSeries
from exporter.series.frame import FloatArray
from exporter.series.labels import Labels, Series, labels_of
from exporter.web.routes import WebDeps, create_app

VERDICTS = 10_000
HOSTS, EACH = 40, 50
HELD = 24
"""Series of each group whose history is held: what a watch gives with `max_series` as it is by default."""
INSTANTS = 240
NOW = 1_770_000_000.0
BAR_MS = 300.0
ROUNDS = 7
PAGES = ("/", "/watches/fleet", "/verdicts", "/verdicts?watch=fleet&outcome=timeout", "/verdicts/v5", "/servers/desk")


def run() -> list[dict[str, Any]]:
    """Rows with name, value, unit, bar, ok and note."""
    with (
        tempfile.TemporaryDirectory() as folder,
        _client(Path(folder), VERDICTS, HOSTS) as full,
        _client(Path(folder, "empty"), 10, 1) as empty,
    ):
        return [_row(path, full, empty) for path in PAGES]


def _row(path: str, full: Client, empty: Client) -> dict[str, Any]:
    value, size = _median_ms(full, path)
    base, _ = _median_ms(empty, path)
    return {
        "name": f"page {path} ({VERDICTS} verdicts, {HOSTS * EACH} series)",
        "value": value,
        "unit": "ms",
        "bar": BAR_MS,
        "ok": value <= BAR_MS,
        "note": f"{size / 1000:.0f} kB; {value / base:.1f} times that of 10 verdicts and 50 series",
    }


def _median_ms(client: Client, path: str) -> tuple[float, int]:
    spans, size = [], 0
    for _ in range(ROUNDS):
        start = time.perf_counter()
        response = client.get(path)
        spans.append((time.perf_counter() - start) * 1000)
        if response.status_code != 200:
            raise RuntimeError(f"{path}: {response.status}")
        size = len(response.data)
    return float(np.median(spans)), size


@contextmanager
def _client(folder: Path, verdicts: int, hosts: int) -> Iterator[Client]:
    folder.mkdir(exist_ok=True)
    board, groups = _board(hosts), _groups(hosts)
    journal = Journal(folder / "journal.db")
    # Filling it is not what is measured.
    journal._database._connection.execute("PRAGMA synchronous = OFF")  # noqa: SLF001
    for number in range(verdicts):
        one = _verdict(number, hosts)
        journal.put(Record(one.id, one.watch, one.group, one.at, one.outcome, to_document(one)))

    def current() -> Board:
        # Each request finds a picture it has not seen: nothing is answered from what was worked out before.
        return replace(board, watches={name: replace(of) for name, of in board.watches.items()})

    deps = WebDeps(
        board=current,
        exposition=Exposition(CollectorRegistry(), current),
        journal=journal,
        reload=lambda: None,
        config_text=lambda: "",
        groups=lambda _, wanted: [group for group in groups if wanted(group.key)],
        clock=ManualClock(NOW),
    )
    try:
        yield Client(create_app(deps))
    finally:
        journal.close()


def _series(hosts: int) -> list[Series]:
    return [
        Series("node_cpu_seconds_total", labels_of({"cpu": str(number), **dict(_host(host))}), unit="seconds/s")
        for host in range(hosts)
        for number in range(EACH)
    ]


def _host(number: int) -> Labels:
    return labels_of({"instance": f"host{number:02d}.example.org:9100"})


def _board(hosts: int) -> Board:
    series = tuple(_series(hosts))
    random = np.random.default_rng(0)
    scores, nothing = random.random(len(series)), np.full(len(series), np.nan)
    kinds = ("",) * len(series)
    table = ScoreTable("t", series, scores, scores, nothing, nothing, kinds, nothing, nothing, nothing)
    picture = WatchPicture("fleet", "ok", "", NOW - 10, (table,), group_by=("instance",))
    models = (Model("qwen3-8b", "qwen3-8b", "llm", True, status="idle"),)
    server = ServerHealth("desk", "http://127.0.0.1:1234", True, "v1", "0.4", models, 0.02, NOW - 4)
    return Board(NOW - 9200, ReloadState(True, NOW), servers={"desk": server}, watches={"fleet": picture}, ready=True)


def _groups(hosts: int) -> list[ScreenedGroup]:
    random = np.random.default_rng(1)
    times = NOW - 15.0 * np.arange(INSTANTS)[::-1]

    def screened(series: Series, values: FloatArray) -> ScreenedSeries:
        fact = Evidence("jump", "the level moved from 0.4 to 0.9", (0.4, 0.9), 0.8)
        return ScreenedSeries(series, "", times, values, 15.0, 0.8, "spike", 0.2, 0.6, (fact,))

    series = _series(hosts)
    held = [[screened(one, random.random(INSTANTS)) for one in series[host * EACH :][:HELD]] for host in range(hosts)]
    return [ScreenedGroup("fleet", _host(host), tuple(held[host]), EACH, HELD) for host in range(hosts)]


def _verdict(number: int, hosts: int) -> Verdict:
    findings = tuple(
        Finding(series, 0.8, 0.7, 0.6, "spike", ("E1",), "User time rose far above its usual range.", True)
        for series in _series(1)[:5]
    )
    facts = tuple(Fact(f"E{place}", f"s{place}", "the level moved from 0.4 to 0.9") for place in range(1, 25))
    return Verdict(
        id=f"v{number}",
        watch="fleet",
        group=_host(number % hosts),
        at=NOW - 60.0 * number,
        outcome="timeout" if number % 10 == 9 else "ok",
        model="qwen3-8b",
        server="desk",
        group_score=(number % 10) / 10,
        summary="User time of a few cores rose, the others did not.",
        cause="",
        next_steps="",
        findings=findings,
        problems=(),
        facts=facts,
        prompt="You weigh computed evidence about time series. " * 100,
        answer="{}",
        shown=24,
        dropped=0,
        prompt_tokens_estimated=1800,
        predictions=(),
    )


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:80} {row['value']:8.1f} {row['unit']} (bar {row['bar']:g}) {row['note']}")
