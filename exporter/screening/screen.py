"""The statistical pass over a frame: blocks of series through all detectors, one score each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from exporter.screening.baseline import Baseline, Settings, baseline_of
from exporter.screening.beyond import beyond
from exporter.screening.detection import Detection, Detector, KindArray
from exporter.screening.drift import drift
from exporter.screening.evidence import numbers_in
from exporter.screening.flatline import flatline
from exporter.screening.habits import MARGIN, MARGIN_OF_ABSENCE, known_share, weight_of
from exporter.screening.jump import jump
from exporter.screening.level_shift import level_shift
from exporter.screening.limits import limits
from exporter.screening.missing import missing
from exporter.screening.oscillation import oscillation
from exporter.screening.past import Past
from exporter.screening.peers import PeerJudgement, peers
from exporter.screening.policy import BoolArray, Policy
from exporter.screening.rank import rank
from exporter.screening.result import THRESHOLD, Evidence, ScreenResult
from exporter.screening.robust import robust
from exporter.screening.seasonal import seasonal
from exporter.screening.strange import strangeness
from exporter.screening.tails import log_boundary, score_of
from exporter.screening.variance import variance
from exporter.series.frame import FloatArray, Frame, IntArray

OF_ABSENCE: tuple[Detector, ...] = (missing, flatline)
OF_COURSE: tuple[Detector, ...] = (drift, oscillation, variance)
OF_PLACE: tuple[Detector, ...] = (level_shift, rank, robust, jump)
"""Detectors that know the window alone. Those of place, how far a value lies from others, give way to `beyond` and `seasonal`
as history grows: on six of the labelled series they found one window more, with seven false alerts more."""
DETECTORS: tuple[Detector, ...] = (limits, *OF_ABSENCE, seasonal, beyond, *OF_COURSE, *OF_PLACE)
"""All detectors of single series: of those that find one anomalous the first names the kind. Peers come after them."""


def _those(*groups: tuple[Detector, ...], peers_too: bool = False) -> BoolArray:
    """[detectors]: which of all, peers included, belong to these groups."""
    return np.array([*(any(detector in group for group in groups) for detector in DETECTORS), peers_too])


_ABSENCE, _PLACE = _those(OF_ABSENCE), _those(OF_PLACE)
_MEANS = _those((seasonal, beyond))
_COURSE = _those(OF_COURSE, peers_too=True)
_WINDOW = _ABSENCE | _COURSE | _PLACE
_LOG_TRIED = np.log(np.where(_COURSE, 28.0, 7.0))
"""Bonferroni's factors: 6 detectors have a seventh of the chance of a false alarm each, the 4 of course share the last
seventh, since they are calm far more often than their models say."""

_BLOCK_VALUES = 1 << 17
"""Values of a block: 1 MB, so that a block, its sorted copy and a few temporaries stay in a core's own cache."""
_WORTH_SAYING = 0.25
"""Detectors whose own score is lower have nothing to say."""


