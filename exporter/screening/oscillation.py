"""Oscillation: a regular swing to and fro that was not there before."""

from dataclasses import dataclass

import numpy as np

from exporter.screening.baseline import Baseline
from exporter.screening.detection import OSCILLATION, Detection
from exporter.screening.evidence_shape import Swing, swing_text
from exporter.screening.policy import BoolArray
from exporter.screening.tails import GAUSSIAN_RANGE
from exporter.series.frame import FloatArray, IntArray

_SEGMENTS = 4
_SHORTEST = 16
_FEWEST_CYCLES = 3
_REGULAR = 0.5
"""Share of a segment's power that one pace must have: what is less regular is noise, and left to `variance`."""
_MISSING = 0.125
"""With a larger share of values missing a segment says nothing."""
_HIGHER = 2.0
_SHARE_OF_RANGE = 0.25
_STILL = 0.5
"""It goes on as long as the values of the last cycle span this share of its height."""
_SWING = 2 * float(np.sqrt(2))
"""From lowest to highest point of a sine, over the square root of its power and times the instants."""
_SHARE_OF_LEVEL = 1e-3
"""A swing lower than this share of the usual magnitude matters to nobody, whatever went before."""
_SMALLEST = 1e-300


def oscillation(baseline: Baseline) -> Detection:
    """Judge by the chance that noise has so strong a pace, and that the same noise was so much weaker before.

    The periodogram of the newest quarter of the window is searched for the pair of neighbouring frequencies with the most
    power (a pace between two frequencies shows in both), from 3 cycles a quarter to one in 2 instants. Two questions
    are asked, and the answer that is less odd counts:

    - How likely is it that a pair has that share of the power? In white noise the power at each of m frequencies is
      exponential, so a pair's share is Beta(2, m - 2), and there are m - 3 pairs (after Fisher, Tests of Significance in Harmonic
      Analysis, Proc. R. Soc. A 125, 1929, who does it for one frequency). A wandering series or a trend has its power in the
      slow frequencies, which no pair may have but which count in the whole.
    - How likely is it that the pair has so much more power than those frequencies and their neighbours had in the two oldest
      quarters? For any steady noise, whatever its colour, the ratio of two and of k exponentials: (1 + y)^-k (1 + k y / (1 + y)).

    It counts only if it is at least twice as high as the highest swing of any pace in the oldest quarters, and a fourth of the
    history's 0.5-99.5 % range: a series that always swings is calm, whatever its pace. It is visible from its third or
    fourth cycle on until it is half a window old, and is over as soon as the values of one cycle no longer swing. Of windows
    of less than 64 instants nothing is said.
    """
    rows, instants = baseline.values.shape
    length = instants // _SEGMENTS
    log_tail = np.zeros(rows)
    kind = np.full(rows, OSCILLATION, dtype=np.int8)
    candidates = np.empty(0, dtype=np.intp)
    if length >= _SHORTEST:
        candidates = _regular(baseline.values[:, instants - length :])
    if not candidates.size:
        return Detection("oscillation", log_tail, kind, lambda _row, _unit: None)
    found = _judge(baseline, candidates, length)
    log_tail[candidates] = found.log_tail

    def words(row: int, unit: str) -> str | None:
        if log_tail[row] == 0:
            return None
        at = int(np.searchsorted(candidates, row))
        return swing_text(baseline, row, Swing(length, float(found.period[at]), float(found.before[at])), unit)

    return Detection("oscillation", log_tail, kind, words)


def _regular(segment: FloatArray) -> IntArray:
    """Rows in which one pace has most of the power."""
    off = _centred(segment)
    off /= np.maximum(np.maximum(off.max(axis=1), -off.min(axis=1)), _SMALLEST)[:, None]
    powers = _powers(off)
    total = np.maximum(np.add.reduce(powers, axis=1), _SMALLEST)
    return np.flatnonzero(_pairs(powers).max(axis=1) >= _REGULAR * total)


def _centred(segments: FloatArray) -> FloatArray:
    """`[segments × instants]` less the mean of each: 0 where a value is missing, and everywhere where too many are."""
    length = segments.shape[1]
    mean = np.add.reduce(segments, axis=1) / length
    off: FloatArray = segments - mean[:, None]
    gaps = np.flatnonzero(np.isnan(mean))
    if gaps.size:
        known = ~np.isnan(segments[gaps])
        count = np.count_nonzero(known, axis=1)
        middle = np.add.reduce(segments[gaps], axis=1, where=known) / np.maximum(count, 1)
        known &= (count >= (1 - _MISSING) * length)[:, None]
        off[gaps] = np.where(known, segments[gaps] - middle[:, None], 0.0)
    return off


def _powers(off: FloatArray) -> FloatArray:
    """The periodogram along the last axis: at 1, 2 … cycles up to one in 2 instants.

    So scaled that a swing of some height has the same power at any pace. The highest frequency has no mirror image, and all of
    its values are turning points: it would have 4 times as much.
    """
    transformed = np.fft.rfft(off)[..., 1:]
    powers: FloatArray = 2 * (transformed.real**2 + transformed.imag**2)
    if off.shape[-1] % 2 == 0:
        powers[..., -1] /= 4
    return powers


