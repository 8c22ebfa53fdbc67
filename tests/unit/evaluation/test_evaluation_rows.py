"""Rows of the table: the same measures for whoever scored, thresholds chosen elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
from eval_run_cases import BURST, INSTANTS, INTERVAL, START, make_case

from exporter.evaluation.reference import REFERENCES
from exporter.evaluation.results import Episode
from exporter.evaluation.rows import Scored, alerts, make_rows, product_scores, reference_scores, tuned_thresholds
from exporter.evaluation.run import run_case
from exporter.screening.result import THRESHOLD

CASE = make_case()
OTHER = make_case(bursts=(), windows=(), seed=6)


def score_of(*raised: tuple[int, int, float]) -> np.ndarray:
    """[1 × instants]: 0.1, and higher from one instant up to another."""
    score = np.full((1, INSTANTS), 0.1)
    for first, last, height in raised:
        score[:, first:last] = height
    return score


def at(instant: int) -> float:
    return START + INTERVAL * instant


def test_a_case_scores_as_high_as_its_highest_group_and_a_group_without_score_does_not_count():
    standing = np.array([[0.2, np.nan, np.nan], [0.1, 0.4, np.nan]])
    ((case, score),) = Scored("one", (standing,)).scores([CASE])
    assert case is CASE
    np.testing.assert_array_equal(score, [0.2, 0.4, np.nan])


def test_rows_count_over_all_cases_at_the_threshold_of_each_detector():
    found = score_of((BURST.start + 2, BURST.stop, 0.7))
    scored = [Scored("low", (found, score_of((90, 95, 0.6)))), Scored("high", (found, score_of((90, 95, 0.6))))]
    low, high = make_rows(scored, [CASE, OTHER], {"high": 0.65})
    assert (low.detector, low.threshold, low.tp, low.fp, low.fn) == ("low", THRESHOLD, 1, 1, 0)
    assert (high.detector, high.threshold, high.tp, high.fp, high.fn) == ("high", 0.65, 1, 0, 0)
    assert low.f1 == pytest.approx(2 / 3)
    assert low.median_delay == pytest.approx(2 / 8)
    assert low.vus_pr == high.vus_pr
    assert low.vus_pr is not None
    days = 2 * (INSTANTS - CASE.judged_from) * INTERVAL / 86400
    assert low.fp_per_series_day == pytest.approx(1 / days)


def test_both_rows_of_the_product_come_from_one_run():
    run = run_case(CASE)
    moved = replace(run, group_combined=run.group_screen + 0.1)
    screen, combined = product_scores([moved])
    assert (screen.detector, combined.detector) == ("screen", "combined")
    np.testing.assert_array_equal(combined.standings[0], screen.standings[0] + 0.1)


def test_references_stand_in_their_order_with_one_standing_a_case_and_group():
    two_pods = make_case(group_by=("pod",), seed=7)
    told = []
    found = reference_scores([CASE, two_pods], ("random", "zscore"), seed=3, jobs=1, tell=told.append)
    assert [one.detector for one in found] == ["random", "zscore"]
    assert told == [INSTANTS] * 4
    for one in found:
        assert [standing.shape for standing in one.standings] == [(1, INSTANTS), (2, INSTANTS)]
    scores = REFERENCES["zscore"].detect(two_pods, 3)
    # Rows 0 and 2 are of pod a, row 1 is of pod b.
    np.testing.assert_array_equal(found[1].standings[1], np.array([np.fmax(scores[0], scores[2]), scores[1]]))


def test_the_seed_decides_what_is_drawn():
    first, second, again = (
        reference_scores([CASE], ("random",), seed=seed, jobs=1, tell=lambda _: None)[0].standings[0]
        for seed in (1, 2, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)


def test_the_threshold_is_the_highest_of_those_that_find_most_and_invent_least():
    scored = Scored("one", (score_of((70, 75, 0.6), (BURST.start, BURST.stop, 0.8)),))
    chosen = tuned_thresholds([scored], [CASE])["one"]
    assert chosen == 0.8
    (row,) = make_rows([scored], [CASE], {"one": chosen})
    assert (row.tp, row.fp) == (1, 0)


def test_who_always_says_the_same_keeps_the_usual_threshold():
    same = [Scored(name, (np.full((1, INSTANTS), level),)) for name, level in (("never", 0.0), ("always", 1.0))]
    assert tuned_thresholds(same, [CASE]) == {"never": THRESHOLD, "always": THRESHOLD}


def test_alerts_say_when_how_high_and_what_they_found():
    score = score_of((70, 75, 0.6), (73, 74, 0.9), (BURST.start + 1, BURST.start + 3, 0.8))[0]
    score[71] = np.nan
    assert alerts(CASE, score, 0.5) == (
        Episode(start=at(70), end=at(74), peak=0.9, found_window=None),
        Episode(start=at(BURST.start + 1), end=at(BURST.start + 2), peak=0.8, found_window=0),
    )