def screen(
    frame: Frame,
    policy: Policy,
    settings: Settings | None = None,
    *,
    remembered: Past | None = None,
    peer: IntArray | None = None,
) -> ScreenResult:
    """Judge the newest instants of each series against the older ones.

    The tail probabilities of the detectors that know the window alone are combined by Bonferroni's rule, with weights: the
    smallest, each times its factor. That is monotone in each, needs no assumption about their dependence (they look at the same
    values, so it is strong), and keeps the meaning of the boundary (see `tails`). What a series' window has shown before is
    not odd any more: with days of history their surprise counts against the greatest they ever had (`habits.weight_of`). Of
    that, of what lies beyond the history and of a break with the daily shape the oddest counts.

    Nothing but the frame and what is remembered is used. Instants at which no series has a value are the target's gap, not
    the series', and are left out. A series has no score (NaN) while it has too few values to be judged by, none that can be
    judged, or its quiet hours; a value outside the valid range has one all the same.

    Args:
        frame: series × instants.
        policy: as long as the frame has series.
        settings: what can be set; the defaults when None.
        remembered: what is known of the days before; nothing when None.
        peer: `[series]`, the number of the set of peers each belongs to; no series has peers when None.
    """
    settings = settings or Settings()
    rows = len(frame.values)
    peer = np.full(rows, -1, dtype=np.intp) if peer is None else peer
    source = _Source.of(frame, policy, settings, remembered or Past.none(rows), peer)
    score, lasting, apart, lower, upper, surprise, strange = (np.full(rows, np.nan) for _ in range(7))
    kind = np.full(rows, -1, dtype=np.int8)
    certain = np.zeros(rows, dtype=np.bool_)
    for block in _slices(rows, source.times.size):
        baseline = source.baseline(block)
        judged = _judge(baseline, source.peers.block(block))
        log_tail = judged.log_tails.min(axis=0)
        seen = ~np.isnan(baseline.newest).all(axis=1)
        known = baseline.ready | baseline.remembered.ready
        score[block] = np.where((known & seen) | (log_tail < 0), score_of(log_tail, source.boundary), np.nan)
        kind[block] = np.where(score[block] >= THRESHOLD, _kind(judged, source.boundary), -1)
        lasting[block] = score_of(judged.lasting.min(axis=0), source.boundary)
        apart[block] = score_of(judged.log_tails[~_MEANS].min(axis=0), source.boundary)
        surprise[block] = judged.surprise
        certain[block] = judged.log_tails[DETECTORS.index(limits)] <= source.boundary
        strange[block] = strangeness(baseline)
        lower[block], upper[block] = _band(baseline)
    if frame.times.size:
        score[policy.quiet_at(float(frame.times[-1]))] = np.nan
    lasting[np.isnan(score)] = np.nan
    return ScreenResult(frame, score, kind, lower, upper, lasting, apart, surprise, certain, strange, _Worded(source))


@dataclass(frozen=True, eq=False)
class _Judged:
    log_tails: FloatArray
    """[detectors × rows]: after what was usual has been taken off; Bonferroni's factor included."""
    lasting: FloatArray
    """[detectors × rows]: likewise, of what still goes on."""
    kinds: KindArray
    """[detectors × rows]."""
    surprise: FloatArray
    """[rows]: of the window's detectors of absence and course, before."""
    detections: Sequence[Detection]
    weights: FloatArray
    """[detectors × rows]: the share that counts of what each says."""


def _judge(baseline: Baseline, apart: Detection) -> _Judged:
    detections = [*(detector(baseline) for detector in DETECTORS), apart]
    log_tails = np.stack([detection.log_tail for detection in detections])
    # Of a series that is absent the last hours' means say nothing new.
    log_tails[np.ix_(~_WINDOW, np.isnan(baseline.newest).all(axis=1))] = 0.0
    window = log_tails[_WINDOW] + _LOG_TRIED[_WINDOW, None]
    np.minimum(window, 0.0, out=window)
    # The valid range needs no history; the window's detectors do.
    window[:, ~baseline.ready] = 0.0
    log_tails[_WINDOW] = window
    surprise = -log_tails[_ABSENCE | _COURSE].min(axis=0)
    past, boundary = baseline.remembered, baseline.boundary
    weights = np.ones_like(log_tails)
    weights[_COURSE] = weight_of(past, boundary, MARGIN)
    weights[_ABSENCE] = weight_of(past, boundary, MARGIN_OF_ABSENCE)
    weights[_PLACE] = 1.0 - known_share(past)
    log_tails *= weights
    lasting = log_tails.copy()
    for index, detection in enumerate(detections):
        if detection.lasting is not None:
            lasting[index] = np.maximum(detection.lasting, log_tails[index])
    return _Judged(log_tails, lasting, np.stack([one.kind for one in detections]), surprise, detections, weights)


