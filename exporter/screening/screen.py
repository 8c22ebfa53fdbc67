"""The statistical pass over a frame: blocks of series through all detectors, one score each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from exporter.screening.baseline import Baseline, Settings, baseline_of
from exporter.screening.detection import Detector, KindArray
from exporter.screening.evidence import numbers_in
from exporter.screening.flatline import flatline
from exporter.screening.jump import jump
from exporter.screening.level_shift import level_shift
from exporter.screening.limits import limits
from exporter.screening.missing import missing
from exporter.screening.policy import BoolArray, Policy
from exporter.screening.rank import rank
from exporter.screening.result import THRESHOLD, Evidence, ScreenResult
from exporter.screening.robust import robust
from exporter.screening.tails import any_of, log_boundary, score_of
from exporter.series.frame import FloatArray, Frame

DETECTORS: tuple[Detector, ...] = (limits, missing, flatline, level_shift, rank, robust, jump)
"""All detectors, the most specific first: of those that find a series anomalous the first names the kind."""

_BLOCK_VALUES = 1 << 17
"""Values of a block: 1 MB, so that a block, its sorted copy and a few temporaries stay in a core's own cache."""
_WORTH_SAYING = 0.25
"""Detectors whose own score is lower have nothing to say."""


def screen(frame: Frame, policy: Policy, settings: Settings | None = None) -> ScreenResult:
    """Judge the newest instants of each series against the older ones.

    The detectors' tail probabilities are combined by Bonferroni's rule: the smallest, times the number of detectors.
    That is monotone in each, needs no assumption about their dependence (they look at the same values, so it is
    strong), and keeps the meaning of the boundary (see `tails`). A product or a sum of evidence would count one spike
    as often as there are detectors that see it.

    Nothing but the frame is used. Instants at which no series has a value are the target's gap, not the series', and are
    left out. A series has no score (NaN) while it has too few values to be judged by, or none that can be judged; a
    value outside the valid range has one all the same.

    Args:
        frame: series × instants.
        policy: as long as the frame has series.
        settings: what can be set; the defaults when None.
    """
    settings = settings or Settings()
    source = _Source.of(frame, policy, settings)
    rows = len(frame.values)
    score, lower, upper = (np.full(rows, np.nan) for _ in range(3))
    kind = np.full(rows, -1, dtype=np.int8)
    for block in _slices(rows, source.times.size):
        baseline = source.baseline(block)
        log_tail, kinds = _combine(baseline, source.boundary)
        judgeable = baseline.ready & ~np.isnan(baseline.newest).all(axis=1)
        score[block] = np.where(judgeable | (log_tail < 0), score_of(log_tail, source.boundary), np.nan)
        kind[block] = np.where(score[block] >= THRESHOLD, kinds, -1)
        lower[block] = np.where(baseline.ready, baseline.past.lower, np.nan)
        upper[block] = np.where(baseline.ready, baseline.past.upper, np.nan)
    worded = [_Worded(source, index) for index in range(len(DETECTORS))]
    return ScreenResult(frame, score, kind, lower, upper, worded)


def _combine(baseline: Baseline, boundary: float) -> tuple[FloatArray, KindArray]:
    """[rows]: the combined log tail probability, and the kind."""
    detections = [detector(baseline) for detector in DETECTORS]
    log_tails = any_of(np.stack([detection.log_tail for detection in detections]), len(DETECTORS))
    # The valid range, which comes first, needs no history; the others do.
    log_tails[1:, ~baseline.ready] = 0.0
    kinds = np.stack([detection.kind for detection in detections])
    crossed = log_tails <= boundary
    naming = np.where(crossed.any(axis=0), crossed.argmax(axis=0), log_tails.argmin(axis=0))
    return log_tails.min(axis=0), np.take_along_axis(kinds, naming[None, :], axis=0)[0]


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

    @classmethod
    def of(cls, frame: Frame, policy: Policy, settings: Settings) -> Self:
        kept = _answered(frame.values)
        times = frame.times[kept]
        padding = max(settings.judged + max(settings.judged, settings.min_history) - times.size, 0)
        first = times[0] if times.size else 0.0
        earlier = first - frame.interval * np.arange(padding, 0, -1)
        boundary = log_boundary(frame.interval, settings.sensitivity_days)
        return cls(frame, policy, settings, kept, padding, np.concatenate([earlier, times]), boundary)

    def baseline(self, block: slice) -> Baseline:
        values = self.frame.values[block]
        if not self.kept.all():
            values = values[:, self.kept]
        if self.padding:
            values = np.concatenate([np.full((len(values), self.padding), np.nan), values], axis=1)
        return baseline_of(values, self.times, self.policy.rows(block), self.settings)


@dataclass(frozen=True, eq=False)
class _Worded:
    """One detector's words. They are made from the frame again, for the series that are asked about."""

    source: _Source
    index: int

    def describe(self, row: int) -> Evidence | None:
        baseline = self.source.baseline(slice(row, row + 1))
        if not baseline.ready[0] and DETECTORS[self.index] is not limits:
            return None
        detection = DETECTORS[self.index](baseline)
        score = float(score_of(detection.log_tail, self.source.boundary)[0])
        if score < _WORTH_SAYING and not detection.background:
            return None
        text = detection.words(0, self.source.frame.series[row].unit)
        return None if text is None else Evidence(detection.detector, text, numbers_in(text), score)
