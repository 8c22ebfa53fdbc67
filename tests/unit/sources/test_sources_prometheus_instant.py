"""Instant queries against a server that answers as Prometheus does, and as broken ones do."""

import json
from urllib.parse import parse_qs

import numpy as np
import pytest

from exporter.clock import ManualClock
from exporter.config.model import PrometheusApi, Source
from exporter.errors import BadDataError, RefusedError, TransientError
from exporter.sources.prometheus import PrometheusSource, Query

AT = 1_700_000_010.0
UP = Query("up", 'up{job="a"}', 0)
PATH = "/api/v1/query"


@pytest.fixture
def make(server):
    """Makes sources that ask the fake server; closed before it."""
    made = []

    def source(**settings):
        config = Source(name="tsdb", prometheus=PrometheusApi(url=server.url, **settings))
        made.append(PrometheusSource(config, ManualClock(AT)))
        return made[-1]

    yield source
    for source in made:
        source.close()


def vector(*samples, kind="vector", **more):
    result = [{"metric": labels, "value": [AT, value]} for labels, value in samples]
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}, **more}).encode()


def serve(server, body, method="POST", **kwargs):
    server.reply(PATH, body, method=method, **{"Content_Type": "application/json", **kwargs})


def test_an_instant_query_asks_for_one_moment_by_post(server, make):
    serve(
        server, vector(({"__name__": "up", "job": "a"}, "1"), ({"job": "b"}, "-Inf"), ({}, "NaN"), infos=["PromQL x"])
    )
    found = make(timeout="20s").instant(UP, at=AT)
    asked = {name: values[0] for name, values in parse_qs(server.seen[0].body.decode()).items()}
    assert asked == {"query": UP.expr, "time": "1700000010.000", "timeout": "20.000"}
    assert found.metrics == ({"__name__": "up", "job": "a"}, {"job": "b"}, {})
    np.testing.assert_array_equal(found.values, [1.0, -np.inf, np.nan])
    assert found.warnings == ("PromQL x",)


def test_a_server_that_takes_no_post_is_asked_by_get(server, make):
    serve(server, b"", status=405)
    serve(server, vector(), method="GET")
    assert make().instant(UP, at=AT).metrics == ()
    assert dict(server.seen[1].query)["query"] == UP.expr


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        pytest.param(vector(kind="matrix"), {}, (BadDataError, "no result of an instant query"), id="another kind"),
        pytest.param(vector(({}, "1"))[:-5], {}, (BadDataError, "cut off"), id="cut off"),
        pytest.param(vector(({}, "many")), {}, (BadDataError, "a sample of the answer"), id="no number"),
        pytest.param(vector(({"a": 1}, "1")), {}, (BadDataError, "no labels"), id="labels of numbers"),
        pytest.param(vector(isPartial=True), {}, (BadDataError, "only in part"), id="partial"),
        pytest.param(vector(({}, "1"), ({"a": "b"}, "2")), {}, (BadDataError, "sample_limit"), id="too many samples"),
        pytest.param(b"{}", {"status": 400}, (RefusedError, "was refused with 400"), id="refused"),
        pytest.param(b"", {"status": 503}, (TransientError, "answered 503"), id="overloaded"),
    ],
)
def test_what_cannot_be_used_names_query_and_reason(server, make, body, headers, expected):
    error, text = expected
    serve(server, body, **headers)
    with pytest.raises(error, match=text) as caught:
        make(sample_limit=1).instant(UP, at=AT)
    assert "query up" in str(caught.value)
    assert PATH in str(caught.value)
