"""The product's own pipeline over labelled cases: one real watch a case, stepped through time.

Whatever is measured here is what a user gets, and no score can know what comes later.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from exporter.clock import SystemClock
from exporter.config.durations import format_duration
from exporter.config.model import Watch
from exporter.evaluation.labelled import Case, Experiment, LabelledWindow
from exporter.evaluation.models import Respondent
from exporter.evaluation.outcome import CaseRun
from exporter.evaluation.stage import Stage
from exporter.screening.groups import group_rows
from exporter.screening.result import Grouping
from exporter.series.frame import FloatArray

_NAME: Final = "eval"
"""Of the watch, which a model reads: the name of the case might tell it the answer."""
DEFAULT_WINDOW_SAMPLES: Final = 288
"""A day of one value each 5 minutes, which is what most of the data has."""
_LEAST_WINDOW_SECONDS = 3600.0
_EVERY, _COOLDOWN = 1800.0, 120.0
"""The product's own, in seconds ..."""
_EVERY_INTERVALS, _COOLDOWN_INTERVALS = 30, 2
"""... and as many intervals as they are at its default of one minute."""
_SECONDS_OF_A_FAULT: Final = 300.0
_TOLD_EACH = 128

Tell = Callable[[int], None]
"""Is told how many instants were done since the last time."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How cases are run.

    The product is made for values that come each 15 to 60 s; those of labelled data often come more seldom. So what is
    configured as a time is taken to mean as many intervals: the window is `DEFAULT_WINDOW_SAMPLES` instants, or an hour
    where that is more of them; a calm group is asked about each 30 intervals, the same group at most each 2, but never more
    often than by default in the product.
    """

    window_samples: int | None = None
    every_seconds: float | None = None
    """0: a calm group is never asked about."""
    cooldown_seconds: float | None = None
    watch: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of the watch, as they stand in `lmwatch.yml`: `{"threshold": 0.6, "settle": "12h"}`."""

    def watch_for(self, case: Case, *, asked: bool) -> Watch:
        """The watch that a case is run with.

        Args:
            case: what it is to watch.
            asked: whether there is a model to ask.

        Raises:
            pydantic.ValidationError: `watch` holds what does not belong there.
        """
        every = max(_EVERY, _EVERY_INTERVALS * case.interval) if self.every_seconds is None else self.every_seconds
        cooldown = (
            max(_COOLDOWN, _COOLDOWN_INTERVALS * case.interval)
            if self.cooldown_seconds is None
            else self.cooldown_seconds
        )
        reason = {"when": "suspicious", "every": format_duration(every), "cooldown": format_duration(cooldown)}
        keys = {
            "name": _NAME,
            "source": _NAME,
            "select": [{"series": '{__name__!=""}', "band": True}],
            "group_by": list(case.group_by),
            "window": format_duration(self.samples(case) * case.interval),
            "interval": format_duration(case.interval),
            **self.watch,
            "reason": {**reason, **self.watch.get("reason", {}), **({} if asked else {"when": "never"})},
        }
        return Watch.model_validate(keys)

    def samples(self, case: Case) -> int:
        """Instants in a whole window."""
        if self.window_samples is not None:
            return self.window_samples
        return max(DEFAULT_WINDOW_SAMPLES, round(_LEAST_WINDOW_SECONDS / case.interval))


def run_case(
    case: Case, respondent: Respondent | None = None, settings: RunSettings | None = None, tell: Tell | None = None
) -> CaseRun:
    """Take one case through the pipeline, instant by instant.

    Args:
        case: what to run over.
        respondent: who is asked; None for nobody.
        settings: the defaults when None.
        tell: is told of the progress.

    Raises:
        LmwatchError: the respondent says that going on makes no sense.
        pydantic.ValidationError: the settings hold what does not belong into a watch.
    """
    stopwatch = SystemClock()
    began = stopwatch.monotonic()
    settings = settings or RunSettings()
    watch = settings.watch_for(case, asked=respondent is not None)
    stage = Stage(case, watch, settings.samples(case), respondent)
    instants = case.times.size
    step = 1 if respondent is not None else _TOLD_EACH
    for instant in range(instants):
        stage.step(instant)
        if tell is not None and (instant + 1) % step == 0:
            tell(step)
    if tell is not None and instants % step:
        tell(instants % step)
    return CaseRun(
        case=case,
        screen=stage.screen,
        combined=stage.combined,
        expected_lower=stage.lower,
        expected_upper=stage.upper,
        group_screen=stage.group_screen,
        group_combined=stage.group_combined,
        groups=tuple(",".join(value for _, value in key) for key in stage.grouping.keys),
        verdicts=tuple(stage.verdicts),
        seconds=stopwatch.monotonic() - began,
    )


def run_cases(
    cases: Sequence[Case],
    respondent: Respondent | None = None,
    settings: RunSettings | None = None,
    *,
    tell: Tell | None = None,
) -> list[CaseRun]:
    """Take several cases through the pipeline, one after the other; the results stand in the order of the cases.

    Args:
        cases: what to run over; each is run by itself, and learns nothing from the others.
        respondent: who is asked; None for nobody.
        settings: the defaults when None.
        tell: is told of the progress.

    Raises:
        LmwatchError: the respondent says that going on makes no sense.
        pydantic.ValidationError: the settings hold what does not belong into a watch.
    """
    return [run_case(case, respondent, settings, tell) for case in cases]


def group_standings(grouping: Grouping, scores: FloatArray) -> FloatArray:
    """How groups stand by detectors that know only series: by their highest score.

    Args:
        grouping: which series belong together.
        scores: [series × instants].

    Returns:
        [groups × instants]; NaN where no series of a group has a score.
    """
    standings = np.full((len(grouping.keys), scores.shape[1]), np.nan)
    for number in range(len(grouping.keys)):
        np.fmax.reduce(scores[grouping.group == number], axis=0, out=standings[number])
    return standings


def case_of(experiment: Experiment, seconds: float = _SECONDS_OF_A_FAULT) -> Case:
    """An experiment's case with a labelled window for each fault: what `oracle` knows, and decisions are classed by.

    Args:
        experiment: faults with the groups that they were injected into.
        seconds: how long a window lasts; one ends where the next begins.
    """
    case = experiment.case
    grouping = group_rows(case.series, case.group_by)
    faults = sorted(experiment.faults, key=lambda fault: fault.at)
    ends = [fault.at - 1.0 for fault in faults[1:]] + [np.inf]
    windows = []
    for fault, end in zip(faults, ends, strict=True):
        key = [number for number, key in enumerate(grouping.keys) if fault.group in dict(key).values()]
        culprits = tuple(np.flatnonzero(np.isin(grouping.group, key)).tolist())
        windows.append(LabelledWindow(fault.at, max(fault.at, min(fault.at + seconds, end)), culprits))
    return replace(case, windows=tuple(windows))
