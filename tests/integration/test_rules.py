"""The shipped rules in the programs that evaluate them."""

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import yaml
from real_programs import ROOT, eventually, fetch, program

from exporter.board import ScoreTable, WatchPicture
from exporter.metrics.rendering import WatchRenderer
from exporter.series.labels import Series, labels_of

pytestmark = pytest.mark.integration

RULES = sorted((ROOT / "rules").glob("*.rules.yml"))
TESTS = sorted((ROOT / "rules" / "tests").glob("*.yml"))


def run(*arguments: object) -> str:
    """What a program prints; fails with it where the program does."""
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_finds_nothing_wrong():
    printed = run(program("promtool"), "check", "rules", "--lint=all", "--lint-fatal", *RULES)
    assert printed.count("SUCCESS") == len(RULES) > 0


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_alerts_begin_and_end_as_their_tests_say(file: Path):
    assert "SUCCESS" in run(program("promtool"), "test", "rules", file)


def test_promtool_would_notice_an_alert_that_never_fires(tmp_path: Path):
    """The tests prove something: with a rule that cannot fire they fail."""
    broken = (ROOT / "rules" / "lmstudio.rules.yml").read_text().replace("[2m]) == 0\n", "[2m]) == 7\n", 1)
    (tmp_path / "lmstudio.rules.yml").write_text(broken)
    tests = yaml.safe_load((ROOT / "rules" / "tests" / "lmstudio.test.yml").read_text())
    tests |= {"rule_files": ["lmstudio.rules.yml"], "tests": tests["tests"][:1]}
    (tmp_path / "lmstudio.test.yml").write_text(yaml.safe_dump(tests))
    done = subprocess.run(
        [program("promtool"), "test", "rules", tmp_path / "lmstudio.test.yml"], capture_output=True, check=False
    )
    assert done.returncode != 0
    assert b"LMStudioDown" in done.stdout + done.stderr


def test_vmalert_takes_the_rules(tmp_path: Path):
    """Debian's vmalert 1.79 is older than keep_firing_for, and refuses what it does not know; newer ones know it."""
    for file in RULES:
        lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("keep_firing_for:")]
        (tmp_path / file.name).write_text("\n".join(lines))
    run(program("vmalert"), "-dryRun", f"-rule={tmp_path}/*.rules.yml")


REPLICAS = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: ["{rules}/*.rules.yml"]
scrape_configs:
  - job_name: lmwatch
    honor_labels: true
    static_configs: [{{targets: ["127.0.0.1:{port}", "localhost:{port}"]}}]
"""
OF_LMWATCH = """lmwatch_build_info{version="0.1.0",python_version="3.11"} 1
lmwatch_web_info{external_url="http://lmwatch.example:9917"} 1
lmwatch_watch_threshold{watch="shop"} 0.5
lmwatch_screen_group_anomaly_score{watch="shop",instance="",job=""} 0.9
lmwatch_group_anomaly_score{watch="shop",instance="",job=""} 0.9
lmstudio_up{server="desk"} 0
"""


def scored() -> str:
    """The lines of a watch in which a sum and one host's series are anomalous."""
    series = (Series("checkout_errors", ()), Series("node_load1", labels_of({"instance": "db1:9100", "job": "node"})))
    none, score = np.full(2, np.nan), np.full(2, 0.9)
    table = ScoreTable("t", series, score, score, none, none, ("", ""), none, none, none)
    rendered = WatchRenderer().render(WatchPicture("shop", "ok", "", 0.0, (table,)))
    return OF_LMWATCH + b"".join(rendered.values()).decode()


@pytest.fixture
def exposition() -> Iterator[int]:
    """The port of a server that exposes what an lmwatch would."""
    body = scored().encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(10)


def test_two_replicas_in_a_real_prometheus_make_one_alert_a_series(prometheus, exposition):
    """No rule fails to evaluate, and what has no instance of its own gets none from the replica that exposes it."""
    over = prometheus(REPLICAS.format(rules=ROOT / "rules", port=exposition))
    eventually(lambda: len(over.query('up{job="lmwatch"} == 1')) == 2, what="both replicas are scraped")
    eventually(lambda: len(over.query("ALERTS")) >= 8, what="alerts are pending")
    alerts = [alert["metric"] for alert in over.query('ALERTS{watch="shop"}')]
    assert sorted(
        (alert["alertname"], alert["severity"], alert.get("metric"), alert.get("instance"), alert.get("job"))
        for alert in alerts
    ) == [
        ("LMWatchGroupScoreHigh", "critical", None, None, None),
        ("LMWatchGroupScoreHigh", "warning", None, None, None),
        ("LMWatchSeriesAnomaly", "critical", "checkout_errors", None, None),
        ("LMWatchSeriesAnomaly", "critical", "node_load1", "db1:9100", "node"),
        ("LMWatchSeriesAnomaly", "warning", "checkout_errors", None, None),
        ("LMWatchSeriesAnomaly", "warning", "node_load1", "db1:9100", "node"),
    ]
    groups = json.loads(fetch(f"{over.url}/api/v1/rules")[1])["data"]["groups"]
    evaluated = [rule for group in groups for rule in group["rules"]]
    assert {rule["name"]: rule["lastError"] for rule in evaluated if rule.get("lastError")} == {}
    assert {rule["health"] for rule in evaluated if rule["type"] == "alerting"} == {"ok"}
