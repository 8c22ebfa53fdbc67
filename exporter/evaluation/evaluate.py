"""The product and reference detectors over labelled data, with all figures of the result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import ValidationError

from exporter import __version__
from exporter.errors import BadDataError, ConfigError
from exporter.evaluation.asked import model_figures, tally
from exporter.evaluation.labelled import Case, Dataset, Experiment
from exporter.evaluation.measures import judged_windows
from exporter.evaluation.models import DEADLINE_SECONDS, NONE, ModelChoice, Respondent, open_model, parse_model
from exporter.evaluation.outcome import CaseRun
from exporter.evaluation.outputs import without_credentials
from exporter.evaluation.ranked import make_ranking
from exporter.evaluation.reference import REFERENCES, case_score
from exporter.evaluation.results import Evaluation, SeriesResult
from exporter.evaluation.rows import (
    COMBINED,
    SCREEN,
    Scored,
    alerts,
    make_rows,
    product_scores,
    reference_scores,
    tuned_thresholds,
)
from exporter.evaluation.run import RunSettings, Tell, case_of, run_case, run_cases
from exporter.evaluation.workers import processors, spread
from exporter.screening.result import THRESHOLD

_ALONE: Final = (NONE, "scripted")
"""What answers the same in several processes at once, and costs nobody anything."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured, and how."""

    model: str = NONE
    """As after `--model`: `none`, a URL, `replay:FILE`, `scripted:NAME`."""
    record: Path | None = None
    """Where calls to the model are recorded."""
    seed: int = 0
    """Of everything that draws numbers."""
    references: tuple[str, ...] = tuple(REFERENCES)
    """The reference detectors to stand beside the product."""
    jobs: int | None = None
    """How many processes may work at the same time; None: as many as there are processors."""
    settings: RunSettings = field(default_factory=RunSettings)
    deadline_seconds: float = DEADLINE_SECONDS
    """For one call to a server."""
    api_token_file: Path | None = None
    """The server's API token."""

    @property
    def processes(self) -> int:
        """How many may work at the same time."""
        return processors() if self.jobs is None else self.jobs


def evaluate(
    dataset: Dataset,
    options: Options | None = None,
    *,
    tuning: Dataset | None = None,
    command: str = "",
    tell: Tell | None = None,
) -> Evaluation:
    """Measure on labelled data.

    Args:
        dataset: what to measure on.
        options: the defaults when None.
        tuning: other data that the threshold of each row is chosen on; None leaves all at `THRESHOLD`.
        command: what the user typed, without secrets.
        tell: is told of the progress: `amount` in all.

    Raises:
        LmwatchError: the model or a setting cannot be used, `tuning` has no windows, or the model gives out on the way.
    """
    options, tell = options or Options(), tell or _nobody
    choice = parse_model(options.model)
    asked = choice.kind != NONE
    cases, experiments = cases_of(dataset), tuple(map(_until_phase_ends, dataset.experiments))
    _check_watchable([*cases, *(tuning.cases if tuning is not None else ())], options.settings)
    runs, thresholds = _asked_and_run(cases, tuning, choice, options, tell)
    detectors = (*product_scores(runs), *_references(cases, options, tell))
    product = COMBINED if asked else SCREEN
    threshold = thresholds.get(product, THRESHOLD)
    return Evaluation(
        data=dataset.name,
        layout=dataset.layout,
        model=without_credentials(str(choice)),
        seed=options.seed,
        detector=product,
        threshold=threshold,
        rows=() if experiments else make_rows(detectors, cases, thresholds),
        series=_series(experiments, runs, threshold, asked=asked),
        model_figures=model_figures(tally(runs, threshold)) if asked else None,
        ranking=make_ranking(experiments, runs, detectors, product, asked=asked) if experiments else None,
        command=command,
        version=__version__,
    )


def cases_of(dataset: Dataset) -> tuple[Case, ...]:
    """The cases that are run; of experiments up to the end of their phase, with a window for each fault."""
    return (*dataset.cases, *(case_of(_until_phase_ends(experiment)) for experiment in dataset.experiments))


def amount(dataset: Dataset, options: Options, tuning: Dataset | None = None) -> int:
    """How many instants `evaluate` tells of: those of each case for each detector."""
    cases = (*cases_of(dataset), *(tuning.cases if tuning is not None else ()))
    return sum(case.times.size for case in cases) * (1 + len(options.references))


def _until_phase_ends(experiment: Experiment) -> Experiment:
    """Without what comes after: nothing is compared there, and a model's time is dear."""
    case = experiment.case
    end = int(np.searchsorted(case.times, experiment.phase[1], side="right"))
    return replace(experiment, case=replace(case, times=case.times[:end], values=case.values[:, :end]))


