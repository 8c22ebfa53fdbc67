import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from evaluation_results import (
    FIGURES,
    NAN,
    RANKING,
    ROWS,
    at,
    make_case,
    make_evaluation,
    make_result,
)

from exporter.errors import LmwatchError
from exporter.evaluation.document import to_document, to_json, write_whole
from exporter.evaluation.labelled import LabelledWindow
from exporter.evaluation.results import Episode, Row, best_rows


def reread(evaluation):
    """As another program reads it: keys in their order, and no NaN."""

    def refuse(constant: str):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(to_json(evaluation), parse_constant=refuse)


def two_windows():
    windows = (LabelledWindow(at(20), at(30)), LabelledWindow(at(60), at(70)))
    episodes = (Episode(at(25), at(28), 0.9, 0), Episode(at(29), at(33), 0.8, 0), Episode(at(50), at(52), 0.7, None))
    return make_result(make_case(windows=windows), episodes)


def test_the_document_has_the_promised_keys_in_the_promised_order():
    document = reread(make_evaluation(two_windows(), model_figures=FIGURES, ranking=RANKING))
    assert list(document) == ["data", "model", "rows", "series", "model_figures", "ranking", "run"]
    assert list(document["rows"][0]) == [
        "detector",
        "tp",
        "fp",
        "fn",
        "f1",
        "fp_per_series_day",
        "vus_pr",
        "median_delay",
        "threshold",
        "alarm_share",
    ]
    assert list(document["series"][0]) == ["name", "windows", "found", "false_alerts", "missed", "episodes"]
    assert list(document["series"][0]["episodes"][0]) == ["start", "end", "peak", "found_window"]
    assert document["run"] == {
        "layout": "nab",
        "detector": "combined",
        "threshold": 0.5,
        "seed": 7,
        "command": "lmwatch eval nab --json out.json",
        "version": "0.1.0",
    }


def test_a_row_keeps_its_figures():
    assert reread(make_evaluation())["rows"][0] == {
        "detector": "combined",
        "tp": 20,
        "fp": 10,
        "fn": 10,
        "f1": 0.67,
        "fp_per_series_day": 0.05,
        "vus_pr": 0.41,
        "median_delay": 0.12,
        "threshold": 0.5,
        "alarm_share": 0.021,
    }


def test_figures_that_there_are_not_are_null():
    row = reread(make_evaluation(rows=(Row("x", None, 0, 0, 0, NAN, float("inf"), -float("inf"), None, NAN),)))["rows"][
        0
    ]
    assert {name for name, value in row.items() if value is None} == {
        "f1",
        "fp_per_series_day",
        "vus_pr",
        "median_delay",
        "threshold",
        "alarm_share",
    }


def test_numbers_of_numpy_are_numbers():
    row = Row(
        "x", np.float64(0.5), np.int64(3), np.int32(0), np.int64(1), np.float32(0.5), 0.0, 0.0, np.float64(NAN), 0.0
    )
    episode = Episode(np.float64(at(1)), np.float64(at(2)), np.float32(0.75), np.int64(0))
    result = make_result(make_case(windows=(LabelledWindow(np.float64(at(0)), np.float64(at(4))),)), (episode,))
    document = reread(make_evaluation(result, rows=(row,)))
    assert (document["rows"][0]["tp"], document["rows"][0]["f1"], document["rows"][0]["median_delay"]) == (3, 0.5, None)
    assert document["series"][0]["episodes"] == [{"start": at(1), "end": at(2), "peak": 0.75, "found_window": 0}]


def test_a_window_is_found_once_by_its_first_alert_and_an_alert_outside_is_false():
    [series] = reread(make_evaluation(two_windows()))["series"]
    assert (series["found"], series["missed"], series["false_alerts"]) == (1, 1, 1)
    assert series["windows"] == [
        {"start": at(20), "end": at(30), "state": "found", "delay": 0.5},
        {"start": at(60), "end": at(70), "state": "missed", "delay": None},
    ]


