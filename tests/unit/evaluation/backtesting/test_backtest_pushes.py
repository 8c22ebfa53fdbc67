"""Alerts by threshold: scores made by hand, the bridge's own lifecycle, and what the table makes of it."""

from dataclasses import replace

import numpy as np
import pytest

from exporter.alerting.observing import Policy
from exporter.board import ScoreTable, WatchPicture
from exporter.evaluation.backtesting.pushes import Pushes
from exporter.evaluation.backtesting.thresholds import GRID, covered, threshold_row, thresholds_for
from exporter.series.labels import Series

BEGAN = 1_700_000_000.0
POLICY = Policy(threshold=0.5, group_by=(), interval=60, pending=120, hold=180, patience=3600)
LOAD, DISK = (Series(name, (("instance", "a:1"),)) for name in ("load", "disk"))


def pictures(step=60.0, **scores):
    """A picture each `step` seconds; None is a watch that fails."""
    rows = (LOAD, DISK)[: len(scores)]
    for at, column in enumerate(zip(*scores.values(), strict=True)):
        now = BEGAN + at * step
        if None in column:
            yield WatchPicture("w", "failed", "no source", now), now
            continue
        score, nothing = np.array(column), np.full(len(column), np.nan)
        kinds = ("spike",) * len(column)
        table = ScoreTable("t", rows, score, score, nothing, nothing, kinds, nothing, nothing, nothing)
        yield WatchPicture("w", "ok", "", now, (table,)), now


def followed(policy=POLICY, step=60.0, **scores):
    pushes = Pushes(policy)
    for picture, now in pictures(step, **scores):
        pushes.look(picture, now)
    return pushes.all()


def minutes(push):
    """When it was pending, fired and was resolved, in minutes."""
    times = (push.pending_at, push.fired_at, push.resolved_at)
    return tuple(None if at is None else (at - BEGAN) / 60 for at in times)


def test_an_alert_fires_after_for_and_is_resolved_after_the_hold():
    (push,) = followed(load=[0.1, 0.6, 0.7, 0.9, 0.6, 0.1, 0.1, 0.1, 0.1, 0.1])
    assert minutes(push) == (1, 3, 8)
    assert (push.peak, push.severity, push.subject.metric) == (0.9, "critical", "load")
    assert "Score 0.90" in push.words.description


def test_what_is_shorter_than_for_is_never_pushed():
    assert followed(load=[0.1, 0.9, 0.9, 0.1, 0.9, 0.1]) == ()


def test_a_score_that_trembles_keeps_its_alert():
    (push,) = followed(load=[0.6] * 4 + [0.4, 0.6] * 4)
    assert minutes(push) == (0, 2, None)


def test_no_score_ends_an_alert_only_after_the_patience():
    policy = replace(POLICY, patience=300)
    (push,) = followed(policy, load=[0.6] * 3 + [None] * 10)
    assert minutes(push) == (0, 2, 8)


def test_between_two_screenings_time_passes_as_in_the_bridge():
    """Screened each 10 minutes, an alert fires 2 minutes after it was seen first, and ends 3 minutes after it was seen calm."""
    (push,) = followed(replace(POLICY, interval=600), 600.0, load=[0.1, 0.6, 0.1, 0.1])
    assert minutes(push) == (10, 12, 23)


@pytest.mark.parametrize(
    ("threshold", "counts", "alarm_minutes", "longest_minutes"),
    [(0.3, (2, 1, 2), 12, 12), (0.5, (2, 1, 2), 10, 10), (0.7, (1, 1, 1), 5, 5), (0.95, (0, 0, 0), 0, 0)],
)
def test_a_row_adds_up_what_a_threshold_would_have_led_to(threshold, counts, alarm_minutes, longest_minutes):
    """`disk` fires from minute 2 to 12, or to 14 at 0.3; `load` from minute 5 to 10, at 0.9."""
    load = [0.1] * 3 + [0.9] * 4 + [0.1] * 13
    disk = [0.6] * 9 + [0.35] * 2 + [0.1] * 9
    pushes = followed(replace(POLICY, threshold=threshold), load=load, disk=disk)
    row = threshold_row(threshold, 0.5, pushes, BEGAN, BEGAN + 19 * 60)
    assert (row.alerts, row.critical, row.subjects) == counts
    assert row.present == (threshold == 0.5)
    assert row.alerts_per_day == pytest.approx(row.alerts * 86400 / (19 * 60))
    assert row.alarm_share == pytest.approx(alarm_minutes / 19)
    assert row.longest_seconds == longest_minutes * 60


def test_time_in_alarm_counts_once_where_alerts_overlap():
    assert covered([(0, 10), (5, 20), (30, 40), (32, 33)]) == 30
    assert covered([]) == 0


def test_the_watchs_own_threshold_stands_among_those_of_the_grid():
    assert GRID[0] == 0.3
    assert GRID[-1] == 0.95
    assert thresholds_for(0.5) == GRID
    assert thresholds_for(0.62)[6:9] == (0.6, 0.62, 0.65)
