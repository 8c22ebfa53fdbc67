from types import SimpleNamespace
from typing import Any

import numpy as np

from exporter.screening.result import KINDS, Alarm
from exporter.series.labels import Series, labels_of
from exporter.watching.alarms import Alarms

A, B = (Series("m", labels_of({"i": name})) for name in "ab")
SPIKE = KINDS.index("spike")


def screened(series: tuple[Series, ...], *scores: float, kinds: tuple[int, ...] = ()) -> tuple[Any, ...]:
    """What `note` reads of the result for one target."""
    return (
        SimpleNamespace(
            frame=SimpleNamespace(target="t", series=series),
            score=np.array(scores),
            kind=np.array(kinds or [SPIKE if score >= 0.5 else -1 for score in scores], dtype=np.int8),
        ),
    )


def test_an_alarm_lasts_from_the_first_anomalous_screening_to_the_first_calm_one():
    alarms, both = Alarms(1000.0), (A, B)
    for at, score in ((10.0, 0.2), (20.0, 0.5), (30.0, 0.9), (40.0, 0.4), (50.0, 0.6)):
        alarms.note(screened(both, score, 0.1), at)
    assert alarms.of(A) == (Alarm(20.0, 40.0, "spike"), Alarm(50.0, None, "spike"))
    assert alarms.of(B) == ()


def test_it_looks_like_what_it_looked_like_last():
    alarms, one = Alarms(1000.0), (A,)
    alarms.note(screened(one, 0.9), 10.0)
    alarms.note(screened(one, 0.9, kinds=(KINDS.index("level_shift"),)), 20.0)
    alarms.note(screened(one, 0.9, kinds=(-1,)), 30.0)
    assert alarms.of(A) == (Alarm(10.0, None, "level_shift"),)


def test_a_series_without_a_score_raises_none_and_ends_one():
    alarms, one = Alarms(1000.0), (A,)
    alarms.note(screened(one, float("nan")), 10.0)
    assert alarms.of(A) == ()
    alarms.note(screened(one, 0.9), 20.0)
    alarms.note(screened(one, float("nan")), 30.0)
    assert alarms.of(A) == (Alarm(20.0, 30.0, "spike"),)


def test_alarms_go_on_where_the_target_exposes_other_series_than_before():
    alarms = Alarms(1000.0)
    alarms.note(screened((A,), 0.9), 10.0)
    alarms.note(screened((B, A), 0.1, 0.9), 20.0)
    alarms.note(screened((B, A), 0.1, 0.1), 30.0)
    assert alarms.of(A) == (Alarm(10.0, 30.0, "spike"),)


def test_what_ended_before_the_window_began_is_forgotten():
    alarms, one = Alarms(100.0), (A,)
    alarms.note(screened(one, 0.9), 10.0)
    alarms.note(screened(one, 0.1), 20.0)
    alarms.note(screened(one, 0.1), 119.0)
    assert alarms.of(A)
    alarms.note(screened(one, 0.1), 121.0)
    assert alarms.of(A) == ()


def test_the_alarm_of_a_series_that_is_gone_ends_and_is_forgotten_with_the_window():
    alarms = Alarms(100.0)
    alarms.note(screened((A, B), 0.9, 0.1), 10.0)
    alarms.note(screened((B,), 0.1), 20.0)
    assert alarms.of(A) == (Alarm(10.0, 20.0, "spike"),)
    alarms.note((), 119.0)
    assert alarms.of(A)
    alarms.note((), 121.0)
    assert alarms.of(A) == ()