def test_a_window_that_was_over_before_judging_began_is_neither_found_nor_missed():
    windows = (LabelledWindow(at(5), at(9)), LabelledWindow(at(8.5), at(10)))
    result = make_result(make_case(windows=windows, judged_from=10))
    assert [one.state for one in result.windows] == ["not judged", "missed"]
    assert (result.found, result.missed) == (0, 1)


def test_a_window_of_one_instant_is_found_without_delay():
    result = make_result(make_case(windows=(LabelledWindow(at(5), at(5)),)), (Episode(at(5), at(6), 1.0, 0),))
    assert result.windows[0].delay == 0.0


def test_where_a_phase_is_given_only_its_instants_count():
    case = make_case(judged_from=5)
    assert make_result(case).counted == slice(5, 100)
    assert make_result(case, phase=(at(20), at(30))).counted == slice(20, 31)
    assert make_result(case, phase=(at(0), at(30) - 1)).counted == slice(5, 30)
    assert make_result(case, phase=(at(200), at(300))).counted == slice(100, 100)


def test_the_figures_of_a_model_and_the_ranking_are_there_or_null():
    empty = reread(make_evaluation())
    assert (empty["model_figures"], empty["ranking"]) == (None, None)
    document = reread(make_evaluation(model_figures=FIGURES, ranking=RANKING))
    assert document["model_figures"]["calls"] == 812
    assert document["model_figures"]["calibration"] == [{"confidence": 0.92, "right": 0.71, "count": 450}]
    assert document["ranking"]["rows"][0] == {
        "detector": "combined",
        "faults": 4,
        "first": 1,
        "among_first": 3,
        "cause_right": 2,
    }
    assert [(one["group"], one["rank"], one["leaders"]) for one in document["ranking"]["faults"]] == [
        ("cart-1", 2, ["ad-1", "cart-1"]),
        ("ad-1", None, []),
    ]


def test_whatever_the_names_are_the_text_is_ascii_and_reads_back():
    name = 'a"\n\u202e\ud800é'
    evaluation = make_evaluation(make_result(make_case(name=name)), data=name)
    assert to_json(evaluation).isascii()
    assert reread(evaluation)["series"][0]["name"] == name


def test_the_same_evaluation_gives_the_same_bytes():
    evaluation = make_evaluation(two_windows(), model_figures=FIGURES, ranking=RANKING)
    assert to_json(evaluation) == to_json(evaluation)
    assert json.loads(to_json(evaluation)) == to_document(evaluation)


def test_the_best_f1_may_be_shared_and_nothing_is_best_at_0():
    assert best_rows(ROWS) == {"combined"}
    assert best_rows((ROWS[0], Row("twin", 0.5, 20, 10, 10, 0.67, 0.1, 0.1, 0.1, 0.1))) == {"combined", "twin"}
    assert best_rows((ROWS[2], Row("x", 0.5, 0, 0, 0, NAN, 0.1, 0.1, 0.1, 0.1))) == frozenset()
    assert best_rows(()) == frozenset()


def test_a_file_is_replaced_whole_and_nothing_stays_beside_it(tmp_path: Path):
    path = tmp_path / "out.json"
    path.write_text("older and longer")
    write_whole(path, "new é \ud800")
    assert path.read_text(encoding="utf-8") == "new é ?"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.json"]
    (tmp_path / "fresh").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "fresh").stat().st_mode)


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write_whole(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_what_is_no_ordinary_file_is_written_to_and_stays_what_it_is():
    before = Path("/dev/null").stat().st_mode
    write_whole(Path("/dev/null"), "text")
    assert Path("/dev/null").stat().st_mode == before


def test_a_pipe_that_a_shell_names_is_written_to():
    """As in `lmwatch eval --json >(jq .rows)`."""
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as read:
        try:
            write_whole(Path(f"/dev/fd/{writing}"), "text")
        finally:
            os.close(writing)
        assert read.read() == "text"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path):
    with pytest.raises(LmwatchError, match=r"nowhere/out\.json: cannot be written: No such file"):
        write_whole(tmp_path / "nowhere" / "out.json", "text")
    with pytest.raises(LmwatchError, match="Is a directory"):
        write_whole(tmp_path, "text")
