"""What a poll of a server costs: wall-clock time of one against the stand-in on loopback, without and with the websocket."""

import statistics
import time
from typing import Any

from exporter.clock import SystemClock
from exporter.config.model import Server
from exporter.embedded.scripted import ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.embedded.studio_disk import other_models
from exporter.lmstudio.lane import open_lane
from exporter.sources.http import Cancel

POLLS = 300
BAR_MS = 50.0
"""A poll each 10 s then takes less than half a percent of the time."""


def run() -> list[dict[str, Any]]:
    """The rows of the benchmark; `ok` says whether the bar is met."""
    with StudioServer([ScriptedEngine(lambda _: "unused"), *other_models()]) as studio:
        return [_row("poll", _median_ms(studio.url, "off")), _row("poll with websocket", _median_ms(studio.url, "on"))]


def _median_ms(url: str, rpc: str) -> float:
    lane = open_lane(Server.model_validate({"name": "bench", "url": url, "rpc": rpc}), SystemClock(), Cancel())
    try:
        if not lane.poll().up:
            raise RuntimeError("the stand-in is down")
        spans = []
        for _ in range(POLLS):
            began = time.perf_counter()
            lane.poll()
            spans.append((time.perf_counter() - began) * 1000)
    finally:
        lane.close()
    return statistics.median(spans)


def _row(name: str, value: float) -> dict[str, Any]:
    note = f"median of {POLLS}, server in the same process"
    return {"name": name, "value": round(value, 3), "unit": "ms", "bar": BAR_MS, "ok": value < BAR_MS, "note": note}
