"""The group at fault is ranked three minutes after the reported one, and ties are never in its favour."""

import numpy as np
import pytest

from exporter.evaluation.labelled import Case, Experiment, Fault
from exporter.evaluation.ranking import FaultRank, Standing, rank_of, ranks, standing
from exporter.series.labels import Series

PODS = ("ad", "cart", "email", "web")
START = 1_661_140_260.0
"""A full minute; rows are written 20 seconds into each."""


def experiment_of(*faults, phase=(START, START + 3600.0), instants=60):
    times = START + 20.0 + 60.0 * np.arange(instants)
    series = tuple(Series("cpu", (("pod", pod),)) for pod in PODS)
    case = Case("day", series, ("pod",), times, np.zeros((len(PODS), instants)), 60.0, 0, ())
    return Experiment(case, faults, phase)


def fault_at(minute, second=0.0, pod="cart"):
    return Fault(at=START + 60.0 * minute + second, group=pod, kind="cpu_contention", metric="cpu")


def scores_at(minute, *scores, instants=60, before=0.0):
    found = np.full((len(PODS), instants), before)
    found[:, minute] = scores
    return found


@pytest.mark.parametrize("second", [0.0, 19.0, 21.0, 59.9])
def test_the_scores_of_the_reported_minute_and_three_are_compared(second):
    fault = fault_at(10, second)
    found = rank_of(experiment_of(fault), fault, scores_at(13, 0.1, 0.9, 0.3, 0.5, before=0.7), PODS)
    assert found == FaultRank(fault, START + 13 * 60 + 20, 1, 4, ("cart", "web", "email"))


@pytest.mark.parametrize(
    ("scores", "rank", "leaders"),
    [
        ((0.1, 0.9, 0.3, 0.5), 1, ("cart", "web", "email")),
        ((0.9, 0.5, 0.6, 0.1), 3, ("ad", "email", "cart")),
        ((0.9, 0.1, 0.6, 0.2), 4, ("ad", "email", "web")),
        ((0.5, 0.5, 0.1, 0.1), 2, ("ad", "cart", "email")),
        ((0.5, 0.5, 0.5, 0.5), 4, ("ad", "cart", "email")),
        ((np.nan, 0.5, np.nan, 0.6), 2, ("web", "cart")),
        ((0.5, np.nan, 0.1, 0.1), None, ("ad", "email", "web")),
        ((np.nan, np.nan, np.nan, np.nan), None, ()),
    ],
)
def test_equal_scores_share_the_worst_rank_and_no_score_has_none(scores, rank, leaders):
    fault = fault_at(10)
    found = rank_of(experiment_of(fault), fault, scores_at(13, *scores), PODS)
    assert found is not None
    assert (found.rank, found.leaders) == (rank, leaders)


def test_a_group_that_has_no_metrics_has_no_rank():
    fault = fault_at(10, pod="gone")
    found = rank_of(experiment_of(fault), fault, scores_at(13, 0.1, 0.9, 0.3, 0.5), PODS)
    assert found is not None
    assert found.rank is None


@pytest.mark.parametrize(
    ("fault", "phase", "ranked"),
    [
        (fault_at(10), (START + 13 * 60 + 20, START + 13 * 60 + 20), True),
        (fault_at(10), (START + 13 * 60 + 21, START + 3600), False),
        (fault_at(10), (START, START + 13 * 60 + 19), False),
        (fault_at(56), (START, START + 9e9), True),
        (fault_at(57), (START, START + 9e9), False),
        (fault_at(-3), (START - 9e9, START + 9e9), True),
        (fault_at(-4), (START - 9e9, START + 9e9), False),
    ],
)
def test_outside_of_the_phase_or_the_data_nothing_is_ranked(fault, phase, ranked):
    found = rank_of(experiment_of(fault, phase=phase), fault, np.zeros((4, 60)), PODS)
    assert (found is not None) == ranked


def test_a_minute_without_a_row_is_not_ranked_by_an_older_one():
    fault = fault_at(10)
    experiment = experiment_of(fault)
    kept = np.arange(60) != 13
    case = experiment.case
    gappy = Case(case.name, case.series, ("pod",), case.times[kept], case.values[:, kept], 60.0, 0, ())
    assert rank_of(Experiment(gappy, (fault,), experiment.phase), fault, np.zeros((4, 59)), PODS) is None


def test_shares_counted_by_hand_stand_beside_those_of_a_random_order():
    faults = [fault_at(10), fault_at(20), fault_at(30), fault_at(40), fault_at(58)]
    scores = np.zeros((4, 60))
    scores[:, 13] = 0.1, 0.9, 0.3, 0.5
    scores[:, 23] = 0.9, 0.5, 0.6, 0.1
    scores[:, 33] = 0.9, 0.1, 0.6, 0.2
    scores[:, 43] = 0.9, np.nan, 0.6, 0.2
    assert standing(ranks(experiment_of(*faults), scores, PODS)) == Standing(
        faults=4,
        first=1,
        among_first=2,
        first_share=0.25,
        among_first_share=0.5,
        random_first_share=0.25,
        random_among_first_share=0.75,
        outside=1,
    )


def test_a_detector_that_says_the_same_of_all_is_worse_than_a_random_order():
    faults = [fault_at(minute) for minute in range(5, 50)]
    found = standing(ranks(experiment_of(*faults), np.ones((4, 60)), PODS))
    assert (found.first, found.among_first) == (0, 0)


def test_without_faults_there_are_no_shares():
    assert standing([]) == Standing(0, 0, 0, None, None, None, None, 0)
