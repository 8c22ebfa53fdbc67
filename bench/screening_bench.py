"""What screening costs: CPU seconds of one core for a frame of 100,000 series with 240 values each, and how it grows."""

import time
from typing import Any

import numpy as np

from exporter.config.model import Selection
from exporter.screening.policy import policy_of
from exporter.screening.screen import screen
from exporter.series.frame import Frame
from exporter.series.labels import Series

INSTANTS = 240
MANY = 100_000
FEW = 10_000
INTERVAL = 15.0
ROUNDS = 3
BAR_SECONDS = 1.0
BAR_LINEARITY = 1.25


def frame_of(rows: int, gaps: float = 0.0) -> Frame:
    """A third noise, a third counts, a third constants; `gaps` is the share of values that are missing."""
    random = np.random.default_rng(20260)
    values = random.normal(100.0, 5.0, size=(rows, INSTANTS))
    values[1::3] = random.poisson(3.0, size=values[1::3].shape)
    values[2::3] = 42.0
    if gaps:
        values[random.random(values.shape) < gaps] = np.nan
    return Frame(
        target="127.0.0.1:9100",
        series=(Series("bench", ()),) * rows,
        select=np.zeros(rows, dtype=np.intp),
        times=1.7e9 + INTERVAL * np.arange(INSTANTS),
        values=values,
        interval=INTERVAL,
    )


def cpu_seconds(frame: Frame) -> float:
    policy = policy_of([Selection(series="bench")], frame.select)
    started = time.process_time()
    screen(frame, policy)
    return time.process_time() - started


def run() -> list[dict[str, Any]]:
    """Rows for the table: the least of three rounds, which is the one that others disturbed least."""
    many, few, gappy = frame_of(MANY), frame_of(FEW), frame_of(FEW, gaps=0.01)
    cpu_seconds(few)
    rounds = [(cpu_seconds(many), cpu_seconds(few), cpu_seconds(gappy)) for _ in range(ROUNDS)]
    seconds, tenth, with_gaps = (min(column) for column in zip(*rounds, strict=True))
    growth = seconds / (MANY / FEW * tenth)
    return [
        {
            "name": f"screen {MANY} series x {INSTANTS} values",
            "value": seconds,
            "unit": "s CPU",
            "bar": BAR_SECONDS,
            "ok": seconds < BAR_SECONDS,
            "note": "one core; noise, counts and constants",
        },
        {
            "name": f"screen: {MANY} series over {MANY // FEW} times {FEW}",
            "value": growth,
            "unit": "ratio",
            "bar": BAR_LINEARITY,
            "ok": growth < BAR_LINEARITY,
            "note": "1 is linear",
        },
        {
            "name": "screen: the same with 1% of values missing",
            "value": with_gaps / tenth,
            "unit": "times",
            "bar": None,
            "ok": None,
            "note": f"{FEW} series",
        },
    ]
