"""Level shift: the newest blocks of a window lie apart from all earlier ones."""

from dataclasses import dataclass

import numpy as np

from exporter.screening.baseline import Baseline
from exporter.screening.detection import LEVEL_SHIFT, Detection
from exporter.screening.evidence import level_shift_text
from exporter.screening.ordered import medians
from exporter.screening.policy import BoolArray
from exporter.screening.tails import any_of, log_beyond, pick
from exporter.series.frame import FloatArray

_BLOCKS = 12
_SHORTEST = 4
_FEWEST_EARLIER = 5
_SPLITS = 4
_DECAY = np.array(11.0)
"""e-foldings over one range of block medians. Chosen by simulation: the highest whole number with which fewer than 0.2 %
of 20,000 random walks of 240 instants have a score above the boundary."""


def level_shift(baseline: Baseline) -> Detection:
    """Judge by the gap between the medians of the newest 1 to 4 blocks and those of the earlier ones.

    The window is cut into 12 blocks (fewer in a short window: none is shorter than 4 instants). For each split the gap
    between the two sets of block medians is measured in units of the larger range within either set; the block that
    straddles the split is left out. A trend or a slow curve has gaps that are small against the range of what went
    before, noise has no gap; only a step has a wide gap between two narrow sets. A step stays visible for a third of
    the window and is normal afterwards; it is over as soon as none of the judged values is at the new level.
    """
    levels = _block_medians(baseline)
    rows, blocks = levels.shape
    kind = np.full(rows, LEVEL_SHIFT, dtype=np.int8)
    splits = min(_SPLITS, blocks - 1 - _FEWEST_EARLIER)
    if splits < 1:
        return Detection("level shift", np.zeros(rows), kind, lambda _row, _unit: None)
    shift = _shift(baseline, levels, splits)
    one, column = pick(shift.log_tail, shift.allowed)
    length = baseline.values.shape[1] // blocks

    def words(row: int, unit: str) -> str | None:
        at = row, column[row]
        earlier = float(shift.lowest[at]), float(shift.highest[at])
        since = baseline.times.size - length * (int(column[row]) + 1)
        return level_shift_text(baseline, since, float(shift.level[at]), earlier, unit)

    return Detection("level shift", any_of(one, splits), kind, words)


@dataclass(frozen=True, eq=False)
class _Shift:
    """`[rows × splits]` each; split 0 has one newer block."""

    level: FloatArray
    """Where the newer blocks centre."""
    lowest: FloatArray
    """Of the earlier block medians."""
    highest: FloatArray
    log_tail: FloatArray
    allowed: BoolArray


def _block_medians(baseline: Baseline) -> FloatArray:
    """[rows × blocks]: NaN where less than half of a block has values."""
    rows, instants = baseline.values.shape
    length = max(instants // _BLOCKS, _SHORTEST)
    blocks = instants // length
    used = np.ascontiguousarray(baseline.values[:, instants - blocks * length :])
    return medians(used.reshape(rows * blocks, length), whole=baseline.whole).reshape(rows, blocks)


def _shift(baseline: Baseline, levels: FloatArray, splits: int) -> _Shift:
    blocks = levels.shape[1]
    backwards = levels[:, ::-1][:, :splits]
    # minimum and maximum carry a NaN on: a split with an empty newer block says nothing. Earlier blocks may be empty.
    late_low, late_high = np.minimum.accumulate(backwards, axis=1), np.maximum.accumulate(backwards, axis=1)
    # With s newer blocks and the straddling one left out, the earlier ones end with block number blocks - s - 2.
    last = slice(blocks - 3, blocks - 3 - splits, -1)
    low, high = np.fmin.accumulate(levels, axis=1)[:, last], np.fmax.accumulate(levels, axis=1)[:, last]
    count = np.cumsum(~np.isnan(levels), axis=1)[:, last]
    level, usual = (late_low + late_high) / 2, (low + high) / 2
    unit = np.maximum(np.maximum(high - low, late_high - late_low), baseline.unit(baseline.floor, level))
    gap = np.maximum(late_low - high, low - late_high)
    up = level > usual
    highest, lowest = np.fmax.reduce(baseline.newest, axis=1), np.fmin.reduce(baseline.newest, axis=1)
    # Past the half-way mark, seen from the earlier level.
    still = np.where(up, highest[:, None] > (level + usual) / 2, lowest[:, None] < (level + usual) / 2)
    return _Shift(
        level=level,
        lowest=low,
        highest=high,
        log_tail=log_beyond(gap / unit, count, _DECAY, 1.0 * count),
        allowed=still & (count >= _FEWEST_EARLIER) & baseline.policy.matters(level - usual, usual),
    )
