"""Scoring a demo: what was planted against what was found and judged."""

import numpy as np
import pytest
from plain_verdict import plain_verdict

from exporter.board import Board, ReloadState, ScoreTable, WatchPicture
from exporter.demo.scorekeeper import GRACE_SECONDS, Scorekeeper
from exporter.embedded.plan import Planted
from exporter.reasoning.verdict import Finding
from exporter.series.labels import Series

BEGAN = 1000.0
SPIKE = Planted("spike", "shop_queue_length", 60.0, 20.0, "the queue jumps")
LEAK = Planted("leak", "shop_heap_bytes", 120.0, 40.0, "the heap grows")


@pytest.fixture
def keeper():
    return Scorekeeper((SPIKE, LEAK), BEGAN)


def board(**scores):
    series = tuple(Series(name, ()) for name in scores)
    empty = np.full(len(series), np.nan)
    table = ScoreTable(
        target="t",
        series=series,
        anomaly=np.array(list(scores.values())),
        screen=empty,
        llm=empty,
        confidence=empty,
        kind=("",) * len(series),
        value=empty,
        expected_lower=empty,
        expected_upper=empty,
    )
    picture = WatchPicture(name="shop", state="ok", reason="", at=0.0, tables=(table,))
    return Board(started_at=0.0, reload=ReloadState(successful=True, last_success_at=0.0), watches={"shop": picture})


def verdict(at, *names, outcome="ok"):
    findings = tuple(
        Finding(Series(name, ()), 0.9, 0.8, 0.7, "spike", ("E1",), "It jumped.", grounded=True) for name in names
    )
    return plain_verdict(watch="shop", at=at, outcome=outcome, group_score=0.8, findings=findings)


def test_a_score_at_the_boundary_while_the_anomaly_is_there_finds_it(keeper):
    newly = keeper.look(board(shop_queue_length=0.5), BEGAN + 65)
    assert [(each.planted, each.found_after) for each in newly] == [(SPIKE, 5.0)]


def test_a_score_below_the_boundary_is_remembered_but_finds_nothing(keeper):
    assert keeper.look(board(shop_queue_length=0.49), BEGAN + 65) == []
    assert keeper.outcomes[0].best_score == 0.49
    assert not keeper.outcomes[0].found


@pytest.mark.parametrize("elapsed", [59.0, 80.0 + GRACE_SECONDS + 1])
def test_a_score_before_or_long_after_the_anomaly_finds_nothing(keeper, elapsed):
    assert keeper.look(board(shop_queue_length=1.0), BEGAN + elapsed) == []


def test_a_score_of_another_metric_finds_nothing(keeper):
    assert keeper.look(board(shop_queue=1.0, shop_queue_lengths=1.0), BEGAN + 65) == []


def test_a_warming_series_finds_nothing(keeper):
    assert keeper.look(board(shop_queue_length=np.nan), BEGAN + 65) == []


def test_a_find_is_announced_once(keeper):
    keeper.look(board(shop_queue_length=0.9), BEGAN + 65)
    assert keeper.look(board(shop_queue_length=0.95), BEGAN + 66) == []


def test_what_begins_is_announced_once_and_in_order(keeper):
    assert keeper.begun(BEGAN + 59) == []
    assert keeper.begun(BEGAN + 61) == [SPIKE]
    assert keeper.begun(BEGAN + 62) == []
    assert keeper.begun(BEGAN + 200) == [LEAK]


@pytest.mark.parametrize(
    ("outcome", "judged"), [("ok", True), ("ungrounded", True), ("invalid", False), ("timeout", False)]
)
def test_only_a_readable_answer_about_the_metric_judges_it(keeper, outcome, judged):
    keeper.hear(verdict(BEGAN + 65, "shop_queue_length", outcome=outcome))
    assert [each.judged for each in keeper.outcomes] == [judged, False]


def test_an_answer_about_other_metrics_judges_nothing(keeper):
    keeper.hear(verdict(BEGAN + 65, "shop_sessions"))
    assert not any(each.judged for each in keeper.outcomes)
