"""A made-up world for the web tests: a board with everything on it, windows with histories, and a journal."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from plain_verdict import plain_verdict
from prometheus_client import CollectorRegistry

from exporter.board import Board, ReloadState, ScoreTable, WatchPicture
from exporter.clock import ManualClock
from exporter.journal.store import Brief, Event, Record
from exporter.lmstudio.wire import Model, Prediction, ServerHealth
from exporter.metrics.collectors import BoardCollector
from exporter.metrics.exposition import Exposition
from exporter.metrics.rendering import WatchRenderer
from exporter.reasoning.document import to_document
from exporter.reasoning.verdict import Fact, Finding, Verdict
from exporter.screening.result import Evidence, ScreenedGroup, ScreenedSeries
from exporter.series.labels import Labels, Series, labels_of
from exporter.sources.collected import Collected
from exporter.web.deps import WebDeps
from exporter.web.routes import create_app

NOW = 1_770_000_000.0
EVIL = "<script>alert('x')</script>\"&\n"


class FakeJournal:
    """Keeps records in memory, finds them as the journal does, and remembers how it was asked."""

    def __init__(self, verdicts: Sequence[Verdict] = ()) -> None:
        self.happened = [Event("desk", "unloaded", NOW - 60, {"model": "qwen", "reason": "ttl"})]
        self.records = [Record(v.id, v.watch, v.group, v.at, v.outcome, to_document(v)) for v in verdicts]
        self.asked: list[dict[str, Any]] = []

    def get(self, name: str) -> Record | None:
        return next((record for record in self.records if record.id == name), None)

    def list(
        self,
        *,
        watch: str | None = None,
        since: float | None = None,
        limit: int = 100,
        before: str | None = None,
        outcome: str | None = None,
        above: float | None = None,
        server: str | None = None,
    ) -> list[Record]:
        asked = {"watch": watch, "since": since, "before": before, "outcome": outcome, "above": above, "limit": limit}
        self.asked.append(asked)
        newest_first = sorted(self.records, key=lambda record: -record.at)
        older = newest_first if before is None else _behind(before, newest_first)
        return [
            one
            for one in older
            if watch in (None, one.watch)
            and outcome in (None, one.outcome)
            and server in (None, one.document.get("server"))
            and (since is None or one.at >= since)
            and (above is None or (one.document.get("group_score") or 0.0) > above)
        ][:limit]

    def briefs(self, *, watch: str | None = None, since: float | None = None, limit: int = 100) -> Sequence[Brief]:
        return [
            Brief(one.id, one.watch, one.group, one.at, one.outcome, one.document.get("group_score"), "")
            for one in self.list(watch=watch, since=since, limit=limit)
        ]

    def events(self, *, server: str | None = None, since: float | None = None, limit: int = 100) -> "Sequence[Event]":
        self.asked.append({"server": server, "since": since, "limit": limit})
        return [
            event for event in self.happened if server in (None, event.server) and (since is None or event.at >= since)
        ][:limit]


def _behind(name: str, records: Sequence[Record]) -> list[Record]:
    places = [place for place, record in enumerate(records) if record.id == name]
    return list(records[places[0] + 1 :]) if places else []


def curve(seed: int, level: float, noise: float, bump: float = 0.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    values = level + noise * random.standard_normal(120).cumsum() * 0.25 + noise * random.standard_normal(120) * 0.4
    values[-14:] += bump * np.minimum(np.arange(14) / 6, 1.0)
    return values


def screened(
    series: Series, values: np.ndarray, score: float, band: tuple[float, float], *facts: str
) -> ScreenedSeries:
    return ScreenedSeries(
        series=series,
        description="",
        times=NOW - 3600 + np.arange(len(values)) * 30.0,
        values=values,
        interval=30.0,
        score=score,
        kind="level_shift" if score > 0.5 else None,
        expected_lower=band[0],
        expected_upper=band[1],
        evidence=tuple(Evidence("jump", fact, (), score) for fact in facts),
    )


def table(
    target: str, series: Sequence[Series], scores: Sequence[float], llm: Sequence[float], kinds: Sequence[str]
) -> ScoreTable:
    nothing = np.full(len(series), np.nan)
    anomaly = np.array(scores, dtype=float)
    judged = np.array(llm, dtype=float)
    return ScoreTable(
        target=target,
        series=tuple(series),
        anomaly=anomaly,
        screen=anomaly.copy(),
        llm=judged,
        confidence=np.where(np.isnan(judged), np.nan, 0.8),
        kind=tuple(kinds),
        value=nothing,
        expected_lower=nothing,
        expected_upper=nothing,
    )


def prediction(seconds: float = 6.2) -> Prediction:
    return Prediction(
        server="desk",
        model="qwen3-8b",
        asked_model="qwen3-8b",
        text="{}",
        reasoning="",
        finish_reason="stop",
        prompt_tokens=1840,
        output_tokens=212,
        reasoning_tokens=0,
        cached_prompt_tokens=1100,
        time_to_first_token_seconds=1.4,
        duration_seconds=seconds,
        tokens_per_second=44.2,
        timed_by="server",
    )


def verdict(name: str, watch: str, group: Labels, at: float, **changes: Any) -> Verdict:
    calm = plain_verdict(
        id=name,
        watch=watch,
        group=group,
        at=at,
        model="qwen3-8b",
        group_score=0.1,
        summary="Nothing unusual.",
        prompt="You weigh computed evidence about time series.",
        answer='{"score": 8}',
        shown=12,
        prompt_tokens_estimated=1800,
        predictions=(prediction(),),
    )
    return replace(calm, **changes)


DB1, DB2 = labels_of({"instance": "db1:9100"}), labels_of({"instance": "db2:9100"})
FS = Series(
    "node_filesystem_avail_bytes",
    labels_of({"instance": "db1:9100", "job": "node", "mountpoint": "/var/lib/postgresql"}),
    unit="bytes",
)
LOAD = Series("node_load1", labels_of({"instance": "db1:9100", "job": "node"}))
IO = Series(
    "node_disk_io_time_seconds_total",
    labels_of({"device": "nvme0n1", "instance": "db1:9100", "job": "node"}),
    unit="seconds/s",
)
CALM = Series("node_load1", labels_of({"instance": "db2:9100", "job": "node"}))
ERRORS = Series("checkout_errors", labels_of({"job": "shop", "region": "eu"}), unit="1/s")
LATENCY = Series("checkout_p90", labels_of({"job": "shop", "region": "eu"}), unit="seconds")


def shift_verdict() -> Verdict:
    return verdict(
        "v-41",
        "node-health",
        DB1,
        NOW - 95,
        group_score=0.85,
        summary="Free space on db1 is falling fast while disk I/O and load have risen together since 09:14.",
        cause="A bulk write into the database volume: the load rises with the I/O of the same disk.",
        next_steps="See which process writes to /var/lib/postgresql and whether a backup or a migration runs outside its hours.",
        findings=(
            Finding(FS, 0.93, 0.9, 0.85, "drift", ("E1", "E2"), "Free space drops far below its usual range.", True),
            Finding(IO, 0.71, 0.7, 0.7, "level_shift", ("E3",), "The disk is busy 0.91 of the time.", False),
        ),
        problems=("finding 2: the number 0.91 does not occur in the snapshot",),
        outcome="ungrounded",
        facts=(
            Fact("E1", "s1", "newest value 1.9e+10 is 7.4 times the usual spread below the median 6.1e+10"),
            Fact("E2", "s1", "at this slope it reaches 0 in 2.4 hours"),
            Fact("E3", "s2", "the level moved from 0.22 to 0.86 at 09:14"),
        ),
    )


def make_groups() -> dict[str, list[ScreenedGroup]]:
    db1 = (
        screened(
            FS,
            curve(1, 6.1e10, 4e8, -4.2e10),
            0.93,
            (5.9e10, 6.3e10),
            "newest value 1.9e+10 is 7.4 times the usual spread below the median 6.1e+10",
            "at this slope it reaches 0 in 2.4 hours",
        ),
        screened(IO, curve(2, 0.22, 0.03, 0.64), 0.71, (0.1, 0.36), "the level moved from 0.22 to 0.86 at 09:14"),
        screened(
            LOAD, curve(3, 1.9, 0.3, 3.1), 0.64, (0.7, 3.4), "newest value 5.02 is above everything in the last 14 days"
        ),
    )
    db2 = (screened(CALM, curve(4, 1.4, 0.2), 0.12, (0.6, 2.3)),)
    shop = (
        screened(ERRORS, curve(5, 0.4, 0.1, 0.9), 0.58, (0.1, 0.9), "newest value 1.3 is above the expected 0.9"),
        screened(LATENCY, curve(6, 0.21, 0.02), 0.2, (0.16, 0.26)),
    )
    return {
        "node-health": [
            ScreenedGroup("node-health", DB1, db1, 106, 3),
            ScreenedGroup("node-health", DB2, db2, 108, 0),
        ],
        "checkout": [ScreenedGroup("checkout", (), shop, 2, 1)],
    }


def make_board(**changes: Any) -> Board:
    nan = float("nan")
    fillers = [Series("node_cpu_seconds_total", labels_of({"cpu": str(n), "instance": "db1:9100"})) for n in range(208)]
    nodes = table(
        "db1:9100",
        [FS, IO, LOAD, CALM, *fillers],
        [0.91, 0.69, 0.62, 0.12, *np.linspace(0.02, 0.3, 208)],
        [0.9, nan, 0.6, nan, *[nan] * 208],
        ["drift", "level_shift", "", "", *[""] * 208],
    )
    shop = table("tsdb", [ERRORS, LATENCY], [0.58, 0.2], [nan, nan], ["spike", ""])
    pictures = [
        WatchPicture(
            "node-health",
            "ok",
            "",
            NOW - 12,
            (nodes,),
            {DB1: shift_verdict()},
            prompt_tokens=1840,
            group_by=("instance",),
        ),
        WatchPicture(
            "checkout", "degraded", "no server can answer, so scores come from statistics alone", NOW - 41, (shop,)
        ),
        WatchPicture("gpu-farm", "warming", "the shortest history so far is 4 of 30 minutes", NOW - 8),
    ]
    models = (
        Model(
            "qwen3-8b",
            "qwen/qwen3-8b",
            "llm",
            True,
            "qwen",
            "qwen3",
            "Q4_K_M",
            "gguf",
            5_027_000_000,
            16384,
            40960,
            4,
            2400.0,
            False,
            "generating",
            1,
        ),
        Model(
            "text-embedding-nomic-embed-text-v1.5",
            "nomic",
            "embedding",
            True,
            "nomic-ai",
            "nomic-bert",
            "Q4_K_M",
            "gguf",
            84_000_000,
            2048,
            2048,
            status="idle",
        ),
        Model(
            "gemma-3-27b",
            "google/gemma-3-27b",
            "vlm",
            False,
            "google",
            "gemma3",
            "Q4_0",
            "gguf",
            16_870_000_000,
            None,
            131072,
        ),
    )
    servers = [
        ServerHealth("desk", "http://127.0.0.1:1234", True, "v1", "0.4.24", models, 0.021, NOW - 4),
        ServerHealth(
            "attic", "http://attic:1234", False, None, "", (), 2.0, NOW - 7, "unreachable", "connection refused"
        ),
    ]
    sources = [
        Collected("nodes", "db1:9100", True, 0.031, 1804, NOW - 12),
        Collected("nodes", "db2:9100", True, 0.029, 1811, NOW - 11),
        Collected("nodes", "db3:9100", False, 10.0, 0, NOW - 9, "http://db3:9100/metrics: no answer in 10 s"),
        Collected("tsdb", "checkout_errors", True, 0.12, 480, NOW - 41),
    ]
    renderer = WatchRenderer()
    board = Board(
        started_at=NOW - 9200,
        reload=ReloadState(True, NOW - 9200),
        servers={server.server: server for server in servers},
        sources={(source.source, source.target): source for source in sources},
        watches={picture.name: picture for picture in pictures},
        rendered={picture.name: renderer.render(picture) for picture in pictures},
        ready=True,
    )
    return replace(board, **changes)


def make_verdicts() -> list[Verdict]:
    calm = "Nothing unusual: load and disks of db2 stay in their usual range."
    errors = "Errors at the checkout rose a little, latency did not."
    return [
        shift_verdict(),
        verdict("v-40", "node-health", DB2, NOW - 1700, summary=calm),
        verdict("v-39", "checkout", (), NOW - 4000, group_score=0.6, summary=errors),
        verdict(
            "v-38",
            "checkout",
            (),
            NOW - 9100,
            group_score=None,
            summary="",
            outcome="timeout",
            problems=("no answer within 2 min",),
        ),
    ]


def make_deps(board: Board, **changes: Any) -> WebDeps:
    registry = CollectorRegistry()
    current: Callable[[], Board] = lambda: board  # noqa: E731
    registry.register(BoardCollector(current))
    groups = make_groups()
    deps = WebDeps(
        board=current,
        exposition=Exposition(registry, current),
        journal=FakeJournal(make_verdicts()),
        reload=lambda: None,
        config_text=lambda: "servers:\n- name: desk\n  api_token: <secret>\n",
        groups=lambda watch, wanted: [group for group in groups.get(watch, []) if wanted(group.key)],
        clock=ManualClock(NOW),
    )
    return replace(deps, **changes)


def make_app(board: Board | None = None, **changes: Any) -> Any:
    return create_app(make_deps(board or make_board(), **changes))