def _pairs(powers: FloatArray) -> FloatArray:
    """[… × pairs]: the power of neighbouring frequencies, from the slowest pace that counts on."""
    pairs: FloatArray = powers[..., _FEWEST_CYCLES - 1 : -1] + powers[..., _FEWEST_CYCLES:]
    return pairs


@dataclass(frozen=True, eq=False)
class _Found:
    """`[rows]` each."""

    log_tail: FloatArray
    period: FloatArray
    """Instants."""
    before: FloatArray
    """Height of the highest swing before, from its lowest to its highest point."""


def _judge(baseline: Baseline, rows: IntArray, length: int) -> _Found:
    """The oddness of the strongest pace of the newest segment."""
    values = baseline.values[rows, baseline.values.shape[1] - _SEGMENTS * length :]
    segments = values.reshape(rows.size * _SEGMENTS, length)
    known = np.count_nonzero(~np.isnan(segments), axis=1) >= (1 - _MISSING) * length
    off = _centred(segments).reshape(rows.size, _SEGMENTS, length)
    scale = np.maximum(np.abs(off).max(axis=(1, 2)), _SMALLEST)
    powers = _powers(off / scale[:, None, None])
    earlier, newest = powers[:, :2], powers[:, -1]
    pairs = _pairs(newest)
    row, pace = np.arange(rows.size), pairs.argmax(axis=1)
    strongest = pairs[row, pace]
    slow, fast = newest[row, pace + _FEWEST_CYCLES - 1], newest[row, pace + _FEWEST_CYCLES]
    period = length / (pace + _FEWEST_CYCLES + fast / np.maximum(slow + fast, _SMALLEST))
    height, before = (
        _SWING * scale * np.sqrt(power) / length for power in (strongest, _pairs(earlier).max(axis=(1, 2)))
    )
    # Where the scale is that much smaller nothing is a swing anyway, and squares must stay finite.
    lowest = np.minimum(_lowest(baseline, rows), 1e3 * scale)
    floor = 2 * length * (lowest / scale / GAUSSIAN_RANGE) ** 2
    odd = np.maximum(
        _log_regular(strongest / np.maximum(np.add.reduce(newest, axis=1), _SMALLEST), newest.shape[1]),
        _log_new(strongest, earlier, known.reshape(-1, _SEGMENTS)[:, :2], pace, floor),
    )
    counts = _counts(baseline, rows, height, before) & _goes_on(values, period, height)
    return _Found(np.where(counts, np.minimum(odd, 0.0), 0.0), period, before)


def _log_regular(share: FloatArray, frequencies: int) -> FloatArray:
    """[rows]: how likely a pair has this share of the power of white noise."""
    others = frequencies - 2
    rest = np.log(np.maximum(1 - share, _SMALLEST))
    return others * rest + np.log1p(others * share) + float(np.log(frequencies - _FEWEST_CYCLES))


def _log_new(
    strongest: FloatArray, earlier: FloatArray, known: BoolArray, pace: IntArray, floor: FloatArray
) -> FloatArray:
    """[rows]: how likely a pair has so much more power than it and its neighbours had in the earlier segments."""
    frequencies = earlier.shape[2]
    near = (pace + _FEWEST_CYCLES - 2)[:, None] + np.arange(4)
    within = near < frequencies
    power = np.take_along_axis(earlier, np.minimum(near, frequencies - 1)[:, None, :], axis=2)
    told = known[:, :, None] & within[:, None, :]
    count = np.count_nonzero(told, axis=(1, 2))
    ratio = strongest / np.add.reduce(
        np.maximum(power, floor[:, None, None]), axis=(1, 2), where=told, initial=_SMALLEST
    )
    log_tail = np.log1p(count * ratio / (1 + ratio)) - count * np.log1p(ratio)
    return np.where(count > 0, log_tail + float(np.log(frequencies - _FEWEST_CYCLES)), 0.0)


def _lowest(baseline: Baseline, rows: IntArray) -> FloatArray:
    """[rows]: the height below which nothing is a swing. Steps don't matter: a flag that flaps has only one."""
    past = baseline.past
    return _SHARE_OF_LEVEL * np.maximum(np.abs(past.lower[rows]), np.abs(past.upper[rows]))


def _counts(baseline: Baseline, rows: IntArray, height: FloatArray, before: FloatArray) -> BoolArray:
    """Whether swings are high enough, by what went before and by the policy."""
    spread = baseline.past.upper[rows] - baseline.past.lower[rows]
    smallest = np.maximum(np.maximum(_HIGHER * before, _SHARE_OF_RANGE * spread), _lowest(baseline, rows))
    to_and_fro = np.stack([height, -height], axis=1) / 2
    matters = baseline.policy.rows(rows).matters(to_and_fro, baseline.past.median[rows, None]).any(axis=1)
    counts: BoolArray = (height >= smallest) & matters
    return counts


def _goes_on(values: FloatArray, period: FloatArray, height: FloatArray) -> BoolArray:
    """Whether the values of the last cycle still span a good part of the height."""
    instants = values.shape[1]
    last = np.where(np.arange(instants) >= (instants - np.ceil(period))[:, None], values, np.nan)
    still: BoolArray = np.fmax.reduce(last, axis=1) - np.fmin.reduce(last, axis=1) >= _STILL * height
    return still
