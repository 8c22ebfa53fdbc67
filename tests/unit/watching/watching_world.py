"""A small world for a watch: frames given by hand, a pool that keeps jobs until told to run them, a manual clock."""

import json

import numpy as np
from fake_pool import Pool

from exporter.board import WatchPicture
from exporter.clock import ManualClock
from exporter.config.model import Watch
from exporter.lmstudio.wire import ChatRequest
from exporter.reasoning.analyst import Analyst
from exporter.reasoning.memory import Memory
from exporter.reasoning.verdict import Verdict
from exporter.series.frame import Frame
from exporter.series.labels import Series
from exporter.watching.feed import Fed
from exporter.watching.watcher import Judging, Watcher

START = 1_000_000.0


def frame(rows: dict[str, list[float]], *, target: str = "t", end: float = START, interval: float = 15.0) -> Frame:
    """A frame of one target; the last value of each row is at `end`."""
    values = np.array(list(rows.values()), dtype=np.float64)
    count = values.shape[1]
    return Frame(
        target=target,
        series=tuple(Series(name, (("instance", target),)) for name in rows),
        select=np.zeros(len(rows), dtype=np.intp),
        times=end - interval * np.arange(count - 1, -1, -1.0),
        values=values,
        interval=interval,
    )


def calm(count: int = 60) -> list[float]:
    """A series that does what it always does."""
    return [10.0 + 0.1 * ((7 * index) % 5) for index in range(count)]


def spiking(count: int = 60) -> list[float]:
    """The same with a last value far outside."""
    return [*calm(count - 1), 100.0]


def says(score: int, confidence: int = 10):
    """A model that gives every shown series this score, citing its first fact."""

    def answer(request: ChatRequest) -> str:
        findings = request.schema["properties"]["findings"]["properties"]
        return json.dumps(
            {
                "findings": {
                    name: {
                        "evidence": finding["properties"]["evidence"]["items"]["enum"][:1],
                        "text": "It left its usual range.",
                        "kind": "spike" if score >= 5 else "none",
                        "score": score,
                        "confidence": confidence,
                    }
                    for name, finding in findings.items()
                },
                "summary": "One series left its usual range.",
                "cause": "Unknown.",
                "next_steps": "Look at the load.",
                "score": score,
            },
        )

    return answer


class World:
    """A watcher with everything around it under a test's control."""

    def __init__(self, *, firing=lambda _: "", keeper=None, at: float = START, **watch) -> None:
        defaults = {"name": "w", "source": "s", "select": ["x"], "interval": "15s", "window": "15m"}
        self.watch = Watch.model_validate({**defaults, **watch})
        self.clock = ManualClock(at)
        self.pool = Pool()
        self.fed = Fed((), ())
        self.pictures: list[WatchPicture] = []
        self.outcomes: list[str] = []
        self.verdicts: list[Verdict] = []
        analyst = Analyst(lambda text, _model: len(text) // 4, lambda *_: None, Memory())
        judging = Judging(self.pool, analyst, self, self.verdicts.append, firing)
        self.watcher = Watcher(self.watch, self, judging, self.pictures.append, self.clock, keeper=keeper)

    def take(self, at: float) -> Fed:
        """The feed."""
        return self.fed

    def analysis(self, watch: str, outcome: str, duration_seconds: float | None) -> None:
        """The events."""
        self.outcomes.append(outcome)

    def snapshot(self, watch: str, dropped: int) -> None:
        """The events."""

    def tick(self, *frames: Frame, troubles: tuple[str, ...] = ()) -> WatchPicture:
        """One interval with these frames."""
        self.fed = Fed(frames, troubles)
        self.watcher.tick()
        return self.pictures[-1]

    def scores(self) -> dict[str, float]:
        """The combined scores of the newest picture, by metric."""
        return {
            series.name: float(score)
            for table in self.pictures[-1].tables
            for series, score in zip(table.series, table.anomaly, strict=True)
        }
