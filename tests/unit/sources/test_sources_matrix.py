"""Range query answers as arrays: the same numbers as a JSON parser gives, and nothing from a broken answer."""

import contextlib
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import BadDataError
from exporter.sources.matrix import load_json, parse_matrix

VALUES = st.floats().map(
    lambda value: {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, "NaN" if math.isnan(value) else repr(value))
)
TIMES = st.integers(0, 2**31) | st.integers(0, 2**41).map(lambda ms: ms / 1000)
SERIES = st.fixed_dictionaries(
    {
        "metric": st.dictionaries(
            st.text(max_size=5), st.text(max_size=10) | st.just('"values":[[1,"2"]]'), max_size=3
        ),
        "values": st.lists(st.tuples(TIMES, VALUES), max_size=4),
    }
)


def answer(result, **more):
    return {"status": "success", "data": {"resultType": "matrix", "result": result}, **more}


@given(st.lists(SERIES, max_size=4), st.booleans(), st.booleans())
def test_points_are_what_a_json_parser_reads(result, compact, ascii_only):
    separators = (",", ":") if compact else (", ", ": ")
    body = json.dumps(answer(result), separators=separators, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        body.decode()
    except UnicodeDecodeError:
        return
    matrix = parse_matrix(body)
    assert list(matrix.metrics) == [item["metric"] for item in result]
    assert matrix.counts.tolist() == [len(item["values"]) for item in result]
    np.testing.assert_array_equal(matrix.times, [time for item in result for time, _ in item["values"]])
    np.testing.assert_array_equal(matrix.values, [float(value) for item in result for _, value in item["values"]])


@given(st.lists(SERIES, min_size=1, max_size=3), st.data())
def test_an_answer_cut_off_anywhere_is_refused(result, data):
    body = json.dumps(answer(result), separators=(",", ":")).encode()
    with pytest.raises(BadDataError):
        parse_matrix(body[: data.draw(st.integers(0, len(body) - 1))])


@pytest.mark.parametrize(
    "values",
    [
        '[[1,"2"],[3]]',
        '[[1,"2","3"],[4]]',
        "[[1,2]]",
        '[[1,"x"]]',
        '[[1,""]]',
        '[["1","2"]]',
        '[[1,"2"],5]',
        '[[1,"1e"]]',
        '[[1,"0x10"]]',
        '[[1,"--1"]]',
        '[[1,"2,"3"],[4"]]',
        '[[,"1"],[2,"3"]]',
        '{"a":1}',
        "7",
        "null",
        "true",
    ],
)
def test_points_of_another_form_are_refused(values):
    body = json.dumps(answer([{"metric": {}, "values": "HERE"}])).replace('"HERE"', values)
    with pytest.raises(BadDataError):
        parse_matrix(body.encode())


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"status": "success"},
        {"status": "success", "data": {"resultType": "vector", "result": []}},
        {"status": "success", "data": {"resultType": "matrix", "result": {}}},
        {"status": "success", "data": {"resultType": "matrix", "result": [1]}},
        {"status": "success", "data": {"resultType": "matrix", "result": [{"values": []}]}},
        {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {"a": 1}, "values": []}]}},
        {"status": "error", "data": {"resultType": "matrix", "result": []}},
    ],
)
def test_json_that_is_no_answer_of_a_range_query_is_refused(document):
    with pytest.raises(BadDataError):
        parse_matrix(json.dumps(document).encode())


def test_what_the_server_remarks_is_kept():
    matrix = parse_matrix(json.dumps(answer([], warnings=["w"], infos=["i"], isPartial=True)).encode())
    assert matrix.warnings == ("w", "i")
    assert matrix.partial
    assert len(matrix.values) == 0


def test_native_histograms_are_counted_and_not_taken():
    histogram = [1, {"count": "1", "sum": "2", "buckets": [[0, "1", "2", "1"]]}]
    matrix = parse_matrix(
        json.dumps(answer([{"metric": {}, "histograms": [histogram]}]), separators=(",", ":")).encode()
    )
    assert (matrix.histograms, matrix.metrics) == (1, ())


@given(st.binary(max_size=50))
def test_load_json_gives_an_object_or_an_error(body):
    with contextlib.suppress(BadDataError):
        assert isinstance(load_json(body), dict)
