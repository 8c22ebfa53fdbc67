"""How good alerts are, counted as a person gets them.

The onset of an alert decides. To count any overlap with a labelled window can be gamed: an alarm that never stops
overlaps every window. Kim et al., "Towards a Rigorous Evaluation of Time-Series Anomaly Detection", AAAI 2022, show the
same of point adjustment, which is not used here either.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from exporter.evaluation.labelled import Case
from exporter.evaluation.volume import vus_pr, window_length
from exporter.screening.policy import BoolArray
from exporter.series.frame import FloatArray, IntArray

MERGE = 12
"""Detections at most this many samples apart are one alert."""

_DAY = 86400.0


@dataclass(frozen=True, eq=False)
class Episodes:
    """Alerts, in order of time."""

    onsets: IntArray
    """[episodes]: the instant of the first detection."""
    ends: IntArray
    """[episodes]: the instant of the last detection."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the labelled windows and the alerts of one case or of several."""

    found: int
    """Windows in which an alert began."""
    false_alerts: int
    """Alerts that began outside of every window."""
    missed: int
    """Windows in which no alert began."""
    delays: tuple[float, ...]
    """For each found window how much of it had passed when the first alert began, 0..1."""
    series_days: float
    """Days that were judged, of all cases together."""
    alarm_days: float
    """Days of them with an alert, gaps that were merged included."""

    @property
    def precision(self) -> float | None:
        """Of the alerts that count the share that found a window; None without alerts."""
        return _share(self.found, self.found + self.false_alerts)

    @property
    def recall(self) -> float | None:
        """Of the windows the share that was found; None without windows."""
        return _share(self.found, self.found + self.missed)

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall, 0 if nothing is found; None without windows.

        van Rijsbergen, "Information Retrieval", 1979, chapter 7.
        """
        if not self.found + self.missed:
            return None
        return _share(2 * self.found, 2 * self.found + self.false_alerts + self.missed)

    @property
    def false_alerts_per_day(self) -> float | None:
        """False alerts per judged day of a case; None if no time was judged."""
        return _share(self.false_alerts, self.series_days)

    @property
    def median_delay(self) -> float | None:
        """Of the found windows; None if none was found."""
        return float(np.median(self.delays)) if self.delays else None

    @property
    def alarm_share(self) -> float | None:
        """Share of the judged time with an alert; None if no time was judged."""
        return _share(self.alarm_days, self.series_days)


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one detector, by the names that they have in a JSON row."""

    tp: int
    """Labelled windows found."""
    fp: int
    """False alerts."""
    fn: int
    """Labelled windows missed."""
    f1: float | None
    """None where there are no windows."""
    fp_per_series_day: float | None
    vus_pr: float | None
    """The mean over the cases that have labels in their judged part; None where none has."""
    median_delay: float | None
    """As a share of the window; None where none is found."""
    alarm_share: float | None


def episodes(score: FloatArray, threshold: float, merge: int = MERGE) -> Episodes:
    """Detections put together to alerts.

    Args:
        score: `[instants]`; NaN is no detection.
        threshold: a score that reaches it is a detection.
        merge: detections at most this many samples apart belong to one alert.
    """
    detected = np.flatnonzero(score >= threshold)
    apart = np.diff(detected) > merge
    first, last = np.ones(detected.size, dtype=np.bool_), np.ones(detected.size, dtype=np.bool_)
    first[1:], last[:-1] = apart, apart
    return Episodes(detected[first], detected[last])


def judged_episodes(case: Case, score: FloatArray, threshold: float, merge: int = MERGE) -> Episodes:
    """The alerts of a case from the first judged instant on; what was detected before is forgotten.

    An alert that is on at the first judged instant therefore begins there.

    Args:
        case: with `[instants]` times.
        score: `[instants]`.
        threshold: a score that reaches it is a detection.
        merge: as for `episodes`.
    """
    found = episodes(score[case.judged_from :], threshold, merge)
    return Episodes(found.onsets + case.judged_from, found.ends + case.judged_from)


def onset_windows(case: Case, found: Episodes) -> IntArray:
    """[episodes]: the window of the case, by its index, in which each begins; -1 where in none."""
    onsets = case.times[found.onsets]
    if not case.windows:
        return np.full(onsets.size, -1, dtype=np.intp)
    starts, ends = (np.array([getattr(one, edge) for one in case.windows]) for edge in ("start", "end"))
    before = np.searchsorted(starts, onsets, side="right") - 1
    return np.where((before >= 0) & (onsets <= ends[before]), before, -1)


def judged_windows(case: Case) -> BoolArray:
    """[windows]: whether each counts; one that is over before the first judged instant does not."""
    if case.judged_from >= case.times.size:
        return np.zeros(len(case.windows), dtype=np.bool_)
    ends = np.array([one.end for one in case.windows], dtype=np.float64)
    return np.asarray(ends >= case.times[case.judged_from])


