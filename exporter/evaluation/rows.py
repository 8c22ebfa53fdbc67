"""The rows of the table: the product's and those of the reference detectors, all measured alike."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Final

import numpy as np

from exporter.evaluation.labelled import Case
from exporter.evaluation.measures import (
    best_threshold,
    figures,
    judged_episodes,
    onset_windows,
    threshold_candidates,
)
from exporter.evaluation.outcome import CaseRun
from exporter.evaluation.reference import REFERENCES, case_score
from exporter.evaluation.results import Episode, Row
from exporter.evaluation.run import Tell, group_standings
from exporter.evaluation.workers import spread
from exporter.screening.groups import group_rows
from exporter.screening.result import THRESHOLD
from exporter.series.frame import FloatArray

SCREEN: Final = "screen"
COMBINED: Final = "combined"


@dataclass(frozen=True, eq=False)
class Scored:
    """What one detector says of several cases."""

    detector: str
    standings: tuple[FloatArray, ...]
    """For each case [groups × instants]: how each group stands; NaN where it has no score."""

    def scores(self, cases: Sequence[Case]) -> list[tuple[Case, FloatArray]]:
        """Each case with its score as a whole, [instants]: that of the group that stands highest."""
        return [(case, case_score(standing)) for case, standing in zip(cases, self.standings, strict=True)]


def product_scores(runs: Iterable[CaseRun]) -> tuple[Scored, Scored]:
    """The product's two rows: the screen alone, and after the model's say; without a model they are equal."""
    runs = tuple(runs)
    return (
        Scored(SCREEN, tuple(run.group_screen for run in runs)),
        Scored(COMBINED, tuple(run.group_combined for run in runs)),
    )


def reference_scores(
    cases: Sequence[Case], names: Sequence[str], *, seed: int, jobs: int, tell: Tell
) -> tuple[Scored, ...]:
    """What reference detectors say, each series judged by itself and a group by its highest score, as with the product.

    Args:
        cases: what to judge.
        names: of `REFERENCES`.
        seed: of those that draw numbers.
        jobs: how many processes may work at the same time.
        tell: is told of the progress: the instants of a case for each detector.
    """
    pairs = [(at, name) for name in names for at in range(len(cases))]
    # Those that take long stand last among the references, and must not be begun last.
    pairs.sort(key=lambda pair: (cases[pair[0]].values.size, names.index(pair[1])), reverse=True)
    tasks = [partial(_standing, cases[at], name, seed) for at, name in pairs]
    found = dict(zip(pairs, spread(tasks, jobs, lambda place: tell(cases[pairs[place][0]].times.size)), strict=True))
    return tuple(Scored(name, tuple(found[at, name] for at in range(len(cases)))) for name in names)


def _standing(case: Case, name: str, seed: int) -> FloatArray:
    """[groups × instants]."""
    return group_standings(group_rows(case.series, case.group_by), REFERENCES[name].detect(case, seed))


def make_rows(detectors: Iterable[Scored], cases: Sequence[Case], thresholds: Mapping[str, float]) -> tuple[Row, ...]:
    """One row a detector.

    Args:
        detectors: what each says of the cases.
        cases: with labelled windows, or none where nothing was wrong.
        thresholds: by detector; `THRESHOLD` where one is not named.
    """
    return tuple(_row(one, cases, thresholds.get(one.detector, THRESHOLD)) for one in detectors)


def _row(scored: Scored, cases: Sequence[Case], threshold: float) -> Row:
    return Row(detector=scored.detector, threshold=threshold, **asdict(figures(scored.scores(cases), threshold)))


def tuned_thresholds(detectors: Iterable[Scored], cases: Sequence[Case]) -> dict[str, float]:
    """By detector the threshold with the highest F1 on these cases; of equal ones the highest.

    A detector that always says the same keeps `THRESHOLD`: there is nothing to choose.

    Args:
        detectors: what each says of the cases.
        cases: at least one has a window to be found.

    Raises:
        ValueError: none has.
    """
    found = {}
    for one in detectors:
        scored = one.scores(cases)
        candidates = threshold_candidates(scored)
        found[one.detector] = best_threshold(scored, candidates) if candidates.size > 1 else THRESHOLD
    return found


def alerts(case: Case, score: FloatArray, threshold: float) -> tuple[Episode, ...]:
    """The alerts of a case as a person gets them, in order of time.

    Args:
        case: what was judged.
        score: [instants]: of the case as a whole.
        threshold: a score that reaches it is a detection.
    """
    found = judged_episodes(case, score, threshold)
    windows = onset_windows(case, found).tolist()
    spans = zip(found.onsets.tolist(), found.ends.tolist(), windows, strict=True)
    return tuple(
        Episode(
            start=float(case.times[onset]),
            end=float(case.times[end]),
            peak=float(np.nanmax(score[onset : end + 1])),
            found_window=None if window < 0 else window,
        )
        for onset, end, window in spans
    )
