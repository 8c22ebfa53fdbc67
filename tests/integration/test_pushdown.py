"""`screen: pushdown`: the shipped rules in a real Prometheus and for a real VictoriaMetrics, and lmwatch that asks it for little."""

import contextlib
import json
import re
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode

import numpy as np
import pytest
from lmwatch_process import lmwatch
from real_programs import ROOT, Prometheus, eventually, fetch, free_port, program, running
from recorded_past import HOUR, backfill, exposition, labels_of, plant, recorded

pytestmark = pytest.mark.integration

SERIES, LIFTED, DAYS = 60, 12, 5.0
WATCH = """
servers: []
sources:
  - name: tsdb
    prometheus: {{url: "{url}", step: 30s}}
watches:
  - name: shop
    source: tsdb
    screen: pushdown
    select: [{{query: 'lmwatch:input{{anomaly_name="shop"}}', name: orders}}]
    group_by: [shop]
    window: 1h
    interval: 1s
    reason: {{when: never, max_series: 4}}
"""


class Counting(ThreadingHTTPServer):
    """Passes queries on to Prometheus and notes which, and how many series came back."""

    def __init__(self, url: str) -> None:
        self.upstream = url
        self.asked: list[tuple[str, str, int]] = []
        super().__init__(("127.0.0.1", 0), _Passing)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Passing(BaseHTTPRequestHandler):
    server: Counting

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = urllib.request.Request(
            self.server.upstream + self.path, data=body, headers={"Content-Type": self.headers["Content-Type"]}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        series = json.loads(text)["data"]["result"]
        self.server.asked.append((self.path, parse_qs(body.decode())["query"][0], len(series)))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def past():
    return plant(time.time(), series=SERIES, lifted=LIFTED, days=DAYS)


@pytest.fixture
def rules(tmp_path):
    """The shipped rules, only evaluated more often."""
    text = (ROOT / "rules" / "screening.rules.yml").read_text()
    quick = text.replace("interval: 1m", "interval: 1s").replace("interval: 1h", "interval: 2s")
    assert quick.count("interval: 1s") == quick.count("interval: 2s") == 1
    (tmp_path / "screening.rules.yml").write_text(quick)
    return tmp_path / "screening.rules.yml"


@pytest.fixture
def prometheus_ruler(past, rules, tmp_path):
    """A real Prometheus with days of records that evaluates the rules."""
    server = Prometheus(f"scrape_configs: []\nrule_files: ['{rules}']\n", tmp_path / "prometheus")
    backfill(past, tmp_path / "prometheus" / "data")
    yield server.start()
    server.stop()


class Victoria:
    """A real VictoriaMetrics, as far as it is asked as a Prometheus."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, expression: str) -> list:
        """The result of an instant query."""
        status, text = fetch(f"{self.url}/api/v1/query?{urlencode({'query': expression})}")
        assert status == 200, text
        return json.loads(text)["data"]["result"]

    def healthy(self) -> bool:
        """Whether it answers."""
        with contextlib.suppress(OSError):
            return fetch(f"{self.url}/health")[0] == 200
        return False


def announced(past, rules):
    """A sample of each record, older than any rule looks back.

    VictoriaMetrics remembers for up to 10 s that a query found no series, and each record that is made of another one would wait
    so long: a minute in all.
    """
    names = set(re.findall(r"record: (\S+)", rules.read_text())) - recorded(past).keys()
    return [
        f"{name}{labels_of(row)} 0 {int((past.times[-1] - 3 * HOUR) * 1000)}" for name in names for row in range(SERIES)
    ]


@pytest.fixture
def victoria_ruler(past, rules, tmp_path):
    """A real VictoriaMetrics with the same records, for which a real vmalert evaluates the rules."""
    server = Victoria(f"http://127.0.0.1:{free_port()}")
    store = [f"-storageDataPath={tmp_path}/data", f"-httpListenAddr={server.url.removeprefix('http://')}"]
    alert = [f"-rule={rules}", f"-datasource.url={server.url}", f"-remoteWrite.url={server.url}"]
    alert += [f"-httpListenAddr=127.0.0.1:{free_port()}", "-remoteWrite.flushInterval=500ms"]
    with running([program("victoria-metrics"), *store, "-search.latencyOffset=0s"], tmp_path / "vm.log"):
        eventually(server.healthy, what="VictoriaMetrics answers")
        text = "\n".join([*exposition(past, 1000), *announced(past, rules), ""]).encode()
        assert fetch(f"{server.url}/api/v1/import/prometheus", data=text)[0] == 204
        assert fetch(f"{server.url}/internal/force_flush")[0] == 200
        with running([program("vmalert"), *alert], tmp_path / "vmalert.log"):
            yield server


@pytest.fixture
def ruler(request):
    """Who evaluates the rules and answers queries."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def counting(ruler):
    with Counting(ruler.url) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def recorded_oddness(ruler):
    """[series]: what the rules say, made of records that are all there."""

    def whole(expression):
        samples = ruler.query(expression)
        return samples if len(samples) == SERIES else None

    # vmalert needs an evaluation for each record that another one is made of.
    eventually(lambda: whole("lmwatch:input:beyond_avg6h"), seconds=180, what="the last record in line")
    later = f"lmwatch:input:beyond and timestamp(lmwatch:input:beyond) > {time.time()}"
    found = np.full(SERIES, np.nan)
    for sample in eventually(lambda: whole(later), seconds=60, what="a distance of every series"):
        found[int(sample["metric"]["series"])] = float(sample["value"][1])
    return found


def scores(process):
    """By the label `series`."""
    pattern = re.compile(r'^lmwatch_screen_anomaly_score\{.*series="(\d+)".*\} (\S+)$', re.MULTILINE)
    return {int(series): float(value) for series, value in pattern.findall(process.metrics())}


@pytest.mark.parametrize("ruler", ["prometheus_ruler", "victoria_ruler"], indirect=True)
def test_a_pushdown_watch_scores_all_series_and_fetches_few(ruler, counting, past, tmp_path):
    """An interval is one instant query for all, one for the records of the suspicious, one for their windows."""
    oddness = recorded_oddness(ruler)
    with lmwatch(WATCH.format(url=counting.url), tmp_path) as process:
        found = eventually(lambda: scores(process) if len(scores(process)) == SERIES else None, what="all scores")
        metrics = process.metrics()
        (watch,) = process.status()["watches"]
        assert fetch(f"{process.url}/watches/shop")[0] == 200
    assert (watch["state"], watch["reason"]) == ("ok", "")
    assert {row for row, score in found.items() if score >= 0.5} == set(np.flatnonzero(oddness >= 1).tolist())
    lifted = {row: one / (1 + one) for row, one in enumerate(oddness[:LIFTED].tolist())}
    assert {row: found[row] for row in lifted} == pytest.approx(lifted, abs=0.05)
    for row in np.flatnonzero(oddness >= 1).tolist():
        (value,) = re.findall(rf'^lmwatch_series_value\{{.*series="{row}".*\}} (\S+)$', metrics, re.MULTILINE)
        (upper,) = re.findall(rf'^lmwatch_series_expected_upper\{{.*series="{row}".*\}} (\S+)$', metrics, re.MULTILINE)
        assert float(value) == pytest.approx(past.values[row, -1])
        assert float(upper) < float(value)
    every, rest = counting.asked[0], counting.asked[1:3]
    assert (every[0], every[2]) == ("/api/v1/query", SERIES)
    assert [(path, "last_over_time" in query) for path, query, _ in rest] == [
        ("/api/v1/query", True),
        ("/api/v1/query_range", False),
    ]
    # Four groups of 15 series, of which the oddest 4 are looked at.
    assert max(series for path, _, series in counting.asked if path.endswith("query_range")) == 16
