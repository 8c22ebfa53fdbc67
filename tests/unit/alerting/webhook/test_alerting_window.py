"""The window around an alert: from Prometheus by its expression, from watches by its labels, screened."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from webhook_cases import alert, notification
from webhook_world import START, FakeWatcher

from exporter.alerting.window import Sights, look
from exporter.clock import ManualClock
from exporter.config.base import Name
from exporter.config.model import Source
from exporter.sources.prometheus import PrometheusSource


class Prometheus:
    """Answers range queries: by expression, series as label sets with a function of time."""

    def __init__(self) -> None:
        self.series: dict[str, list[tuple[dict[str, str], object]]] = {}
        self.asked: list[dict[str, str]] = []
        prometheus = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                prometheus.asked.append(form)
                status, document = prometheus.answer(form)
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.origin = f"127.0.0.1:{self._server.server_address[1]}"

    def answer(self, form):
        if form["query"] not in self.series:
            return 400, {"status": "error", "errorType": "bad_data", "error": "parse error"}
        step = float(form["step"])
        times = np.arange(float(form["start"]), float(form["end"]) + step / 2, step)
        result = [
            {"metric": {"__name__": "x", **labels}, "values": [[float(t), str(value(t))] for t in times]}
            for labels, value in self.series[form["query"]]
        ]
        return 200, {"status": "success", "data": {"resultType": "matrix", "result": result}}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def prometheus():
    fake = Prometheus()
    yield fake
    fake.close()


@pytest.fixture
def sights():
    """Makes the sights of some Prometheus servers; their connections are closed at the end."""
    with contextlib.ExitStack() as stack:

        def make(*servers, watchers=None) -> Sights:
            sources = [
                Source.model_validate({"name": f"p{number}", "prometheus": {"url": f"http://{one.origin}"}})
                for number, one in enumerate(servers)
            ]
            queries = {source.name: PrometheusSource(source, ManualClock(START)) for source in sources}
            for query in queries.values():
                stack.callback(query.close)
            return Sights(sources, queries, watchers or {})

        yield make


def jumps(at: float):
    return lambda t: 1.0 + 0.01 * (t // 15 % 3) + (8.0 if t >= at else 0.0)


def calm(t: float) -> float:
    return 1.0 + 0.01 * (t // 15 % 3)


def from_url(expr: str, origin: str = "prometheus.example") -> str:
    return f"http://{origin}/graph?" + urlencode({"g0.expr": expr})


LOAD = "node_load1 > 5"


def test_the_series_behind_the_expression_are_screened(prometheus, sights):
    prometheus.series["node_load1"] = [
        ({"instance": "a:1"}, jumps(START - 300)),
        *(({"instance": f"c{number}:1"}, calm) for number in range(30)),
    ]
    group = look(notification(alert(generatorURL=from_url(LOAD))), sights(prometheus), START)
    assert (group.watch, group.key, group.total) == ("@alertmanager", (("alertname", "HighLoad"),), 31)
    assert group.suspicious >= 1
    first = group.series[0]
    assert (first.series.name, dict(first.series.labels)) == ("HighLoad", {"instance": "a:1"})
    assert first.score > 0.5
    assert first.evidence
    assert len(group.series) == 1 + 6, "a few of the others, to compare with"
    (asked,) = prometheus.asked
    assert asked["query"] == "node_load1", "what is compared, not the comparison"
    begin, end = float(asked["start"]), float(asked["end"])
    assert end == START
    assert begin == pytest.approx(1_770_023_648 - 3600, abs=30), "an hour before the alert began"


def test_the_source_that_the_alert_comes_from_is_asked_first(prometheus, sights):
    other = Prometheus()
    try:
        prometheus.series["node_load1"] = other.series["node_load1"] = [({"instance": "a:1"}, calm)]
        alerts = notification(alert(generatorURL=from_url(LOAD, prometheus.origin)))
        assert look(alerts, sights(other, prometheus), START).series
    finally:
        other.close()
    assert (len(prometheus.asked), len(other.asked)) == (1, 0)


def test_an_expression_that_only_works_whole_is_asked_whole(prometheus, sights):
    prometheus.series[LOAD] = [({"instance": "a:1"}, calm)]
    assert look(notification(alert(generatorURL=from_url(LOAD))), sights(prometheus), START).total == 1
    assert [asked["query"] for asked in prometheus.asked] == ["node_load1", LOAD]


def test_a_long_lasting_alert_is_looked_at_for_six_hours_with_longer_steps(prometheus, sights):
    prometheus.series["node_load1"] = [({"instance": "a:1"}, calm)]
    old = alert(generatorURL=from_url(LOAD), starts="2026-01-01T00:00:00Z")
    group = look(notification(old), sights(prometheus), START)
    assert len(group.series[0].times) <= 481
    assert START - float(prometheus.asked[0]["start"]) == pytest.approx(6 * 3600, abs=60)


def test_without_an_answer_the_watches_that_share_labels_are_looked_at(prometheus, sights, caplog):
    at = sights(prometheus, watchers={"nodes": FakeWatcher("a:1", "b:1")})
    group = look(notification(alert(generatorURL=from_url(LOAD))), at, START)
    assert [dict(one.series.labels) for one in group.series] == [{"instance": "a:1"}]
    assert all("parse error" in record.fields["error"] for record in caplog.records)


def test_what_else_moved_comes_from_the_watches(prometheus, sights):
    prometheus.series["node_load1"] = [({"instance": "a:1"}, jumps(START - 300))]
    at = sights(prometheus, watchers={"nodes": FakeWatcher("a:1", "b:1")})
    group = look(notification(alert(generatorURL=from_url(LOAD))), at, START)
    assert sorted(one.series.name for one in group.series) == ["HighLoad", "node_load1"]
    assert [one.score for one in group.series] == sorted((one.score for one in group.series), reverse=True)


def test_an_alert_about_our_own_scores_is_looked_at_by_the_watch_that_it_names(prometheus, sights):
    labels = {"alertname": "LMWatchAnomaly", "watch": "nodes", "instance": "b:1", "metric": "node_load1"}
    own = {**alert(generatorURL=from_url("lmwatch_anomaly_score > 0.5")), "labels": labels}
    group = look(notification(own), sights(prometheus, watchers={"nodes": FakeWatcher("a:1", "b:1")}), START)
    assert [dict(one.series.labels) for one in group.series] == [{"instance": "b:1"}]
    assert prometheus.asked == []


def test_where_nothing_is_known_the_group_is_empty(sights):
    assert look(notification(), sights(), START).series == ()


def test_no_watch_can_have_the_name_that_verdicts_on_alerts_have():
    with pytest.raises(ValidationError):
        TypeAdapter(Name).validate_python(look(notification(), Sights(), START).watch)
