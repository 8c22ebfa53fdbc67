"""Range queries against a server that answers as Prometheus, Thanos and VictoriaMetrics do, and as broken ones do."""

import json
from urllib.parse import parse_qs

import numpy as np
import pytest

from exporter.clock import ManualClock
from exporter.config.model import PrometheusApi, Source
from exporter.sources.prometheus import PrometheusSource, Query

AT = 1_700_000_010.0
UP = Query("up", 'up{job="a"}', 0)
LOAD = Query("load", "avg by (instance) (node_load1)", 3)
PATH = "/api/v1/query_range"


@pytest.fixture
def make(server):
    """Makes sources that ask the fake server; closed before it."""
    made = []

    def source(path="", **settings):
        config = Source(name="tsdb", prometheus=PrometheusApi(url=server.url + path, **settings))
        made.append(PrometheusSource(config, ManualClock(AT)))
        return made[-1]

    yield source
    for source in made:
        source.close()


def form(seen):
    """The parameters of a request, by POST or GET."""
    pairs = {name: values[0] for name, values in parse_qs(seen.body.decode(), strict_parsing=bool(seen.body)).items()}
    return pairs or dict(seen.query)


def matrix(*series, **more):
    result = [{"metric": labels, "values": [[time, value] for time, value in points]} for labels, points in series]
    document = {"status": "success", "data": {"resultType": "matrix", "result": result}, **more}
    return json.dumps(document, separators=(",", ":")).encode()


def serve(server, body, **kwargs):
    server.reply(PATH, body, method=kwargs.pop("method", "POST"), **{"Content_Type": "application/json", **kwargs})


def everything(seen, reply):
    """Two series with a point at each instant, whatever is asked."""
    asked = form(seen)
    times = np.arange(float(asked["start"]), float(asked["end"]) + 0.1, float(asked["step"]))
    points = [(time, f"{time:g}") for time in times.tolist()]
    reply.send(matrix(({"instance": "b"}, points), ({"instance": "a"}, points)), Content_Type="application/json")


def test_a_query_asks_for_an_aligned_range_by_post(server, make):
    serve(server, matrix())
    result = make(step="15s", timeout="20s").collect([UP], span=3600, at=AT + 4)
    asked = form(server.seen[0])
    assert asked["query"] == 'up{job="a"}'
    assert (asked["start"], asked["end"], asked["step"]) == ("1699996425.000", "1700000010.000", "15")
    assert 0 < float(asked["timeout"]) <= 20
    assert result.frame.values.shape == (0, 240)
    assert result.collected.up
    assert result.collected.target == server.address


def test_series_of_several_queries_become_one_frame(server, make):
    def answer(seen, reply):
        first = ({"__name__": "up", "job": "a"}, [(1_699_999_995, "1"), (1_700_000_010, "+Inf")])
        second = ({"instance": "x"}, [(1_699_999_980, "NaN"), (1_699_999_995, "0.5")])
        third = ({"instance": "w"}, [(1_700_000_010, "-1e-07")])
        series = [first] if form(seen)["query"] == UP.expr else [second, third]
        reply.send(matrix(*series), Content_Type="application/json")

    server.on(PATH, answer, "POST")
    result = make(step="15s").collect([UP, LOAD], span=45, at=AT)
    frame = result.frame
    assert [str(series) for series in frame.series] == ['up{job="a"}', 'load{instance="w"}', 'load{instance="x"}']
    assert frame.series[0].help == UP.expr
    assert frame.select.tolist() == [0, 3, 3]
    assert frame.times.tolist() == [1_699_999_980, 1_699_999_995, 1_700_000_010]
    nan = np.nan
    np.testing.assert_array_equal(frame.values, [[nan, 1, np.inf], [nan, nan, -1e-07], [nan, 0.5, nan]])
    assert frame.interval == 15
    assert result.collected.samples == 5
    assert result.collected.error == ""


def test_the_series_stay_the_same_objects_while_the_set_is_unchanged(server, make):
    server.on(PATH, everything, "POST")
    source = make(step="15s")
    first = source.collect([UP], span=60, at=AT).frame
    second = source.collect([UP], span=60, at=AT + 15).frame
    assert second.series is first.series
    assert second.select is first.select
    assert second.times[-1] == first.times[-1] + 15
    serve(server, matrix(({"instance": "a"}, [(AT, "1")])))
    third = source.collect([UP], span=60, at=AT).frame
    assert third.series is not first.series
    assert len(third.series) == 1


def test_queries_of_different_watches_do_not_disturb_each_other(server, make):
    server.on(PATH, everything, "POST")
    source = make(step="15s")
    first, other = (source.collect([query], span=60, at=AT).frame for query in (UP, LOAD))
    again = source.collect([UP], span=60, at=AT).frame
    assert again.series is first.series
    assert other.series is not first.series


def test_a_long_range_is_asked_for_in_parts(server, make):
    server.on(PATH, everything, "POST")
    frame = make(step="1s", max_points=100).collect([UP], span=250, at=AT).frame
    assert [(form(seen)["start"], form(seen)["end"]) for seen in server.seen] == [
        ("1699999761.000", "1699999860.000"),
        ("1699999861.000", "1699999960.000"),
        ("1699999961.000", "1700000010.000"),
    ]
    assert frame.values.shape == (2, 250)
    assert frame.values.tolist() == [[float(f"{time:g}") for time in frame.times]] * 2


