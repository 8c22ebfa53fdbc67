"""What asking a model took, and which decisions it changed: by hand."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from eval_run_cases import ASK_ALWAYS, INTERVAL, START, make_case, run_with

from exporter.evaluation.asked import Changed, confidences, decisions_changed, model_figures, tally
from exporter.evaluation.measures import MERGE
from exporter.evaluation.outcome import CaseRun
from exporter.evaluation.results import ConfidenceBin
from exporter.reasoning.verdict import Finding, Outcome, Verdict

CASE = make_case(rows=2, instants=100, windows=((40, 49), (70, 79)))


def run_of(screen: dict[int, int], combined: dict[int, int], *, judged_from: int = 20) -> CaseRun:
    """A run with alarms: first instant to last, by their scores 1 in one group."""
    case = replace(CASE, judged_from=judged_from)

    def scores(alarms: dict[int, int]) -> np.ndarray:
        found = np.zeros((1, case.times.size))
        found[:, :3] = np.nan
        for first, last in alarms.items():
            found[0, first : last + 1] = 0.8
        return found

    empty = np.full(case.values.shape, np.nan)
    before, after = scores(screen), scores(combined)
    return CaseRun(case, empty, empty, empty, empty, before, after, ("",), (), 0.0)


@pytest.mark.parametrize(
    ("screen", "combined", "better", "worse"),
    [
        pytest.param({40: 45}, {40: 45}, 0, 0, id="nothing changed"),
        pytest.param({30: 31, 60: 61}, {}, 2, 0, id="false alerts removed"),
        pytest.param({45: 47}, {}, 0, 1, id="found window lost"),
        pytest.param({}, {40: 41}, 1, 0, id="missed window found"),
        pytest.param({}, {60: 62}, 0, 1, id="false alert added"),
        pytest.param({38: 45}, {40: 45}, 1, 0, id="onset moved into the window"),
        pytest.param({40: 45}, {38: 45}, 0, 1, id="onset moved out of the window"),
        pytest.param({40: 45}, {42: 44}, 0, 0, id="onset moved inside the window"),
        pytest.param({25: 26, 45: 46}, {45: 46, 90: 91}, 1, 1, id="one removed, one added"),
        pytest.param({20: 80}, {20: 22, 40: 42}, 1, 0, id="one alert split: the second found a window"),
        pytest.param({21: 22, 60: 62}, {21: 62}, 1, 0, id="two false alerts became one"),
        pytest.param({5: 6}, {7: 8}, 0, 0, id="before what counts"),
        pytest.param({5: 45}, {}, 1, 0, id="an alert that began before what counts begins where it does"),
    ],
)
def test_decisions_are_classed_by_their_onsets(screen, combined, better, worse):
    assert decisions_changed(run_of(screen, combined)) == Changed(better, worse)


def test_alarms_close_together_are_one_decision():
    near = {30: 30, 30 + MERGE: 30 + MERGE}
    far = {20: 20, 21 + MERGE: 21 + MERGE}
    assert decisions_changed(run_of(near, {})) == Changed(1, 0)
    assert decisions_changed(run_of(far, {})) == Changed(2, 0)


def test_an_alarm_is_a_score_at_the_threshold_or_above():
    run = run_of({30: 31}, {})
    assert decisions_changed(run, 0.8) == Changed(1, 0)
    assert decisions_changed(run, 0.81) == Changed(0, 0)


def test_where_nothing_counts_nothing_changed():
    run = run_of({30: 31}, {}, judged_from=100)
    assert decisions_changed(run) == Changed(0, 0)
    assert list(confidences(run)) == []


@cache
def some_verdict() -> Verdict:
    return run_with("scripted:always-no", make_case(rows=2, instants=40, windows=()), ASK_ALWAYS).verdicts[0]


def verdict_at(instant: int, outcome: Outcome, *findings: tuple[int, float, float], calls: int = 1) -> Verdict:
    """Findings are (row, score, confidence)."""
    template = some_verdict()
    prediction = replace(template.predictions[0], prompt_tokens=100, output_tokens=10, duration_seconds=2.5)
    return replace(
        template,
        at=START + INTERVAL * instant,
        outcome=outcome,
        predictions=(prediction,) * calls,
        findings=tuple(
            Finding(CASE.series[row], 0.5, score, confidence, None, ("E1",), "It is odd.", grounded=True)
            for row, score, confidence in findings
        ),
    )


def test_the_figures_of_all_answers_are_added_up():
    one = replace(
        run_of({30: 31}, {}),
        verdicts=(
            verdict_at(30, "ok", (0, 0.0, 0.9)),
            verdict_at(31, "ungrounded", (0, 0.6, 0.2), calls=2),
            verdict_at(32, "invalid", calls=2),
            verdict_at(33, "timeout", calls=0),
        ),
    )
    other = replace(run_of({}, {41: 42}), verdicts=(verdict_at(41, "llm_error", calls=1),))
    found = tally([one, other])
    assert (found.questions, found.calls) == (5, 6)
    assert (found.prompt_tokens, found.output_tokens, found.seconds) == (600, 60, 15.0)
    assert (found.schema_failures, found.errors) == (1, 2)
    assert (found.readable, found.ungrounded, found.ungrounded_share) == (2, 1, 0.5)
    assert found.changed == Changed(better=2, worse=0)
    assert found.confidences == ((0.9, True), (0.2, False))
    reported = model_figures(found)
    assert (reported.calls, reported.better, reported.worse, reported.ungrounded_share) == (6, 2, 0, 0.5)
    assert reported.calibration == (ConfidenceBin(0.2, 0.0, 1), ConfidenceBin(0.9, 1.0, 1))
    assert reported.calibration_error == pytest.approx((0.2 + 0.1) / 2)


def test_tokens_that_nobody_counted_are_none():
    verdict = verdict_at(30, "ok")
    uncounted = replace(verdict.predictions[0], prompt_tokens=None, output_tokens=None)
    found = tally([replace(run_of({}, {}), verdicts=(replace(verdict, predictions=(uncounted,)),))])
    assert (found.prompt_tokens, found.output_tokens) == (0, 0)


def test_no_answer_has_no_share():
    assert tally([]).ungrounded_share is None
    assert tally([]).questions == 0
    assert model_figures(tally([])).calibration_error is None


def test_a_statement_is_confirmed_by_the_labels_of_its_instant_and_series():
    windows = (replace(CASE.windows[0], culprits=(1,)), CASE.windows[1])
    run = run_of({}, {})
    said = ((0, 0.6, 0.1), (1, 0.6, 0.2))
    run = replace(
        run,
        case=replace(run.case, windows=windows),
        verdicts=(
            verdict_at(10, "ok", *said),
            verdict_at(30, "ok", *said),
            verdict_at(40, "ok", *said),
            verdict_at(75, "ok", *said),
            verdict_at(76, "ok", (0, 0.5, 0.3)),
        ),
    )
    assert list(confidences(run)) == [
        (0.1, False),
        (0.2, False),
        (0.1, False),
        (0.2, True),
        (0.1, True),
        (0.2, True),
        (0.3, False),
    ]
