"""What an evaluation found: the figures of each detector, and each series with its alerts."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from exporter.evaluation.labelled import Fault, LabelledWindow, Layout
from exporter.evaluation.outcome import CaseRun
from exporter.series.frame import FloatArray

WindowState = Literal["found", "missed", "not judged"]
FIRST_GROUPS = 3
"""How many groups a person looks at when something is wrong."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one detector reached on all the data. None or NaN is a figure that there is not."""

    detector: str
    threshold: float | None
    """A score that reaches it is an alert; None where the detector has no score."""
    tp: int
    """Labelled windows that it found."""
    fp: int
    """False alerts."""
    fn: int
    """Labelled windows that it missed."""
    f1: float | None
    fp_per_series_day: float | None
    vus_pr: float | None
    """Volume under the precision-recall surface, of the scores at every threshold."""
    median_delay: float | None
    """From the start of a found window to the alert, as a share of the window."""
    alarm_share: float | None
    """Share of the judged time in alarm."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One alert as a person gets it."""

    start: float
    """Unix seconds of its onset."""
    end: float
    """Unix seconds, inclusive."""
    peak: float
    """The highest score in it."""
    found_window: int | None
    """The labelled window, by its index, that the onset lies in; None: it is a false alert, where there are labels."""
    labelled: bool = True
    """Whether anybody said when something was wrong."""

    @property
    def false(self) -> bool:
        """Whether it is known to be a false alert."""
        return self.labelled and self.found_window is None


@dataclass(frozen=True, slots=True)
class WindowResult:
    """A labelled window, and what became of it."""

    window: LabelledWindow
    state: WindowState
    delay: float | None
    """Share of the window that had passed when it was found first."""


@dataclass(frozen=True, eq=False)
class SeriesResult:
    """A case of the data with the alerts it gave: one series, or several that are judged together."""

    name: str
    run: CaseRun
    score: FloatArray
    """[instants]: what the episodes were cut from; NaN where there is none."""
    episodes: tuple[Episode, ...]
    """In order of time; none from before the first instant that counts."""
    screen_score: FloatArray | None = None
    """[instants]: the same before the model's say; None where no model was asked."""
    faults: tuple[Fault, ...] = ()
    """Of an experiment, whose labels name groups instead of windows; it has no episodes then."""
    phase: tuple[float, float] | None = None
    """First and last Unix second of what counts, where that is not all from the first instant that counts."""

    @property
    def counted(self) -> slice:
        """The instants that count."""
        case = self.run.case
        if self.phase is None:
            return slice(case.judged_from, case.times.size)
        first = max(case.judged_from, int(np.searchsorted(case.times, self.phase[0])))
        return slice(first, max(first, int(np.searchsorted(case.times, self.phase[1], side="right"))))

    @property
    def windows(self) -> tuple[WindowResult, ...]:
        """What became of each labelled window; one that ended before the first instant that counts is not judged."""
        times = self.run.case.times[self.counted]
        judged_at = float(times[0]) if times.size else math.inf
        return tuple(self._result(at, window, judged_at) for at, window in enumerate(self.run.case.windows))

    def _result(self, at: int, window: LabelledWindow, judged_at: float) -> WindowResult:
        onsets = [episode.start for episode in self.episodes if episode.found_window == at]
        if onsets:
            length = window.end - window.start
            return WindowResult(window, "found", (min(onsets) - window.start) / length if length > 0 else 0.0)
        return WindowResult(window, "missed" if window.end >= judged_at else "not judged", None)

    @property
    def found(self) -> int:
        """How many windows were found."""
        return sum(result.state == "found" for result in self.windows)

    @property
    def missed(self) -> int:
        """How many windows were missed."""
        return sum(result.state == "missed" for result in self.windows)

    @property
    def false_alerts(self) -> int:
        """How many alerts began outside of every window."""
        return sum(episode.false for episode in self.episodes)


@dataclass(frozen=True, slots=True)
class ConfidenceBin:
    """Statements of a model that it was about equally sure of."""

    confidence: float
    """0..1, the mean of what the model said."""
    right: float
    """0..1, the share of them that the labels confirm."""
    count: int


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """What asking the model cost, and what it was good for."""

    calls: int
    prompt_tokens: int
    output_tokens: int
    seconds: float
    """All calls together."""
    schema_failures: int
    """Questions without an answer that the schema allows."""
    ungrounded_share: float | None
    """Share of the readable answers with a statement that did not pass the checks."""
    better: int
    """Decisions of the screen that the model changed from wrong to right."""
    worse: int
    """And from right to wrong."""
    calibration: tuple[ConfidenceBin, ...]
    calibration_error: float | None
    """Mean distance of confidence from the share that is right, weighed by count."""


@dataclass(frozen=True, slots=True)
class RankRow:
    """How high one detector ranks the groups that were really at fault."""

    detector: str
    faults: int
    first: int
    """Faults whose group ranked first."""
    among_first: int
    """Faults whose group ranked among the first `FIRST_GROUPS`."""
    cause_right: int | None
    """Faults whose verdict named the right kind of cause; None where no model was asked."""


@dataclass(frozen=True, slots=True)
class RankedFault:
    """One injected fault, and where its group ranked."""

    experiment: str
    fault: Fault
    ranked_at: float
    """Unix seconds of the instant whose scores were compared."""
    rank: int | None
    """1 is the first; None where its group had no score."""
    groups: int
    """How many groups there are."""
    leaders: tuple[str, ...]
    """The groups that ranked first, at most `FIRST_GROUPS`."""
    cause: str
    """What the verdict on the group says; "" where there is none."""
    cause_right: bool | None
    """Whether that is the kind of fault that was injected; None where there is no verdict."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """For data whose labels name groups: do those at fault stand at the top?"""

    rows: tuple[RankRow, ...]
    faults: tuple[RankedFault, ...]
    """As the product ranks them."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All that one run of `lmwatch eval` found."""

    data: str
    """What the data is called."""
    layout: Layout
    model: str
    """As the user named it: `none`, an address, `replay:FILE`, `scripted:NAME`."""
    seed: int
    detector: str
    """Whose alerts `series` holds: the row of the product as the user would run it."""
    threshold: float
    """Of that detector."""
    rows: tuple[Row, ...]
    series: tuple[SeriesResult, ...]
    model_figures: ModelFigures | None
    """None where no model was asked."""
    ranking: Ranking | None
    """None where the labels name no groups."""
    command: str
    """What the user typed."""
    version: str

    @property
    def product(self) -> Row | None:
        """The row of `detector`; None where there is none, as for data without windows."""
        return next((row for row in self.rows if row.detector == self.detector), None)


def best_rows(rows: tuple[Row, ...]) -> frozenset[str]:
    """The detectors with the highest F1; several where they are equal, none where nobody has one above 0."""
    known = [(row.f1, row.detector) for row in rows if row.f1 is not None and row.f1 > 0]
    highest = max((f1 for f1, _ in known), default=0.0)
    return frozenset(detector for f1, detector in known if f1 == highest)


def finite(value: float | None) -> float | None:
    """A plain float, also from numpy's; None where the figure is missing, NaN or infinite."""
    return float(value) if value is not None and math.isfinite(value) else None
