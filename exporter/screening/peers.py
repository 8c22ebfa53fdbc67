"""Peers: a series that leaves the others of its set, which it went with before."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from exporter.screening.baseline import LARGEST, guard_of
from exporter.screening.detection import Detection, KindArray, direction_kind
from exporter.screening.evidence_shape import Apart, apart_text
from exporter.screening.ordered import medians
from exporter.screening.peer_distance import FASTEST_DECAY, least_odd, taught_by_distances
from exporter.screening.policy import Policy
from exporter.screening.tails import log_beyond
from exporter.series.frame import FloatArray, IntArray

_FEWEST_PEERS = 4
_STRETCHES = 32
_FEWEST_STRETCHES = 8
_STRAY = 4
"""Up to one in so many peers may leave at the same time, at least one."""
_STEPS_FLOOR = 4.0
"""Smallest steps between peers that a range is never taken as smaller than: a count of few events has coarse means."""
_VARYING_FLOOR = 1e-4
_STANDING_FLOOR = 1e-2
_TELLING = -4.0
"""Series whose distance alone is likelier than this are not looked at more closely."""
_SMALLEST = 1e-305
_BLOCK_VALUES = 1 << 17


@dataclass(frozen=True, eq=False)
class PeerJudgement:
    """What peers say about each series of a frame."""

    log_tail: FloatArray
    """[series]: logarithm of the tail probability; 0 where there is nothing to say."""
    kind: KindArray
    """[series]: index into KINDS."""
    leavers: "_Leavers"
    judged: int
    span: float
    """Seconds that the earlier stretches are from."""

    def block(self, which: slice) -> Detection:
        """The same for some of the series, as a detector says it."""
        rows = range(*which.indices(self.log_tail.size))

        def words(row: int, unit: str) -> str | None:
            if self.log_tail[rows[row]] == 0:
                return None
            return apart_text(self.leavers.apart(rows[row], self.judged, self.span), unit)

        return Detection("peers", self.log_tail[which], self.kind[which], words)


@dataclass(frozen=True, eq=False)
class _Leavers:
    """Series that lie beyond all their earlier distances, in no order; arrays `[leavers]`."""

    rows: IntArray
    log_tail: FloatArray
    kind: KindArray
    newest: FloatArray
    """Median of the judged values."""
    middle: FloatArray
    """Median of these in the set."""
    lowest: FloatArray
    """Distance from the median in earlier stretches."""
    highest: FloatArray
    size: IntArray
    """Series in the set."""

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Those of several parts of a frame."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def apart(self, row: int, judged: int, span: float) -> Apart:
        """In numbers for the sentence about a row of the frame."""
        at = int(np.flatnonzero(self.rows == row)[0])
        return Apart(
            judged=judged,
            newest=float(self.newest[at]),
            middle=float(self.middle[at]),
            usual=(float(self.lowest[at]), float(self.highest[at])),
            size=int(self.size[at]),
            span=span,
        )


_NOBODY = _Leavers(
    *(np.empty(0, dtype=kind) for kind in (np.intp, float, np.int8, float, float, float, float, np.intp))
)


def peers(values: FloatArray, times: FloatArray, peer: IntArray, policy: Policy, judged: int) -> PeerJudgement:
    """Judge how far each series lies from the median of its set, by how far it lay from it before.

    The median of the judged values (one spike is no leaving) is compared with means of as many neighbouring instants in the
    history, of which 32 are taken at even distances. What is judged is the series' distance from the median of its set, as
    `rank` judges values: by how far it lies beyond the distances that it had before, so that one that always differs is calm.
    (Median polish takes row and column effects off a two-way table in the same way: Tukey, Exploratory Data Analysis,
    1977, chapter 11.) The unit is the largest of: the range of its own earlier distances, the median of these ranges in the
    set, twice the present shift that all but one in four members stay below (so when many leave, or the set falls apart,
    none is odd), four of the smallest steps between peers, and a share of the value.

    Where that is odd, two more questions are asked, and the least odd answer counts. Is it odd as a share of the median?
    When the load of all doubles, that of the busier ones grows more. Is it odd beside what the median explains by linear
    regression? A standby that never went with the others does not leave them by standing still.

    Sets of fewer than 4 series, or that have fewer than 4 values at a time, say nothing.

    Args:
        values: `[series × instants]` of the whole frame, oldest first; not changed.
        times: `[instants]`, Unix seconds.
        peer: `[series]`, number of the set each belongs to, 0 or more; -1 for none.
        policy: of the series. Directions and smallest changes are of the way from where it was to be expected.
        judged: how many of the newest instants are judged.
    """
    series, instants = values.shape
    guard = guard_of(instants, judged)
    stretches = min(_STRETCHES, (instants - guard) // judged)
    log_tail, kind = np.zeros(series), np.zeros(series, dtype=np.int8)
    tables = list(_sets(peer, stretches + 1)) if stretches >= _FEWEST_STRETCHES else []
    if not tables:
        return PeerJudgement(log_tail, kind, _NOBODY, judged, 0.0)
    means = _means(values, np.flatnonzero(peer >= 0), guard, judged)
    leavers = _Leavers.joined([_leavers(policy, members, means) for members in tables])
    log_tail[leavers.rows], kind[leavers.rows] = leavers.log_tail, leavers.kind
    return PeerJudgement(log_tail, kind, leavers, judged, float(times[instants - guard - 1] - times[0]))


def _sets(peer: IntArray, columns: int) -> Iterator[IntArray]:
    """`[sets × members]` tables of rows, sets of about one size each and not too many at once; -1 where a set is smaller."""
    order = np.argsort(peer, kind="stable")
    order = order[np.count_nonzero(peer < 0) :]
    _, starts, sizes = np.unique(peer[order], return_index=True, return_counts=True)
    width = _FEWEST_PEERS
    while width < 2 * sizes.max(initial=0):
        which = np.flatnonzero(
            (sizes <= width) & (sizes > (width // 2 if width > _FEWEST_PEERS else _FEWEST_PEERS - 1))
        )
        height = max(_BLOCK_VALUES // (width * columns), 1)
        for first in range(0, which.size, height):
            some = which[first : first + height]
            place = starts[some, None] + np.arange(width)
            inside = np.arange(width) < sizes[some, None]
            yield np.where(inside, order[np.minimum(place, order.size - 1)], -1)
        width *= 2


def _means(values: FloatArray, rows: IntArray, guard: int, judged: int) -> FloatArray:
    """[series × stretches + 1]: what `_means_of` says about some rows; NaN for the others."""
    series, instants = values.shape
    stretches = min(_STRETCHES, (instants - guard) // judged)
    means = np.full((series, stretches + 1), np.nan)
    height = max(_BLOCK_VALUES // instants, 1)
    for start in range(0, rows.size, height):
        some = rows[start : start + height]
        whole = some[-1] - some[0] + 1 == some.size
        place = slice(some[0], some[-1] + 1) if whole else some
        means[place] = _means_of(values[place], guard, judged, stretches)
    return means


def _means_of(values: FloatArray, guard: int, judged: int, stretches: int) -> FloatArray:
    """[rows × stretches + 1]: means of stretches of the history and, last, the median of the newest values.

    NaN where less than half of the values are known.
    """
    rows, instants = values.shape
    stride = (instants - guard) // stretches
    first = instants - guard - stride * stretches
    means = np.empty((rows, stretches + 1))
    past = means[:, :-1]
    with np.errstate(invalid="ignore", over="ignore"):
        past[:] = values[:, first : instants - guard : stride]
        for offset in range(1, judged):
            past += values[:, first + offset : instants - guard : stride][:, :stretches]
        past /= judged
        if np.isnan(past).any():
            _fill(past, values, first + stride * np.arange(stretches), judged)
        means[:, -1] = medians(values[:, instants - judged :], whole=False)
    return np.clip(means, -LARGEST, LARGEST, out=means)


def _fill(means: FloatArray, values: FloatArray, starts: IntArray, judged: int) -> None:
    """Put what is known in place of the means of stretches with gaps."""
    rows, columns = np.nonzero(np.isnan(means))
    part = values[rows[:, None], starts[columns][:, None] + np.arange(judged)]
    known = np.isfinite(part)
    count = np.count_nonzero(known, axis=1)
    mean = np.add.reduce(part, axis=1, where=known) / np.maximum(count, 1)
    means[rows, columns] = np.where(2 * count >= judged, mean, np.nan)


def _leavers(policy: Policy, members: IntArray, means: FloatArray) -> _Leavers:
    """What is odd in some sets, given `[sets × members]` rows, -1 for none, and the means of all series."""
    inside = members >= 0
    own = means[members]
    if not inside.all():
        own[~inside] = np.nan
    middle, step = _middles(own)
    apart = own - middle[:, None, :]
    count = np.count_nonzero(~np.isnan(apart[..., :-1]), axis=2)
    lowest, highest = np.fmin.reduce(apart[..., :-1], axis=2), np.fmax.reduce(apart[..., :-1], axis=2)
    shift = apart[..., -1] - (lowest + highest) / 2
    share = np.where(highest > lowest, _VARYING_FLOOR, _STANDING_FLOOR)
    floor = share * np.maximum(np.abs(own[..., -1]), np.abs(middle[:, None, -1]))
    common = np.maximum(_STEPS_FLOOR * step, _common(highest - lowest, shift))[:, None]
    unit = np.maximum(np.maximum(floor, common), _SMALLEST)
    excess = np.maximum(apart[..., -1] - highest, lowest - apart[..., -1]) / np.fmax(highest - lowest, unit)
    at_most = log_beyond(excess, count, np.array(FASTEST_DECAY), taught_by_distances(count))
    odd = np.nonzero((count >= _FEWEST_STRETCHES) & (at_most <= _TELLING))
    rows, size = members[odd], np.count_nonzero(inside, axis=1)[odd[0]]
    own, middle, unit, shift = own[odd], middle[odd[0]], unit[odd], shift[odd]
    matters = policy.rows(rows).matters(shift[:, None], (own[:, -1] - shift)[:, None])[:, 0]
    return _Leavers(
        rows=rows,
        log_tail=np.where(matters, least_odd(own, middle, unit), 0.0),
        kind=direction_kind(shift > 0),
        newest=own[:, -1],
        middle=middle[:, -1],
        lowest=lowest[odd],
        highest=highest[odd],
        size=size,
    )


def _middles(own: FloatArray) -> tuple[FloatArray, FloatArray]:
    """[sets × columns]: medians of the members, NaN where there are too few; and `[sets]` the smallest step between members in the past."""
    ordered = np.sort(own.transpose(0, 2, 1), axis=2)
    known = ordered.shape[2] - np.count_nonzero(np.isnan(ordered), axis=2, keepdims=True)
    last = np.maximum(known - 1, 0)
    low, high = (np.take_along_axis(ordered, at, axis=2) for at in (last // 2, (last + 1) // 2))
    gaps = ordered[:, :-1, 1:] - ordered[:, :-1, :-1]
    step = np.min(gaps, axis=(1, 2), initial=np.inf, where=gaps > 0)
    middle = np.where(known >= _FEWEST_PEERS, (low + high) / 2, np.nan)[..., 0]
    return middle, np.where(np.isfinite(step), step, 0.0)


def _common(ranges: FloatArray, shift: FloatArray) -> FloatArray:
    """[sets]: what the members have in common: the median of their ranges, and twice the shift that few exceed."""
    size = ranges.shape[1] - np.count_nonzero(np.isnan(ranges), axis=1)
    moved = shift.shape[1] - np.count_nonzero(np.isnan(shift), axis=1)
    stray = np.maximum(moved // _STRAY, 1)
    usual = _at(np.sort(ranges, axis=1), (size - 1) // 2)
    shared = _at(np.sort(np.abs(shift), axis=1), moved - 1 - stray)
    return np.fmax(np.fmax(usual, 2 * shared), 0.0)


def _at(ordered: FloatArray, place: IntArray) -> FloatArray:
    """[rows]: one value of each row."""
    picked: FloatArray = np.take_along_axis(ordered, np.maximum(place, 0)[:, None], axis=1)[:, 0]
    return picked
