"""What screening costs: CPU seconds of one core for a frame of 100,000 series with 240 values each, and how it grows.

Then what days of history add to it: to an ordinary interval, when an hour ends, and in memory.
"""

import time
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np

from exporter.config.model import Selection
from exporter.screening.archive import Archive, blank_running
from exporter.screening.baseline import Settings
from exporter.screening.history import DAY, History
from exporter.screening.policy import policy_of
from exporter.screening.screen import screen
from exporter.screening.slots import FIELDS, MEAN, SLOT_SECONDS, Code
from exporter.screening.tracking import Tracker
from exporter.series.frame import Frame
from exporter.series.labels import Series

INSTANTS = 240
MANY = 100_000
FEW = 10_000
INTERVAL = 15.0
ROUNDS = 3
BAR_SECONDS = 1.0
BAR_LINEARITY = 1.25
FOLLOWED = 4_000
SPAN = 14 * DAY
START = 1.7e9 // SLOT_SECONDS * SLOT_SECONDS


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


def with_history(rows: int) -> Tracker:
    """A tracker that knows 14 days of its series, the last until a moment ago."""
    history = History(INTERVAL, SPAN)
    slots = history.archive.kept.shape[2]
    kept = np.random.default_rng(20261).normal(0.0, 1.0, size=(rows, FIELDS, slots)).astype(np.float32)
    kept[:, :MEAN].sort(axis=1)
    episode = np.full((len(history.archive.episode), rows), np.nan)
    episode[-2], episode[-1] = 0.0, -1.0
    restored = history.restore(
        Archive(
            identities=[(one.name, one.labels) for one in names(rows)],
            kept=kept,
            unsettled=np.zeros((rows, slots), dtype=np.bool_),
            code=Code(np.full(rows, 100.0), np.full(rows, 5.0)),
            running=blank_running(rows),
            episode=episode,
            last_seen=np.full(rows, START - INTERVAL),
            slot=int(START // SLOT_SECONDS) - 1,
            seen=START - INTERVAL,
        )
    )
    assert restored
    return Tracker(history, settle=DAY, interval=INTERVAL)


def names(rows: int) -> tuple[Series, ...]:
    return tuple(Series("bench", (("series", str(number)),)) for number in range(rows))


def frames_over(rows: int, instants: int) -> Callable[[int], Frame]:
    """The frame at the nth instant after the hour, out of `instants`."""
    values = np.random.default_rng(20262).normal(100.0, 5.0, size=(rows, INSTANTS + instants))
    series, select = names(rows), np.zeros(rows, dtype=np.intp)

    def at(instant: int) -> Frame:
        first = instant + 1
        times = START + INTERVAL * (np.arange(first, first + INSTANTS) - INSTANTS)
        return Frame("127.0.0.1:9100", series, select, times, values[:, first : first + INSTANTS], INTERVAL)

    return at


def spent(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def followed() -> list[dict[str, Any]]:
    """Rows about history: what an ordinary interval costs beside screening alone, the end of an hour, and memory."""
    instants = int(SLOT_SECONDS / INTERVAL)
    tracker, frame_at = with_history(FOLLOWED), frames_over(FOLLOWED, 2 * instants)
    policy = policy_of([Selection(series="bench")], frame_at(0).select)

    def take_in(instant: int) -> float:
        frame = frame_at(instant)
        return spent(lambda: tracker.history.advance(frame.series, frame.times, frame.values))

    for instant in range(instants):
        take_in(instant)
    hour = [take_in(instant) for instant in range(instants, 2 * instants - 2 * ROUNDS)]
    ordinary = float(np.median(hour[len(hour) // 2 :]))
    refresh = sum(hour) - ordinary * len(hour)
    judged, alone = [], []
    for instant in range(2 * instants - 2 * ROUNDS, 2 * instants, 2):
        frame = frame_at(instant)
        judged.append(spent(lambda frame=frame: tracker.judge(frame, policy, Settings())))
        alone.append(spent(lambda frame=frame: screen(frame, policy)))
    archive = tracker.history.archive
    held = archive.kept.nbytes + archive.unsettled.nbytes + archive.running.nbytes + archive.episode.nbytes
    held += sum(getattr(archive.code, field.name).nbytes for field in fields(archive.code))
    return [
        row("tracker: an interval with 14 days of history over screening alone", min(judged) / min(alone), "ratio"),
        row("history: what an interval adds", 1e3 * ordinary * 1000 / FOLLOWED, "ms CPU / 1,000 series"),
        row(
            "history: the end of an hour, spread over a quarter of it",
            refresh * 1000 / FOLLOWED,
            "s CPU / 1,000 series",
        ),
        row("history: the longest interval of that", 1e3 * max(hour) * 1000 / FOLLOWED, "ms CPU / 1,000 series"),
        row("history: memory of 14 days", held / FOLLOWED / 1024, "KiB / series"),
    ]


def row(name: str, value: float, unit: str) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "bar": None, "ok": None, "note": f"{FOLLOWED} series"}


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
        *followed(),
    ]
