"""Drift: a steady way to somewhere that began within the window, or that will soon reach a limit."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from exporter.screening.baseline import Baseline
from exporter.screening.detection import DRIFT, Detection
from exporter.screening.evidence_shape import Way, drift_text
from exporter.screening.policy import BoolArray
from exporter.screening.tails import any_of, log_student, pick
from exporter.series.frame import FloatArray, IntArray

_BLOCKS = 24
_SHORTEST = 4
_FEWEST = 15
"""In a window of fewer blocks there is no drift: half of them would be too few to tell."""
_SHORT, _LONG = 0.5, 0.75
"""Shares of the window that a new drift fills, at least and at most."""
_WALK = 0.6
"""What the block means of a random walk gain in variance with each block in the long run, over the variance of their
change across two blocks: 1 / (2 - 1/3)."""
_FREEDOM_SHARE = 0.75
"""Degrees of freedom for each change: overlapping ones tell less than separate ones. Chosen by simulation: in a million
random walks of 8 to 24 block means, tail probabilities of 1e-2 to 1e-5 are then within a factor of 2 of the true ones."""
_STEADIEST = 0.02
"""The spread of the changes is never taken as smaller than this share of their mean: no line is exact."""
_SHARE_OF_RANGE = 0.5
_KINK = 2.0
"""How many times better a bent line has to fit than a cubic. Waves of 60 to 5760 instants have less than 1.2 at any phase
where they are steady enough to matter."""
_GOES_ON = 0.25
"""Share of the usual change across two blocks that the newest one needs at least."""
_REACH, _NEAR = 4.0, 1.0
"""Windows within which a limit must be: for a new drift, and for one that fills the window."""
_TRIED = 8
"""Lengths that a drift may have: 7 that a new one may, and the whole window."""
_MOSTLY = 0.75
"""Share of the blocks that must be known."""
_SMALLEST = 1e-305


def drift(baseline: Baseline) -> Detection:
    """Judge by the chance that a random walk goes as far as steadily as this.

    The window is cut into 24 blocks (fewer in a short one: none is shorter than 4 instants). Of the newest half to three
    quarters of the block means, as many as the best fit says, the change from first to last is compared with the spread of
    the changes across two blocks, as Student's t. Under the hardest null, a random walk, these depend on each other in a
    known way (Working, Note on the Correlation of First Differences of Averages in a Random Chain, Econometrica 28, 1960),
    which the factor and the degrees of freedom account for; noise around a level goes less far. Changes across two blocks
    rather than one see a line through noise better, at the same rate of false alarms.

    A drift counts only if it leads further than half of the history's 0.5-99.5 % range, if it goes on in the newest blocks,
    which lie beyond all others, and if it is new: a level with a straight way that leaves it must fit the block means much
    better than a cubic does, both by least squares. So a wave past its turn, which bends evenly, is calm, as is a series that
    always climbs.

    Where a limit is known (of the valid range, or 0 for a series that falls and was never negative) a drift counts only
    if it would get there within 4 more windows. A limit of the valid range that is less than one window ahead makes a
    steady drift through the whole window an anomaly too, new or not: that is the disk that is full in an hour.

    It is over when two blocks pass in which it does not go on, and normal when it fills more than three quarters of the
    window. Of windows of less than 60 instants nothing is said.
    """
    rows, instants = baseline.values.shape
    length = max(instants // _BLOCKS, _SHORTEST)
    log_tail = np.zeros(rows)
    kind = np.full(rows, DRIFT, dtype=np.int8)
    if instants // length < _FEWEST:
        return Detection("drift", log_tail, kind, lambda _row, _unit: None)
    levels = _block_means(baseline, length)
    candidates = _candidates(baseline, levels)
    if not candidates.size:
        return Detection("drift", log_tail, kind, lambda _row, _unit: None)
    levels = _filled(levels[candidates])
    slope, first, fits = _bend(levels)
    straight = (levels[:, -1] - levels[:, 0]) / (levels.shape[1] - 1)
    new = _Drift.of(baseline, candidates, levels, slope, first)
    old = _Drift.of(baseline, candidates, levels, straight, np.zeros(candidates.size, dtype=np.intp))
    fits &= np.isinf(new.ahead) | (new.ahead <= _REACH * levels.shape[1])
    near = old.configured & (old.ahead <= _NEAR * levels.shape[1])
    one, column = pick(
        np.stack([old.log_tail, new.log_tail], axis=1), np.stack([old.counts & near, new.counts & fits], axis=1)
    )
    log_tail[candidates] = any_of(one, _TRIED)

    def words(row: int, unit: str) -> str | None:
        if log_tail[row] == 0:
            return None
        at = int(np.searchsorted(candidates, row))
        return drift_text(baseline, (old, new)[column[at]].way(at, levels[at], length), unit)

    return Detection("drift", log_tail, kind, words)


def _block_means(baseline: Baseline, length: int) -> FloatArray:
    """[rows × blocks]: NaN where less than half of a block has values."""
    rows, instants = baseline.values.shape
    blocks = instants // length
    used = baseline.values[:, instants - blocks * length :]
    means: FloatArray = np.add.reduceat(used, np.arange(blocks) * length, axis=1) / length
    gaps = np.isnan(means)
    if gaps.any():
        touched = used.reshape(rows, blocks, length)[gaps]
        present = ~np.isnan(touched)
        count = np.count_nonzero(present, axis=1)
        total = np.add.reduce(touched, axis=1, where=present)
        means[gaps] = np.where(2 * count >= length, total / np.maximum(count, 1), np.nan)
    return means


def _candidates(baseline: Baseline, levels: FloatArray) -> IntArray:
    """Rows that end at the highest or the lowest of their block means, far enough from the other end."""
    newest = levels[:, -1]
    lowest, highest = np.fmin.reduce(levels, axis=1), np.fmax.reduce(levels, axis=1)
    rows = np.flatnonzero((highest - lowest >= _smallest(baseline)) & ((newest == highest) | (newest == lowest)))
    known = ~np.isnan(levels[rows])
    mostly = known[:, 0] & (np.count_nonzero(known, axis=1) >= _MOSTLY * levels.shape[1])
    return np.asarray(rows[mostly])


def _smallest(baseline: Baseline) -> FloatArray:
    """[rows]: how far a drift must lead."""
    return np.maximum(_SHARE_OF_RANGE * (baseline.past.upper - baseline.past.lower), baseline.floor)


def _filled(levels: FloatArray) -> FloatArray:
    """[rows × blocks]: unknown levels lie on the line between the known ones beside them."""
    known = ~np.isnan(levels)
    if known.all():
        return levels
    place = np.broadcast_to(np.arange(levels.shape[1]), levels.shape)
    before = np.maximum.accumulate(np.where(known, place, 0), axis=1)
    after = np.minimum.accumulate(np.where(known, place, levels.shape[1] - 1)[:, ::-1], axis=1)[:, ::-1]
    low, high = np.take_along_axis(levels, before, axis=1), np.take_along_axis(levels, after, axis=1)
    return np.asarray(low + (high - low) * ((place - before) / np.maximum(after - before, 1)))


def _bend(levels: FloatArray) -> tuple[FloatArray, IntArray, BoolArray]:
    """Where a level left by a straight way fits best, of those that are half to three quarters of the window long.

    Returns:
        `[rows]` each: the slope for each block, the block it begins with, and whether the fit is much better than a cubic's.
    """
    blocks = levels.shape[1]
    away = levels - levels[:, -1:]
    scale = np.maximum(np.abs(away).max(axis=1), _SMALLEST)
    away /= scale[:, None]
    away -= away.mean(axis=1, keepdims=True)
    starts = np.arange(blocks - round(_LONG * blocks) - 0.5, blocks - round(_SHORT * blocks) + 0.5, 0.5)
    ways = np.maximum(np.arange(blocks) + 0.5 - starts[:, None], 0.0)
    ways -= ways.mean(axis=1, keepdims=True)
    size = np.sqrt((ways * ways).sum(axis=1))
    along = away @ (ways / size[:, None]).T
    best = np.abs(along).argmax(axis=1)
    slope = np.take_along_axis(along, best[:, None], axis=1)[:, 0] / size[best]
    bent = ((away - slope[:, None] * ways[best]) ** 2).sum(axis=1)
    shapes, _ = np.linalg.qr(np.vander(np.linspace(-1, 1, blocks), 4))
    cubic = ((away - (away @ shapes) @ shapes.T) ** 2).sum(axis=1)
    return slope * scale, np.ceil(starts[best]).astype(np.intp), (cubic >= _KINK * bent) & (cubic > 0)


@dataclass(frozen=True, eq=False)
class _Drift:
    """Ways to the newest block; arrays `[rows]`."""

    log_tail: FloatArray
    counts: BoolArray
    """Whether it goes on, leads far enough, and matters by the policy."""
    first: IntArray
    """The block it begins with."""
    limit: FloatArray
    """NaN where none is known."""
    ahead: FloatArray
    """Blocks until the limit is reached; infinite where none is known."""
    configured: BoolArray
    """Whether the limit is one of the valid range."""
    pauses: BoolArray
    """Whether any block goes back."""

    @classmethod
    def of(cls, baseline: Baseline, rows: IntArray, levels: FloatArray, slope: FloatArray, first: IntArray) -> Self:
        """Ways with a slope from a first block on, in some rows of a baseline."""
        newest, blocks = levels[:, -1], levels.shape[1]
        steps = (levels[:, 1:] - levels[:, :-1]) * np.sign(slope)[:, None]
        within = np.arange(blocks - 1) >= first[:, None]
        rise = slope * (blocks - 1 - first)
        matters = baseline.policy.rows(rows).matters(rise[:, None], (newest - rise)[:, None])[:, 0]
        goes_on = steps[:, -2:].sum(axis=1) >= _GOES_ON * 2 * np.abs(slope)
        limit, ahead, configured = _limit(baseline, rows, newest, slope)
        return cls(
            log_tail=_log_steady(levels, first),
            counts=matters & goes_on & (np.abs(rise) >= _smallest(baseline)[rows]),
            first=first,
            limit=limit,
            ahead=ahead,
            configured=configured,
            pauses=np.asarray((within & (steps < 0)).any(axis=1)),
        )

    def way(self, at: int, levels: FloatArray, length: int) -> Way:
        """In numbers for a sentence, given the row's levels `[blocks]` and the length of a block.

        The slope is Theil's and Sen's, the median of the slopes between all pairs: Sen, Estimates of the Regression
        Coefficient Based on Kendall's Tau, JASA 63, 1968.
        """
        part, limit = levels[self.first[at] :], float(self.limit[at])
        first, second = np.triu_indices(part.size, 1)
        slope = float(np.median((part[second] - part[first]) / (second - first))) / length
        # A block's mean stands for its middle.
        newest = float(part[-1]) + slope * (length - 1) / 2
        ahead = (limit - newest) / slope if slope else math.inf
        return Way(part.size * length, slope, newest, limit, max(ahead, 0.0), bool(self.pauses[at]))


def _log_steady(levels: FloatArray, first: IntArray) -> FloatArray:
    """[rows]: the tail probability of so steady a way from a first block to the newest in a random walk."""
    steps = levels.shape[1] - 1 - first
    across = levels[:, 2:] - levels[:, :-2]
    within = np.arange(across.shape[1]) >= first[:, None]
    way = levels[:, -1] - np.take_along_axis(levels, first[:, None], axis=1)[:, 0]
    scale = np.maximum(np.maximum(np.abs(across).max(axis=1), np.abs(way)), _SMALLEST)
    mean = way / scale / steps
    off = np.where(within, across / scale[:, None] - 2 * mean[:, None], 0.0)
    variance = (off * off).sum(axis=1) / (steps - 1)
    spread = np.maximum(np.sqrt(_WALK * variance), 2 * _STEADIEST * np.abs(mean))
    return log_student(np.abs(mean) * np.sqrt(steps) / np.maximum(spread, _SMALLEST), _FREEDOM_SHARE * (steps - 1))


def _limit(
    baseline: Baseline, rows: IntArray, newest: FloatArray, slope: FloatArray
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """[rows] each: where a slope leads to, the blocks until it is there, and whether that limit was configured."""
    up = slope > 0
    limit = np.where(up, baseline.policy.valid_max[rows], baseline.policy.valid_min[rows])
    configured = np.isfinite(limit)
    to_zero = ~up & ~configured & (baseline.past.minimum[rows] >= 0) & (newest >= 0)
    limit = np.where(to_zero, 0.0, np.where(configured, limit, np.nan))
    known = (configured | to_zero) & (slope != 0)
    distance = np.where(known, limit - newest, np.inf)
    ahead = np.where(known, np.maximum(distance / np.where(known, slope, 1.0), 0.0), np.inf)
    return limit, ahead, configured