def test_a_server_that_takes_no_post_is_asked_by_get_from_then_on(server, make):
    server.reply(PATH, status=405, method="POST")
    server.on(PATH, everything, "GET")
    source = make()
    for _ in range(2):
        assert source.collect([UP], span=60, at=AT).collected.up
    assert [seen.method for seen in server.seen] == ["POST", "GET", "GET"]
    assert form(server.seen[1])["query"] == UP.expr


def test_a_path_before_the_api_is_kept(server, make):
    server.on("/select/0/prometheus" + PATH, everything, "POST")
    assert make("/select/0/prometheus").collect([UP], span=60, at=AT).collected.up


def refusal(source, queries=(UP,), span=60.0):
    result = source.collect(list(queries), span=span, at=AT)
    assert result.frame is None
    assert not result.collected.up
    assert result.collected.samples == 0
    assert result.collected.error.isprintable()
    return result.collected.error


ERROR = json.dumps({"status": "error", "errorType": "bad_data", "error": "1:4: parse error: unexpected end"}).encode()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((400, ERROR, {}), "refused with 400: bad_data: 1:4: parse error: unexpected end"),
        ((422, b'{"status":"error","error":"too many samples"}', {}), "refused with 422: too many samples"),
        ((503, b'{"status":"error","errorType":"timeout","error":"slow"}', {}), "answered 503: timeout: slow"),
        ((502, b"<html>\x1b[0m", {"Content_Type": "text/html"}), "answered 502"),
        ((500, b"upstream\x1bgone\nmore", {"Content_Type": "text/plain"}), "answered 500: upstream gone"),
        ((401, b"", {}), "answered 401; check the credentials"),
        ((404, b"<html>", {"Content_Type": "text/html"}), "is url the root of a Prometheus API?"),
        ((200, b"<html>", {"Content_Type": "text/html"}), "'text/html' where application/json was expected"),
        ((200, ERROR, {}), "no result of a range query"),
        ((200, b"", {}), "no valid JSON"),
        ((200, matrix(({}, [(AT, "1")]))[:-10], {}), "cut off"),
        ((200, matrix(({}, [(AT - 1, "1")])), {}), "which was not asked for"),
        ((200, matrix(isPartial=True), {}), "isPartial"),
        ((200, matrix(warnings=["results truncated due to limit"]), {}), "results truncated due to limit"),
        ((200, matrix(warnings=["No StoreAPIs matched for this query"]), {}), "incomplete"),
        ((200, matrix(warnings=["receive series from Addr: x: rpc error: code = Unavailable"]), {}), "incomplete"),
    ],
)
def test_what_is_no_whole_answer_leaves_no_frame_and_says_why(server, make, answer, said):
    status, body, headers = answer
    serve(server, body, status=status, **headers)
    error = refusal(make())
    assert said in error
    assert error.startswith(f"{server.url}{PATH}: ")


def test_an_error_of_one_query_is_told_with_its_expression(server, make):
    serve(server, ERROR, status=400)
    assert f"query up ({UP.expr})" in refusal(make(), [UP, LOAD])


def test_other_warnings_are_passed_on_once_and_the_frame_is_used(server, make):
    warning = 'PromQL warning: quantile is partial nonsense: "partial_x"'
    serve(server, matrix(warnings=[warning], infos=["PromQL info: might not be a counter"]))
    result = make().collect([UP, LOAD], span=60, at=AT)
    assert result.frame is not None
    assert result.collected.warnings == (warning, "PromQL info: might not be a counter")


def test_native_histograms_are_refused_with_advice(server, make):
    result = [{"metric": {}, "histograms": [[AT, {"count": "1", "sum": "1", "buckets": []}]]}]
    serve(server, json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode())
    assert "histogram_quantile" in refusal(make())


def test_limits_on_samples_and_bytes_are_kept(server, make):
    server.on(PATH, everything, "POST")
    assert "sample_limit" in refusal(make(sample_limit=7))
    assert make(sample_limit=8).collect([UP], span=60, at=AT).collected.up
    assert "limit of 100 bytes" in refusal(make(body_size_limit="100B"))


def test_a_server_that_is_down_or_slow_leaves_no_frame(server, make):
    server.on(PATH, lambda _, reply: reply.hang(), "POST")
    assert "no complete answer within" in refusal(make(timeout="250ms"))
    server.close()
    assert "connection refused" in refusal(make())


def test_the_timeout_covers_all_queries_together(server, make):
    source = make(timeout="10s")
    clock = source._clock

    def slow(_, reply):
        clock.advance(6)
        reply.send(matrix(), Content_Type="application/json")

    server.on(PATH, slow, "POST")
    assert "the timeout of 10 s was used up before query load" in refusal(source, [UP, UP, LOAD])
    assert len(server.seen) == 2


def test_closing_ends_queries_under_way(server, make):
    from concurrent.futures import ThreadPoolExecutor

    from sources_fake_server import wait_until

    server.on(PATH, lambda _, reply: reply.hang(), "POST")
    source = make(timeout="60s")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(refusal, source)
        wait_until(lambda: bool(server.seen))
        source.close()
        assert "cancelled" in running.result(timeout=10)


def test_a_source_without_a_prometheus_part_is_a_programming_error():
    from exporter.config.model import Scrape

    with pytest.raises(ValueError, match="no prometheus part"):
        PrometheusSource(Source(name="x", scrape=Scrape(targets=["a:1"])), ManualClock())
