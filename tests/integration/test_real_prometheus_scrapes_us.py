"""The main job with the real thing around it: node_exporter under lmwatch, Prometheus over it and under it."""

import subprocess

import pytest
from lmwatch_process import lmwatch
from real_programs import eventually, program
from scripted_answers import anomalous

from exporter.embedded.scripted import ScriptedEngine
from exporter.embedded.studio import StudioServer

pytestmark = pytest.mark.integration

SCRAPING = """
servers:
  - {{name: desk, url: "{studio}", poll_interval: 1s}}
sources:
  - name: nodes
    scrape: {{targets: ["{node}"], interval: 1s, timeout: 1s}}
watches:
  - name: node-health
    source: nodes
    select: [node_load1, {{series: node_memory_MemAvailable_bytes, band: true}}, 'node_cpu_seconds_total{{mode="user"}}']
    group_by: [instance]
    window: 2m
    interval: 1s
    reason: {{when: always, cooldown: 2s}}
web: {{external_url: "http://lmwatch.example/"}}
"""
OVER_US = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: lmwatch
    honor_labels: true
    static_configs: [{{targets: ["{lmwatch}"]}}]
"""
UNDER_US = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: prometheus
    static_configs: [{{targets: ["{node}"]}}]
"""
QUERYING = """
servers: []
sources:
  - name: tsdb
    prometheus: {{url: "{prometheus}", step: 1s}}
watches:
  - name: node-health
    source: tsdb
    select:
      - {{query: 'rate(node_cpu_seconds_total[10s])', name: cpu}}
      - {{query: node_memory_MemFree_bytes, name: free, band: true}}
    window: 2m
    interval: 1s
    reason: {{when: never}}
"""


@pytest.fixture
def studio():
    with StudioServer([ScriptedEngine(anomalous)]) as server:
        yield server


def test_prometheus_scrapes_scores_and_verdicts_of_a_real_exporter(prometheus, node_exporter, studio, tmp_path):
    """No scrape error, the expected series, labels of the watched target kept, nothing to say for promtool."""
    with lmwatch(SCRAPING.format(studio=studio.url, node=node_exporter), tmp_path) as watch:
        over = prometheus(OVER_US.format(lmwatch=watch.url.removeprefix("http://")))
        scores = eventually(
            lambda: over.query(f'lmwatch_llm_anomaly_score{{watch="node-health", instance="{node_exporter}"}}'),
            seconds=60,
            what="a verdict reached Prometheus",
        )
        assert {"node_load1", "node_memory_MemAvailable_bytes", "node_cpu_seconds_total"} >= {
            score["metric"]["metric"] for score in scores
        }
        assert [target["lastError"] for target in over.targets()] == [""]
        assert over.query('lmstudio_up{server="desk"} == 1')
        assert over.query('lmwatch_source_up{source="nodes"} == 1')
        assert over.query('lmwatch_web_info{external_url="http://lmwatch.example"} == 1')
        assert over.query('lmwatch_watch_threshold{watch="node-health"} == 0.5')
        assert over.query('lmwatch_watch_state{watch="node-health", state="ok"} == 1')
        assert over.query("lmwatch_series_expected_lower <= lmwatch_series_expected_upper")
        assert over.query("lmwatch_anomaly_score >= lmwatch_screen_anomaly_score")
        checked = subprocess.run(
            [program("promtool"), "check", "metrics"],
            input=watch.metrics().encode(),
            capture_output=True,
            check=False,
        )
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_a_target_that_goes_takes_its_series_with_it(prometheus, node_exporter, studio, tmp_path):
    """Prometheus marks the scores stale as soon as the watched target is gone, and the source's state says so."""
    with lmwatch(SCRAPING.format(studio=studio.url, node=node_exporter), tmp_path) as watch:
        over = prometheus(OVER_US.format(lmwatch=watch.url.removeprefix("http://")))
        eventually(lambda: over.query("lmwatch_screen_anomaly_score"), seconds=60, what="scores reached Prometheus")
        node_exporter.stop()
        eventually(lambda: not over.query("lmwatch_screen_anomaly_score"), what="the scores are gone")
        assert over.query("lmwatch_source_up == 0")
        assert over.query('up{job="lmwatch"} == 1')


def test_prometheus_as_a_source(prometheus, node_exporter, tmp_path):
    """Any PromQL is a series to watch, with the labels of its result and the configured name."""
    under = prometheus(UNDER_US.format(node=node_exporter))
    eventually(
        lambda: under.query("count_over_time(node_memory_MemFree_bytes[2m]) > 20"),
        seconds=60,
        what="Prometheus has some history",
    )
    with lmwatch(QUERYING.format(prometheus=under.url), tmp_path) as watch:
        text = eventually(
            lambda: text if "\nlmwatch_screen_anomaly_score{" in (text := watch.metrics()) else "",
            what="scores from Prometheus",
        )
        assert 'metric="free"' in text
        assert 'mode="idle"' in text
        assert 'lmwatch_source_up{source="tsdb"' in text
