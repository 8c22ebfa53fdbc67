"""Alerts are counted by their onset, as a person gets them; every figure here is counted by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.evaluation.labelled import Case, LabelledWindow
from exporter.evaluation.measures import (
    Counts,
    Figures,
    best_threshold,
    count,
    episodes,
    figures,
    judged_episodes,
    judged_windows,
    onset_windows,
    threshold_candidates,
    total,
)
from exporter.evaluation.volume import vus_pr, window_length
from exporter.series.labels import Series

MINUTES_A_DAY = 1440


def case_of(instants=MINUTES_A_DAY, windows=(), judged_from=0, interval=60.0):
    """A series with one value a minute; windows are given by their first and last minute."""
    return Case(
        name="a",
        series=(Series("a", ()),),
        group_by=(),
        times=1e9 + interval * np.arange(instants),
        values=np.zeros((1, instants)),
        interval=interval,
        judged_from=judged_from,
        windows=tuple(LabelledWindow(1e9 + interval * first, 1e9 + interval * last) for first, last in windows),
    )


def score_of(*detected, instants=MINUTES_A_DAY):
    score = np.zeros(instants)
    score[list(detected)] = 1.0
    return score


@pytest.mark.parametrize(
    ("detected", "expected"),
    [
        ([], []),
        ([5], [(5, 5)]),
        ([0, 1439], [(0, 0), (1439, 1439)]),
        ([5, 6, 7], [(5, 7)]),
        ([5, 17], [(5, 17)]),
        ([5, 18], [(5, 5), (18, 18)]),
        ([5, 17, 29, 41, 60], [(5, 41), (60, 60)]),
    ],
)
def test_detections_at_most_twelve_samples_apart_are_one_episode(detected, expected):
    found = episodes(score_of(*detected), 1.0)
    assert list(zip(found.onsets, found.ends, strict=True)) == expected


def test_a_score_that_reaches_the_threshold_is_a_detection_and_no_score_is_none():
    found = episodes(np.array([0.49, 0.5, np.nan, 0.51, np.nan, 0.2]), 0.5, merge=1)
    assert found.onsets.tolist() == [1, 3]
    assert episodes(np.full(9, np.nan), -np.inf).onsets.size == 0


@given(st.lists(st.booleans(), max_size=60), st.integers(0, 6))
def test_episodes_are_what_walking_along_the_series_gives(flags, merge):
    expected = []
    for at, flag in enumerate(flags):
        if flag and expected and at - expected[-1][1] <= merge:
            expected[-1][1] = at
        elif flag:
            expected.append([at, at])
    found = episodes(np.array(flags, dtype=np.float64), 0.5, merge)
    assert [list(pair) for pair in zip(found.onsets.tolist(), found.ends.tolist(), strict=True)] == expected


@pytest.mark.parametrize(
    ("detected", "found", "false_alerts", "missed", "delays"),
    [
        pytest.param([], 0, 0, 2, (), id="nothing detected"),
        pytest.param([100], 1, 0, 1, (0.0,), id="on the first instant of a window"),
        pytest.param([200], 1, 0, 1, (1.0,), id="on the last instant of a window"),
        pytest.param([125, 160, 190], 1, 0, 1, (0.25,), id="later alerts in a found window count neither way"),
        pytest.param([99], 0, 1, 2, (), id="just before a window"),
        pytest.param([201], 0, 1, 2, (), id="just after a window"),
        pytest.param(range(95, 150), 0, 1, 2, (), id="an alert that runs into a window"),
        pytest.param([95, *range(110, 150)], 1, 1, 1, (0.1,), id="a false alert, and one in the window right after"),
        pytest.param(range(150, 550), 1, 0, 1, (0.5,), id="one alert over two windows finds the first only"),
        pytest.param([150, 520, 700, 900], 2, 2, 0, (0.5, 0.2), id="everything at once"),
        pytest.param(range(MINUTES_A_DAY), 0, 1, 2, (), id="an alarm that never stops"),
    ],
)
def test_the_onset_decides(detected, found, false_alerts, missed, delays):
    counts = count(case_of(windows=[(100, 200), (500, 600)]), score_of(*detected), 0.5)
    assert (counts.found, counts.false_alerts, counts.missed) == (found, false_alerts, missed)
    assert counts.delays == pytest.approx(delays)
    assert counts.series_days == 1.0


def test_what_was_detected_before_the_judged_part_is_forgotten():
    """An alert that is on when judging begins begins then; detections before it do not merge with later ones."""
    case = case_of(windows=[(10, 90), (380, 450)], judged_from=400)
    counts = count(case, score_of(20, *range(395, 402), instants=MINUTES_A_DAY), 0.5)
    assert judged_windows(case).tolist() == [False, True]
    assert (counts.found, counts.false_alerts, counts.missed) == (1, 0, 0)
    assert counts.delays == pytest.approx([20 / 70])
    assert counts.series_days == pytest.approx(1040 / 1440)
    outside = count(case_of(judged_from=400), score_of(399, 402), 0.5)
    assert judged_episodes(case, score_of(399, 402), 0.5).onsets.tolist() == [402]
    assert outside.false_alerts == 1


def test_onsets_know_their_window():
    case = case_of(windows=[(100, 200), (500, 600)])
    found = onset_windows(case, episodes(score_of(50, 100, 200, 300, 600, 700), 0.5))
    assert found.tolist() == [-1, 0, 0, -1, 1, -1]
    assert onset_windows(case_of(), episodes(score_of(50), 0.5)).tolist() == [-1]


def test_time_in_alarm_includes_the_gaps_that_are_merged():
    counts = count(case_of(), score_of(0, 12, 100), 0.5)
    assert counts.alarm_share == pytest.approx(14 / 1440)
    assert count(case_of(judged_from=200), score_of(*range(MINUTES_A_DAY)), 0.5).alarm_share == pytest.approx(1.0)


def test_a_window_of_one_instant_is_found_without_delay():
    assert count(case_of(windows=[(100, 100)]), score_of(100), 0.5).delays == (0.0,)


def test_a_case_without_a_judged_part_has_no_figures():
    counts = count(case_of(instants=10, windows=[(2, 3)], judged_from=10), np.ones(10), 0.5)
    assert counts == Counts(0, 0, 0, (), 0.0, 0.0)
    assert (counts.f1, counts.alarm_share, counts.false_alerts_per_day) == (None, None, None)


def test_ratios_counted_by_hand():
    counts = Counts(found=6, false_alerts=2, missed=3, delays=(0.9, 0.1, 0.2, 0.4), series_days=40.0, alarm_days=10.0)
    assert counts.precision == 0.75
    assert counts.recall == pytest.approx(2 / 3)
    assert counts.f1 == pytest.approx(12 / 17)
    assert counts.false_alerts_per_day == 0.05
    assert counts.median_delay == pytest.approx(0.3)
    assert counts.alarm_share == 0.25


@pytest.mark.parametrize(
    ("counts", "precision", "recall", "f1"),
    [
        (Counts(0, 0, 0, (), 1.0, 0.0), None, None, None),
        (Counts(0, 3, 0, (), 1.0, 0.0), 0.0, None, None),
        (Counts(0, 0, 2, (), 1.0, 0.0), None, 0.0, 0.0),
        (Counts(0, 3, 2, (), 1.0, 0.0), 0.0, 0.0, 0.0),
    ],
)
def test_without_windows_there_is_no_f1_and_without_a_find_it_is_zero(counts, precision, recall, f1):
    assert (counts.precision, counts.recall, counts.f1) == (precision, recall, f1)


def test_cases_are_added_up_before_anything_is_divided():
    together = total(
        [
            count(case_of(windows=[(100, 200)]), score_of(150), 0.5),
            count(case_of(instants=2880, windows=[(100, 200)]), score_of(700, 900, instants=2880), 0.5),
        ]
    )
    assert together == Counts(1, 2, 1, (0.5,), 3.0, pytest.approx(3 / 1440))
    assert total([]).f1 is None


def test_the_figures_of_a_detector():
    labelled, calm = case_of(windows=[(100, 200), (500, 600)]), case_of(judged_from=720)
    score = score_of(125, 700)
    found = figures([(labelled, score), (calm, score_of(3, 800))], 0.5)
    expected = Figures(
        tp=1,
        fp=2,
        fn=1,
        f1=0.4,
        fp_per_series_day=pytest.approx(2 / 1.5),
        vus_pr=vus_pr(score, labelled.label, window_length(labelled.values[0])),
        median_delay=pytest.approx(0.25),
        alarm_share=pytest.approx(3 / 2160),
    )
    assert found == expected


def test_figures_of_clean_series_leave_out_what_needs_windows():
    found = figures([(case_of(), score_of(5))], 0.5)
    assert found == Figures(0, 1, 0, None, 1.0, None, None, pytest.approx(1 / 1440))


def test_the_volume_is_that_of_the_judged_part_and_cases_count_alike():
    one, other = case_of(windows=[(10, 20), (900, 950)], judged_from=600), case_of(windows=[(100, 101)])
    score = np.random.default_rng(5).random(MINUTES_A_DAY)
    volumes = vus_pr(score[600:], one.label[600:], 125), vus_pr(score, other.label, 125)
    assert figures([(one, score), (other, score)], 0.5).vus_pr == pytest.approx(sum(volumes) / 2)


def test_the_best_threshold_is_found_over_all_cases_together():
    """At 1 three windows and four false alerts, at 2 two and one, at 3 one and none: F1 6/10, 4/6, 2/4."""
    first = score_of()
    first[[150, 550]], first[[300, 700, 800]] = [3.0, 1.0], 1.0
    second = score_of()
    second[150], second[900] = 2.0, 2.0
    scored = [(case_of(windows=[(100, 200), (500, 600)]), first), (case_of(windows=[(100, 200)]), second)]
    by_hand = {one: total(count(case, score, one) for case, score in scored).f1 for one in (1.0, 2.0, 3.0)}
    assert by_hand == pytest.approx({1.0: 6 / 10, 2.0: 4 / 6, 3.0: 2 / 4})
    assert best_threshold(scored, np.array([3.0, 1.0, 2.0])) == 2.0
    assert best_threshold(scored, np.array([0.1, 0.9, 1.0, 1.5, 2.0, 2.5])) == 2.0


def test_of_equally_good_thresholds_the_highest_is_taken():
    scored = [(case_of(windows=[(100, 200)]), score_of(150))]
    assert best_threshold(scored, np.array([0.2, 0.9, 0.5])) == 0.9


def test_without_windows_no_threshold_is_better():
    with pytest.raises(ValueError, match="no labelled window"):
        best_threshold([(case_of(windows=[(1, 2)], judged_from=5), score_of(7))], np.array([0.5]))
    with pytest.raises(ValueError, match="no candidates"):
        best_threshold([(case_of(windows=[(1, 2)]), score_of(7))], np.empty(0))


def test_candidates_are_scores_and_reach_the_highest():
    score = np.random.default_rng(4).normal(size=MINUTES_A_DAY)
    score[700:720] = np.nan
    score[3] = 99.0
    found = threshold_candidates([(case_of(judged_from=10), score)], most=50)
    judged = score[10:]
    assert np.isin(found, judged).all()
    assert found[-1] == np.nanmax(judged)
    assert found[0] == pytest.approx(np.nanmedian(judged), abs=0.01)
    assert 20 < found.size <= 50
    assert np.all(np.diff(found) > 0)


@pytest.mark.parametrize("score", [np.full(20, np.nan), np.full(20, np.inf)])
def test_without_scores_there_are_no_candidates(score):
    assert threshold_candidates([(case_of(instants=20), score)]).size == 0
    assert threshold_candidates([]).size == 0
