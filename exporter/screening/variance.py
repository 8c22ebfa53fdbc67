"""Variance: the values scatter much more, or much less, than they ever did in the window."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exporter.screening.baseline import Baseline
from exporter.screening.detection import FLATLINE, OSCILLATION, Detection
from exporter.screening.evidence_shape import scatter_text
from exporter.screening.ordered import medians
from exporter.screening.policy import BoolArray
from exporter.screening.tails import any_of, log_student, pick
from exporter.series.frame import FloatArray, IntArray

_PARTS = 32
_SHORTEST = 8
_NEWER = (2, 4, 6)
"""How many parts the newer scatter may have."""
_FEWEST_EARLIER = 8
_KEPT = 0.75
"""Share of a part's changes that count, the smallest ones: a spike is no scatter."""
_RANGE = 7.08
"""The 0.5-99.5 % range of Gaussian noise over the mean of the smaller three quarters of its changes."""
_SHARE_OF_RANGE = 0.1
"""Scatter below what fills this share of the history's range counts as none: a smooth curve has tiny changes."""
_STEADIEST = 0.2
"""The logarithms of the scatter are taken to have no smaller standard deviation; Gaussian noise has 0.35."""
_NOTABLE = 2.0
"""The scatter counts only from this factor on beyond all earlier stretches of the same length."""
_LIKELY = 1.7
"""Unless the newest parts change by this factor more, or less, than the whole window, there is nothing to look at."""
_ROUGHLY = 1.4
_SAMPLED = 7
"""What this factor and one change in so many can tell is enough to leave most series out: a number that few rhythms have."""