def _kind(judged: _Judged, boundary: float) -> KindArray:
    """[rows]: what the first detector that finds a series anomalous calls it."""
    crossed = judged.log_tails <= boundary
    naming = np.where(crossed.any(axis=0), crossed.argmax(axis=0), judged.log_tails.argmin(axis=0))
    named: KindArray = np.take_along_axis(judged.kinds, naming[None, :], axis=0)[0]
    return named


def _band(baseline: Baseline) -> tuple[FloatArray, FloatArray]:
    """[rows] each: the range that the newest value was expected in: the window's usual one, else that of the days before."""
    past = baseline.remembered
    expected = past.expected
    lower, upper = past.code.read(expected.low[0]), past.code.read(expected.high[0])
    window = baseline.ready
    return np.where(window, baseline.past.lower, lower), np.where(window, baseline.past.upper, upper)


def _answered(values: FloatArray) -> BoolArray:
    """[instants]: at which any series has a value."""
    rows, instants = values.shape
    seen = np.zeros(instants, dtype=np.bool_)
    for block in _slices(rows, instants):
        seen |= ~np.isnan(values[block]).all(axis=0)
        if seen.all():
            break
    return seen


def _slices(rows: int, instants: int) -> Iterator[slice]:
    height = max(_BLOCK_VALUES // max(instants, 1), 1)
    return (slice(start, min(start + height, rows)) for start in range(0, rows, height))


@dataclass(frozen=True, eq=False)
class _Source:
    """Where blocks of series come from: the frame without the target's gaps."""

    frame: Frame
    policy: Policy
    settings: Settings
    kept: BoolArray
    """[instants of the frame]: at which the target gave anything."""
    padding: int
    """Empty instants to put before a frame that is too short to have a history: it has one then, without values."""
    times: FloatArray
    """[padding + kept instants]."""
    boundary: float
    remembered: Past
    peers: PeerJudgement

    @classmethod
    def of(cls, frame: Frame, policy: Policy, settings: Settings, remembered: Past, peer: IntArray) -> Self:
        kept = _answered(frame.values)
        times = frame.times[kept]
        padding = max(settings.judged + max(settings.judged, settings.min_history) - times.size, 0)
        first = times[0] if times.size else 0.0
        earlier = first - frame.interval * np.arange(padding, 0, -1)
        boundary = log_boundary(frame.interval, settings.sensitivity_days)
        whole = frame.values if kept.all() else frame.values[:, kept]
        return cls(
            frame=frame,
            policy=policy,
            settings=settings,
            kept=kept,
            padding=padding,
            times=np.concatenate([earlier, times]),
            boundary=boundary,
            remembered=remembered,
            peers=peers(whole, times, peer, policy, settings.judged),
        )

    def baseline(self, block: slice) -> Baseline:
        values = self.frame.values[block]
        if not self.kept.all():
            values = values[:, self.kept]
        if self.padding:
            values = np.concatenate([np.full((len(values), self.padding), np.nan), values], axis=1)
        return baseline_of(
            values,
            self.times,
            self.policy.rows(block),
            self.settings,
            remembered=self.remembered.rows(block),
            boundary=self.boundary,
        )


@dataclass(frozen=True, eq=False)
class _Worded:
    """The detectors' words. They are made from the frame again, for the series that are asked about."""

    source: _Source

    def describe(self, row: int) -> list[Evidence]:
        block = slice(row, row + 1)
        baseline = self.source.baseline(block)
        judged = _judge(baseline, self.source.peers.block(block))
        unit = self.source.frame.series[row].unit
        said = []
        for detection, weight, of_window in zip(judged.detections, judged.weights[:, 0], _WINDOW, strict=True):
            if of_window and not baseline.ready[0]:
                continue
            score = float(score_of(detection.log_tail * weight, self.source.boundary)[0])
            if score < _WORTH_SAYING and not detection.background:
                continue
            text = detection.words(0, unit)
            if text is not None:
                said.append(Evidence(detection.detector, text, numbers_in(text), score))
        return said
