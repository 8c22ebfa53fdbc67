"""What one scrape of `/metrics` costs with thousands of scored series, and what preparing it costs each interval."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from exporter.board import Board, ReloadState, ScoreTable, WatchPicture
from exporter.metrics.exposition import Exposition, make_registry
from exporter.metrics.instruments import Instruments
from exporter.metrics.rendering import WatchRenderer
from exporter.series.labels import Series, labels_of

SERIES = 5000
SCRAPE_BAR_MS = 100.0
RENDER_BAR_MS = 100.0
_ROUNDS = 15
_OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def run() -> list[dict[str, Any]]:
    """Rows with name, value, unit, bar, ok and note."""
    series = _series()
    renderer = WatchRenderer()
    picture = _picture(series, seed=0)
    start = time.perf_counter()
    rendered = renderer.render(picture)
    first = (time.perf_counter() - start) * 1000
    pictures = [_picture(series, seed) for seed in range(1, _ROUNDS + 1)]
    again = _median_ms(lambda: renderer.render(pictures.pop()))
    board = Board(0.0, ReloadState(True, 0.0), watches={"w": picture}, rendered={"w": rendered}, ready=True)
    registry = make_registry(lambda: board)
    Instruments(registry).declare_watch("w")
    exposition = Exposition(registry, lambda: board)
    size = len(exposition.respond("", "", ())[2]) / 1e6
    packed = len(exposition.respond("", "gzip", ())[2]) / 1e6
    return [
        _row("/metrics", _median_ms(lambda: exposition.respond("", "", ())), SCRAPE_BAR_MS, f"{size:.2f} MB"),
        _row(
            "/metrics, gzip", _median_ms(lambda: exposition.respond("", "gzip", ())), SCRAPE_BAR_MS, f"{packed:.2f} MB"
        ),
        _row(
            "/metrics, OpenMetrics and gzip",
            _median_ms(lambda: exposition.respond(_OPENMETRICS, "gzip", ())),
            SCRAPE_BAR_MS,
            "as Prometheus asks",
        ),
        _row("render a first picture", first, RENDER_BAR_MS, "labels are written too"),
        _row("render the next picture", again, RENDER_BAR_MS, "only numbers are new"),
    ]


def _series() -> tuple[Series, ...]:
    modes = ("idle", "iowait", "system", "user")
    return tuple(
        Series(
            "node_cpu_seconds_total",
            labels_of(
                {
                    "cpu": str(number // 4 % 32),
                    "instance": f"host{number // 128:03d}.example.org:9100",
                    "job": "node",
                    "mode": modes[number % 4],
                },
            ),
        )
        for number in range(SERIES)
    )


def _picture(series: tuple[Series, ...], seed: int) -> WatchPicture:
    """All scores, the model's too for each tenth series, and a band for each tenth."""
    random = np.random.default_rng(seed)

    def column(share: float, scale: float = 1.0) -> np.ndarray:
        values = random.random(SERIES) * scale
        values[random.random(SERIES) >= share] = np.nan
        return values

    table = ScoreTable(
        target="t",
        series=series,
        anomaly=column(1),
        screen=column(1),
        llm=column(0.1),
        confidence=column(0.1),
        kind=tuple("spike" if number % 100 == 0 else "" for number in range(SERIES)),
        value=column(0.1, 1e6),
        expected_lower=column(0.1, 1e6),
        expected_upper=column(0.1, 1e6),
    )
    return WatchPicture("w", "ok", "", 0.0, (table,))


def _median_ms(call: Callable[[], object]) -> float:
    spans = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        call()
        spans.append((time.perf_counter() - start) * 1000)
    return float(np.median(spans))


def _row(name: str, value: float, bar: float, note: str) -> dict[str, Any]:
    return {
        "name": f"{name} ({SERIES} series)",
        "value": value,
        "unit": "ms",
        "bar": bar,
        "ok": value <= bar,
        "note": note,
    }


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:45} {row['value']:8.2f} {row['unit']} (bar {row['bar']:g}) {row['note']}")