def _asked_and_run(
    cases: Sequence[Case], tuning: Dataset | None, choice: ModelChoice, options: Options, tell: Tell
) -> tuple[list[CaseRun], Mapping[str, float]]:
    """The runs of the product, and the thresholds of all rows: chosen before, since they decide when the model is asked."""
    with open_model(
        choice,
        record=options.record,
        seed=options.seed,
        deadline_seconds=options.deadline_seconds,
        api_token_file=options.api_token_file,
    ) as respondent:
        thresholds = _tuned(tuning, options, tell) if tuning is not None else {}
        alarming = _alarming_at(thresholds.get(SCREEN, THRESHOLD), options)
        return _runs(cases, choice, respondent, alarming, tell), thresholds


def _runs(
    cases: Sequence[Case], choice: ModelChoice, respondent: Respondent | None, options: Options, tell: Tell
) -> list[CaseRun]:
    if choice.kind in _ALONE and options.record is None and min(options.processes, len(cases)) > 1:
        return _run_apart(cases, choice, options, tell)
    return run_cases(cases, respondent, options.settings, tell=tell)


def _run_apart(cases: Sequence[Case], choice: ModelChoice, options: Options, tell: Tell) -> list[CaseRun]:
    """Each case in a process, with a respondent of its own; those that take longest are begun first."""
    order = sorted(range(len(cases)), key=lambda at: -cases[at].values.size)
    tasks = [partial(_run_alone, cases[at], choice, options.seed, options.settings) for at in order]
    done = spread(tasks, options.processes, lambda place: tell(cases[order[place]].times.size))
    found = dict(zip(order, done, strict=True))
    # A case that comes back from a process is a copy; the others are still at hand.
    return [replace(found[at], case=case) for at, case in enumerate(cases)]


def _run_alone(case: Case, choice: ModelChoice, seed: int, settings: RunSettings) -> CaseRun:
    with open_model(choice, seed=seed) as respondent:
        return run_case(case, respondent, settings)


def _tuned(tuning: Dataset, options: Options, tell: Tell) -> Mapping[str, float]:
    """By detector; the model has no say in it, so the product's rows share one."""
    # Not those that are made of faults: they mark one group of many, and a threshold is for the whole case.
    cases = tuning.cases
    if not any(judged_windows(case).any() for case in cases):
        raise BadDataError(
            f"--tune-on {tuning.name}: has no labelled window that counts, so no threshold is better than another;"
            " name data with windows"
        )
    screen, _ = product_scores(_run_apart(cases, ModelChoice(NONE), options, tell))
    found = tuned_thresholds((screen, *_references(cases, options, tell)), cases)
    return {**found, COMBINED: found[SCREEN]}


def _references(cases: Sequence[Case], options: Options, tell: Tell) -> tuple[Scored, ...]:
    return reference_scores(cases, options.references, seed=options.seed, jobs=options.processes, tell=tell)


def _alarming_at(threshold: float, options: Options) -> Options:
    """The options with the threshold that a user would write into the watch."""
    if not 0 < threshold < 1:
        return options
    settings = options.settings
    return replace(options, settings=replace(settings, watch={"threshold": threshold, **settings.watch}))


def _series(
    experiments: Sequence[Experiment], runs: Sequence[CaseRun], threshold: float, *, asked: bool
) -> tuple[SeriesResult, ...]:
    if not experiments:
        return tuple(_result(run, asked=asked, threshold=threshold) for run in runs)
    return tuple(
        replace(_result(replace(run, case=one.case), asked=asked), faults=one.faults, phase=one.phase)
        for one, run in zip(experiments, runs, strict=True)
    )


def _result(run: CaseRun, *, asked: bool, threshold: float | None = None) -> SeriesResult:
    """With alerts where there is a threshold."""
    score = case_score(run.group_combined)
    return SeriesResult(
        name=run.case.name,
        run=run,
        score=score,
        episodes=() if threshold is None else alerts(run.case, score, threshold),
        screen_score=case_score(run.group_screen) if asked else None,
    )


def _check_watchable(cases: Sequence[Case], settings: RunSettings) -> None:
    """Raise ConfigError for a case that no watch can be made for, such as one with less than a second between values."""
    for case in cases:
        try:
            settings.watch_for(case, asked=True)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = f"{'.'.join(map(str, first['loc']))}: " if first["loc"] else ""
            raise ConfigError(
                f"{case.name}: no watch can be made for values each {case.interval:g} s: "
                f"{where}{first['msg'].removeprefix('Value error, ')}"
            ) from None


def _nobody(_instants: int) -> None: ...
