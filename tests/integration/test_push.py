"""Alerts pushed to a real Alertmanager: they appear, outlast restarts on both sides, and are resolved."""

import json
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from lmwatch_process import Lmwatch, lmwatch
from real_programs import Alertmanager, eventually, fetch

pytestmark = pytest.mark.integration

ROUTES = "route: {receiver: none}\nreceivers: [{name: none}]\n"
CONFIG = """
servers: []
sources:
  - name: rooms
    scrape: {{targets: ["{target}"], interval: 1s, timeout: 1s, labels: {{job: thermo}}}}
watches:
  - name: house
    source: rooms
    select: [{{series: temperature, valid_min: 0, valid_max: 50}}]
    group_by: [instance]
    window: 1m
    interval: 1s
    reason: {{when: never}}
alerting:
  alertmanagers:
    - url: {url}
    - file_sd: [{{files: [{files}]}}]
  for: 2s
  resend_interval: 1s
  labels: {{team: ops}}
journal: {{path: {journal}}}
web: {{external_url: "http://lmwatch.example:9917"}}
"""


class House:
    """A target with a temperature that a test sets."""

    def __init__(self) -> None:
        self.temperature = 20
        house = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                text = f'# TYPE temperature gauge\ntemperature{{room="attic",severity="own"}} {house.temperature}\n'.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def house():
    house = House()
    yield house
    house.close()


@pytest.fixture
def alertmanagers(tmp_path):
    """Two of them, as in a cluster."""
    both = [Alertmanager(ROUTES, tmp_path / name).start() for name in ("am-1", "am-2")]
    yield both
    for one in both:
        one.stop()


def scored(process: Lmwatch) -> bool:
    return "lmwatch_screen_anomaly_score{" in process.metrics()


def sent(process: Lmwatch, url: str) -> float:
    """How many alerts an Alertmanager took from this process."""
    start = f'lmwatch_alerts_sent_total{{alertmanager="{url}"}} '
    return next(float(line.removeprefix(start)) for line in process.metrics().splitlines() if line.startswith(start))


def test_an_alert_appears_outlasts_restarts_and_is_resolved(house, alertmanagers, tmp_path):
    first_one, second_one = alertmanagers
    files = tmp_path / "more.yml"
    files.write_text(f"- targets: [{second_one.url.removeprefix('http://')}]\n")
    config = CONFIG.format(target=house.address, url=first_one.url, files=files, journal=tmp_path / "lmwatch.db")
    with lmwatch(config, tmp_path) as process:
        eventually(lambda: scored(process), what="a score")
        assert [one.alerts() for one in alertmanagers] == [[], []]
        house.temperature = 90
        (alert,) = eventually(first_one.alerts, what="the alert")
        (same,) = eventually(second_one.alerts, what="the alert at the other Alertmanager")
        kind = alert["labels"]["kind"]
        assert alert["labels"] == same["labels"]
        assert alert["labels"] == {
            "alertname": "LMWatchAnomaly",
            "watch": "house",
            "metric": "temperature",
            "kind": kind,
            "severity": "critical",
            "instance": house.address,
            "job": "thermo",
            "room": "attic",
            "exported_severity": "own",
            "team": "ops",
        }
        name = f'temperature{{instance="{house.address}",job="thermo",room="attic",severity="own"}}'
        said = alert["annotations"]
        assert said.keys() == {"summary", "description", "lmwatch_url"}
        assert said["summary"] == f"{name} of watch house is anomalous ({kind.replace('_', ' ')})."
        assert said["description"].startswith("Evidence: ")
        assert "Value 90, expected " in said["description"]
        assert said["lmwatch_url"] == alert["generatorURL"] == "http://lmwatch.example:9917/watches/house"
        shown = json.loads(fetch(f"{process.url}/api/v1/alerts")[1])["data"]["alerts"]
        assert [(one["state"], one["labels"]) for one in shown] == [("firing", alert["labels"])]
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(30) == 0, process.log
    with lmwatch(config, tmp_path) as process:
        eventually(lambda: min(sent(process, one.url) for one in alertmanagers) >= 2, what="it is sent again")
        (kept,) = first_one.alerts()
        assert (kept["labels"], kept["startsAt"]) == (alert["labels"], alert["startsAt"])
        assert kept["endsAt"] > alert["endsAt"]
        second_one.stop()
        second_one.start()
        (again,) = eventually(second_one.alerts, what="an Alertmanager that forgot it learns of it again")
        assert (again["labels"], again["startsAt"]) == (alert["labels"], alert["startsAt"])
        house.temperature = 20
        eventually(lambda: not first_one.alerts() and not second_one.alerts(), seconds=90, what="it is resolved")
        assert "lmwatch_alerts_firing 0.0" in process.metrics()
