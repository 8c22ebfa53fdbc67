"""Groups: which series belong together, how a group stands, what of it is shown."""

import math

import numpy as np
import pytest
from screening_support import frame_of, noise

from exporter.config.model import Selection
from exporter.screening.groups import GroupScore, assemble, group_rows, group_scores
from exporter.screening.policy import policy_of
from exporter.screening.result import Grouping
from exporter.screening.screen import screen
from exporter.series.labels import Series, labels_of


def series(words="", **labels):
    return Series("load", labels_of(labels), help=words)


def result_of(values, series_of):
    frame = frame_of(values, series_of)
    return screen(frame, policy_of([Selection(series="load")], frame.select))


def two_hosts(rows=6, spikes=(), seed=1):
    """Rows in turn on host a and b; some of them with a spike of the height given."""
    values = noise(rows, seed=seed)
    for row, height in dict(spikes).items():
        values[row, -1] += height
    of = [series(instance="ab"[row % 2], cpu=str(row)) for row in range(rows)]
    return result_of(values, of), group_rows(tuple(of), ["instance"])


A, B = (("instance", "a"),), (("instance", "b"),)


def test_rows_are_grouped_by_the_values_of_labels_in_order_of_their_first_series():
    rows = (series(job="x", instance="b"), series(job="x", instance="a"), series(job="y", instance="b"), series())
    by_instance = group_rows(rows, ["instance"])
    assert by_instance.keys == (B, A, ())
    assert by_instance.group.tolist() == [0, 1, 0, 2]
    both = group_rows(rows, ["job", "instance"])
    assert both.keys[0] == (("instance", "b"), ("job", "x"))
    assert both.group.tolist() == [0, 1, 2, 3]


def test_without_labels_everything_is_one_group():
    grouping = group_rows((series(instance="a"), series()), [])
    assert grouping.keys == ((),)
    assert grouping.group.tolist() == [0, 0]


def test_a_group_counts_all_its_series_and_the_suspicious_ones_over_all_targets():
    first, first_rows = two_hosts(spikes={0: 100, 2: 60, 1: 200})
    second, second_rows = two_hosts(rows=2, spikes={0: 80}, seed=2)
    scores = group_scores([first, second], [first_rows, second_rows], 0.5)
    assert scores[A].key == A
    assert (scores[A].total, scores[A].suspicious) == (4, 3)
    assert (scores[B].total, scores[B].suspicious) == (4, 1)
    assert scores[A].top_score == max(first.score[0], first.score[2], second.score[0])
    assert scores[B].top_score == first.score[1]


def test_the_threshold_decides_what_is_suspicious():
    result, rows = two_hosts(spikes={0: 100})
    assert group_scores([result], [rows], 0.99)[A].suspicious == 0
    assert group_scores([result], [rows], float(result.score[0]))[A].suspicious == 1


def test_a_group_without_scores_has_no_top_score():
    values = np.full((2, 240), np.nan)
    rows = (series(instance="a"), series(instance="b"))
    scores = group_scores([result_of(values, rows)], [group_rows(rows, ["instance"])], 0.5)
    assert scores[A] == GroupScore(A, 1, 0, pytest.approx(math.nan, nan_ok=True))


def test_no_targets_give_no_groups():
    assert group_scores([], [], 0.5) == {}


def test_the_highest_scores_of_a_group_are_shown_and_the_rest_is_counted():
    first, first_rows = two_hosts(rows=8, spikes={0: 60, 2: 200, 4: 100, 1: 300})
    second, second_rows = two_hosts(rows=2, spikes={0: 150}, seed=2)
    group = assemble("cpu", A, [first, second], [first_rows, second_rows], [""], limit=3)
    assert (group.watch, group.key, group.total, group.suspicious) == ("cpu", A, 5, 4)
    assert [one.score for one in group.series] == sorted(
        [first.score[2], second.score[0], first.score[4], first.score[0]], reverse=True
    )[:3]
    best = group.series[0]
    assert best.series == first.frame.series[2]
    assert best.kind == "spike"
    assert np.array_equal(best.values, first.frame.values[2])
    assert best.times is first.frame.times
    assert best.interval == 15.0
    assert (best.expected_lower, best.expected_upper) == (first.expected_lower[2], first.expected_upper[2])
    assert best.evidence == first.evidence(2)
    assert best.evidence[0].detector == "rank"


def test_equal_scores_keep_the_order_of_targets_and_rows():
    of = [series(instance="a", copy=str(row)) for row in range(5)]
    result = result_of(np.repeat(noise(1), 5, axis=0), of)
    rows = group_rows(tuple(of), ["instance"])
    group = assemble("cpu", A, [result, result], [rows, rows], [""], limit=7)
    assert [dict(one.series.labels)["copy"] for one in group.series] == ["0", "1", "2", "3", "4", "0", "1"]


def test_series_without_a_score_are_shown_only_when_none_has_one():
    values = noise(3)
    values[1, :] = np.nan
    of = [series(instance="a", row=str(row)) for row in range(3)]
    rows = group_rows(tuple(of), ["instance"])
    some = assemble("cpu", A, [result_of(values, of)], [rows], [""], limit=9)
    assert [dict(one.series.labels)["row"] for one in some.series] == ["0", "2"]
    assert some.total == 3
    short = assemble("cpu", A, [result_of(values[:, :3], of)], [rows], [""], limit=2)
    assert [math.isnan(one.score) for one in short.series] == [True, True]
    assert [one.kind for one in short.series] == [None, None]


def test_the_words_of_the_user_come_before_those_of_the_source():
    of = [series(words="CPU time.", instance="a")]
    result, rows = result_of(noise(1), of), Grouping((A,), np.array([0]))
    assert assemble("cpu", A, [result], [rows], ["by mode"], limit=1).series[0].description == "by mode"
    assert assemble("cpu", A, [result], [rows], [""], limit=1).series[0].description == "CPU time."


def test_a_group_that_no_target_has_is_empty():
    result, rows = two_hosts()
    group = assemble("cpu", (("instance", "c"),), [result], [rows], [""], limit=3)
    assert (group.series, group.total, group.suspicious) == ((), 0, 0)
