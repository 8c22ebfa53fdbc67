"""A window in two lines: medians of equal stretches of time, then the newest values in full."""

import numpy as np

from exporter.config.durations import format_duration
from exporter.screening.evidence import format_number
from exporter.screening.result import ScreenedSeries
from exporter.series.frame import FloatArray

GAP = "gap"
"""Stands where there was no value."""


def history_lines(series: ScreenedSeries, *, newest: int, blocks: int) -> list[str]:
    """The history of a series, oldest first.

    Args:
        series: its window.
        newest: how many of the last values to give in full.
        blocks: how many stretches to divide what came before into; fewer where there are fewer values.

    Returns:
        Up to two lines; the first is left out where nothing came before the newest values.
    """
    lines: list[str] = []
    cut = max(0, series.times.size - newest)
    blocks = min(blocks, cut)
    if blocks and np.isfinite(series.values[:cut]).any():
        medians, length = _block_medians(series.times[:cut], series.values[:cut], series.interval, blocks)
        lines.append(f"before, median of each {format_duration(_coarse(length))}: {_spell(medians)}")
    lines.append(f"newest, one each {format_duration(_coarse(series.interval))}: {_spell(series.values[cut:])}")
    return lines


def _block_medians(times: FloatArray, values: FloatArray, interval: float, blocks: int) -> tuple[FloatArray, float]:
    """Median of each of `blocks` equal stretches of time (NaN for an empty one), and their length in seconds."""
    start = times[0] - interval
    length = float(times[-1] - start) / blocks
    block = np.clip(np.ceil((times - start) / length) - 1, 0, blocks - 1).astype(np.intp)
    usable = np.isfinite(values)
    medians = np.full(blocks, np.nan)
    for index in range(blocks):
        inside = values[usable & (block == index)]
        if inside.size:
            medians[index] = np.median(inside)
    return medians, length


def _coarse(seconds: float) -> float:
    """Rounded so that it reads well: whole seconds from 1 s on, whole minutes from 1 h on."""
    if seconds >= 3600.0:
        return round(seconds / 60.0) * 60.0
    return float(round(seconds)) if seconds >= 1.0 else seconds


def _spell(values: FloatArray) -> str:
    return " ".join(format_number(value) if np.isfinite(value) else GAP for value in values.tolist())
