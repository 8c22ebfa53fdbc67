"""Labelled cases go through the program's own pipeline, and nothing of it knows the future."""

from dataclasses import replace

import numpy as np
import pytest
from eval_run_cases import ASK_ALWAYS, BURST, INSTANTS, INTERVAL, START, make_case, run_with
from pydantic import ValidationError

from exporter.evaluation.labelled import Case, Experiment, Fault
from exporter.evaluation.models import open_model, parse_model
from exporter.evaluation.run import RunSettings, case_of, group_standings, run_case, run_cases
from exporter.evaluation.stage import _CaseClock, _CaseFeed
from exporter.screening.groups import group_rows
from exporter.screening.result import THRESHOLD
from exporter.series.frame import Frame
from exporter.series.labels import Series


def feed_of(case: Case, samples: int) -> tuple[_CaseClock, _CaseFeed]:
    clock = _CaseClock(case.times)
    return clock, _CaseFeed(case, samples, clock)


def frame_at(case: Case, instant: int, samples: int = 100) -> Frame:
    clock, feed = feed_of(case, samples)
    clock.instant = instant
    (frame,) = feed.take(clock.now()).frames
    return frame


def test_a_burst_is_found_and_without_a_model_both_scores_are_one():
    run = run_case(make_case())
    assert (run.screen[1, BURST.start] >= THRESHOLD).all()
    np.testing.assert_array_equal(run.combined, run.screen)
    np.testing.assert_array_equal(run.group_combined, run.group_screen)
    assert run.verdicts == ()
    assert run.groups == ("",)
    assert run.seconds > 0


def test_scores_begin_when_the_screen_has_seen_enough_and_have_a_band():
    run = run_case(make_case())
    assert np.isnan(run.screen[:, 0]).all()
    calm = slice(BURST.start - 20, BURST.start)
    assert np.isfinite(run.screen[:, calm]).all()
    assert (run.expected_lower[:, calm] < 10.0).all()
    assert (run.expected_upper[:, calm] > 10.0).all()


@pytest.mark.parametrize("model", ["none", "scripted:always-yes", "scripted:random"])
def test_later_values_change_no_earlier_score(model):
    case, known = make_case(rows=2, instants=85, bursts=((1, 50, 40.0),)), 60
    other = case.values.copy()
    other[:, known:] = np.random.default_rng(0).normal(-500.0, 200.0, size=other[:, known:].shape)
    other[0, known + 3 :] = np.nan
    first = run_with(model, case, ASK_ALWAYS)
    second = run_with(model, replace(case, values=other, windows=()), ASK_ALWAYS)
    for name in ("screen", "combined", "expected_lower", "expected_upper", "group_screen", "group_combined"):
        one, two = getattr(first, name), getattr(second, name)
        np.testing.assert_array_equal(one[:, :known], two[:, :known], err_msg=name)
        assert not np.array_equal(one[:, known:], two[:, known:], equal_nan=True), name
    at = float(case.times[known])
    assert [v for v in first.verdicts if v.at < at] == [v for v in second.verdicts if v.at < at]


def test_a_frame_is_a_view_of_the_case_with_the_same_objects_each_time():
    case = make_case()
    clock, feed = feed_of(case, samples=100)
    frames = []
    for instant in (0, 99, 150):
        clock.instant = instant
        frames += feed.take(clock.now()).frames
    for frame, instant, length in zip(frames, (0, 99, 150), (1, 100, 100), strict=True):
        assert np.shares_memory(frame.values, case.values)
        assert frame.series is case.series
        assert frame.select is frames[0].select
        assert frame.times[-1] == case.times[instant]
        assert frame.values.shape == (3, length)
        np.testing.assert_array_equal(frame.values[:, -1], case.values[:, instant])


def test_a_window_is_a_stretch_of_time_where_the_data_has_a_gap():
    case = make_case()
    times = case.times.copy()
    times[100:] += 50 * INTERVAL
    gapped = replace(case, times=times)
    assert frame_at(gapped, 99).times.size == 100
    assert frame_at(gapped, 100).times.size == 50
    assert frame_at(gapped, 100, samples=30).times.size == 1
    assert frame_at(gapped, 149).times.size == 50
    assert frame_at(gapped, 155).times.size == 56


def test_a_window_never_holds_more_instants_than_it_should_where_values_come_too_often():
    case = make_case()
    assert frame_at(replace(case, times=START + 0.1 * INTERVAL * np.arange(INSTANTS)), 150).times.size == 100


def test_gaps_and_missing_values_as_in_real_data_are_gone_through():
    case = make_case()
    values, times = case.values.copy(), case.times.copy()
    values[:, 40:43] = np.nan
    values[2, 70:] = np.nan
    times[80:] += 37 * INTERVAL + 11.0
    times[81] += 0.4 * INTERVAL
    run = run_case(replace(case, values=values, times=times, windows=()))
    assert (run.screen[1, BURST.start] >= THRESHOLD).all()
    assert np.isfinite(run.screen[:2, 100:]).all()
    inside = run.screen[np.isfinite(run.screen)]
    assert ((inside >= 0) & (inside <= 1)).all()


