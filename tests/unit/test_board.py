"""The board: one consistent picture, swapped whole."""

import threading
from dataclasses import replace

import pytest

from exporter.board import Board, BoardHolder, ReloadState, WatchPicture
from exporter.sources.collected import Collected


@pytest.fixture
def holder():
    return BoardHolder(Board(started_at=0.0, reload=ReloadState(successful=True, last_success_at=0.0)))


def collected(target, up=True):
    return Collected(source="nodes", target=target, up=up, duration_seconds=0.1, samples=3, at=1.0)


def test_a_board_taken_before_a_change_does_not_change(holder):
    before = holder.current()
    holder.put_source(collected("a:1"))
    assert before.sources == {}
    assert list(holder.current().sources) == [("nodes", "a:1")]


def test_the_newest_state_of_a_target_replaces_the_one_before(holder):
    holder.put_source(collected("a:1"))
    holder.put_source(collected("a:1", up=False))
    assert [state.up for state in holder.current().sources.values()] == [False]


def test_targets_that_left_are_gone_and_those_of_other_sources_stay(holder):
    for target in ("a:1", "b:1"):
        holder.put_source(collected(target))
    holder.put_source(replace(collected("a:1"), source="others"))
    holder.retain_targets("nodes", {"b:1", "c:1"})
    assert list(holder.current().sources) == [("nodes", "b:1"), ("others", "a:1")]


def test_where_no_target_left_the_board_stays_the_same(holder):
    holder.put_source(collected("a:1"))
    before = holder.current()
    holder.retain_targets("nodes", {"a:1"})
    assert holder.current() is before


def test_a_watch_and_its_sample_lines_appear_together(holder):
    holder.put_watch(WatchPicture(name="w", state="ok", reason="", at=1.0), {"lmwatch_anomaly_score": b"x 1\n"})
    board = holder.current()
    assert board.watches["w"].state == "ok"
    assert board.rendered["w"] == {"lmwatch_anomaly_score": b"x 1\n"}


def test_changes_from_many_threads_are_all_kept(holder):
    threads = [
        threading.Thread(target=lambda n=n: [holder.put_source(collected(f"{n}:{i}")) for i in range(50)])
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(holder.current().sources) == 400
