"""A stretch of the past from a Prometheus API: its own step, its own errors, and nothing of what is asked each interval."""

import json
from itertools import pairwise
from urllib.parse import parse_qs

import numpy as np
import pytest

from exporter.clock import ManualClock
from exporter.config.model import PrometheusApi, Source, Watch
from exporter.errors import BadDataError, RefusedError, TransientError
from exporter.sources.prometheus import PrometheusSource, Query
from exporter.watching.feed import QueryFeed

AT = 1_700_000_010.0
QUERIES = [Query("up", "up", 0), Query("load", "avg(load)", 1)]
PATH = "/api/v1/query_range"


@pytest.fixture
def make(server):
    made = []

    def source(**settings):
        config = Source(name="tsdb", prometheus=PrometheusApi(url=server.url, **settings))
        made.append(PrometheusSource(config, ManualClock(AT)))
        return made[-1]

    yield source
    for source in made:
        source.close()


def forms(server):
    return [{name: values[0] for name, values in parse_qs(seen.body.decode()).items()} for seen in server.seen]


def everything(seen, reply):
    """One series with its times as values, whatever is asked."""
    asked = {name: float(values[0]) for name, values in parse_qs(seen.body.decode()).items() if name != "query"}
    times = np.arange(asked["start"], asked["end"] + 0.1, asked["step"]).tolist()
    result = [{"metric": {"instance": "a"}, "values": [[time, f"{time:g}"] for time in times]}]
    body = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}, separators=(",", ":"))
    reply.send(body.encode(), Content_Type="application/json")


def test_a_stretch_of_the_past_has_a_step_of_its_own_and_is_asked_for_in_parts(server, make):
    server.on(PATH, everything, "POST")
    frame = make(step="15s", max_points=10).past(QUERIES, begin=AT - 900, end=AT, step=60.0)
    assert [(form["query"], form["start"], form["end"], form["step"]) for form in forms(server)] == [
        ("up", "1699999140.000", "1699999680.000", "60"),
        ("up", "1699999740.000", "1699999980.000", "60"),
        ("avg(load)", "1699999140.000", "1699999680.000", "60"),
        ("avg(load)", "1699999740.000", "1699999980.000", "60"),
    ]
    assert [str(series) for series in frame.series] == ['up{instance="a"}', 'load{instance="a"}']
    assert frame.select.tolist() == [0, 1]
    assert (frame.target, frame.interval) == (server.address, 60.0)
    np.testing.assert_allclose(frame.values, [frame.times] * 2, rtol=1e-5)


def test_stretches_that_follow_each_other_have_no_instant_twice_and_none_missing(server, make):
    server.on(PATH, everything, "POST")
    source = make()
    edges = [AT - 7200.0, AT - 3590.0, AT - 3500.0, AT - 60.0, AT]
    times = np.concatenate([source.past(QUERIES, begin=a, end=b, step=60.0).times for a, b in pairwise(edges)])
    assert (np.diff(times) == 60.0).all()
    assert AT - 7200.0 < times[0] <= AT - 7140.0
    assert AT - 60.0 < times[-1] <= AT


def test_asking_for_the_past_leaves_the_series_of_each_interval_the_same_objects(server, make):
    server.on(PATH, everything, "POST")
    source = make(step="15s")
    before = source.collect(QUERIES, span=60, at=AT).frame
    source.past(QUERIES, begin=AT - 900, end=AT, step=60.0)
    assert source.collect(QUERIES, span=60, at=AT).frame.series is before.series


@pytest.mark.parametrize(
    ("status", "error"), [(422, RefusedError), (503, TransientError), (401, RefusedError)], ids=str
)
def test_a_query_that_fails_says_why(server, make, status, error):
    body = json.dumps({"status": "error", "errorType": "execution", "error": "query would load too many samples"})
    server.reply(PATH, body.encode(), status=status, method="POST", Content_Type="application/json")
    with pytest.raises(error, match="too many samples"):
        make().past(QUERIES, begin=AT - 900, end=AT, step=60.0)


def test_the_limit_on_samples_holds_for_the_past_too(server, make):
    server.on(PATH, everything, "POST")
    with pytest.raises(BadDataError, match="sample_limit"):
        make(sample_limit=10).past(QUERIES, begin=AT - 900, end=AT, step=60.0)


def test_a_watchs_feed_asks_for_the_past_of_its_own_queries(server, make):
    server.on(PATH, everything, "POST")
    watch = Watch.model_validate({"name": "w", "source": "tsdb", "select": [{"query": "up == 1", "name": "ups"}]})
    frame = QueryFeed(watch, make(), lambda _: None).past(AT - 300, AT, 60.0)
    assert forms(server)[0]["query"] == "up == 1"
    assert [series.name for series in frame.series] == ["ups"]