def test_groups_stand_by_their_highest_score():
    scores = np.array([[0.1, np.nan, 0.9], [0.5, np.nan, 0.2], [0.3, 0.4, np.nan]])
    series = tuple(Series("m", (("n", str(row)), ("pod", pod))) for row, pod in enumerate("aba"))
    np.testing.assert_array_equal(
        group_standings(group_rows(series, ("pod",)), scores), [[0.3, 0.4, 0.9], [0.5, np.nan, 0.2]]
    )


def test_groups_are_called_by_the_values_of_their_labels():
    run = run_case(make_case(group_by=("pod",), instants=40, bursts=(), windows=()))
    assert run.groups == ("a", "b")
    np.testing.assert_array_equal(run.group_screen[1], run.screen[1])


def test_a_group_of_several_series_scores_what_they_show_together():
    calm = run_case(make_case(group_by=("pod",), instants=200, bursts=(), windows=()))
    odd = run_case(make_case(group_by=("pod",), instants=200, bursts=((0, 150, 40.0), (2, 150, 40.0)), windows=()))
    assert np.nanmax(odd.group_screen[0, 150:160]) > max(0.3, np.nanmax(calm.group_screen[0, 100:]))


def test_the_model_is_asked_about_each_group():
    run = run_with("scripted:always-yes", make_case(group_by=("pod",), instants=60, windows=()), ASK_ALWAYS)
    assert {verdict.group for verdict in run.verdicts} == {(("pod", "a"),), (("pod", "b"),)}
    assert [verdict.at for verdict in run.verdicts] == sorted(verdict.at for verdict in run.verdicts)


@pytest.mark.parametrize("model", ["none", "scripted:oracle"])
def test_progress_adds_up(model):
    told: list[int] = []
    cases = [make_case(instants=150, rows=1, bursts=(), windows=())] * 2
    with open_model(parse_model(model)) as respondent:
        run_cases(cases, respondent, tell=told.append)
    assert sum(told) == 300
    assert len(told) == (4 if model == "none" else 300)


def test_nothing_to_run_is_nothing():
    assert run_cases([]) == []
    empty = run_case(make_case(instants=0, bursts=(), windows=()))
    assert empty.screen.shape == (3, 0)
    assert empty.group_screen.shape == (1, 0)


@pytest.mark.parametrize(
    ("interval", "samples", "every", "cooldown"),
    [(300.0, 288, 9000.0, 600.0), (60.0, 288, 1800.0, 120.0), (15.0, 288, 1800.0, 120.0), (10.0, 360, 1800.0, 120.0)],
)
def test_times_become_as_many_intervals_as_in_the_product(interval, samples, every, cooldown):
    case = replace(make_case(), interval=interval)
    watch = RunSettings().watch_for(case, asked=True)
    assert watch.window == samples * interval
    assert watch.interval == interval
    assert (watch.reason.when, watch.reason.every, watch.reason.cooldown) == ("suspicious", every, cooldown)


def test_what_is_set_counts():
    settings = RunSettings(
        window_samples=50,
        every_seconds=0,
        cooldown_seconds=7.0,
        watch={"threshold": 0.7, "context": "A shop.", "reason": {"max_series": 3}},
    )
    case = make_case(group_by=("pod",))
    watch = settings.watch_for(case, asked=True)
    assert (watch.window, watch.threshold, watch.context) == (50 * INTERVAL, 0.7, "A shop.")
    assert (watch.reason.every, watch.reason.cooldown, watch.reason.max_series) == (0.0, 7.0, 3)
    assert watch.group_by == ["pod"]
    assert settings.watch_for(case, asked=False).reason.when == "never"


def test_a_key_that_no_watch_has_is_refused():
    with pytest.raises(ValidationError, match="tresholt"):
        run_case(make_case(instants=5), settings=RunSettings(watch={"tresholt": 0.7}))
    with pytest.raises(ValidationError, match="tresholt"):
        run_cases([make_case(instants=5)], settings=RunSettings(watch={"tresholt": 0.7}))


def test_what_the_model_reads_does_not_name_the_case():
    run = run_with("scripted:always-no", replace(make_case(), name="jumpsup"))
    assert run.verdicts
    assert all("jumpsup" not in verdict.prompt for verdict in run.verdicts)


def test_an_experiment_becomes_a_case_with_a_window_for_each_fault():
    case = make_case(group_by=("pod",), windows=())
    faults = (
        Fault(START + 1000.0, "b", "cpu", "metric_1"),
        Fault(START + 400.0, "a", "network", ""),
        Fault(START + 1100.0, "nowhere", "cpu", ""),
    )
    windows = case_of(Experiment(case, faults, (START, START + 5000.0)), seconds=300.0).windows
    assert [(window.start - START, window.end - START, window.culprits) for window in windows] == [
        (400.0, 700.0, (0, 2)),
        (1000.0, 1099.0, (1,)),
        (1100.0, 1400.0, ()),
    ]