def variance(baseline: Baseline) -> Detection:
    """Judge by the chance that the parts of one series scatter as differently as the newest ones and the earlier ones.

    Brown & Forsythe (Robust Tests for the Equality of Variances, JASA 69, 1974) compare groups by the mean absolute
    deviations from their medians. Here the window is cut into 32 parts (fewer in a short one: none is shorter than 8
    instants), and the scatter of a part is its mean absolute change from one value to the next, as in von Neumann's
    mean square successive difference (Annals of Mathematical Statistics 12, 1941): neither a trend nor a wandering level
    widens it. A fourth of the changes, the largest, is left out, so a spike or a step does not either. The logarithms of the
    newest 2, 4 and 6 parts are compared with the earlier ones by Student's t, in units of the larger of their standard
    deviation and of that of moving means of as many parts, so that scatter which comes and goes is no news. The part that
    straddles the beginning is left out.

    Noise often is a share of the level: what the scatter gains or loses by as much as the level does is taken off. So a
    doubled load that is twice as noisy is a new level, and no new scatter.

    It counts only if it is twice, or half, of what the earlier stretches of that length ever had. It stays visible for a
    quarter of the window. With fewer than 8 earlier parts, so in windows of less than 89 instants, nothing is said.

    More scatter is called an oscillation, less a flatline; a series that stands exactly still is left to `flatline`. Less
    scatter is neither above nor below, so it is judged only where both directions count.
    """
    rows, instants = baseline.values.shape
    length = max(instants // _PARTS, _SHORTEST)
    parts = (instants - 1) // length
    newer = [count for count in _NEWER if parts - count - 1 >= _FEWEST_EARLIER]
    log_tail = np.zeros(rows)
    kind = np.full(rows, OSCILLATION, dtype=np.int8)
    if not newer:
        return Detection("scatter", log_tail, kind, lambda _row, _unit: None)
    values = baseline.values[:, instants - 1 - parts * length :]
    candidates = _candidates(values, length * newer[0])
    typical = _typical(_changes(values[candidates]).reshape(candidates.size, parts, length))
    scatter = np.log(np.maximum(typical, _floor(baseline, candidates)[:, None]))
    apart = _apart(scatter, newer)
    candidates, typical, scatter = candidates[apart], typical[apart], scatter[apart]
    if not candidates.size:
        return Detection("scatter", log_tail, kind, lambda _row, _unit: None)
    compared = [_compare(baseline, candidates, scatter, count, length) for count in newer]
    noisier = np.stack([one.noisier for one in compared], axis=1)
    allowed = np.stack([one.notable for one in compared], axis=1) & _matters(baseline, candidates, noisier, length)
    one, column = pick(np.stack([one.log_tail for one in compared], axis=1), allowed)
    log_tail[candidates] = any_of(one, len(newer))
    kind[candidates] = np.where(noisier[np.arange(column.size), column], OSCILLATION, FLATLINE)

    def words(row: int, unit: str) -> str | None:
        if log_tail[row] == 0:
            return None
        at = int(np.searchsorted(candidates, row))
        return scatter_text(baseline, typical[at], newer[int(column[at])], length, unit)

    return Detection("scatter", log_tail, kind, words)


def _candidates(values: FloatArray, newest: int) -> IntArray:
    """Rows whose newest values change notably more, or less, than all: judged by some changes, then by each."""
    now = _mean(_changes(values[:, values.shape[1] - newest - 1 :]))
    some = values[:, 1::_SAMPLED] - values[:, : values.shape[1] - 1 : _SAMPLED]
    rough = _mean(np.abs(some, out=some))
    likely = np.flatnonzero((now > _ROUGHLY * rough) | (now * _ROUGHLY < rough))
    now, usual = now[likely], _mean(_changes(values[likely]))
    return likely[(now > _LIKELY * usual) | (now * _LIKELY < usual)]


def _changes(values: FloatArray) -> FloatArray:
    """[rows × instants - 1]: absolute changes from one value to the next."""
    changes: FloatArray = values[:, 1:] - values[:, :-1]
    return np.abs(changes, out=changes)


def _mean(changes: FloatArray) -> FloatArray:
    """[rows]: of those that are not NaN; 0 where all are."""
    mean: FloatArray = np.add.reduce(changes, axis=1) / changes.shape[1]
    gaps = np.flatnonzero(np.isnan(mean))
    if gaps.size:
        known = ~np.isnan(changes[gaps])
        mean[gaps] = np.add.reduce(changes[gaps], axis=1, where=known) / np.maximum(np.count_nonzero(known, axis=1), 1)
    return mean


def _typical(changes: FloatArray) -> FloatArray:
    """[rows × parts]: the mean of the smaller changes of a part; NaN where less than half of them are known."""
    ordered = np.sort(changes, axis=2)
    length = ordered.shape[2]
    count = length - np.count_nonzero(np.isnan(ordered), axis=2)
    kept = np.ceil(_KEPT * count)
    total = np.add.reduce(ordered, axis=2, where=np.arange(length) < kept[:, :, None])
    return np.where(2 * count >= length, total / np.maximum(kept, 1.0), np.nan)


def _floor(baseline: Baseline, rows: IntArray) -> FloatArray:
    """[rows]: the smallest scatter that counts."""
    spread = _SHARE_OF_RANGE * (baseline.past.upper[rows] - baseline.past.lower[rows])
    floor: FloatArray = np.maximum(baseline.floor[rows], spread) / _RANGE
    return floor


def _apart(scatter: FloatArray, newer: Sequence[int]) -> IntArray:
    """Rows of which any newer parts differ from the older ones by a notable factor."""
    middle = medians(scatter[:, : scatter.shape[1] - newer[-1]], whole=False)
    ways = [np.abs(scatter[:, scatter.shape[1] - count :].mean(axis=1) - middle) for count in newer]
    return np.flatnonzero(np.fmax.reduce(ways) >= np.log(_NOTABLE))


@dataclass(frozen=True, eq=False)
class _Comparison:
    """The newest parts against the earlier ones; arrays `[rows]`."""

    noisier: BoolArray
    notable: BoolArray
    log_tail: FloatArray


def _compare(baseline: Baseline, rows: IntArray, scatter: FloatArray, count: int, length: int) -> _Comparison:
    newer, earlier = scatter[:, scatter.shape[1] - count :], scatter[:, : scatter.shape[1] - count - 1]
    known = ~np.isnan(earlier)
    number = np.maximum(np.count_nonzero(known, axis=1), 2)
    middle = np.add.reduce(earlier, axis=1, where=known) / number
    off = np.where(known, earlier - middle[:, None], 0.0)
    single = np.sqrt(np.add.reduce(off * off, axis=1) / (number - 1) / count)
    # An unknown part counts as a usual one.
    total = np.cumsum(np.concatenate([np.zeros((len(off), 1)), off], axis=1), axis=1)
    moving = (total[:, count:] - total[:, :-count]) / count
    together = np.sqrt(np.add.reduce(moving * moving, axis=1) / moving.shape[1])
    spread = np.maximum(np.maximum(single, together), _STEADIEST / np.sqrt(count))
    now = np.add.reduce(newer, axis=1) / count
    growth = _growth(baseline, rows, np.exp(middle), count * length)
    noisier = now > middle
    distance = np.where(
        noisier,
        np.fmax(now - middle - np.fmax(growth, 0.0), 0.0),
        np.fmin(now - middle - np.fmin(growth, 0.0), 0.0),
    )
    lowest, highest = np.minimum.reduce(moving, axis=1), np.maximum.reduce(moving, axis=1)
    beyond = np.where(noisier, distance - highest, lowest - distance)
    log_tail = log_student(distance / (spread * np.sqrt(1 + count / number)), number - 1.0)
    return _Comparison(
        noisier=noisier,
        notable=(beyond >= np.log(_NOTABLE)) & (number >= _FEWEST_EARLIER),
        log_tail=np.where(np.isnan(log_tail), 0.0, log_tail),
    )


def _growth(baseline: Baseline, rows: IntArray, scatter: FloatArray, newest: int) -> FloatArray:
    """[rows]: the logarithm of the factor by which the level grew, for a level that is small against the scatter 0."""
    values = baseline.values[rows, baseline.values.shape[1] - newest :]
    level, usual = np.abs(medians(values, whole=baseline.whole)), np.abs(baseline.past.median[rows])
    return np.log(level + _RANGE * scatter) - np.log(usual + _RANGE * scatter)


def _matters(baseline: Baseline, rows: IntArray, noisier: BoolArray, length: int) -> BoolArray:
    """[rows × comparisons]: whether the policy lets it count, more scatter by how far the newest part goes to a side that does."""
    policy = baseline.policy.rows(rows)
    newest = baseline.values[rows, baseline.values.shape[1] - length :]
    median = baseline.past.median[rows, None]
    ends = np.stack([np.fmax.reduce(newest, axis=1), np.fmin.reduce(newest, axis=1)], axis=1)
    moves = ends[:, 0] > ends[:, 1]
    swings = np.asarray(policy.matters(ends - median, median).any(axis=1))
    width = baseline.past.upper[rows, None] - baseline.past.lower[rows, None]
    stills = policy.matters(width, median)[:, 0] & (policy.direction == 0)
    return np.where(noisier, swings[:, None], stills[:, None]) & moves[:, None]
