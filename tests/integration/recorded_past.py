"""Days of many series as a ruler would have recorded them: the hourly rules of screening.rules.yml, worked out by numpy."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from real_programs import program

HOUR = 3600.0
DAY = 24 * HOUR
STEP = 60.0
PER_HOUR = int(HOUR / STEP)


@dataclass(frozen=True, eq=False)
class Plant:
    """Series of several kinds, minute by minute up to now: an instant query sees the newest values for 5 minutes more."""

    times: np.ndarray
    values: np.ndarray
    """[series × minutes]."""
    height: np.ndarray
    """[series]: how far each is lifted over all that it was, in its own range, since half an hour."""


def plant(now: float, *, series: int, lifted: int, days: float) -> Plant:
    """A third noise, a third days with a shape, a third short bursts; `lifted` of them have left what they were."""
    random = np.random.default_rng(7)
    times = np.arange(now // STEP * STEP - days * DAY, now, STEP)
    noise = random.normal(size=(series, times.size))
    level = random.uniform(5, 50, size=series)[:, None]
    values = level + noise
    values[1::3] = (level + 4 * np.sin(2 * np.pi * times / DAY) + 0.3 * noise)[1::3]
    values[2::3] += np.where(random.random(values.shape) < 0.02, 10 * random.random(values.shape), 0)[2::3]
    height = np.zeros(series)
    height[:lifted] = np.linspace(0.03, 1.2, lifted)
    ends = np.quantile(values, [0.005, 0.995], axis=1)
    begun = times > now - HOUR / 2
    lift = values.max(axis=1) + height * (ends[1] - ends[0])
    values[:lifted, begun] = lift[:lifted, None]
    return Plant(times, values, height)


def recorded(past: Plant) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By the name of the record: its times, and `[series × times]`."""
    values = past.values
    total = np.cumsum(np.concatenate([np.zeros((len(values), 1)), values], axis=1), axis=1)
    first = np.maximum(np.arange(values.shape[1]) - PER_HOUR + 1, 0)
    sliding = (total[:, 1:] - total[:, first]) / (np.arange(values.shape[1]) - first + 1)
    last = values.shape[1] - 1
    ends = np.arange(last % PER_HOUR + PER_HOUR, last + 1, PER_HOUR)
    hours = np.stack([values[:, end - PER_HOUR + 1 : end + 1] for end in ends], axis=1)
    means = np.stack([sliding[:, end - PER_HOUR + 1 : end + 1] for end in ends], axis=1)
    hourly = sliding[:, ends]
    six = np.stack([hourly[:, max(0, hour - 5) : hour + 1].mean(axis=1) for hour in range(ends.size)], axis=1)
    summaries = {
        "min1h": hours.min(axis=2),
        "max1h": hours.max(axis=2),
        "low1h": np.quantile(hours, 0.005, axis=2),
        "high1h": np.quantile(hours, 0.995, axis=2),
        "hourly_avg1h": hourly,
        "min1h_avg1h": means.min(axis=2),
        "max1h_avg1h": means.max(axis=2),
    }
    recent = past.times > past.times[-1] - 7 * HOUR
    found = {f"lmwatch:input:{name}": (past.times[ends], of) for name, of in summaries.items()}
    found["lmwatch:input:avg6h"] = past.times[ends[2:]], six[:, 2:]
    return {"lmwatch:input": (past.times[recent], values[:, recent]), **found}


def exposition(past: Plant, per_second: int) -> list[str]:
    """A line a sample, its time in so many parts of a second: OpenMetrics has seconds, VictoriaMetrics milliseconds."""
    lines = []
    for name, (times, values) in recorded(past).items():
        lines.append(f"# TYPE {name} gauge")
        whole = (times * per_second).astype(np.int64).tolist()
        for row, line in enumerate(values.tolist()):
            lines += [f"{name}{labels_of(row)} {v!r} {t}" for v, t in zip(line, whole, strict=True)]
    return lines


def labels_of(row: int) -> str:
    """The labels of a series in the text format: four groups, one after the other."""
    return f'{{anomaly_name="shop",shop="{row % 4}",series="{row}"}}'


def backfill(past: Plant, data: Path) -> None:
    """Write it into blocks of a Prometheus that has not begun yet."""
    write_blocks(exposition(past, 1), data)


def write_blocks(lines: list[str], data: Path) -> None:
    """Write lines of OpenMetrics into blocks of a Prometheus that has not begun yet."""
    text = data.with_name("past.om")
    text.write_text("\n".join([*lines, "# EOF", ""]))
    create = ["tsdb", "create-blocks-from", "--max-block-duration=480h"]
    command = [program("promtool"), *create, "openmetrics", str(text), str(data)]
    subprocess.run(command, check=True, capture_output=True)
