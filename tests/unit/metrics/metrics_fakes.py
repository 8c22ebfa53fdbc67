"""A small board with every kind of thing on it, with fixed numbers, for golden files."""

from dataclasses import replace
from typing import Any

import numpy as np
from plain_verdict import plain_verdict
from prometheus_client import CollectorRegistry, generate_latest

from exporter.board import Board, HeartbeatState, ReloadState, ScoreTable, WatchPicture
from exporter.lmstudio.wire import Model, Prediction, ServerHealth
from exporter.metrics.rendering import WatchRenderer
from exporter.reasoning.verdict import Verdict
from exporter.series.labels import Series, labels_of
from exporter.sources.collected import Collected

NAN = float("nan")
CALL = {"server": "desk", "model": "qwen", "origin": "analysis"}
QWEN = Model("qwen", "qwen", "llm", True)


def make_health(*models: Model, up: bool = True, at: float = 0.0) -> ServerHealth:
    return ServerHealth("desk", "http://desk:1234", up, "v1" if up else None, "", models, 0.01, at)


def models_of(registry: CollectorRegistry, family: str) -> set[str]:
    """The values of the label `model` that a family shows."""
    found = next(each for each in registry.collect() if each.name == family)
    return {sample.labels["model"] for sample in found.samples}


def names_with(registry: CollectorRegistry, text: str) -> set[str]:
    """The names of all samples whose line holds a text."""
    lines = generate_latest(registry).decode().splitlines()
    return {line.split("{")[0] for line in lines if text in line and not line.startswith("#")}


def make_table(series: tuple[Series, ...], **columns: Any) -> ScoreTable:
    """A table whose unnamed columns hold nothing."""
    nothing = np.full(len(series), np.nan)
    names = ("anomaly", "screen", "llm", "confidence", "value", "expected_lower", "expected_upper")
    filled = {name: np.array(columns.get(name, nothing), dtype=float) for name in names}
    return ScoreTable(target="t", series=series, kind=tuple(columns.get("kind", [""] * len(series))), **filled)


def make_picture(*tables: ScoreTable, name: str = "w", **changes: Any) -> WatchPicture:
    return replace(WatchPicture(name, "ok", "", 0.0, tables), **changes)


def make_prediction(**changes: Any) -> Prediction:
    made = Prediction(
        server="desk",
        model="qwen",
        asked_model="qwen",
        text="",
        reasoning="",
        finish_reason="stop",
        prompt_tokens=900,
        output_tokens=100,
        reasoning_tokens=20,
        cached_prompt_tokens=512,
        time_to_first_token_seconds=0.7,
        duration_seconds=3.2,
        tokens_per_second=40.0,
        timed_by="server",
    )
    return replace(made, **changes)


def make_verdict(score: float | None, at: float) -> Verdict:
    return plain_verdict(watch="nodes", at=at, group_score=score)


def make_servers() -> dict[str, ServerHealth]:
    models = (
        Model(
            "qwen",
            "qwen/qwen3-8b",
            "llm",
            True,
            "qwen",
            "qwen3",
            "Q4_K_M",
            "gguf",
            5_000_000_000,
            16384,
            40960,
            4,
            1200.5,
            False,
            "idle",
            0,
            3600.0,
            990.5,
        ),
        Model("gemma", "google/gemma", "vlm", False, max_context_length=131072),
    )
    return {
        "desk": ServerHealth(
            "desk", "http://127.0.0.1:1234", True, "v1", "0.4.24", models, 0.02, 1000.0, rpc_up=True, process_up=True
        ),
        "attic": ServerHealth(
            "attic", "http://attic:1234", False, None, "", models, 2.0, 1000.0, "unreachable", process_up=False
        ),
    }


def make_board(**changes: Any) -> Board:
    series = (
        Series("node_load1", labels_of({"instance": "db1:9100", "job": "node"})),
        Series("node_disk", labels_of({"device": 'C:\\ "data"\nx', "instance": "db1:9100"})),
        Series("odd", labels_of({"watch": "theirs", "metric": "m", "kind": "k"})),
    )
    table = make_table(
        series,
        anomaly=[0.91, 0.25, NAN],
        screen=[0.75, 0.25, 0.5],
        llm=[1.0, NAN, NAN],
        confidence=[0.8, NAN, NAN],
        value=[5.5, NAN, NAN],
        expected_lower=[0.5, NAN, NAN],
        expected_upper=[2.0, NAN, NAN],
        kind=["spike", "", ""],
    )
    verdicts = {
        labels_of({"instance": "db1:9100", "watch": "x"}): make_verdict(0.875, 995.0),
        labels_of({"instance": "db2:9100"}): make_verdict(None, 990.0),
    }
    picture = WatchPicture(
        "nodes", "ok", "", 1000.0, (table,), verdicts, {labels_of({"instance": "db1:9100"}): 0.75}, prompt_tokens=1840
    )
    waiting = WatchPicture("shop", "warming", "too little history", 1000.0, threshold=0.625)
    renderer = WatchRenderer()
    board = Board(
        started_at=900.0,
        reload=ReloadState(True, 900.0),
        servers=make_servers(),
        sources={
            ("nodes", "db1:9100"): Collected("nodes", "db1:9100", True, 0.25, 1800, 1000.0),
            ("nodes", "db2:9100"): Collected("nodes", "db2:9100", False, 10.0, 0, 1000.0, "no answer"),
        },
        watches={"nodes": picture, "shop": waiting},
        rendered={"nodes": renderer.render(picture), "shop": renderer.render(waiting)},
        ready=True,
        heartbeat=HeartbeatState(300.0, screen_success_at=960.0, success_at=930.0),
        external_url="http://lmwatch.example:9917",
    )
    return replace(board, **changes)
