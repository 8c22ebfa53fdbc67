from dataclasses import replace

import numpy as np
from web_fakes import CALM, DB1, DB2, ERRORS, FS, IO, LOAD, make_board, make_groups, table

from exporter.board import WatchPicture
from exporter.web.views import Windows, group_views, server_views, troubled_sources, watch_view, watch_views

NAN = float("nan")


def windows() -> Windows:
    groups = make_groups()
    return Windows(lambda watch: groups.get(watch, []))


def picture(*tables, **changes) -> WatchPicture:
    return replace(WatchPicture("node-health", "ok", "", 1.0, tables), **changes)


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


def test_the_boundary_itself_is_not_suspicious():
    assert watch_view(picture(table("a", [FS], [0.5], [NAN], [""])), 5, windows()).suspicious == 0


def test_a_watch_without_series_has_no_top():
    view = watch_view(picture(), 5, windows())
    assert (view.top, view.total, view.rows) == (None, 0, ())


def test_watches_with_higher_scores_come_first_and_those_without_last():
    names = [view.picture.name for view in watch_views(make_board(), windows(), rows=3)]
    assert names == ["node-health", "checkout", "gpu-farm"]


def test_groups_come_by_their_worst_series_with_their_verdicts():
    board = make_board()
    views = group_views(board.watches["node-health"], windows(), groups=5, series=2)
    assert [view.key for view in views] == [DB1, DB2]
    assert [view.verdict.id if view.verdict else None for view in views] == ["v-41", None]
    assert [len(view.series) for view in views] == [2, 1]
    assert len(group_views(board.watches["node-health"], windows(), groups=1, series=2)) == 1


def test_a_group_whose_series_are_warming_comes_last():
    groups = make_groups()["node-health"]
    warming = replace(groups[0], series=(replace(groups[0].series[0], score=NAN),))
    kept = Windows(lambda _: [warming, groups[1]])
    views = group_views(picture(), kept, groups=5, series=2)
    assert [view.key for view in views] == [DB2, DB1]


def test_a_server_that_is_down_shows_no_models_and_one_that_is_up_those_that_are_loaded():
    desk, attic = server_views(make_board())
    assert [model.id for model in desk.models] == ["qwen3-8b", "text-embedding-nomic-embed-text-v1.5"]
    assert desk.unloaded == 1
    assert (attic.models, attic.unloaded) == ((), 0)


def test_sources_in_trouble_are_those_that_are_down():
    assert [state.target for state in troubled_sources(make_board())] == ["db3:9100"]


def test_histories_of_watches_that_are_gone_are_freed():
    asked = []
    kept = Windows(lambda watch: asked.append(watch) or [])
    first = picture()
    kept.groups(first)
    kept.groups(first)
    kept.keep_only(["other"])
    kept.groups(first)
    assert asked == ["node-health", "node-health"]


def test_ranking_is_stable_for_equal_scores():
    view = watch_view(picture(table("a", [FS, IO, LOAD], np.full(3, 0.6).tolist(), [NAN] * 3, [""] * 3)), 5, windows())
    assert [row.series for row in view.rows] == [FS, IO, LOAD]