def count(case: Case, score: FloatArray, threshold: float, merge: int = MERGE) -> Counts:
    """Windows found and missed, and false alerts, of one case.

    An alert that begins in a window finds it, and only it, however long it lasts. Further ones in the same window count
    neither way; one that begins outside of every window is false, whatever it overlaps later.

    Args:
        case: with `[instants]` times.
        score: `[instants]`: of the case as a whole.
        threshold: a score that reaches it is a detection.
        merge: as for `episodes`.
    """
    alerts = judged_episodes(case, score, threshold, merge)
    window = onset_windows(case, alerts)
    # The first alert of each window: np.unique gives the index of the first occurrence.
    found, first = np.unique(window[window >= 0], return_index=True)
    onsets = case.times[alerts.onsets[window >= 0][first]]
    durations = case.times[alerts.ends] - case.times[alerts.onsets] + case.interval
    judged = case.times[case.judged_from :]
    return Counts(
        found=found.size,
        false_alerts=int(np.count_nonzero(window < 0)),
        missed=int(np.count_nonzero(judged_windows(case))) - found.size,
        delays=tuple(_delay(case, at, onset) for at, onset in zip(found.tolist(), onsets.tolist(), strict=True)),
        series_days=float(judged[-1] - judged[0] + case.interval) / _DAY if judged.size else 0.0,
        alarm_days=float(durations.sum()) / _DAY,
    )


def total(counts: Iterable[Counts]) -> Counts:
    """Several cases as one."""
    each = tuple(counts)
    return Counts(
        found=sum(one.found for one in each),
        false_alerts=sum(one.false_alerts for one in each),
        missed=sum(one.missed for one in each),
        delays=tuple(delay for one in each for delay in one.delays),
        series_days=sum(one.series_days for one in each),
        alarm_days=sum(one.alarm_days for one in each),
    )


def volume_under(case: Case, score: FloatArray) -> float | None:
    """VUS-PR of the judged part of a case; None where that has no labelled instant.

    The window is as long as TSB-AD makes it: from the first series of the case.
    """
    label = case.label[case.judged_from :]
    if not label.any():
        return None
    return vus_pr(score[case.judged_from :], label, window_length(case.values[0, case.judged_from :]))


def figures(scored: Sequence[tuple[Case, FloatArray]], threshold: float, merge: int = MERGE) -> Figures:
    """The figures of one detector on several cases.

    Args:
        scored: each case with its score, `[instants]`.
        threshold: a score that reaches it is a detection.
        merge: as for `episodes`.
    """
    counts = total(count(case, score, threshold, merge) for case, score in scored)
    volumes = [volume for case, score in scored if (volume := volume_under(case, score)) is not None]
    return Figures(
        tp=counts.found,
        fp=counts.false_alerts,
        fn=counts.missed,
        f1=counts.f1,
        fp_per_series_day=counts.false_alerts_per_day,
        vus_pr=float(np.mean(volumes)) if volumes else None,
        median_delay=counts.median_delay,
        alarm_share=counts.alarm_share,
    )


def threshold_candidates(scored: Sequence[tuple[Case, FloatArray]], most: int = 100) -> FloatArray:
    """Thresholds worth trying, ascending: quantiles of all judged scores.

    The shares above them fall geometrically from one half to a single instant, because the thresholds that
    people use are crossed by few instants in ten thousand.
    """
    score: FloatArray = np.concatenate([np.empty(0), *(one[case.judged_from :] for case, one in scored)])
    score = score[np.isfinite(score)]
    if not score.size:
        return score
    above = np.geomspace(0.5, 1 / max(score.size, 2), most)
    return np.asarray(np.unique(np.quantile(score, 1 - above, method="higher")))


def best_threshold(scored: Sequence[tuple[Case, FloatArray]], candidates: FloatArray, merge: int = MERGE) -> float:
    """The threshold with the highest F1 over several cases; of equal ones the highest.

    Args:
        scored: each case with its score, `[instants]`.
        candidates: thresholds to try.
        merge: as for `episodes`.

    Raises:
        ValueError: there is no candidate, or no case has a window to be found.
    """
    if not any(judged_windows(case).any() for case, _ in scored):
        raise ValueError("no labelled window: without one no threshold is better than another")
    if not candidates.size:
        raise ValueError("no candidates")
    f1 = [(total(count(case, score, one, merge) for case, score in scored).f1 or 0.0, one) for one in candidates]
    return float(max(f1)[1])


def _delay(case: Case, at: int, onset: float) -> float:
    window = case.windows[at]
    length = window.end - window.start
    return (onset - window.start) / length if length > 0 else 0.0


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
