"""Scripted models are believed like any other, so they show what the best and the worst of models can do to the scores."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from eval_run_cases import ASK_ALWAYS, BURST, INTERVAL, START, assert_same, make_case, run_with

from exporter.evaluation.asked import confidences, decisions_changed
from exporter.evaluation.outcome import CaseRun
from exporter.evaluation.run import RunSettings, run_case
from exporter.evaluation.scripted import SCRIPTED, ScriptedModel, Situation, at_fault
from exporter.lmstudio.wire import ChatRequest, Message
from exporter.reasoning.combine import BAND_STEP, CLIP

SEVERAL = make_case(
    rows=4,
    instants=115,
    bursts=((1, 65, 6.0), (2, 68, 40.0), (0, 95, 8.0), (3, 97, 4.0)),
    windows=((65, 76),),
)
"""Bursts of all heights, those of the first half labelled."""


@cache
def asked_always(model: str) -> CaseRun:
    return run_with(f"scripted:{model}", SEVERAL, ASK_ALWAYS)


@pytest.fixture(params=SCRIPTED)
def scripted_run(request) -> CaseRun:
    return asked_always(request.param)


def log_odds(score: np.ndarray) -> np.ndarray:
    inside = np.clip(score, CLIP, 1 - CLIP)
    return np.log(inside) - np.log1p(-inside)


def test_every_answer_passes_every_check(scripted_run: CaseRun):
    run = scripted_run
    assert len(run.verdicts) > 20
    assert {verdict.outcome for verdict in run.verdicts} == {"ok"}
    assert [problem for verdict in run.verdicts for problem in verdict.problems] == []
    assert all(finding.grounded and finding.evidence for verdict in run.verdicts for finding in verdict.findings)
    assert {len(verdict.predictions) for verdict in run.verdicts} == {1}


def test_answers_do_move_scores(scripted_run: CaseRun):
    run = scripted_run
    assert (run.combined != run.screen)[(run.screen > 0.05) & (run.screen < 0.95)].mean() > 0.3


def test_words_vary_and_tokens_are_estimated(scripted_run: CaseRun):
    run = scripted_run
    assert len({finding.text for verdict in run.verdicts for finding in verdict.findings}) > 1
    for verdict in run.verdicts:
        (prediction,) = verdict.predictions
        assert prediction.prompt_tokens > 300
        assert 50 < prediction.output_tokens < prediction.prompt_tokens
        assert prediction.duration_seconds == 0.0


def test_no_score_leaves_the_band_that_a_model_may_move_it_in(scripted_run: CaseRun):
    run = scripted_run
    known = np.isfinite(run.screen)
    np.testing.assert_array_equal(np.isfinite(run.combined), known)
    step = np.abs(log_odds(run.combined[known]) - log_odds(run.screen[known]))
    assert step.max() <= BAND_STEP + 1e-9


@pytest.mark.parametrize("model", ["always-yes", "always-no"])
def test_who_says_the_same_about_everything_keeps_the_order_of_the_series(model):
    run = asked_always(model)
    before, after = run.screen[:, None, :] - run.screen[None], run.combined[:, None, :] - run.combined[None]
    assert (before > 0).any()
    assert (after[before > 0] >= 0).all()
    assert (after[before == 0] == 0).all()


@pytest.mark.parametrize(("model", "score"), [("always-yes", 1.0), ("always-no", 0.0)])
def test_the_one_sided_are_sure_of_one_answer(model, score):
    run = asked_always(model)
    findings = [finding for verdict in run.verdicts for finding in verdict.findings]
    assert findings
    assert {(finding.llm_score, finding.confidence) for finding in findings} == {(score, 1.0)}
    assert {verdict.group_score for verdict in run.verdicts} == {score}


def test_the_oracle_says_what_the_labels_say():
    run = asked_always("oracle")
    pairs = list(confidences(run))
    assert len(pairs) > 40
    assert set(pairs) == {(1.0, True)}
    inside = [verdict for verdict in run.verdicts if at_fault(SEVERAL, verdict.at)]
    assert inside
    assert all(finding.llm_score == 1.0 for verdict in inside for finding in verdict.findings)
    assert all(v.group_score == (1.0 if v in inside else 0.0) for v in run.verdicts)


@pytest.mark.parametrize("group_by", [(), ("pod",)])
def test_the_oracle_tells_culprits_from_others_whatever_their_rank(group_by):
    case = make_case(
        rows=4,
        instants=75,
        bursts=((2, 62, 40.0), (1, 62, 9.0)),
        windows=((62, 72),),
        culprits=(1, 3),
        group_by=group_by,
    )
    run = run_with("scripted:oracle", case, ASK_ALWAYS)
    told = {
        (finding.series.name, finding.llm_score)
        for verdict in run.verdicts
        if at_fault(case, verdict.at)
        for finding in verdict.findings
    }
    assert told == {("metric_0", 0.0), ("metric_1", 1.0), ("metric_2", 0.0), ("metric_3", 1.0)}
    assert {confirmed for _, confirmed in confidences(run)} == {True}


def alarms(run: CaseRun, scores: np.ndarray, threshold: float) -> tuple[int, int]:
    """Instants in alarm inside and outside of the labelled windows."""
    alarm = (scores >= threshold).any(axis=0)
    alarm[: run.case.judged_from] = False
    inside = run.case.label
    return int((alarm & inside).sum()), int((alarm & ~inside).sum())


@pytest.mark.parametrize("seed", [0, 3, 5, 13])
def test_the_oracle_takes_false_alarms_away_and_no_others(seed):
    """Wherever the screen's threshold stands: here just below the highest score of the noise before the burst.

    Calm noise mostly scores exactly 0; the noise of these seeds does not.
    """
    case = make_case(rows=1, instants=105, bursts=((0, 95, 4.0),), windows=((95, 103),), seed=seed)
    noise = float(np.nanmax(run_case(case).screen[:, case.judged_from : 80]))
    assert 0.01 < noise < 0.9, "the noise is neither silent nor a certain anomaly"
    threshold = 0.98 * noise
    run = run_with("scripted:oracle", case, RunSettings(watch={"threshold": threshold}))
    found, false = alarms(run, run.screen, threshold)
    found_then, false_then = alarms(run, run.combined, threshold)
    assert false_then < false
    assert found_then >= found
    changed = decisions_changed(run, threshold)
    assert changed.better >= 1
    assert changed.worse == 0


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    one, two = asked_always("random"), run_with("scripted:random", SEVERAL, ASK_ALWAYS)
    other = run_with("scripted:random", SEVERAL, ASK_ALWAYS, seed=8)
    assert_same(one, two)
    assert not np.array_equal(one.combined, other.combined, equal_nan=True)
    np.testing.assert_array_equal(one.screen, other.screen)


def test_random_says_everything_there_is_to_say():
    run = asked_always("random")
    findings = [finding for verdict in run.verdicts for finding in verdict.findings]
    assert {finding.llm_score for finding in findings} == {tenth / 10 for tenth in range(11)}
    assert {finding.confidence for finding in findings} == {tenth / 10 for tenth in range(11)}


def test_a_model_changes_nothing_that_the_screen_says():
    bare = run_case(SEVERAL)
    for name in SCRIPTED:
        np.testing.assert_array_equal(asked_always(name).screen, bare.screen)


def test_at_most_so_many_series_are_shown_and_the_rest_do_not_sink_below_them():
    settings = RunSettings(watch={"reason": {"when": "always", "max_series": 2, "cooldown": "15m"}})
    run = run_with("scripted:always-no", SEVERAL, settings)
    assert {len(verdict.findings) for verdict in run.verdicts} == {2}
    before, after = run.screen[:, None, :] - run.screen[None], run.combined[:, None, :] - run.combined[None]
    asked = np.isin(SEVERAL.times, [verdict.at for verdict in run.verdicts])
    assert (after[before > 0] >= 0)[asked[np.nonzero(before > 0)[2]]].all()


def test_who_is_at_fault_is_what_the_window_says():
    case = make_case(windows=((10, 12), (20, 21)), culprits=(2,))
    assert at_fault(case, START + 10 * INTERVAL) == {case.series[2]}
    assert at_fault(case, START + 12 * INTERVAL + 1) == frozenset()
    unnamed = make_case(windows=((BURST.start, BURST.stop),))
    assert at_fault(unnamed, START + BURST.start * INTERVAL) == frozenset(unnamed.series)


def test_who_does_not_exist_is_no_model():
    with pytest.raises(KeyError):
        ScriptedModel("delphi")


def question(schema) -> ChatRequest:
    return ChatRequest("m", (Message("user", "?"),), 10, schema)


def test_a_schema_that_is_not_known_is_refused_with_the_place():
    part = {"type": "object", "properties": {"mood": {"type": "number"}}}
    schema = {"properties": {"findings": {"properties": {"S1": part}}, "score": {"type": "integer"}}}
    situation = Situation(make_case(), START, ())
    with pytest.raises(ValueError, match="mood"):
        ScriptedModel("always-yes").answer(question(schema), situation)
    with pytest.raises(ValueError, match="schema"):
        ScriptedModel("always-yes").answer(question(None), situation)


def test_the_labels_of_another_case_change_nothing_but_what_the_oracle_says():
    unlabelled = replace(SEVERAL, windows=())
    for name in ("oracle", "random"):
        one, two = asked_always(name), run_with(f"scripted:{name}", unlabelled, ASK_ALWAYS)
        same = np.array_equal(one.combined, two.combined, equal_nan=True)
        assert same == (name != "oracle")
