"""CSV files with a file of windows are read as cases; mistakes are named with file, line and remedy."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from exporter.errors import BadDataError
from exporter.evaluation.datasets import read_dataset
from exporter.evaluation.labelled import LabelledWindow
from exporter.evaluation.nab import metric_name
from exporter.series.labels import Series


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def write_nab(root, files, windows):
    """`files`: rows by name, without the header."""
    for name, rows in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("timestamp,value\n" + "\n".join(rows))
    (root / "windows.json").write_text(json.dumps(windows))
    return root


def rows_of(count, step="5m"):
    start = np.datetime64("2014-04-01 00:00:00")
    times = start + np.arange(count) * np.timedelta64(int(step[:-1]), step[-1])
    return [f"{str(time).replace('T', ' ')},{value}.5" for value, time in enumerate(times)]


def test_a_nab_file_becomes_a_case_of_one_series(tmp_path):
    windows = [["2014-04-01 00:50:00.000000", "2014-04-01 01:00:00.000000"]]
    write_nab(
        tmp_path / "data",
        {"realTweets/Twitter-volume_1.csv": rows_of(100)},
        {"realTweets/Twitter-volume_1.csv": windows},
    )
    dataset = read_dataset(tmp_path / "data")
    assert (dataset.name, dataset.layout, dataset.experiments) == ("data", "nab", ())
    (case,) = dataset.cases
    assert case.name == "realTweets/Twitter-volume_1"
    assert case.series == (Series("Twitter_volume_1", (), type="gauge"),)
    assert case.group_by == ()
    assert case.times[[0, 1, -1]].tolist() == [at("2014-04-01 00:00"), at("2014-04-01 00:05"), at("2014-04-01 08:15")]
    assert case.values.tolist() == [[value + 0.5 for value in range(100)]]
    assert (case.interval, case.judged_from) == (300.0, 15)
    assert case.windows == (LabelledWindow(at("2014-04-01 00:50"), at("2014-04-01 01:00")),)
    assert np.flatnonzero(case.label).tolist() == [10, 11, 12]


@pytest.mark.parametrize(("instants", "judged_from"), [(2, 0), (100, 15), (4032, 604), (5000, 750), (15902, 750)])
def test_the_warm_up_is_fifteen_percent_but_at_most_750_instants(tmp_path, instants, judged_from):
    (case,) = read_dataset(write_nab(tmp_path, {"g/a.csv": rows_of(instants)}, {"g/a.csv": []})).cases
    assert case.judged_from == judged_from


def test_rows_that_are_not_later_than_all_before_are_dropped(tmp_path):
    times = ["00:00", "00:05", "00:05", "00:20", "00:10", "00:15", "00:20", "00:25", "00:30"]
    rows = [f"2014-03-30 {time}:00,{value}" for value, time in enumerate(times)]
    (case,) = read_dataset(write_nab(tmp_path, {"g/a.csv": rows}, {"g/a.csv": []})).cases
    assert case.values.tolist() == [[0, 1, 3, 7, 8]]
    assert np.diff(case.times).tolist() == [300, 900, 300, 300]
    assert case.interval == 300


def test_a_zone_counts_and_without_one_a_time_is_utc(tmp_path):
    rows = ["2014-03-30 02:30:00,1", "2014-03-30T05:00:00+02:00,2", "2014-03-30 03:30:00.5Z,3"]
    (case,) = read_dataset(write_nab(tmp_path, {"g/a.csv": rows}, {"g/a.csv": []})).cases
    assert (case.times - at("2014-03-30 02:30")).tolist() == [0, 1800, 3600.5]


def test_missing_values_are_nan(tmp_path):
    rows = ["2014-03-30 00:00:00,", "2014-03-30 00:05:00,NaN", "2014-03-30 00:10:00", "", "2014-03-30 00:15:00,1e3"]
    (case,) = read_dataset(write_nab(tmp_path, {"g/a.csv": rows}, {"g/a.csv": []})).cases
    assert case.values == pytest.approx(np.array([[np.nan, np.nan, np.nan, 1000.0]]), nan_ok=True)


def test_only_the_files_that_are_there_are_read(tmp_path):
    windows = {"b/two.csv": [], "a/one.csv": [], "gone/three.csv": []}
    write_nab(tmp_path, {"b/two.csv": rows_of(5), "a/one.csv": rows_of(5)}, windows)
    assert [case.name for case in read_dataset(tmp_path).cases] == ["a/one", "b/two"]
    assert [case.name for case in read_dataset(tmp_path / "b").cases] == ["b/two"]


def test_windows_come_in_order_and_overlapping_ones_are_one(tmp_path):
    windows = [
        ["2014-04-01 05:00", "2014-04-01 06:00"],
        ["2014-04-01 01:00", "2014-04-01 03:00"],
        ["2014-04-01 02:00", "2014-04-01 02:30"],
    ]
    (case,) = read_dataset(write_nab(tmp_path, {"g/a.csv": rows_of(99)}, {"g/a.csv": windows})).cases
    assert [(window.start, window.end) for window in case.windows] == [
        (at("2014-04-01 01:00"), at("2014-04-01 03:00")),
        (at("2014-04-01 05:00"), at("2014-04-01 06:00")),
    ]


def test_the_group_that_tells_the_answer_is_in_no_series(tmp_path):
    name = "artificialNoAnomaly/a.csv"
    (case,) = read_dataset(write_nab(tmp_path, {name: rows_of(5)}, {name: []})).cases
    assert "Anomaly" not in str(case.series[0])


@pytest.mark.parametrize(
    ("text", "name"),
    [("exchange-2_cpc_results", "exchange_2_cpc_results"), ("5xx rate", "_5xx_rate"), ("a.b--c", "a_b_c")],
)
def test_a_file_name_becomes_a_metric_name(text, name):
    assert metric_name(text) == name


@pytest.mark.parametrize(
    ("rows", "windows", "message"),
    [
        (["2014-03-30 00:00:00,1", "2014-03-30 00:05:00,x"], {"g/a.csv": []}, r"a\.csv:3: column value: expected a number, found 'x'"),
        (["2014-03-30 00:00:00,1", "", "soon,2"], {"g/a.csv": []}, r"a\.csv:4: column timestamp: expected a time .* found 'soon'"),
        (["2014-03-30 00:00:00,1,2"], {"g/a.csv": []}, r"a\.csv:2: 3 cells, the header has 2"),
        (["2014-03-30 00:00:00,1"], {"g/a.csv": []}, r"a\.csv: 1 rows .* needs two"),
        ([], {"g/a.csv": []}, r"a\.csv: 0 rows .* needs two"),
        (rows_of(5), {"g/b.csv": []}, r"windows\.json: says nothing of g/a\.csv; add its windows"),
        (rows_of(5), [], r"windows\.json: expected \{"),
        (rows_of(5), {"g/a.csv": {}}, r"windows\.json: g/a\.csv: expected a list of \[start, end\]"),
        (rows_of(5), {"g/a.csv": [["2014-03-30"]]}, r"g/a\.csv: expected \[start, end\] with times"),
        (rows_of(5), {"g/a.csv": [["2014-03-30", "x"]]}, r"g/a\.csv: expected \[start, end\] with times"),
        (rows_of(5), {"g/a.csv": [["2014-03-30", "2014-03-29"]]}, r"g/a\.csv: the window .* ends before it starts"),
    ],
)  # fmt: skip
def test_a_mistake_in_nab_files_is_named_with_its_place(tmp_path, rows, windows, message):
    write_nab(tmp_path, {"g/a.csv": rows}, windows)
    with pytest.raises(BadDataError, match=message):
        read_dataset(tmp_path)


def test_windows_without_series_and_unreadable_files_are_named(tmp_path):
    (tmp_path / "windows.json").write_text('{\n"a": [}')
    with pytest.raises(BadDataError, match=r"windows\.json:2:7: is no JSON"):
        read_dataset(tmp_path)
    (tmp_path / "windows.json").write_text("{}")
    with pytest.raises(BadDataError, match="no CSV files beside"):
        read_dataset(tmp_path)
    (tmp_path / "windows.json").write_text('{"a.csv": []}')
    (tmp_path / "a.csv").write_bytes(b"timestamp,value\n\xff,1")
    with pytest.raises(BadDataError, match=r"a\.csv: cannot be read as CSV"):
        read_dataset(tmp_path)
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(BadDataError, match=r"a\.csv: is empty"):
        read_dataset(tmp_path)
    (tmp_path / "a.csv").write_text("value,timestamp\n")
    with pytest.raises(BadDataError, match=r"a\.csv:1: columns are value,timestamp; expected timestamp,value"):
        read_dataset(tmp_path)
