from dataclasses import replace

import numpy as np
import pytest
from web_fakes import CALM, DB1, DB2, ERRORS, FS, IO, LOAD, make_board, make_groups, table

from exporter.board import WatchPicture
from exporter.series.labels import Labels, labels_of
from exporter.web.views import server_views, troubled_sources, watch_view, watch_views
from exporter.web.watchviews import SeriesPage, SeriesQuery, watch_detail
from exporter.web.windows import Windows

NAN = float("nan")


def windows() -> Windows:
    groups = make_groups()
    return Windows(lambda watch, wanted: [group for group in groups.get(watch, []) if wanted(group.key)])


def picture(*tables, **changes) -> WatchPicture:
    return replace(WatchPicture("node-health", "ok", "", 1.0, tables, group_by=("instance",)), **changes)


def test_series_are_ranked_over_all_tables():
    first = table("a", [CALM, FS], [0.2, 0.9], [NAN, 0.8], ["", "drift"])
    second = table("b", [LOAD], [0.95], [NAN], [""])
    view = watch_view(picture(first, second), 10, windows())
    assert [row.series for row in view.rows] == [LOAD, FS, CALM]
    assert view.top == 0.95
    assert (view.total, view.suspicious) == (3, 2)
    fs = view.rows[1]
    assert (fs.score, fs.screen, fs.llm, fs.confidence, fs.kind) == (0.9, 0.9, 0.8, 0.8, "drift")
    assert fs.history is not None
    assert fs.history.series is FS
    assert view.rows[0].llm is None


def test_without_windows_there_are_scores_and_no_histories():
    view = watch_view(picture(table("a", [FS], [0.9], [NAN], [""])), 5)
    assert [(row.score, row.history) for row in view.rows] == [(0.9, None)]


def test_series_without_a_score_are_counted_but_not_shown():
    view = watch_view(picture(table("a", [CALM, FS], [NAN, 0.1], [NAN, NAN], ["", ""])), 10, windows())
    assert [row.series for row in view.rows] == [FS]
    assert view.total == 2


def test_calm_series_are_left_out_except_the_first_three():
    series = [CALM, FS, IO, LOAD, ERRORS]
    calm = watch_view(
        picture(table("a", series, [0.1, 0.2, 0.3, 0.4, 0.45], [NAN] * 5, [""] * 5)), 5, windows(), least=0.5
    )
    loud = watch_view(
        picture(table("a", series, [0.1, 0.9, 0.9, 0.9, 0.9], [NAN] * 5, [""] * 5)), 5, windows(), least=0.5
    )
    assert [row.series for row in calm.rows] == [ERRORS, LOAD, IO]
    assert len(loud.rows) == 4


@pytest.mark.parametrize(("score", "suspicious"), [(0.4999, 0), (0.5, 1), (0.5001, 1)])
def test_an_alarm_that_is_held_at_the_boundary_is_suspicious(score, suspicious):
    """What the page counts is what the group's screening counts and what alerts fire for."""
    assert watch_view(picture(table("a", [FS], [score], [NAN], [""])), 5, windows()).suspicious == suspicious


def test_a_watch_without_series_has_no_top():
    view = watch_view(picture(), 5, windows())
    assert (view.top, view.total, view.rows) == (None, 0, ())


def test_watches_with_higher_scores_come_first_and_those_without_last():
    names = [view.picture.name for view in watch_views(make_board(), windows(), rows=3)]
    assert names == ["node-health", "checkout", "gpu-farm"]


def test_a_server_that_is_down_comes_first_and_shows_no_models_and_one_that_is_up_those_that_are_loaded():
    attic, desk = server_views(make_board())
    assert [model.id for model in desk.models] == ["qwen3-8b", "text-embedding-nomic-embed-text-v1.5"]
    assert desk.unloaded == 1
    assert (attic.models, attic.unloaded) == ((), 0)


def test_sources_in_trouble_are_those_that_are_down():
    assert [state.target for state in troubled_sources(make_board())] == ["db3:9100"]


def test_histories_are_worked_out_once_for_each_picture_and_group():
    asked: list[list[Labels]] = []
    groups = {group.key: group for group in make_groups()["node-health"]}

    def groups_of(_watch, wanted):
        asked.append([key for key in groups if wanted(key)])
        return [groups[key] for key in asked[-1]]

    kept, first, second = Windows(groups_of), picture(), picture()
    assert list(kept.groups(first, [DB1])) == [DB1]
    assert list(kept.groups(first, [DB2, DB1])) == [DB2, DB1]
    assert list(kept.groups(first, [DB1, labels_of({"instance": "gone"})])) == [DB1]
    kept.groups(second, [DB1])
    assert asked == [[DB1], [DB2], [], [DB1]]
    kept.keep_only(["other"])
    kept.groups(second, [DB1])
    assert asked[-1] == [DB1]
    assert len(asked) == 5


def test_ranking_is_stable_for_equal_scores():
    view = watch_view(picture(table("a", [FS, IO, LOAD], np.full(3, 0.6).tolist(), [NAN] * 3, [""] * 3)), 5, windows())
    assert [row.series for row in view.rows] == [FS, IO, LOAD]


def query(**asked) -> SeriesQuery:
    return SeriesQuery(**asked)


def found(**asked) -> SeriesPage:
    return watch_detail(make_board().watches["node-health"], windows(), query(**asked)).series


def test_groups_come_by_their_worst_series_with_their_verdicts_and_charts():
    view = watch_detail(make_board().watches["node-health"], windows(), query())
    assert [(group.key, group.total, group.suspicious) for group in view.groups] == [(DB1, 211, 3), (DB2, 1, 0)]
    assert [group.verdict.id if group.verdict else None for group in view.groups] == ["v-41", None]
    assert [len(group.series) for group in view.charted] == [3, 1]
    assert (view.top, view.total, view.suspicious) == (0.91, 212, 3)


def test_a_group_that_is_asked_for_is_the_only_one_with_charts():
    view = watch_detail(make_board().watches["node-health"], windows(), query(group="instance=db2:9100"))
    assert [group.key for group in view.charted] == [DB2]
    assert [row.series for row in view.series.rows] == [CALM]
    assert len(view.groups) == 2


def test_series_come_in_pages_without_gap_or_repetition():
    pages = [found(page=number) for number in range(1, 6)]
    scores = [row.score for page in pages for row in page.rows]
    assert [len(page.rows) for page in pages] == [50, 50, 50, 50, 12]
    assert scores == sorted(scores, reverse=True)
    assert len({row.series for page in pages for row in page.rows}) == 212
    assert found(page=99).page == 5


def test_series_are_found_by_their_name_their_labels_and_their_score():
    assert {row.series for row in found(text="LOAD1").rows} == {LOAD, CALM}
    assert [row.series for row in found(text='mountpoint="/var').rows] == [FS]
    assert [row.series for row in found(odd=True).rows] == [FS, IO, LOAD]
    assert (found(text="nowhere").rows, found(text="nowhere").pages) == ((), 1)


def test_groups_whose_series_have_no_score_come_last():
    warming = table("a", [FS, CALM], [NAN, 0.1], [NAN, NAN], ["", ""])
    view = watch_detail(picture(warming), windows(), query())
    assert [(group.key, group.top) for group in view.groups] == [(DB2, 0.1), (DB1, None)]


def test_a_watch_without_series_has_neither_groups_nor_rows():
    view = watch_detail(picture(), windows(), query(group="instance=x", text="y"))
    assert (view.groups, view.charted, view.series.rows, view.top) == ((), (), (), None)
