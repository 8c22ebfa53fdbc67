"""What asking a model took, and what came of it: the figures of its answers, and the decisions that it changed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from exporter.evaluation.calibration import calibration
from exporter.evaluation.labelled import Case
from exporter.evaluation.measures import judged_episodes
from exporter.evaluation.outcome import CaseRun
from exporter.evaluation.results import ModelFigures
from exporter.evaluation.scripted import at_fault
from exporter.reasoning.verdict import Verdict
from exporter.screening.result import THRESHOLD
from exporter.series.frame import FloatArray


@dataclass(frozen=True, slots=True)
class Changed:
    """How many decisions of the screen the model changed."""

    better: int
    worse: int


@dataclass(frozen=True, slots=True)
class ModelTally:
    """What asking a model took over all cases, and what it was good for."""

    questions: int
    """Groups put to it."""
    calls: int
    """Answers that came, readable or not: two for a question that was asked again."""
    prompt_tokens: int
    output_tokens: int
    seconds: float
    """All calls together."""
    schema_failures: int
    """Questions without a readable answer, also when they were asked again."""
    ungrounded: int
    """Readable answers with a statement that did not pass the checks."""
    readable: int
    errors: int
    """Questions without an answer: the call failed, or took longer than its deadline."""
    changed: Changed
    confidences: tuple[tuple[float, bool], ...]
    """For each finding about an instant that counts: how sure the model was, 0..1, and whether the labels confirm it."""

    @property
    def ungrounded_share(self) -> float | None:
        """Of the readable answers; None where there is none."""
        return self.ungrounded / self.readable if self.readable else None


def tally(runs: Iterable[CaseRun], threshold: float = THRESHOLD) -> ModelTally:
    """The figures of a model over several cases.

    Args:
        runs: what the cases gave with this model.
        threshold: from which score on an instant is in alarm.
    """
    runs = tuple(runs)
    verdicts = [verdict for run in runs for verdict in run.verdicts]
    predictions = [prediction for verdict in verdicts for prediction in verdict.predictions]
    changes = [decisions_changed(run, threshold) for run in runs]
    outcomes = [verdict.outcome for verdict in verdicts]
    return ModelTally(
        questions=len(verdicts),
        calls=len(predictions),
        prompt_tokens=sum(prediction.prompt_tokens or 0 for prediction in predictions),
        output_tokens=sum(prediction.output_tokens or 0 for prediction in predictions),
        seconds=sum(prediction.duration_seconds for prediction in predictions),
        schema_failures=outcomes.count("invalid"),
        ungrounded=outcomes.count("ungrounded"),
        readable=outcomes.count("ok") + outcomes.count("ungrounded"),
        errors=outcomes.count("llm_error") + outcomes.count("timeout"),
        changed=Changed(sum(each.better for each in changes), sum(each.worse for each in changes)),
        confidences=tuple(pair for run in runs for pair in confidences(run)),
    )


def model_figures(asked: ModelTally) -> ModelFigures:
    """The figures as they are reported, with the calibration of the model's confidence."""
    said = np.array([confidence for confidence, _ in asked.confidences], dtype=np.float64)
    confirmed = np.array([right for _, right in asked.confidences], dtype=np.bool_)
    calibrated = calibration(said, confirmed)
    return ModelFigures(
        calls=asked.calls,
        prompt_tokens=asked.prompt_tokens,
        output_tokens=asked.output_tokens,
        seconds=asked.seconds,
        schema_failures=asked.schema_failures,
        ungrounded_share=asked.ungrounded_share,
        better=asked.changed.better,
        worse=asked.changed.worse,
        calibration=calibrated.bins,
        calibration_error=calibrated.error,
    )


def decisions_changed(run: CaseRun, threshold: float = THRESHOLD) -> Changed:
    """How the model changed which episodes of alarm there are, each judged by its onset.

    An instant is in alarm while the highest group score is at or above the threshold; episodes are what alerts are
    counted by (`judged_episodes`). Going through those after the model's say in order of time, each is paired with the
    earliest episode of the screen that overlaps it and has no partner yet.

    * An episode of the screen without a partner was removed: for the better if its onset lies outside of every labelled
      window, for the worse if inside.
    * One after the model's say without a partner was added: for the better if its onset lies inside of a window, for the
      worse if outside.
    * Of a pair the onset was moved: for the better if from outside of every window to inside, for the worse if the other
      way.
    """
    inside = run.case.label
    before = _episodes(run.group_screen, run.case, threshold)
    after = _episodes(run.group_combined, run.case, threshold)
    better = worse = 0
    for first, last in after:
        partner = next((one for one in before if one[0] <= last and first <= one[1]), None)
        if partner is not None:
            before.remove(partner)
        was_right = bool(inside[partner[0]]) if partner is not None else None
        is_right = bool(inside[first])
        better += is_right and not was_right
        worse += not is_right and was_right is not False
    removed_right = sum(bool(inside[first]) for first, _ in before)
    return Changed(better + len(before) - removed_right, worse + removed_right)


def confidences(run: CaseRun) -> Iterator[tuple[float, bool]]:
    """For each finding about an instant that counts: how sure the model was, and whether the labels confirm it.

    They do where it calls a series anomalous (a score above the boundary) exactly while the instant lies in a labelled
    window that names this series, or names none.
    """
    case = run.case
    if case.judged_from >= case.times.size:
        return
    first = float(case.times[case.judged_from])
    for verdict in run.verdicts:
        if verdict.at >= first:
            yield from _confirmed(verdict, case)


def _confirmed(verdict: Verdict, case: Case) -> Iterator[tuple[float, bool]]:
    odd = at_fault(case, verdict.at)
    for finding in verdict.findings:
        yield finding.confidence, (finding.llm_score > THRESHOLD) == (finding.series in odd)


def _episodes(groups: FloatArray, case: Case, threshold: float) -> list[tuple[int, int]]:
    """First and last instant of each episode, in order of time."""
    found = judged_episodes(case, np.fmax.reduce(groups, axis=0), threshold)
    return list(zip(found.onsets.tolist(), found.ends.tolist(), strict=True))
